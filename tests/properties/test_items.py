"""Items: whoever knows only the runs that a commit touches decides what one who knows all of them decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_timelines.events import EventType, NewEvent
from django_timelines.exceptions import ItemsNotLoaded
from django_timelines.fields import Field
from django_timelines.graph import Dependency, Graph, Node
from django_timelines.runs import Runs, Wanted
from django_timelines.state import (
    StepStatus,
    anything_open,
    changed,
    empty,
    fold,
    is_open,
    is_settled,
    items_of,
    lies_beside,
    loaded,
    run_key,
    settled_items,
    split_key,
    stored,
    timeline_status,
)
from django_timelines.steps import Each

AT = datetime(2026, 1, 1, tzinfo=UTC)
AHEAD = 2  # of the next items that are read at a time


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    at_once = draw(st.sampled_from([None, 1, 2, 3]))
    tolerates = draw(st.sampled_from([{}, {"at_least": 2}, {"at_most_failed": 1}]))
    each = Each("items", at_once=at_once, declared=Field("items", list[Any]), **tolerates)
    within = draw(st.sampled_from([None, timedelta(days=1)]))
    delay = draw(st.sampled_from([None, timedelta(hours=1)]))
    make = Node("make", (Dependency("begin"),), waits=draw(st.booleans()), within=within, delay=delay, each=each)
    return Graph({"begin": Node("begin"), "make": make, "serve": Node("serve", (Dependency("make"),))})


def what_may_follow(item: str, run: Any) -> list[NewEvent]:
    name = ("make", item)
    settling = [
        NewEvent(EventType.STEP_COMPLETED, *name),
        NewEvent(EventType.STEP_FAILED, *name),
        NewEvent(EventType.STEP_BLOCKED, *name),
        NewEvent(EventType.STEP_SKIPPED, *name),
        NewEvent(EventType.STEP_OVERDUE, *name, {"final": True}),
        NewEvent(EventType.STEP_OVERDUE, *name),
        NewEvent(EventType.STEP_NOT_TAKEN, *name),
    ]
    called = NewEvent(EventType.STEP_CALLED, *name, {"digest": "d"})
    begun = NewEvent(EventType.ATTEMPT_STARTED, *name, attempt=run["attempt"] + 1)
    if run["status"] == StepStatus.UPCOMING:
        return [NewEvent(EventType.STEP_CALLED, *name, {"digest": "d", "early": True, "sealed": ["pin"]})]
    return [*settling, called, begun] if is_open(run) else []


def with_what_is_wanted(partly: Any, whole: Any, wanted: Wanted) -> Any:
    """Read as the database is read."""
    found = {}
    for key, run in whole["runs"].items():
        step, item, _round = split_key(key)
        ahead = wanted.first is not None and wanted.first <= run.get("index", -1) < wanted.first + AHEAD
        if item and (key in wanted.keys or (step == wanted.step and (wanted.first is None or ahead))):
            found[key] = run
    return {**partly, "runs": partly["runs"].with_these(found, wanted)}


def decide(graph: Graph, state: Any, event: NewEvent, sequence: int) -> tuple[Any, list[NewEvent]]:
    after = fold(state, [event], sequence)
    settled = [
        key for key, _old, new in changed(state, after) if new and (not is_open(new) or new["status"] == "blocked")
    ]
    decided = graph.decide(after, settled, sequence + 1, AT)
    return fold(after, decided, sequence + 1), decided


def decide_partly(graph: Graph, whole: Any, event: NewEvent, sequence: int) -> tuple[Any, Any, list[NewEvent]]:
    partly = loaded(stored(whole)) | {"fields": whole["fields"]}
    wanted = [Wanted(frozenset({run_key(event.step, event.item)}))] if event.item else []
    while True:
        for one in wanted:
            partly = with_what_is_wanted(partly, whole, one)
        try:
            return partly, *decide(graph, partly, event, sequence)
        except ItemsNotLoaded as lacking:
            wanted.append(lacking.wanted)
        assert len(wanted) == len(set(wanted)), "what was read is asked for again"


def begun(state: Any) -> bool:
    return "each" in state["runs"].get("make", {})


def left(state: Any) -> list[Any]:
    return [run for run in items_of(state, "make").values() if "index" in run and not is_settled(run)]


def failed(state: Any) -> list[Any]:
    return [run for run in items_of(state, "make").values() if run["status"] == "failed" or run.get("final")]


def beside(state: Any) -> dict[str, Any]:
    return {key: run for key, run in state["runs"].here().items() if lies_beside(state["runs"], key)}


@given(graphs(), st.integers(0, 6), st.data())
@settings(max_examples=300)
def test_a_part_and_the_whole_decide_the_same(graph: Graph, count: int, data: st.DataObject) -> None:
    started = NewEvent(EventType.TIMELINE_STARTED, data={"fields": {"items": [f"item {n}" for n in range(count)]}})
    events = [started, *graph.reach(graph.entry, empty(), AT)]
    if data.draw(st.booleans()):  # a call that comes before the step, and perhaps for no item of its list
        item = data.draw(st.sampled_from(["item 0", "item 5", "another"]))
        events.append(NewEvent(EventType.STEP_CALLED, "make", item, {"digest": "d", "early": True}))
    whole = fold(empty(), events, 1)
    event = NewEvent(EventType.STEP_COMPLETED, "begin")
    for _turn in range(data.draw(st.integers(0, 25))):
        sequence = len(events) + 1
        partly, part_after, part_decided = decide_partly(graph, whole, event, sequence)
        after, decided = decide(graph, whole, event, sequence)

        assert part_decided == decided
        assert (stored(part_after), part_after["fields"]) == (stored(after), after["fields"])
        assert timeline_status(part_after) == timeline_status(after)
        assert anything_open(part_after) == any(is_open(run) for run in after["runs"].values())
        if graph.nodes["make"].each.at_most_failed == 1 and begun(after):
            assert is_open(after["runs"]["make"]) == (bool(left(after)) and len(failed(after)) <= 1)
        written = {key: run for key, _old, run in changed(partly, part_after) if run and key in beside(part_after)}
        assert beside(whole) | written == beside(after)
        assert settled_items(after, "make")[0] == sum(
            not is_open(run) and run["status"] != StepStatus.UPCOMING for run in items_of(after, "make").values()
        )
        whole, events = after, [*events, event, *decided]
        assert fold(empty(), events, 1) == whole
        possible = [one for item, run in items_of(whole, "make").items() for one in what_may_follow(item, run)]
        if not possible:
            break
        event = data.draw(st.sampled_from(possible))


def test_whoever_asks_for_what_was_left_out_is_told_so() -> None:
    run = {"status": "due", "fence": 3, "attempt": 0}
    runs = Runs({"begin": run, "make": {**run, "each": {"count": 2}}, "make[latte]": run}, left_out=["make"])

    assert (runs["make[latte]"], runs.get("begin"), "serve" in runs) == (run, run, False)
    asked: list[Any] = [
        lambda: runs["make[mocha]"],
        lambda: runs.get("make[mocha]"),
        lambda: "make[mocha]" in runs,
        lambda: list(runs),
        lambda: dict(runs),
        lambda: {**runs},
        lambda: runs.items(),
        lambda: runs.values(),
        lambda: runs.keys(),
        lambda: runs.of("make"),
        lambda: runs.from_index("make", 0, 2),
    ]
    for ask in asked:
        with pytest.raises(ItemsNotLoaded):
            ask()
    with pytest.raises(ItemsNotLoaded) as one:
        runs["make[mocha]"]
    with pytest.raises(ItemsNotLoaded) as several:
        runs.of("make")
    how = "Read all items first: django_timelines.items.read_all(timeline)."
    assert str(one.value) == f"The timeline was read without make[mocha]. {how}"
    assert str(several.value) == f"The timeline was read without the items of make. {how}"
    none = runs.with_these({}, Wanted(frozenset({"make[mocha]"})))
    assert ("make[mocha]" in none, none.get("make[mocha]")) == (False, None)
    whole = runs.with_these({"make[mocha]": {**run, "index": 0}}, Wanted(step="make"))
    assert list(whole.of("make")) == ["mocha", "latte"]
