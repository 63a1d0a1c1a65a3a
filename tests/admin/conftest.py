"""People of the admin, and timelines for them to look at."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from django_timelines import registry
from django_timelines.models import Timeline
from django_timelines.testing import drain, recorded_errors

from .workflows import Forgotten, Parcel

LIST = "/admin/django_timelines/timeline/"


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Log a member of staff with these permissions in: ``staff("view", "retry")``."""

    def log_in(*verbs: str, name: str = "ada") -> Client:
        user = User.objects.create_user(name, is_staff=True)
        codenames = [f"{verb}_timeline" for verb in verbs]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client


@pytest.fixture
def blocked(db: None) -> Parcel:
    """A parcel whose weighing is blocked."""
    return a_parcel("The scales are broken.")


@pytest.fixture
def forgotten(db: None) -> Iterator[Timeline]:
    """A timeline whose class is not in the code any more."""
    timeline = Forgotten.start(note="an old one").timeline
    declaration = registry._declarations.pop("workflows.Forgotten")
    yield timeline
    registry.register(declaration)


def a_parcel(trouble: str = "", name: str = "books", key: str = "") -> Parcel:
    """Return a parcel, gone as far as it goes by itself."""
    with recorded_errors():
        parcel = Parcel.using(key=key).start(name=name, trouble=trouble)
        drain()
    return Parcel.get(parcel.pk)


def page_of(timeline: Timeline | Parcel) -> str:
    return reverse("admin:django_timelines_timeline_change", args=[timeline.pk])


def verb_of(verb: str, timeline: Timeline | Parcel, *run: str) -> str:
    return reverse(f"admin:django_timelines_timeline_{verb}", args=[timeline.pk, *run])
