"""Workflows of any shape under any interleaving: what is always true of a timeline is, and in the end each comes to its end.

``shapes`` draws a class, ``bodies`` is what its steps do, ``always`` says what must hold. No model knows what should become of
it: that is what ``test_interleavings`` and ``test_families`` have, for one class each.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from django_timelines import moments, registry
from django_timelines.actors import SYSTEM, Actor, ActorType, acting
from django_timelines.engine import answer, clock
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.family import hear, unheard
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.engine.runner import Held, Runner
from django_timelines.exceptions import Refused
from django_timelines.items import read_all
from django_timelines.models import Event, Item, Lease, Notice, Run, SealedInput, Slot, Timeline
from django_timelines.placements import stopping
from django_timelines.runs import RunName
from django_timelines.state import CLAIMABLE, ENDED, is_open, open_runs, split_key, takes_calls
from django_timelines.testing import assert_holds, crash_at, drain, recorded_errors
from tests.emptying import empty
from tests.races.at_once import meanwhile
from tests.shop.here import HERE
from tests.shop.models import Entry

from .always import wrong
from .bodies import fated
from .shapes import workflows

EXAMPLES = int(os.environ.get("SHAPES", "3"))  # each of up to 40 things that happen
WHICH = st.integers(0, 11)  # of those that are there
ENDINGS = st.sampled_from([*["completes"] * 8, "fails", "fails", "fails for good", "cancels", "cancels and undoes"])
DEATHS = st.sampled_from([*[""] * 8, "before body", "after body", "before commit", *["after commit"] * 4])
ASKED = st.sampled_from(["answers", "answers", "answers", "says no", "raises"])
VERBS = ["call"] * 4 + ["retry", "skip", "rewind", "rewind and undo"] * 3 + ["force", "resume", "resume all"] * 2
VERBS += ["cancel"] * 2 + ["cancel and undo"] * 4 + ["amend", "pause", "pause all"]
INPUT = {"items": ["a", "b"], "pin": "1234"}


@dataclass(frozen=True)
class Deed:
    """Something that a person does, to one of the timelines and one of its runs or steps."""

    verb: str
    timeline: int
    run: int
    is_open: bool
    key: str
    amount: int


def deeds_of(verbs: Iterable[str], timelines: st.SearchStrategy[int]) -> st.SearchStrategy[Deed]:
    is_open, key = st.sampled_from([True, True, False]), st.sampled_from(["", "", "k1", "k2"])
    return st.builds(Deed, st.sampled_from([*verbs]), timelines, WHICH, is_open, key, st.sampled_from([1, 2, -1]))


DEEDS = deeds_of(VERBS, WHICH)
MEANWHILE = deeds_of(dict.fromkeys(VERBS), st.sampled_from([0, 0, 0, 1, 2])) | st.sampled_from(["tick", "rescue"])
MEANWHILE = st.none() | st.none() | MEANWHILE
ITEMS = st.lists(st.sampled_from("aab"), max_size=4)


def happening(name: str, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(name), st.fixed_dictionaries(given))


ALL_WELL = {"which": 0, "ending": "completes", "asked": "answers", "deed": None, "dies": ""}
AN_END = {"which": WHICH, "ending": ENDINGS, "asked": ASKED, "deed": MEANWHILE, "dies": DEATHS}
HAPPENINGS = st.one_of(  # one rule for all: of many Hypothesis leaves out some, and without workers nothing happens
    *[happening("go_on") for _ in range(3)],
    *[happening("work", **AN_END) for _ in range(3)],
    happening("take", which=WHICH, takes=st.booleans()),
    happening("let_end", **AN_END),
    happening("rescue"),
    happening("tick", seconds=st.sampled_from([0, 12, 21, 70])),
    happening("take_notices", which=WHICH),
    *[happening("act", deed=DEEDS, ending=ENDINGS, asked=ASKED) for _ in range(3)],
    happening("act_in_a_transaction", deeds=st.lists(DEEDS, min_size=1, max_size=3), commits=st.booleans()),
    happening("begin_another", source=workflows(), items=ITEMS, wait=st.booleans()),
)


class Shapes(RuleBasedStateMachine):
    """One timeline, its children, and everybody who has to do with them."""

    deploy: ClassVar[Callable[[str], Any]]
    notices_wait: ClassVar[bool] = False  # for somebody to take them: whoever wrote them has died

    @initialize(source=workflows(), items=ITEMS, so_far=st.integers(0, 9), wait=st.booleans())
    def begin(self, source: str, items: list[str], so_far: int, wait: bool) -> None:
        note(source)
        type(self).notices_wait = wait
        empty(HERE)
        moments.offset = timedelta(0)
        self.held: list[tuple[Held, Runner]] = []
        self.heads: dict[Any, int] = {}
        type(self).deploy(source).start(items=items)
        for _ in range(so_far):  # what comes late is rarely reached otherwise
            self.go_on()

    @rule(what=HAPPENINGS)
    def happens(self, what: tuple[str, dict[str, Any]]) -> None:
        name, given = what
        getattr(self, name)(**given)

    def go_on(self) -> None:
        """Let whatever is first to go on do so, all being well."""
        for one in Timeline.objects.exclude(status__in=ENDED).order_by("-id"):
            for key, run in open_runs(read_all(one)).items():
                if run["status"] in CLAIMABLE or takes_calls(run):
                    with suppress(Refused):
                        goes_on = run["status"] in CLAIMABLE
                        self.work(**ALL_WELL) if goes_on else self.do_to_a_run(one, key, "call")
                    return

    def begin_another(self, source: str, items: list[str], wait: bool) -> None:
        """Begin anew where nothing is left to happen."""
        if not Timeline.objects.exclude(status__in=ENDED).exists():
            self.begin(source, items, 0, wait)

    # workers and clocks

    def take(self, which: int, takes: bool) -> None:
        """Let a worker have an attempt, which it executes some time, or never."""
        runs = Run.objects.filter(status__in=CLAIMABLE, ring__isnull=False).order_by("id")
        if due := [run for run in runs if run.due is None or run.due <= moments.now()]:
            run = due[which % len(due)]
            since = float("inf" if takes else "-inf")  # how quick it is must not depend on this machine
            runner = Runner(Actor(ActorType.WORKER, "worker", "worker"), "embedded", HERE, since=since)
            if held := claim(run.timeline_id, RunName(run.step, run.item), run.fence, runner):
                self.held.append((held, runner))

    def let_end(self, which: int, ending: str, asked: str, deed: Deed | str | None, dies: Any) -> None:
        """Let one of them execute it, and somebody else do something in the middle of it, on another connection."""
        if not self.held:
            return
        held, runner = self.held.pop(which % len(self.held))
        in_the_middle = (lambda: meanwhile(lambda: self.do(deed, held.snapshot.id))) if deed else None
        with ExitStack() as here:
            if dies:
                here.enter_context(suppress(AssertionError))  # it may not come to that point
                here.enter_context(crash_at(dies, held.name.step))
            here.enter_context(fated(ending, asked, in_the_middle))
            here.enter_context(acting(runner.actor))
            run_from(held, runner)

    def work(self, which: int, ending: str, asked: str, deed: Deed | str | None, dies: Any) -> None:
        self.take(which, takes=False)
        self.let_end(-1, ending, asked, deed, dies)

    def rescue(self) -> None:
        """Let all leases be over."""
        Lease.objects.all().delete()
        Run.objects.filter(status="running").update(ring=moments.now() - timedelta(seconds=1))
        clock.tick(HERE)

    def tick(self, seconds: int = 0) -> None:
        moments.offset += timedelta(seconds=seconds)
        clock.tick(HERE)

    def take_notices(self, which: int) -> None:
        if told := unheard(HERE):
            hear(told[which % len(told)], Runner(SYSTEM, "", HERE))

    # people

    def act(self, deed: Deed, ending: str, asked: str) -> None:
        with fated(ending, asked):
            self.do(deed)

    def act_in_a_transaction(self, deeds: list[Deed], commits: bool) -> None:
        """If the caller rolls it back nothing is left of it."""
        before = rows()
        with suppress(ZeroDivisionError), transaction.atomic(using=HERE):
            for deed in deeds:
                self.do(deed)
            if not commits:
                raise ZeroDivisionError
        assert commits or rows() == before

    def do(self, deed: Deed | str, first: uuid.UUID | None = None) -> None:
        if isinstance(deed, str):
            getattr(self, deed)()
            return
        timelines = sorted(Timeline.objects.order_by("id"), key=lambda one: one.pk != first)
        with suppress(Refused):
            self.do_to(timelines[deed.timeline % len(timelines)], deed)

    def do_to(self, timeline: Timeline, deed: Deed) -> None:
        verb, _space, also = deed.verb.partition(" ")
        if verb == "cancel":
            timeline.cancel(reason="no more", compensate=bool(also))
        elif verb == "rewind":
            steps = list(registry.get(timeline.workflow).graph.nodes)
            timeline.rewind(to=steps[deed.run % len(steps)], reason="once more", undo=bool(also))
        elif verb == "amend":
            timeline.amend(reason="miscounted", total=deed.amount)
        elif verb == "pause":
            pause_all("a bad day", using=HERE) if also else timeline.pause(reason="a bad day")
        elif verb == "resume":
            resume_all(using=HERE) if also else timeline.resume()
        else:
            steps, runs = registry.get(timeline.workflow).steps, read_all(timeline)["runs"]
            opened = [key for key, run in runs.items() if is_open(run)] if deed.is_open else []
            keys = opened or [*steps, *runs]
            self.do_to_a_run(timeline, keys[deed.run % len(keys)], deed.verb, deed.key, deed.amount)

    def do_to_a_run(self, timeline: Timeline, run: str, verb: str, key: str = "", amount: int = 1) -> None:
        name = split_key(run)
        bound = getattr(timeline.subject, name.step).using(round=name.round)
        bound = bound[name.item] if name.item else bound
        if verb == "call":
            parameters = registry.get(timeline.workflow).step(name.step).parameters
            bound.using(key=key)(**{one.name: INPUT.get(one.name, amount) for one in parameters})
        elif verb == "skip":
            bound.skip(reason="by hand")
        else:
            bound.retry(force=verb == "force")

    # what is always true

    @invariant()
    def all_holds(self) -> None:
        before, timelines = self.heads, list(Timeline.objects.order_by("id"))
        self.heads = {one.pk: one.head for one in timelines}
        for one in timelines:
            if before.get(one.pk) != one.head:
                assert_holds(one)
        if before != self.heads:
            assert list(wrong(timelines)) == []

    def teardown(self) -> None:
        """Once everybody is back and people see to what needs them, each timeline comes to its end."""
        if not hasattr(self, "held"):
            return
        type(self).notices_wait = False
        resume_all(using=HERE)
        for one in Timeline.objects.filter(status="paused"):
            one.resume()
        self.rescue()
        for turn in range(60):
            moments.offset += timedelta(seconds=25)
            clock.tick(HERE)
            drain(HERE)
            self.all_holds()
            left = Timeline.objects.exclude(status__in=ENDED).order_by("-id")
            for one in left:
                self.see_to(one, "skip" if turn % 3 == 2 else "retry")
            if not left:
                break
        assert [f"{one}: {one.explain()}" for one in Timeline.objects.exclude(status__in=ENDED)] == []

    def see_to(self, timeline: Timeline, moves_on: str) -> None:
        for key, run in open_runs(read_all(timeline)).items():
            if run["status"] == "blocked" or takes_calls(run):
                with suppress(Refused):
                    timeline.refresh_from_db()
                    self.do_to_a_run(timeline, key, moves_on if run["status"] == "blocked" else "call")


def rows() -> list[list[str]]:
    models = (Timeline, Event, Run, Item, Lease, Notice, Slot, SealedInput, Entry)
    return [sorted(map(str, model._base_manager.values_list())) for model in models]


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.timeout(600 + 10 * EXAMPLES)  # to shrink what it found may take some minutes
def test_workflows_of_any_shape_come_to_their_end(
    deploy: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer, "hear", lambda *told: [] if Shapes.notices_wait else hear(*told))
    stopping.clear()
    Shapes.deploy = deploy
    quick = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        derandomize="SHAPES" not in os.environ,
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    with recorded_errors():
        run_state_machine_as_test(Shapes, settings=quick)
