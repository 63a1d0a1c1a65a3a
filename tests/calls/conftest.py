import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from django_timelines.models import Timeline


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
