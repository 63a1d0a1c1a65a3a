"""What must be true of a ``Quest``, by the letter of the contract. Plain Python that knows no database and no event.

Each verb says what it should answer: an outcome, or ``"refused: <reason>"``. To add one: a method here that says what it
changes, and a word in ``test_interleavings.py`` that does it to both.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

EXACTLY, LEAST, MOST = "exactly once", "at least once", "at most once"
ATTEMPTS, WAIT, LEASE = 2, 200, 600  # tries in all, seconds before the second, seconds that a lease lasts

NO_AMOUNT = -1

BEGUN = {"due", "running", "retrying", "blocked"}  # once it has been tried
OPEN = BEGUN | {"waiting", "overdue"}
NEVER = float("inf")
DONE = {"completed", "skipped"}
OUTCOMES = {"skipped": "completed", "running": "due"} | {
    same: same for same in ("completed", "due", "retrying", "blocked", "failed", "not taken")
}


@dataclass(frozen=True)
class Declared:
    """What the class says of a step."""

    delivery: str
    after: tuple[tuple[str, str], ...] = ()
    is_called: bool = False
    goes_on_from_failure: bool = False
    undoes: str = ""
    again: str = ""  # where it sends the work back to
    within: float = NEVER  # seconds from when it is reached


STEPS = {
    "begin": Declared(EXACTLY, is_called=True),
    "pack": Declared(EXACTLY, (("begin", "done"),)),
    "unpack": Declared(EXACTLY, undoes="pack"),
    "announce": Declared(LEAST, (("begin", "done"),), goes_on_from_failure=True, within=300),
    "renounce": Declared(LEAST, undoes="announce"),
    "pay": Declared(EXACTLY, (("begin", "done"),), is_called=True, within=450),
    "refund": Declared(EXACTLY, undoes="pay"),
    "send": Declared(MOST, (("pack", "done"), ("pay", "done")), goes_on_from_failure=True),
    "search": Declared(EXACTLY, (("send", "failed"),), again="begin"),
    "apologise": Declared(EXACTLY, (("announce", "failed"),), again="begin"),
}
UNDO_OF = {declared.undoes: name for name, declared in STEPS.items() if declared.undoes}


@dataclass(eq=False)
class Done:
    """A run that completed, and may be undone."""

    step: str
    round: int
    total: int  # as it left it
    undone: str = ""  # how: by its undo, which completed, or by a person, who skipped that


@dataclass(eq=False)
class Run:
    """Where a step should stand, in its current round or in an earlier one that goes on."""

    step: str
    round: int = 1
    is_earlier: bool = False
    status: str = "upcoming"
    attempt: int = 0
    turn: int = 0  # which of its events is the newest: a bell or an attempt of an earlier one is void
    holder: int | None = None  # the turn of the attempt that may complete
    due_at: float = 0
    until: float = NEVER  # its deadline
    leased_until: float = 0
    looked_at: float = 0  # when the clock looks at it next
    saw: int = 0  # the total as the attempt's body sees it
    call: Any = None  # the input of the call that it has
    key: str = ""  # that of this call
    of: Done | None = None  # what it undoes
    left: Done | None = None  # what it did, though others had changed the field that it changed

    @property
    def name(self) -> str:
        """What it is called: ``pack``, or in an earlier round ``pack@1``."""
        return f"{self.step}@{self.round}" if self.is_earlier else self.step

    @property
    def is_begun(self) -> bool:
        """Tell whether somebody has tried it, and it has not come to its end."""
        return self.status in BEGUN and self.attempt > 0


@dataclass
class Model:
    """Where the timeline should stand."""

    now: float = 0
    cancelling: bool = False
    compensating: bool = False
    paused: bool = False
    everything_paused: bool = False
    ended: str = ""
    fields: list[tuple[str, dict[str, int]]] = field(default_factory=lambda: [("", {"total": 0})])
    """What was set, and by which step or else by a person. What a rewind takes back is no longer there."""
    done: list[Done] = field(default_factory=list)
    undoing: list[Done] | None = None
    then: str = ""  # where the new round begins
    sent_back: dict[str, str] = field(default_factory=dict)  # which steps have sent the work back, each with where to
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=lambda: {name: Run(name) for name in STEPS})
    effects: Counter[str] = field(default_factory=Counter)  # rows of exactly-once bodies that must be there
    chances: Counter[str] = field(default_factory=Counter)
    """How often an at-most-once body may have begun: once for each time that somebody made it due."""

    # what somebody sees

    @property
    def total(self) -> int:
        """The field that each step changes."""
        return self.value("total") or 0

    def value(self, name: str) -> int | None:
        """Return a field; None while it is unset."""
        return next((fields[name] for _step, fields in reversed(self.fields) if name in fields), None)

    def timeline(self) -> str:
        """Say in one word where the timeline stands."""
        statuses = {run.status for run in self.runs.values()}
        if self.ended or self.paused:
            return self.ended or "paused"
        if "blocked" in statuses:
            return "blocked"
        if self.cancelling:
            return "cancelling"
        return "running" if statuses & {"due", "running", "retrying"} else "waiting"

    def status(self, step: str) -> str:
        """Say where a step stands; one that was never reached on a timeline that ended was not taken, or cancelled."""
        status = self.runs[step].status
        if status == "upcoming" and self.ended:
            return "cancelled" if self.cancelling else "not taken"
        return status

    def outcome(self, step: str) -> str:
        """Say what a call answers as things stand."""
        return OUTCOMES.get(self.status(step), "unsettled")

    def runnable(self) -> list[Run]:
        """Return the runs whose time has come and that nobody has."""
        if self.paused or self.everything_paused:
            return []
        return [run for run in self.runs.values() if run.status in ("due", "retrying") and run.due_at <= self.now]

    def earlier(self) -> list[str]:
        """Return the names of the runs of earlier rounds, which go on beside the current one."""
        return [name for name, run in self.runs.items() if run.is_earlier]

    # what people do

    def begin(self) -> None:
        """Start it."""
        self.runs["begin"].call = "note"
        self._complete(self.runs["begin"])

    def judge(self, step: str, given: Any, key: str) -> str:
        """Say what becomes of a call: ``accept``, ``same``, or a refusal."""
        run, status = self.runs[step], self.status(step)
        if key in self.keys:
            return "same" if self.keys[key] == (step, given) else "refused: key_reused"
        if status in ("waiting", "blocked", "overdue") and not self.cancelling and not self.ended:
            return "accept"
        if run.call == given and not key:
            return "same"
        if not STEPS[step].is_called and status != "upcoming":
            return "same"
        if status == "upcoming":
            return "refused: cancelling" if self.cancelling else "refused: not_yet"
        return "refused: taken" if status in ("due", "running", "retrying") else "refused: settled"

    def call(self, step: str, given: Any, key: str, ending: str, *, elsewhere: bool) -> str:
        """Call a step whose body ends like this if it runs here."""
        verdict = self.judge(step, given, key)
        if verdict != "accept":
            return self.outcome(step) if verdict == "same" else verdict
        elsewhere = elsewhere or self.paused or self.everything_paused
        if given == NO_AMOUNT and not elsewhere:
            return "refused: invalid"
        run = self.runs[step]
        run.call, run.key, run.attempt = given, key, 0
        if key:
            self.keys[key] = (step, given)
        self._forget_a_deadline_that_has_passed(run)
        self._due(run)
        if not elsewhere:
            self.claim(run, run.turn)
            self.end(run, run.turn, ending)
        return self.outcome(step)

    def retry(self, name: str, *, force: bool = False) -> str:
        """Try a run again now; by force also over an attempt that is being executed."""
        run = self.runs[name]
        if run.status not in ("due", "retrying", "blocked", *(["running"] if force else [])):
            return "refused: not_applicable"
        if run.status != "due":
            self._forget_a_deadline_that_has_passed(run)
            self._due(run)
        return "due"

    def skip(self, name: str) -> str:
        """Go past it."""
        run = self.runs[name]
        if run.status not in ("due", "retrying", "blocked", "waiting", "overdue"):
            return "refused: not_applicable"
        if run.left is not None:  # as the person says that it left it
            self.done.remove(run.left)
            self.done.append(Done(run.step, run.round, self.total))
        self._settle(run, "skipped")
        return "completed"

    def cancel(self, *, compensate: bool = False) -> str:
        """Stop what nobody has begun, and undo what completed if that is asked for."""
        if self.ended:
            return "refused: settled"
        if self.cancelling:
            return "refused: cancelling"
        self.cancelling, self.compensating, self.undoing = True, compensate, None
        for run in list(self.runs.values()):
            begun = run.is_begun and run.status != "blocked"
            goes_on = STEPS[run.step].undoes or (begun and STEPS[run.step].delivery != EXACTLY)
            if run.status in OPEN and not goes_on:
                self._set(run, "cancelled")
                run.call = None
        self._go_on()
        return "None"

    def rewind(self, to: str, *, undo: bool) -> str:
        """Begin a new round: what follows from the step is as if it had not run, but for the rows, which undoing is for."""
        if self.ended:
            return "refused: settled"
        if self.cancelling:
            return "refused: cancelling"
        if self.undoing is not None:
            return "refused: rewinding"
        if STEPS[to].undoes or self.status(to) in ("upcoming", "not taken", "not reached"):
            return "refused: not_applicable"
        again = self._from(to)
        undoable = [
            done for done in self._undoable() if done.step in again and done.round == self.runs[done.step].round
        ]
        ends = [run.left for run in self.runs.values() if run.is_earlier and run.step in again]
        undoable = [done for done in self._undoable() if done in undoable or any(done is left for left in ends)]
        self.undoing, self.then = undoable if undo else [], to
        self.fields = [(step, fields) for step, fields in self.fields if step not in again]
        for run in [run for run in self.runs.values() if run.step in again]:
            self._set(run, "upcoming")  # of an earlier round: it ends
        for step in again:
            self.runs[step] = Run(step, self.runs[step].round + 1)
        self._go_on()
        return "None"

    def amend(self, total: int) -> str:
        """Correct the field."""
        if self.ended:
            return "refused: settled"
        self.fields.append(("", {"total": total}))
        return "None"

    def pause(self) -> str:
        """Begin nothing new."""
        self.paused = not self.ended
        return "refused: settled" if self.ended else "None"

    def resume(self) -> str:
        """Go on."""
        self.paused = False
        return "refused: settled" if self.ended else "None"

    def pause_all(self) -> str:
        """Begin nothing new anywhere; tell whether that is news."""
        was, self.everything_paused = self.everything_paused, True
        return str(not was)

    def resume_all(self) -> str:
        """Go on everywhere; tell whether that is news."""
        was, self.everything_paused = self.everything_paused, False
        return str(was)

    # what workers and clocks do

    def claim(self, run: Run, turn: int) -> bool:
        """Answer a bell that was rung for this turn; tell whether the attempt is the caller's now."""
        if run.turn != turn or run not in self.runnable():
            return False
        self._hold(run, self.now + LEASE)
        return True

    def is_superseded(self, run: Run, turn: int) -> bool:
        """Tell whether what an attempt of this turn does must not be applied."""
        return run.holder != turn

    def end(self, run: Run, turn: int, ending: str, *, takes: bool = False) -> Run | None:
        """Let an attempt that is not superseded end; return the run that its runner goes on with."""
        assert not self.is_superseded(run, turn)
        due_before = self._due_now()
        if run.call == NO_AMOUNT:  # the body says no to it
            self.keys.pop(run.key, None)
            run.call, run.key = None, ""
            self._set(run, "waiting")
            self._go_on()
        elif ending == "completed" and self._is_overtaken(run):
            run.left = Done(run.step, run.round, run.saw + 1)
            self.done.append(run.left)
            if self.cancelling:
                self._settle(run, "failed")
            else:
                self._set(run, "blocked")  # with both values, until a person picks one
        elif ending == "completed":
            self._complete(run)
        else:
            self._try_again_or_give_up(run, may_retry=ending == "failed", wait=WAIT)
        new = [one for one in self._due_now() if one not in due_before]
        if not takes or not new or self.paused:
            return None
        self._hold(new[0], run.leased_until)
        return new[0]

    def heartbeat(self, run: Run, turn: int) -> None:
        """Lengthen the lease of an attempt, if it has one."""
        if not self.is_superseded(run, turn):
            run.leased_until = self.now + LEASE

    def lose_lease(self, run: Run, turn: int) -> None:
        """Let a lease be over now."""
        if not self.is_superseded(run, turn):
            run.leased_until = run.looked_at = self.now - 1

    def tick(self) -> None:
        """Rescue what its runner left, and say what is overdue: while it is cancelled, nothing is."""
        if self.everything_paused:
            return
        for run in list(self.runs.values()):
            if run.status in ("waiting", "due", "retrying") and run.until <= self.now:
                if not self.paused and not self.cancelling:
                    self._set(run, "overdue")
                continue
            if run.status != "running" or run.looked_at > self.now:
                continue
            if run.leased_until > self.now:
                continue
            if STEPS[run.step].delivery == MOST and not self.cancelling:
                self._set(run, "blocked")
            else:
                self._try_again_or_give_up(run, may_retry=STEPS[run.step].delivery != MOST, wait=0)

    # what follows

    def _due_now(self) -> list[Run]:
        return [run for run in self.runs.values() if run.status == "due"]

    def _set(self, run: Run, status: str) -> None:
        run.status, run.holder, run.turn = status, None, run.turn + 1
        if run.is_earlier and status not in BEGUN:
            self.runs.pop(run.name, None)  # nothing asks how it ended

    def _due(self, run: Run) -> None:
        if run.left is not None:  # it is done again
            self.done.remove(run.left)
            run.left = None
        self._set(run, "due")
        run.due_at = self.now
        self.chances[run.step] += 1

    def _forget_a_deadline_that_has_passed(self, run: Run) -> None:
        """Let somebody who asks for it all the same have it done."""
        if run.until <= self.now:
            run.until = NEVER

    def _hold(self, run: Run, leased_until: float) -> None:
        self._set(run, "running")
        run.holder, run.attempt, run.saw = run.turn, run.attempt + 1, self.total
        run.leased_until, run.looked_at = leased_until, self.now + LEASE

    def _is_overtaken(self, run: Run) -> bool:
        """Tell whether the field that its body changed was changed meanwhile, and its effect stands. An undo changes none."""
        declared = STEPS[run.step]
        return declared.delivery != EXACTLY and not declared.undoes and run.saw != self.total

    def _complete(self, run: Run) -> None:
        self.effects[run.step] += STEPS[run.step].delivery == EXACTLY
        if not STEPS[run.step].undoes:
            receipt = {"receipt": run.call} if run.step == "pay" else {}
            self.fields.append(("" if run.is_earlier else run.step, {"total": self.total + 1} | receipt))
            self.done.append(Done(run.step, run.round, self.total))
        self._settle(run, "completed")

    def _try_again_or_give_up(self, run: Run, *, may_retry: bool, wait: float) -> None:
        declared = STEPS[run.step]
        if may_retry and declared.delivery != MOST and run.attempt < ATTEMPTS:
            self._set(run, "retrying")
            run.due_at = self.now + wait
        elif declared.goes_on_from_failure or (self.cancelling and not declared.undoes):
            self._settle(run, "failed")
        else:
            self._set(run, "blocked")

    def _settle(self, run: Run, status: str) -> None:
        self._set(run, status)
        if run.of is not None:
            run.of.undone = status
        if not self.cancelling and not run.is_earlier:
            if STEPS[run.step].again and status in DONE:
                self._send_back(run.step, STEPS[run.step].again)
            else:
                self._decide()
        self._go_on()

    def _decide(self) -> None:
        for name, declared in STEPS.items():
            if self.runs[name].status != "upcoming" or not declared.after:
                continue
            if self.undoing is not None and name == self.then:  # its round has not begun yet
                continue
            answers = [self._answer(*dependency) for dependency in declared.after]
            if None in answers:
                continue
            if "broken" in answers:
                self._set(self.runs[name], "not reached")
            elif "done" not in answers:
                self._set(self.runs[name], "not taken")
            else:
                self._reach(name)

    def _send_back(self, step: str, to: str) -> None:
        """Begin a new round: fields stay, and what somebody has begun goes on beside it."""
        self.sent_back[step] = to
        again = self._from(to)
        self.fields = [("" if step in again else step, fields) for step, fields in self.fields]
        for step in again:
            run = self.runs[step]
            self.runs[step] = Run(step, run.round + 1)
            if run.is_begun:
                run.is_earlier = True
                self.runs[run.name] = run
            else:
                self._set(run, "upcoming")
        self.undoing, self.then = self.undoing or [], to  # what a person rewound is undone all the same

    def _reach(self, step: str) -> None:
        self.runs[step].until = self.now + STEPS[step].within
        if STEPS[step].is_called:
            self._set(self.runs[step], "waiting")
        else:
            self._due(self.runs[step])

    def _answer(self, step: str, outcome: str) -> str | None:
        status = self.runs[step].status
        if status == "upcoming" or status in OPEN:
            return None
        if outcome == "failed":
            return {"failed": "done", "not reached": "broken"}.get(status, "not taken")
        return "done" if status in DONE else "not taken" if status == "not taken" else "broken"

    def _from(self, to: str) -> list[str]:
        return [name for name in STEPS if name == to or self._comes_after(name, to)]

    def _comes_after(self, name: str, step: str) -> bool:
        return any(one == step or self._comes_after(one, step) for one, _outcome in STEPS[name].after)

    def _undoable(self) -> list[Done]:
        return [done for done in self.done if done.step in UNDO_OF and not done.undone]

    def _go_on(self) -> None:
        """Undo what is to be undone, one at a time, the last completed first; then begin the round, or see the end."""
        still_open = [run for run in self.runs.values() if run.status in OPEN]
        undoing_now = still_open if self.compensating else [run for run in still_open if STEPS[run.step].undoes]
        listed = self.undoing if self.undoing is not None else self._undoable() if self.compensating else []
        left = [done for done in listed if not done.undone]
        if left and not undoing_now:
            run = self.runs[UNDO_OF[left[-1].step]]
            run.of, run.attempt, run.call = left[-1], 0, None
            self._due(run)
        elif self.undoing is not None and not undoing_now:
            self.undoing = None
            self._reach(self.then)
        elif not still_open:
            self.ended, self.paused = "cancelled" if self.cancelling else "completed", False
