"""What must be true of a ``Quest``, by the letter of the contract. Plain Python that knows no database and no event.

Each verb says what it should answer: an outcome, or ``"refused: <reason>"``. To add one: a method here that says what it
changes, and a word in ``test_interleavings.py`` that does it to both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EXACTLY, LEAST, MOST = "exactly once", "at least once", "at most once"
ATTEMPTS, WAIT, LEASE = 2, 20, 60  # tries in all, seconds before the second, seconds that a lease lasts

NO_AMOUNT = -1

OPEN = {"due", "running", "retrying", "waiting", "blocked"}
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


STEPS = {
    "begin": Declared(EXACTLY, is_called=True),
    "pack": Declared(EXACTLY, (("begin", "done"),)),
    "unpack": Declared(EXACTLY, undoes="pack"),
    "announce": Declared(LEAST, (("begin", "done"),), goes_on_from_failure=True),
    "renounce": Declared(LEAST, undoes="announce"),
    "pay": Declared(EXACTLY, (("begin", "done"),), is_called=True),
    "refund": Declared(EXACTLY, undoes="pay"),
    "send": Declared(MOST, (("pack", "done"), ("pay", "done")), goes_on_from_failure=True),
    "search": Declared(EXACTLY, (("send", "failed"),)),
    "apologise": Declared(EXACTLY, (("announce", "failed"),)),
}
UNDO_OF = {declared.undoes: name for name, declared in STEPS.items() if declared.undoes}


@dataclass
class Done:
    """A run that completed, and may be undone."""

    step: str
    round: int
    total: int  # as it left it
    undone: str = ""  # how: by its undo, which completed, or by a person, who skipped that


@dataclass
class Run:
    """Where a step should stand."""

    status: str = "upcoming"
    attempt: int = 0
    turn: int = 0  # which of its events is the newest: a bell or an attempt of an earlier one is void
    holder: int | None = None  # the turn of the attempt that may complete
    due_at: float = 0
    leased_until: float = 0
    looked_at: float = 0  # when the clock looks at it next
    saw: int = 0  # the total as the attempt's body sees it
    call: Any = None  # the input of the call that it has
    of: Done | None = None  # what it undoes
    round: int = 1
    effects: int = 0  # rows of an exactly-once body that must be there
    chances: int = 0  # how often an at-most-once body may have begun: once for each time that somebody made it due


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
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=lambda: {name: Run() for name in STEPS})

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

    def runnable(self) -> list[str]:
        """Return the steps whose time has come and that nobody has."""
        if self.paused or self.everything_paused:
            return []
        return [name for name, run in self.runs.items() if run.status in ("due", "retrying") and run.due_at <= self.now]

    # what people do

    def begin(self) -> None:
        """Start it."""
        self.runs["begin"].call = "note"
        self._complete("begin")

    def judge(self, step: str, given: Any, key: str) -> str:
        """Say what becomes of a call: ``accept``, ``same``, or a refusal."""
        run, status = self.runs[step], self.status(step)
        if key in self.keys:
            return "same" if self.keys[key] == (step, given) else "refused: key_reused"
        if status in ("waiting", "blocked") and not self.cancelling and not self.ended:
            return "accept"
        if run.call == given and not key:
            return "same"
        if not STEPS[step].is_called and status != "upcoming":
            return "same"
        if status == "upcoming":
            return "refused: not_yet"
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
        run.call, run.attempt = given, 0
        if key:
            self.keys[key] = (step, given)
        self._due(step)
        if not elsewhere:
            self.claim(step, run.turn)
            self.end(step, run.turn, ending)
        return self.outcome(step)

    def retry(self, step: str, *, force: bool = False) -> str:
        """Try it again now; by force also over an attempt that is being executed."""
        status = self.status(step)
        if status not in ("due", "retrying", "blocked", *(["running"] if force else [])):
            return "refused: not_applicable"
        if status != "due":
            self._due(step)
        return "due"

    def skip(self, step: str) -> str:
        """Go past it."""
        if self.status(step) not in ("due", "retrying", "blocked", "waiting"):
            return "refused: not_applicable"
        self._settle(step, "skipped")
        return "completed"

    def cancel(self, *, compensate: bool = False) -> str:
        """Stop what nobody has begun, and undo what completed if that is asked for."""
        if self.ended:
            return "refused: settled"
        if self.cancelling:
            return "refused: cancelling"
        self.cancelling, self.compensating, self.undoing = True, compensate, None
        for name, run in self.runs.items():
            begun = run.status == "running" or (run.status in ("due", "retrying") and run.attempt > 0)
            goes_on = STEPS[name].undoes or (begun and STEPS[name].delivery != EXACTLY)
            if run.status in OPEN and not goes_on:
                self._set(name, "cancelled")
                run.call = None
        self._go_on()
        return "None"

    def rewind(self, to: str, *, undo: bool) -> str:
        """Begin a new round: what follows from the step is as if it had not run, but for the rows, which undoing is for."""
        if self.ended or self.cancelling:
            return "refused: settled"
        if self.undoing is not None:
            return "refused: rewinding"
        if STEPS[to].undoes or self.status(to) in ("upcoming", "not taken", "not reached"):
            return "refused: not_applicable"
        again = [name for name in STEPS if name == to or self._comes_after(name, to)]
        undoable = [
            done for done in self._undoable() if done.step in again and done.round == self.runs[done.step].round
        ]
        self.undoing, self.then = undoable if undo else [], to
        self.fields = [(step, fields) for step, fields in self.fields if step not in again]
        for name in again:
            self._set(name, "upcoming")
            run = self.runs[name]
            run.attempt, run.call, run.round = 0, None, run.round + 1
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

    def claim(self, step: str, turn: int) -> bool:
        """Answer a bell that was rung for this turn; tell whether the attempt is the caller's now."""
        run = self.runs[step]
        if run.turn != turn or step not in self.runnable():
            return False
        self._hold(step, self.now + LEASE)
        return True

    def is_superseded(self, step: str, turn: int) -> bool:
        """Tell whether what an attempt of this turn does must not be applied."""
        return self.runs[step].holder != turn

    def end(self, step: str, turn: int, ending: str, *, takes: bool = False) -> str | None:
        """Let an attempt that is not superseded end; return the step that its runner goes on with."""
        assert not self.is_superseded(step, turn)
        run, due_before = self.runs[step], self._due_now()
        if run.call == NO_AMOUNT:  # the body says no to it
            self._set(step, "waiting")
            run.call = None
            self.keys = {key: call for key, call in self.keys.items() if call[0] != step}
        elif ending == "completed" and self._is_overtaken(step):
            self._set(step, "blocked")  # with both values, until a person picks one
        elif ending == "completed":
            self._complete(step)
        else:
            self._try_again_or_give_up(step, may_retry=ending == "failed", wait=WAIT)
        new = [name for name in self._due_now() if name not in due_before]
        if not takes or not new or self.paused:
            return None
        self._hold(new[0], run.leased_until)
        return new[0]

    def heartbeat(self, step: str, turn: int) -> None:
        """Lengthen the lease of an attempt, if it has one."""
        if not self.is_superseded(step, turn):
            self.runs[step].leased_until = self.now + LEASE

    def lose_lease(self, step: str, turn: int) -> None:
        """Let a lease be over now."""
        if not self.is_superseded(step, turn):
            self.runs[step].leased_until = self.runs[step].looked_at = self.now - 1

    def tick(self) -> None:
        """Rescue what its runner left."""
        if self.everything_paused:
            return
        for name, run in self.runs.items():
            if run.status != "running" or run.looked_at > self.now:
                continue
            if run.leased_until > self.now:
                continue
            if STEPS[name].delivery == MOST and not self.cancelling:
                self._set(name, "blocked")
            else:
                self._try_again_or_give_up(name, may_retry=STEPS[name].delivery != MOST, wait=0)

    # what follows

    def _due_now(self) -> list[str]:
        return [name for name, run in self.runs.items() if run.status == "due"]

    def _set(self, step: str, status: str) -> None:
        run = self.runs[step]
        run.status, run.holder, run.turn = status, None, run.turn + 1

    def _due(self, step: str) -> None:
        self._set(step, "due")
        self.runs[step].due_at = self.now
        self.runs[step].chances += 1

    def _hold(self, step: str, leased_until: float) -> None:
        self._set(step, "running")
        run = self.runs[step]
        run.holder, run.attempt, run.saw = run.turn, run.attempt + 1, self.total
        run.leased_until, run.looked_at = leased_until, self.now + LEASE

    def _is_overtaken(self, step: str) -> bool:
        """Tell whether the field that its body changed was changed meanwhile, and its effect stands. An undo changes none."""
        declared = STEPS[step]
        return declared.delivery != EXACTLY and not declared.undoes and self.runs[step].saw != self.total

    def _complete(self, step: str) -> None:
        run = self.runs[step]
        run.effects += STEPS[step].delivery == EXACTLY
        if not STEPS[step].undoes:
            receipt = {"receipt": run.call} if step == "pay" else {}
            self.fields.append((step, {"total": self.total + 1} | receipt))
            self.done.append(Done(step, run.round, self.total))
        self._settle(step, "completed")

    def _try_again_or_give_up(self, step: str, *, may_retry: bool, wait: float) -> None:
        run = self.runs[step]
        if may_retry and STEPS[step].delivery != MOST and run.attempt < ATTEMPTS:
            self._set(step, "retrying")
            run.due_at = self.now + wait
        elif STEPS[step].goes_on_from_failure or (self.cancelling and not STEPS[step].undoes):
            self._settle(step, "failed")
        else:
            self._set(step, "blocked")

    def _settle(self, step: str, status: str) -> None:
        self._set(step, status)
        if (of := self.runs[step].of) is not None:
            of.undone = status
        for name, declared in STEPS.items():
            if self.runs[name].status != "upcoming" or not declared.after or self.cancelling:
                continue
            if self.undoing is not None and name == self.then:  # its round has not begun yet
                continue
            answers = [self._answer(*dependency) for dependency in declared.after]
            if None in answers:
                continue
            if "broken" in answers:
                self._set(name, "not reached")
            elif "done" not in answers:
                self._set(name, "not taken")
            else:
                self._reach(name)
        self._go_on()

    def _reach(self, step: str) -> None:
        if STEPS[step].is_called:
            self._set(step, "waiting")
        else:
            self._due(step)

    def _answer(self, step: str, outcome: str) -> str | None:
        status = self.runs[step].status
        if status == "upcoming" or status in OPEN:
            return None
        if outcome == "failed":
            return {"failed": "done", "not reached": "broken"}.get(status, "not taken")
        return "done" if status in DONE else "not taken" if status == "not taken" else "broken"

    def _comes_after(self, name: str, step: str) -> bool:
        return any(one == step or self._comes_after(one, step) for one, _outcome in STEPS[name].after)

    def _undoable(self) -> list[Done]:
        return [done for done in self.done if done.step in UNDO_OF and not done.undone]

    def _go_on(self) -> None:
        """Undo what is to be undone, one at a time, the last completed first; then begin the round, or see the end."""
        still_open = [name for name, run in self.runs.items() if run.status in OPEN]
        undoing_now = still_open if self.compensating else [name for name in still_open if STEPS[name].undoes]
        listed = self.undoing if self.undoing is not None else self._undoable() if self.compensating else []
        left = [done for done in listed if not done.undone]
        if left and not undoing_now:
            run = self.runs[UNDO_OF[left[-1].step]]
            run.of, run.attempt, run.call = left[-1], 0, None
            self._due(UNDO_OF[left[-1].step])
        elif self.undoing is not None and not undoing_now:
            self.undoing = None
            self._reach(self.then)
        elif not still_open:
            self.ended, self.paused = "cancelled" if self.cancelling else "completed", False
