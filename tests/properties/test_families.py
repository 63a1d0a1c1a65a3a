"""Parent and children under any interleaving: workers that die, notices that are late, people who cancel, skip and rewind."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from django_timelines import moments, registry
from django_timelines.actors import SYSTEM, Actor, ActorType, acting
from django_timelines.engine import answer, clock
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.family import hear, unheard
from django_timelines.engine.runner import Runner
from django_timelines.exceptions import PermanentFailure, Refused
from django_timelines.models import Event, Notice, Run, Timeline
from django_timelines.placements import stopping
from django_timelines.state import ENDED, in_state
from django_timelines.testing import assert_holds, crash_at, drain, recorded_errors
from tests.shop.family import not_known
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Supper, plan

EXAMPLES = int(os.environ.get("FAMILIES", "6"))  # each of up to 30 things that happen
DEATHS = st.sampled_from(["", "", "", "before body", "after body", "before commit", *["after commit"] * 2])
WHICH = st.integers(0, 11)  # of those that are there
BODIES = ("charge", "cook", "tip", "refund", "thank")


class Machine:
    """Its time goes on a little whenever somebody looks: how quick it really is must not matter."""

    at = datetime.now(UTC)

    @classmethod
    def now(cls) -> datetime:
        cls.at += timedelta(microseconds=1)
        return cls.at + moments.offset


def fail(_workflow: Any) -> None:
    raise PermanentFailure("It went wrong.")


class Families(RuleBasedStateMachine):
    """One supper, its bill and its dishes, and everybody who has to do with them."""

    notices_wait = False  # for somebody to take them: whoever wrote them has died

    @initialize(
        dishes=st.sampled_from([[], ["soup"], ["bread"], ["soup", "bread"]]),
        so_far=st.integers(0, 6),
        wait=st.booleans(),
    )
    def begin(self, dishes: list[str], so_far: int, wait: bool) -> None:
        Families.notices_wait = wait
        moments.offset, Machine.at = timedelta(0), datetime.now(UTC)
        plan.clear()
        Entry.objects.all().delete()
        self.supper = Supper.start(guest="Ada", dishes=dishes).pk
        for _ in range(so_far):  # what comes late is rarely reached otherwise
            if due := self.due():
                self.execute(due[0], takes=True)

    def family(self) -> list[Timeline]:
        return list(Timeline.objects.filter(correlation=self.supper).order_by("id"))

    def due(self) -> list[Run]:
        runs = Run.objects.filter(status__in=("due", "retrying"), ring__isnull=False, timeline__correlation=self.supper)
        return [run for run in runs.order_by("id") if run.due is None or run.due <= moments.now()]

    # workers and clocks

    @rule(which=WHICH, fails=st.sampled_from([False, False, True]), dies=DEATHS, takes=st.booleans())
    def work(self, which: int, fails: bool, dies: Any, takes: bool) -> None:
        if not (due := self.due()):
            return
        run = due[which % len(due)]
        if fails:
            plan.update(dict.fromkeys(BODIES, fail))
        if dies:
            with suppress(AssertionError), crash_at(dies, run.step):  # it may not come to that point
                self.execute(run, takes=takes)
        else:
            self.execute(run, takes=takes)
        plan.clear()

    def execute(self, run: Run, *, takes: bool) -> None:
        actor = Actor(ActorType.WORKER, "worker", "worker")
        since = float("inf" if takes else "-inf")  # how quick it is must not depend on this machine
        with acting(actor):
            runner = Runner(actor, "embedded", HERE, since=since)
            run_from(claim(run.timeline_id, (run.step, run.item), run.fence, runner), runner)

    @rule(which=WHICH)
    def take_notices(self, which: int) -> None:
        if told := unheard(HERE):
            hear(told[which % len(told)], Runner(SYSTEM, "", HERE))

    @rule(seconds=st.sampled_from([0, 200]))  # keys and leases are of the real time: nothing in between
    def keep_time(self, seconds: int) -> None:
        moments.offset += timedelta(seconds=seconds)
        clock.tick(HERE)

    # people

    @rule(fails=st.sampled_from([False, False, True]))
    def tip(self, fails: bool) -> None:
        bill = Supper.get(self.supper).bill
        if bill.status == "waiting":
            plan.update({"tip": fail} if fails else {})
            with suppress(Refused):
                bill.child.tip(amount=1)
            plan.clear()

    @rule()
    def thank(self) -> None:
        with suppress(Refused):
            Supper.get(self.supper).thank()

    @rule(which=WHICH, compensate=st.booleans())
    def cancel(self, which: int, compensate: bool) -> None:
        family = self.family()
        with suppress(Refused):
            family[which % len(family)].cancel(reason="closed", compensate=compensate)

    @rule(which=WHICH, deed=st.sampled_from(["skip", "retry"]))
    def operate(self, which: int, deed: str) -> None:
        runs = list(Run.objects.filter(timeline__correlation=self.supper).select_related("timeline").order_by("id"))
        if not runs:
            return
        run = runs[which % len(runs)]
        step = getattr(registry.get(run.timeline.workflow).workflow.get(run.timeline_id), run.step)
        with suppress(Refused):
            getattr(step[run.item] if run.item else step, deed)(reason="by hand")

    @rule(to=st.sampled_from(["bill", "cooking"]), undo=st.booleans())
    def rewind(self, to: str, undo: bool) -> None:
        with suppress(Refused):
            Supper.get(self.supper).timeline.rewind(to=to, reason="once more", undo=undo)

    # what is always true

    @invariant()
    def each_is_the_fold_of_its_events_and_knows_of_the_others(self) -> None:
        for one in self.family():
            assert_holds(one)
        assert list(not_known(self.family())) == []

    @invariant()
    def what_was_undone_was_undone_once(self) -> None:
        undone = Event.objects.filter(timeline__correlation=self.supper, type="StepUndone", step="throw_away")
        names = Counter(event.timeline.state["fields"]["name"] for event in undone.select_related("timeline"))
        texts = Entry.objects.filter(text__startswith="threw away").values_list("text", flat=True)
        assert Counter(texts) == Counter({f"threw away {name}": times for name, times in names.items()})

    def teardown(self) -> None:
        """When clock and workers are back, all that goes on by itself does, and nobody waits for who has ended."""
        if not hasattr(self, "supper"):
            return
        Families.notices_wait = False
        for _ in range(3):
            moments.offset += timedelta(seconds=200)
            clock.tick(HERE)
            drain(HERE)
        assert not Notice.objects.exists()
        assert self.due() == []
        self.each_is_the_fold_of_its_events_and_knows_of_the_others()
        family = {one.pk: one for one in self.family()}
        for one in family.values():
            needs_a_person = any("of" in run and run["status"] == "blocked" for _key, run in in_state(one.state))
            if one.parent and family[one.parent].status in ENDED and not needs_a_person:  # whose undo has failed
                assert one.status in ENDED, f"{one} is {one.status}, and its parent {family[one.parent].status}"


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.timeout(300 + 10 * EXAMPLES)  # to shrink what it found may take five minutes
def test_parent_and_children_agree_under_any_interleaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "now", Machine.now)
    monkeypatch.setattr(answer, "hear", lambda *told: [] if Families.notices_wait else hear(*told))
    stopping.clear()  # a worker that a test before this one has ended leaves it set, and nobody takes a next step
    quick = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        derandomize="FAMILIES" not in os.environ,  # the few of every day are the same ones; whoever asks for more draws
        phases=set(Phase) - {Phase.explain},
    )
    with recorded_errors():
        run_state_machine_as_test(Families, settings=quick)
