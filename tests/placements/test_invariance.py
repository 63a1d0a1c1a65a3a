"""Where a step runs changes nothing but where, when and by which worker: the same story with every placement of every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django_rq
import pytest
from rq import SimpleWorker

from django_timelines.models import Timeline
from django_timelines.placements import embedded
from example_project.coffee import till
from example_project.coffee.models import Charge
from example_project.coffee.workflows import Order

from . import tasks_worker
from .stories import STORIES, Story, type_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis]

PLACES = ("inline", "embedded", "rq:default", "tasks:default", "tasks:table")
FIRST = {step: name for name, story in reversed(STORIES.items()) for step in story.steps}  # the first that comes to it
EACH = [(name, step, place) for step, name in FIRST.items() for place in PLACES]
ALL = [(name, place) for name in STORIES for place in PLACES]


@pytest.fixture(autouse=True)
def world(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no drink take its time, and have a folder for what is uploaded."""
    monkeypatch.setattr(till, "SECONDS", 0)
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def until() -> Iterator[type_until]:
    """Run an embedded worker, and let a worker of RQ and one of Django's tasks do what their queues hold."""
    queue = django_rq.get_queue("default")
    queue.empty()
    embedded.worker = embedded.EmbeddedWorker()
    embedded.worker.start()

    def settle(workflow: Any, step: str, wanted: str) -> Any:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")
            tasks_worker.work()
            workflow = type(workflow).get(workflow.pk)
            if getattr(workflow, step).status == wanted:
                return workflow
            time.sleep(0.02)  # the embedded worker's threads are at it
        raise AssertionError(f"{step} is {getattr(workflow, step).status}: {workflow.timeline.explain()}")

    yield settle
    embedded.worker.end()
    for thread in embedded.worker.threads:  # none goes on into the tests that follow
        thread.join(30)
        assert not thread.is_alive()
    queue.empty()


@pytest.mark.parametrize(("name", "step", "placed"), EACH)
def test_the_events_are_the_same_wherever_one_step_is_placed(
    name: str, step: str, placed: str, until: type_until, placements: Callable[..., None]
) -> None:
    placements({step: placed})

    STORIES[name].happens(until)

    holds(STORIES[name])


@pytest.mark.parametrize(("name", "placed"), ALL)
def test_the_events_are_the_same_wherever_all_steps_are_placed(
    name: str, placed: str, until: type_until, placements: Callable[..., None]
) -> None:
    placements(dict.fromkeys(STORIES[name].steps, placed))

    STORIES[name].happens(until)

    holds(STORIES[name])


@pytest.mark.parametrize("placed", PLACES)
def test_an_order_whose_card_is_declined_ends_alike_wherever_steps_are_placed(
    placed: str, until: type_until, placements: Callable[..., None]
) -> None:
    """How far the drinks have come by then is chance: they are made meanwhile, so the hand-over may be left waiting."""
    placements(dict.fromkeys([*STORIES["coffee"].steps, "coffee.Order.apologise"], placed))

    order = until(Order.start(customer="Ada", drinks=["kopi luwak"]), "timeline", "cancelled")

    assert [order.payment.status, order.payment.child.timeline.status] == ["failed", "failed"]
    assert order.apologise.status == "completed"
    assert order.hand_over.status in ("not reached", "cancelled")
    assert not Charge.objects.exists()


@pytest.fixture
def placements(settings: Any) -> Callable[[dict[str, str]], None]:
    def put(placed: dict[str, str]) -> None:
        settings.TIMELINES = {**settings.TIMELINES, "PLACEMENT": {"*": "embedded", **placed}}

    return put


def holds(story: Story) -> None:
    """See that each timeline tells what it should: each lane in its order, and what joins lanes behind them."""
    told = {one.workflow: _lines(one) for one in Timeline.objects.all()}

    assert Timeline.objects.count() == len(story.told)
    assert {one: _by_lane(lines) for one, lines in told.items()} == {
        one: _by_lane(lines.split("\n")[1:-1]) for one, lines in story.told.items()
    }
    for one in Timeline.objects.all():
        lines = told[one.workflow]
        assert (lines[0], lines[-1], one.status) == ("TimelineStarted", "TimelineCompleted", "completed")
        causes = one.events.filter(cause_timeline=None, cause__isnull=False).values_list("sequence", "cause")
        assert all(cause < sequence for sequence, cause in causes)
    if "coffee.Order" in told:
        lines = told["coffee.Order"]
        joined = lines.index("StepDue hand_over")
        assert max(lines.index("StepCompleted payment 1"), lines.index("StepCompleted build 1")) < joined


def _lines(timeline: Timeline) -> list[str]:
    events = timeline.events.order_by("sequence").values_list("type", "step", "item", "attempt")
    return [" ".join(str(part) for part in event if part) for event in events]


def _by_lane(lines: list[str]) -> list[str]:
    """Put what concerns one step, or one item of it, together: of concurrent ones nobody says which goes first."""
    return sorted(lines, key=_lane)


def _lane(line: str) -> list[str]:
    return [word for word in line.split()[1:] if not word.isdigit()]
