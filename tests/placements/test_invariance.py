"""Where a step runs changes nothing but where, when and by which worker: the same story with every placement of every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import django_rq
import pytest
from django.core import mail
from rq import SimpleWorker

from django_timelines.models import Timeline
from django_timelines.placements import embedded
from django_timelines.state import StepStatus
from example_project.signup.models import Tour
from example_project.signup.workflows import Signup

from . import tasks_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis]

STEPS = ("register", "open_account", "send_activation_link", "activate", "start_onboarding")
PLACES = ("inline", "embedded", "rq:default", "tasks:default", "tasks:table")
MOVES = [{step: place} for step in STEPS for place in PLACES] + [dict.fromkeys(STEPS, place) for place in PLACES]

STORY = [
    ("TimelineStarted", "", None),
    ("StepCalled", "register", None),
    ("AttemptStarted", "register", 1),
    ("StepCompleted", "register", 1),
    ("StepDue", "open_account", None),
    ("AttemptStarted", "open_account", 1),
    ("StepCompleted", "open_account", 1),
    ("StepDue", "send_activation_link", None),
    ("AttemptStarted", "send_activation_link", 1),
    ("StepCompleted", "send_activation_link", 1),
    ("StepDue", "activate", None),
    ("StepCalled", "activate", None),
    ("AttemptStarted", "activate", 1),
    ("StepCompleted", "activate", 1),
    ("StepNotTaken", "expire", None),
    ("StepDue", "start_onboarding", None),
    ("AttemptStarted", "start_onboarding", 1),
    ("StepCompleted", "start_onboarding", 1),
    ("TimelineCompleted", "", None),
]


@pytest.fixture
def workers() -> Iterator[Callable[[], None]]:
    """Run an embedded worker, and give what lets a worker of RQ and one of Django's tasks do what their queues hold."""
    queue = django_rq.get_queue("default")
    queue.empty()
    embedded.worker = embedded.EmbeddedWorker()
    embedded.worker.start()

    def work() -> None:
        SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")
        tasks_worker.work()

    yield work
    embedded.worker.end()
    queue.empty()


def settle(signup: Signup, step: str, wanted: StepStatus, work: Callable[[], None]) -> Signup:
    """Let the workers work until the step stands where it should."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        work()
        bound = getattr(signup, step)
        bound.wait(timeout=0.05)
        if bound.status == wanted:
            return Signup.get(signup.pk)
    raise AssertionError(f"{step} is {bound.status}, not {wanted}: {signup.timeline.explain()}")


@pytest.mark.parametrize("moves", MOVES, ids=lambda moves: ",".join(f"{step}={place}" for step, place in moves.items()))
def test_the_events_are_the_same_with_every_placement(
    moves: dict[str, str], workers: Callable[[], None], place: Any
) -> None:
    place("signup.Signup", background="embedded", **moves)

    signup = Signup.start(email="ada@example.org", password="difference engine")
    signup = settle(signup, "activate", StepStatus.WAITING, workers)
    signup.activate()
    signup = settle(signup, "start_onboarding", StepStatus.COMPLETED, workers)

    events = list(signup.timeline.events.values_list("type", "step", "attempt"))
    assert events == STORY
    assert signup.timeline.status == "completed"
    assert signup.user.is_active
    assert Tour.objects.count() == 1
    assert [message.to for message in mail.outbox] == [["ada@example.org"]]
    assert Timeline.objects.count() == 1
