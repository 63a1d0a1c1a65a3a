"""The contract under any interleaving: workers that hold attempts, people who act and a clock that ticks, in any order.

Each rule does something to a timeline and to the model, which must agree on the answer; then all that is always true is
looked at. Where several can write at once (not on SQLite), a rule may also do something in the middle of a body's transaction.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test import override_settings
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_timelines import moments, store
from django_timelines.actors import Actor, ActorType
from django_timelines.engine import clock
from django_timelines.engine.body import run_body
from django_timelines.engine.claim import claim, prepare
from django_timelines.engine.execute import execute
from django_timelines.engine.leases import keeper
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.engine.record import record
from django_timelines.engine.runner import Held, Runner
from django_timelines.exceptions import LeaseLost, PermanentFailure, Refused
from django_timelines.models import Lease
from django_timelines.models import Run as Row
from django_timelines.placements import stopping
from django_timelines.runs import split_key
from django_timelines.testing import assert_holds, drain, recorded_errors
from tests.races.at_once import meanwhile
from tests.shop.here import HERE
from tests.shop.models import Entry

from .model import EXACTLY, LEASE, LEAST, MOST, NO_AMOUNT, STEPS, UNDO_OF, Done, Model, Run
from .workflows import Quest, plan, ran, undone_at

ENDINGS = st.sampled_from(["completed", "completed", "failed", "failed for good"])
CALLED_STEPS = st.sampled_from(["pay", "pay", "pay", "begin", *STEPS])
OPERATED_STEPS = st.sampled_from([*["pack", "announce", "pay", "send"] * 3, *UNDO_OF.values(), *STEPS])
DEEDS = st.sampled_from(
    [
        *["retry", "skip"] * 3,
        *["force", "rewind", "rewind and undo"] * 2,
        "amend 0",
        "amend 9",
        "cancel",
        "cancel and undo",
    ]
)
WAYS_BACK = st.sampled_from(  # one draw of many: of three draws the first of each would come too often
    [
        *product(
            ["apologise"], [["pack", "pay", "send"], ["pack"], ["pay"], []], ["complete late", "are due again", "go on"]
        ),
        *product(["search"], [["announce"], []], ["complete late", "are due again", "go on"]),
    ]
)
AMOUNTS = st.sampled_from([1, 2, NO_AMOUNT])
KEYS = st.sampled_from(["", "", "evt_1", "evt_2"])

EXAMPLES = int(os.environ.get("INTERLEAVINGS", "12"))  # each of up to 30 things that happen


@dataclass
class Worker:
    """A process that executes steps: what it holds, it holds until it is told to go on."""

    runner: Runner
    held: Held
    run: Run
    turn: int
    takes: bool

    @property
    def step(self) -> str:
        return self.run.step

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"<{self.runner.actor.label} with {self.run.name}, turn {self.turn}>")  # as Hypothesis shows it


def bound(errand: Quest, run: str) -> Any:
    """Return what a person acts on: ``pack``, or ``pack@1`` of an earlier round."""
    name = split_key(run)
    return getattr(errand, name.step).using(round=name.round)


def raise_what(ending: str) -> None:
    """End a body like this."""
    if ending == "failed":
        raise OSError("The line is dead.")
    if ending == "failed for good":
        raise PermanentFailure("There is no such number.")


class Interleavings(RuleBasedStateMachine):
    """One errand, and everybody who has to do with it."""

    @initialize(
        sent_back=st.lists(WAYS_BACK, max_size=2),
        skipped=st.sampled_from([[], ["pack"], ["pack", "pay"]]),
        done=st.sampled_from([[], ["announce"], ["pack", "announce"], ["pay", "announce", "pack"]]),
        then=st.sampled_from(["cancel and undo", "rewind and undo", "", ""]),
    )
    def begin(self, sent_back: list[Any], skipped: list[str], done: list[str], then: str) -> None:
        moments.offset = timedelta(0)
        ran.clear()
        plan.clear()
        undone_at.clear()
        resume_all(using=HERE)
        self.model, self.workers, self.bells = Model(), list[Worker](), list[tuple[Run, int, int]]()
        self.asleep: list[tuple[Worker, Any, str]] = []  # an outside body has run; its end is not recorded yet
        self.errand = Quest.start(note="note")
        self.model.begin()
        for way in sent_back:  # so that others go on beside the round
            self.send_back(way)
            self.call("begin", 1, "", "completed", False)
        for step in skipped:  # what comes late is rarely reached otherwise
            self.skip(step)
        for step in done:  # so is what can be undone
            self.do_now(step)
        if then and not self.model.ended:
            self.by_hand(then, "begin")

    def do_now(self, step: str, ending: str = "completed", *, takes: bool = False) -> None:
        """Let somebody do it at once, if it is not skipped."""
        if step == "pay":
            self.call("pay", 1, "", ending, False)
        elif (run := self.model.runs[step]) in self.model.runnable():
            self.answer_newest(run, takes=takes)
            self.execute(self.workers.pop(), ending)

    @precondition(lambda self: not self.model.paused and not self.model.everything_paused)
    @rule(way=WAYS_BACK)
    def send_back(self, way: tuple[str, list[str], str]) -> None:
        """Let it come to a new round, as far as that can be, while workers have these steps, which go on beside it."""
        step, busy, fate = way
        failing = "announce" if step == "apologise" else "send"
        if step == "apologise":
            self.call("pay", 2, f"evt_{min(self.model.runs['pay'].round, 2)}", "completed", True)
        else:
            self.do_now("pack")
            self.do_now("pay")
        workers = self.begin_now(busy)
        if fate == "are due again":
            for worker in workers:
                self.end_now(worker, "failed")
                self.retry(worker.step)
        self.do_now(failing, "failed for good")
        self.do_now(step, takes=fate == "are due again")
        if fate == "complete late":
            for worker in workers:
                self.end_now(worker, "completed")

    def begin_now(self, steps: list[str]) -> list[Worker]:
        """Let a worker have each of these that is due."""
        before = len(self.workers)
        for run in [self.model.runs[step] for step in steps]:
            if run in self.model.runnable():
                self.answer_newest(run)
        return self.workers[before:]

    def end_now(self, worker: Worker, ending: str) -> None:
        self.workers.remove(worker)
        self.execute(worker, ending)

    def answer_newest(self, run: Run, *, takes: bool = False) -> None:
        self.listen()
        self.claim(*next(bell for bell in reversed(self.bells) if bell[0] is run), takes=takes)

    @precondition(lambda self: self.model.ended)
    @rule()
    def begin_another(self) -> None:
        self.begin([], [], [], "")

    # people

    @rule(step=CALLED_STEPS, amount=AMOUNTS, key=KEYS, ending=ENDINGS, elsewhere=st.booleans())
    def call(self, step: str, amount: int, key: str, ending: str, elsewhere: bool) -> None:
        given: dict[str, Any] = {"pay": {"amount": amount}, "begin": {"note": "note"}}.get(step, {})
        known = "note" if step == "begin" else amount if step == "pay" else ()
        placed = {f"{Quest._declaration.label}.{step}": "embedded"} if elsewhere else {}
        expected = self.model.call(step, known, key, ending, elsewhere=elsewhere)
        plan[step] = lambda: raise_what(ending)
        with override_settings(TIMELINES={**django_settings.TIMELINES, "PLACEMENT": placed}):
            self.agree(lambda errand: getattr(errand, step).using(key=key)(**given), expected)
        plan.clear()

    @rule(deed=DEEDS, step=OPERATED_STEPS)
    def act(self, deed: str, step: str) -> None:
        """Do what a person can do by hand."""
        if deed != "cancel" or self.model.now > 200:  # not too early: there would be little left to interleave
            self.by_hand(deed, step)

    @precondition(lambda self: self.model.earlier())
    @rule(data=st.data(), deed=st.sampled_from(["retry", "force", "skip"]))
    def act_on_an_earlier_round(self, data: st.DataObject, deed: str) -> None:
        self.by_hand(deed, data.draw(st.sampled_from(self.model.earlier())))

    @rule(deed=st.sampled_from(["pause", "resume", "resume", "pause all", "resume all", "resume all"]))
    def hold(self, deed: str) -> None:
        self.by_hand(deed, "")

    def by_hand(self, deed: str, step: str) -> None:
        """Do it, in the words of the model's methods."""
        if deed == "retry":
            self.retry(step)
        elif deed == "force":
            self.force(step)
        elif deed == "skip":
            self.skip(step)
        elif deed.startswith("amend"):
            self.amend(int(deed.removeprefix("amend ")))
        elif deed.startswith("cancel"):
            self.cancel(compensate=deed.endswith("undo"))
        elif deed.startswith("rewind"):
            self.rewind(step, undo=deed.endswith("undo"))
        else:
            self.pause_or_resume(deed)

    def retry(self, run: str) -> None:
        self.agree(lambda errand: bound(errand, run).retry(), self.model.retry(run))

    def force(self, run: str) -> None:
        self.agree(lambda errand: bound(errand, run).retry(force=True), self.model.retry(run, force=True))

    def skip(self, run: str) -> None:
        self.agree(lambda errand: bound(errand, run).skip(reason="done by hand"), self.model.skip(run))

    def cancel(self, *, compensate: bool = False) -> None:
        expected = self.model.cancel(compensate=compensate)
        self.agree(lambda errand: errand.timeline.cancel(reason="no more", compensate=compensate), expected)

    def rewind(self, to: str, *, undo: bool) -> None:
        expected = self.model.rewind(to, undo=undo)
        self.agree(lambda errand: errand.timeline.rewind(to=to, reason="once more", undo=undo), expected)

    def amend(self, total: int) -> None:
        self.agree(lambda errand: errand.timeline.amend(reason="miscounted", total=total), self.model.amend(total))

    def pause_or_resume(self, deed: str) -> None:
        if deed == "pause":
            self.agree(lambda errand: errand.timeline.pause(reason="a bad day"), self.model.pause())
        elif deed == "resume":
            self.agree(lambda errand: errand.timeline.resume(), self.model.resume())
        elif deed == "pause all":
            self.agree(lambda _errand: pause_all("a bad day", using=HERE), self.model.pause_all())
        else:
            self.agree(lambda _errand: resume_all(using=HERE), self.model.resume_all())

    def agree(self, deed: Callable[[Quest], Any], expected: str) -> None:
        """Do it, and compare the answer with the model's."""
        try:
            answer = str(deed(Quest.get(self.errand.pk)))
        except Refused as refused:
            answer = f"refused: {refused.reason}"
        assert answer == expected

    # workers

    @precondition(lambda self: self.bells)
    @rule(data=st.data(), takes=st.booleans())
    def answer_any_bell(self, data: st.DataObject, takes: bool) -> None:
        self.claim(*data.draw(st.sampled_from(self.bells)), takes=takes)

    @precondition(lambda self: self.model.runnable())
    @rule(data=st.data(), takes=st.booleans())
    def answer_the_newest_bell(self, data: st.DataObject, takes: bool) -> None:
        self.answer_newest(data.draw(st.sampled_from(self.model.runnable())), takes=takes)

    def claim(self, run: Run, fence: int, turn: int, *, takes: bool) -> None:
        since = float("inf" if takes else "-inf")  # how quick it is must not depend on this machine
        name = f"worker {len(self.bells)}"
        runner = Runner(Actor(ActorType.WORKER, name, name), "embedded", HERE, since=since)
        held = claim(self.errand.pk, (run.step, ""), fence, runner)
        assert (held is not None) is self.model.claim(run, turn)
        if held is not None:
            assert held.attempt == run.attempt
            self.workers.append(Worker(runner, held, run, run.turn, takes))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), ending=ENDINGS)
    def end(self, data: st.DataObject, ending: str) -> None:
        """Body and record in one go, however late."""
        self.end_now(data.draw(st.sampled_from(self.workers)), ending)

    @precondition(lambda self: any(self.may_interrupt(worker) for worker in self.workers))
    @rule(
        data=st.data(),
        ending=ENDINGS,
        deed=DEEDS | st.sampled_from(["pay", "pause", "pause all", "force mine", "rescue", "rescue and end"]),
        step=OPERATED_STEPS,
    )
    def end_while(self, data: st.DataObject, ending: str, deed: str, step: str) -> None:
        """In the middle of the body somebody else does something, on another connection."""
        worker = data.draw(st.sampled_from([worker for worker in self.workers if self.may_interrupt(worker)]))
        self.workers.remove(worker)
        self.execute(worker, ending, lambda: meanwhile(lambda: self.do(deed, step, worker)))

    def may_interrupt(self, worker: Worker) -> bool:
        """Tell whether somebody else can write while this worker's body runs."""
        return connections[HERE].vendor != "sqlite" or STEPS[worker.step].delivery != EXACTLY

    def do(self, deed: str, step: str, worker: Worker) -> None:
        mine = dict(plan)
        plan.clear()
        if deed == "pay":
            self.call("pay", 1, "", "completed", False)
        elif deed == "force mine":
            self.force_this(worker)
        elif not deed.startswith("rescue"):
            self.by_hand(deed, step)
        else:
            self.expire(worker)
            self.tick()
            if deed == "rescue and end" and worker.run in self.model.runnable():
                self.answer_newest(worker.run)
                self.execute(self.workers.pop(), "completed")
        plan.update(mine)

    def force_this(self, worker: Worker) -> None:
        if worker.run in self.model.runs.values():  # not if its round is gone
            self.force(worker.run.name)

    def execute(self, worker: Worker, ending: str, in_the_middle: Callable[[], Any] | None = None) -> None:
        held, step = worker.held, worker.step
        once, wrong = [in_the_middle] if in_the_middle else [], list[BaseException]()

        def body() -> None:
            try:
                if once:
                    once.pop()()  # not in a second run of an exactly-once body
            except BaseException as error:
                wrong.append(error)  # ours, which the engine would take for the body's
            raise_what(ending)

        plan[step] = body
        result, _ = execute(held, worker.runner)
        plan.clear()
        if wrong:
            raise wrong[0]
        self.went_on(worker, result, ending)

    def went_on(self, worker: Worker, result: Any, ending: str) -> None:
        """Compare what became of the attempt; its runner may have the next step now."""
        if self.model.is_superseded(worker.run, worker.turn):
            assert result is None
            return
        assert result is not None
        taken = self.model.end(worker.run, worker.turn, ending, takes=worker.takes)
        assert result.taken == (split_key(taken.name) if taken else None)
        if taken:
            worker.held = Held(worker.held.declaration, result.after, result.taken)
            worker.run, worker.turn = taken, taken.turn
            self.workers.append(worker)

    @precondition(lambda self: any(STEPS[worker.step].delivery != EXACTLY for worker in self.workers))
    @rule(data=st.data(), ending=ENDINGS)
    def run_an_outside_body(self, data: st.DataObject, ending: str) -> None:
        outside = [worker for worker in self.workers if STEPS[worker.step].delivery != EXACTLY]
        worker = data.draw(st.sampled_from(outside))
        self.workers.remove(worker)
        held = worker.held
        prepare(held)
        plan[worker.step] = lambda: raise_what(ending)
        self.asleep.append((worker, run_body(held.declaration, held.seen, held.name, held.attempt, {}), ending))
        plan.clear()

    @precondition(lambda self: self.asleep)
    @rule(data=st.data())
    def record_the_end_of_an_outside_body(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.asleep))
        self.asleep.remove(entry)
        worker, ended, ending = entry
        try:
            result = record(worker.held, ended, worker.runner)
        except LeaseLost:
            result = None
        self.went_on(worker, result, ending)

    @precondition(lambda self: self.workers)
    @rule(
        data=st.data(),
        what=st.sampled_from(["is rescued", "is forced", "is forced and ends", "loses its lease", "beats", "dies"]),
    )
    def a_worker(self, data: st.DataObject, what: str) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        if what == "dies":
            self.workers.remove(worker)
        elif what.startswith("is forced"):
            self.force_this(worker)
            if what.endswith("ends"):
                self.workers.remove(worker)
                self.execute(worker, "completed")
        elif what == "beats":
            store.heartbeat(HERE, [worker.runner.by().holder], LEASE)
            self.model.heartbeat(worker.run, worker.turn)
        else:
            self.expire(worker)
            if what == "is rescued":
                self.tick()

    # time

    def expire(self, worker: Worker) -> None:
        ago = moments.now() - timedelta(seconds=1)
        leases = Lease.objects.using(HERE).filter(holder=worker.runner.by().holder)
        Row.objects.using(HERE).filter(lease__in=leases).update(ring=ago)
        leases.update(expires=ago)
        self.model.lose_lease(worker.run, worker.turn)

    @rule()
    def wait(self) -> None:
        moments.offset += timedelta(seconds=250)
        self.model.now += 250

    @rule()
    def let_a_deadline_pass(self) -> None:
        self.wait()
        self.wait()
        self.tick()

    @rule()
    def tick(self) -> None:
        clock.tick(HERE)
        self.model.tick()

    # what is always true

    @invariant()
    def listen(self) -> None:
        """Keep the bell of whatever is due, to ring it some time."""
        names = {run["fence"]: name for name, run in Quest.get(self.errand.pk).timeline.state["runs"].items()}
        rows = Row.objects.using(HERE).filter(timeline=self.errand.pk, status__in=("due", "retrying"))
        for fence in rows.values_list("fence", flat=True):
            run = self.model.runs[names[fence]]
            if (run, fence, run.turn) not in self.bells:
                self.bells.append((run, fence, run.turn))

    @invariant()
    def the_model_holds(self) -> None:
        errand, model = Quest.get(self.errand.pk), self.model
        assert {step: str(getattr(errand, step).status) for step in STEPS} == {s: model.status(s) for s in STEPS}
        earlier = {name: run["status"] for name, run in errand.timeline.state["runs"].items() if "@" in name}
        assert earlier == {name: model.runs[name].status for name in model.earlier()}
        assert errand.timeline.status == model.timeline()
        assert {*errand.timeline.state.get("keys", {})} == {*model.keys}
        assert errand.timeline.state.get("sent_back", {}) == model.sent_back
        assert errand.timeline.state["fields"] == {
            name: model.value(name) for name in ("total", "receipt") if model.value(name) is not None
        }
        for done in model.done:
            assert done.undone != "completed" or undone_at[self.key_of_undo(done)] == done.total
        texts = Entry.objects.filter(text__startswith=errand.pk.hex).values_list("text", flat=True)
        found = Counter(text.partition(" ")[2] for text in texts)
        for step, declared in STEPS.items():
            rows = found[step]
            if declared.delivery == EXACTLY:
                assert (step, rows) == (step, model.effects[step])
            elif declared.delivery == LEAST:
                assert (step, rows) == (step, ran[step])
            else:
                assert declared.delivery == MOST
                assert ran[step] == rows <= model.chances[step]

    def key_of_undo(self, done: Done) -> str:
        return f"{self.errand.pk.hex}-{UNDO_OF[done.step]}" + (f"@{done.round}" if done.round > 1 else "")

    @invariant()
    def the_contract_holds(self) -> None:
        timeline = Quest.get(self.errand.pk).timeline
        assert_holds(timeline)
        types = list(timeline.events.order_by("sequence").values_list("type", flat=True))
        endings = [kind for kind in types if kind in ("TimelineCompleted", "TimelineCancelled")]
        assert endings == [f"Timeline{self.model.ended.capitalize()}"] * bool(self.model.ended)
        assert not endings or types[-1] == endings[0]
        assert bool(endings) is not timeline.runs.exists()
        running = set(timeline.runs.filter(status="running").values_list("id", flat=True))
        assert set(Lease.objects.filter(run__timeline=timeline).values_list("run", flat=True)) == running

    def come_to_rest(self) -> None:
        """Let clock and workers go on until neither has anything to do."""
        self.tick()
        while self.model.runnable():
            while due := self.model.runnable():
                self.answer_newest(due[0])
                self.execute(self.workers.pop(), "completed")
            self.tick()

    def teardown(self) -> None:
        """When all who were at it have gone, what can go on does, and what is left waits for people."""
        if not hasattr(self, "errand"):
            return
        for deed in ("resume", "resume all"):
            self.hold(deed)
        for _ in range(2):
            moments.offset += timedelta(seconds=750)
            self.model.now += 750
            self.come_to_rest()
            assert drain(HERE) == 0
        self.the_model_holds()
        self.the_contract_holds()
        assert {run.status for run in self.model.runs.values()} & {"due", "running", "retrying"} == set()


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.timeout(600 + 5 * EXAMPLES)  # to shrink what it found may take five minutes
def test_the_contract_holds_under_any_interleaving(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        derandomize="INTERLEAVINGS"
        not in os.environ,  # the few of every day are the same ones; whoever asks for more draws
        phases=set(Phase) - {Phase.explain},
    )
    # a lease ends when the machine says so: a heartbeat of this process may come between that and the clock
    monkeypatch.setattr(keeper, "keep", lambda *_arguments: nullcontext())
    stopping.clear()  # a worker that a test before this one has ended leaves it set, and nobody takes a next step
    with recorded_errors(), override_settings(TIMELINES={**django_settings.TIMELINES, "LEASE": LEASE}):
        run_state_machine_as_test(Interleavings, settings=quick)
