"""A deadline tells that it has passed; it never takes away what a person asks for afterwards."""

import os
from datetime import timedelta
from typing import Any

import pytest

from django_timelines import moments
from django_timelines.engine import clock
from django_timelines.engine.answer import answer
from django_timelines.engine.known import Known
from django_timelines.models import Run
from django_timelines.placements import embedded
from django_timelines.testing import drain, recorded_errors, travel
from tests.shop.here import HERE
from tests.shop.workflows import plan, ran

from .workflows import Errand, Essay

pytestmark = pytest.mark.django_db(databases="__all__")


def fail(workflow: Any) -> None:
    raise ZeroDivisionError("no ink")


def overdue_essay() -> Essay:
    essay = Essay.start()
    drain()
    travel(timedelta(days=2))
    clock.tick(HERE)
    return Essay.get(essay.pk)


def test_a_late_call_that_is_placed_elsewhere_still_runs(place: Any) -> None:
    place(Essay._declaration.label, hand_in="embedded")
    essay = overdue_essay()
    assert essay.hand_in.status == "overdue"

    assert essay.hand_in(text="sorry") == "due"
    clock.tick(HERE)
    drain()

    assert (Essay.get(essay.pk).hand_in.status, ran["hand_in"]) == ("completed", 1)


def test_a_late_call_that_fails_is_tried_again() -> None:
    essay = overdue_essay()
    plan["hand_in"] = fail
    with recorded_errors():
        assert essay.hand_in(text="sorry") == "retrying"
    del plan["hand_in"]

    travel(timedelta(seconds=10))
    clock.tick(HERE)
    drain()

    assert (Essay.get(essay.pk).hand_in.status, ran["hand_in"]) == ("completed", 2)


def test_a_person_may_retry_a_blocked_step_after_its_deadline() -> None:
    plan["run"] = fail
    with recorded_errors():
        errand = Errand.start()
        drain()
    assert Errand.get(errand.pk).run.status == "blocked"
    del plan["run"]

    travel(timedelta(days=2))
    clock.tick(HERE)
    Errand.get(errand.pk).run.retry(reason="there is ink")
    drain()

    errand = Errand.get(errand.pk)
    assert (errand.run.status, errand.timeline.status, ran["forget"]) == ("completed", "completed", 0)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an embedded worker that hears its bells and answers none, as one whose threads are all busy."""
    worker = embedded.EmbeddedWorker()
    worker._pid = os.getpid()
    monkeypatch.setattr(embedded, "worker", worker)


def test_the_clock_looks_no_later_than_the_deadline_however_rarely_it_rings(busy: None) -> None:
    run = looked_at_twice()

    assert run.rings == 3
    assert run.ring == run.until


def test_a_clock_settles_a_deadline_at_a_placement_that_it_cannot_ring() -> None:
    known = Known()
    run = looked_at_twice(known)
    assert run.status == "due"

    with travel(timedelta(minutes=5)):
        known.deaf["embedded"] = moments.now() + timedelta(minutes=1)
        clock.tick(HERE, None, known)

    assert [run.step for run in Run.objects.all()] == ["forget"]  # what comes after run.overdue


def looked_at_twice(known: Known | None = None) -> Run:
    """Let the clock look at a due run with a deadline after 6 and after 17 seconds; return the run."""
    with moments.standing_still():  # its time is over after 20 seconds
        errand = Errand.start()
        first = Run.objects.get()
        answer(errand.pk.hex, "ask", "", first.fence, HERE, "other")
        for seconds in (6, 17):
            with travel(timedelta(seconds=seconds)):
                clock.tick(HERE, None, known)
    return Run.objects.get(step="run")
