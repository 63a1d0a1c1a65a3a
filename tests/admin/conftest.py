"""People of the admin, and timelines for them to look at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_timelines import registry
from django_timelines.engine import operate
from django_timelines.graph import Graph
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain, recorded_errors
from django_timelines.testing.patching import wrapped
from django_timelines.workflows import Workflow
from tests.shop.people import staff_with
from tests.shop.workflows import Trip

from .workflows import Forgotten, Parcel

LIST = "/admin/django_timelines/timeline/"


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Log a member of staff with these permissions in: ``staff("view", "retry")``."""

    def log_in(*verbs: str, name: str = "ada") -> Client:
        return staff_with(*(f"{verb}_timeline" for verb in verbs), name=name)

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


def lose_step(monkeypatch: pytest.MonkeyPatch, workflow: type[Workflow], name: str) -> None:
    """Let a release take a step out of the class; what came after it alone begins a branch of its own."""
    declaration = workflow._declaration
    nodes = {
        node.name: replace(node, after=tuple(one for one in node.after if one.step != name))
        for node in declaration.graph.nodes.values()
        if node.name != name
    }
    steps = {one: step for one, step in declaration.steps.items() if one != name}
    monkeypatch.setitem(declaration.__dict__, "steps", steps)
    monkeypatch.setitem(declaration.__dict__, "graph", Graph(nodes))


def a_parcel(trouble: str = "", name: str = "books", key: str = "") -> Parcel:
    """Return a parcel, gone as far as it goes by itself."""
    with recorded_errors():
        parcel = Parcel.using(key=key).start(name=name, trouble=trouble)
        drain()
    return Parcel.get(parcel.pk)


def page_of(timeline: Timeline | Workflow) -> str:
    return reverse("admin:django_timelines_timeline_change", args=[timeline.pk])


def verb_of(verb: str, timeline: Timeline | Workflow, *run: str) -> str:
    return reverse(f"admin:django_timelines_timeline_{verb}", args=[timeline.pk, *run])


def post(client: Client, url: str, **asked: str) -> str:
    """Confirm as a person does: look first, then say yes. Return the message."""
    fence = client.get(url).context["form"]["fence"].value()
    return confirm(client, url, fence=str(fence), **asked)


def confirm(client: Client, url: str, **asked: str) -> str:
    response = client.post(url, asked, follow=True)
    return " ".join(str(message) for message in response.context["messages"])


def text_of(client: Client, url: str) -> str:
    """Return a page that must be there."""
    response = client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def at_home(guest: str = "Ada") -> Trip:
    """Return a trip on which all is booked and travelled: it waits for its guest to come home."""
    trip = Trip.start(guest)
    trip.choose("vegan")
    drain()
    return Trip.get(trip.pk)


def types(timeline: Timeline | Workflow, since: int) -> list[str]:
    """Return the types of the events after this one."""
    events = Event.objects.filter(timeline=timeline.pk, sequence__gt=since).order_by("sequence")
    return list(events.values_list("type", flat=True))


@contextmanager
def somebody_is_first(deed: Callable[[], Any]) -> Iterator[None]:
    """Let somebody else do this once, between the page's last look and the commit."""
    deeds = [deed]

    def after_the_look(commit: Callable[..., Any]) -> Callable[..., Any]:
        def commit_second(result: Any) -> Any:
            if deeds:
                deeds.pop()()
            return commit(result)

        return commit_second

    with wrapped(operate, "commit", after_the_look):
        yield
    assert not deeds
