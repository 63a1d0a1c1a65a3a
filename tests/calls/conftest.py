from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from django_timelines.engine import call
from django_timelines.exceptions import Conflict
from django_timelines.models import Timeline
from django_timelines.testing.patching import wrapped


@pytest.fixture
def ada(db) -> User:
    """Nobody in particular."""
    return User.objects.create_user("ada")


@pytest.fixture
def grace(db) -> User:
    """Of the team."""
    grace = User.objects.create_user("grace")
    grace.groups.add(Group.objects.create(name="team"))
    return grace


@pytest.fixture
def boss(db) -> User:
    """Who may approve."""
    boss = User.objects.create_user("boss")
    boss.user_permissions.add(Permission.objects.get(codename="delete_user"))
    return boss


@pytest.fixture
def browser_of():
    """Make a user's browser."""

    def browser(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return browser


def mine(user: object) -> list[str]:
    """Return what waits for this user, of all workflows."""
    return [str(row.pk) for row in Timeline.objects.waiting_for_me(user)]


@pytest.fixture
def others_write() -> Callable[[], AbstractContextManager[None]]:
    """Let others be first for a block, each time that a call is to be written."""

    def lose(*_asked: Any, **_more: Any) -> Any:
        raise Conflict("Written by many at once.")

    return lambda: wrapped(call, "_try_call", lambda _original: lose)
