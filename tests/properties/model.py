"""What must be true of an ``Quest``, by the letter of the contract. Plain Python that knows no database and no event.

Each verb says what it should answer: an outcome, or ``"refused: <reason>"``. To add one (rewind, pause …): a method here that
says what it changes, and a rule in ``test_interleavings.py`` that does it to both.
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


STEPS = {
    "begin": Declared(EXACTLY, is_called=True),
    "pack": Declared(EXACTLY, (("begin", "done"),)),
    "announce": Declared(LEAST, (("begin", "done"),), goes_on_from_failure=True),
    "pay": Declared(EXACTLY, (("begin", "done"),), is_called=True),
    "send": Declared(MOST, (("pack", "done"), ("pay", "done")), goes_on_from_failure=True),
    "search": Declared(EXACTLY, (("send", "failed"),)),
    "apologise": Declared(EXACTLY, (("announce", "failed"),)),
}


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
    effects: int = 0  # rows of an exactly-once body that must be there
    chances: int = 0  # how often an at-most-once body may have begun: once for each time that somebody made it due


@dataclass
class Model:
    """Where the timeline should stand."""

    now: float = 0
    total: int = 0
    cancelling: bool = False
    ended: str = ""
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=lambda: {name: Run() for name in STEPS})

    # what somebody sees

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

    def retry(self, step: str) -> str:
        """Try it again now."""
        status = self.status(step)
        if status not in ("due", "retrying", "blocked"):
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

    def cancel(self) -> str:
        """Stop what nobody has begun."""
        if self.ended:
            return "refused: settled"
        if self.cancelling:
            return "refused: cancelling"
        self.cancelling = True
        for name, run in self.runs.items():
            begun = run.status == "running" or (run.status in ("due", "retrying") and run.attempt > 0)
            if run.status in OPEN and not (begun and STEPS[name].delivery != EXACTLY):
                self._set(name, "cancelled")
                run.call = None
        self._end_if_nothing_is_open()
        return "None"

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
        elif ending == "completed" and STEPS[step].delivery != EXACTLY and run.saw != self.total:
            self._set(step, "blocked")  # with both values, until a person picks one
        elif ending == "completed":
            self._complete(step)
        else:
            self._try_again_or_give_up(step, may_retry=ending == "failed", wait=WAIT)
        new = [name for name in self._due_now() if name not in due_before]
        if not takes or not new:
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
        for name, run in self.runs.items():
            if run.status != "running" or run.looked_at > self.now:
                continue
            if run.leased_until > self.now:
                run.looked_at = min(max(run.leased_until, self.now + 1), self.now + LEASE)
            elif STEPS[name].delivery == MOST and not self.cancelling:
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

    def _complete(self, step: str) -> None:
        self.total += 1
        self.runs[step].effects += STEPS[step].delivery == EXACTLY
        self._settle(step, "completed")

    def _try_again_or_give_up(self, step: str, *, may_retry: bool, wait: float) -> None:
        run = self.runs[step]
        if may_retry and STEPS[step].delivery != MOST and run.attempt < ATTEMPTS:
            self._set(step, "retrying")
            run.due_at = self.now + wait
        elif STEPS[step].goes_on_from_failure or self.cancelling:
            self._settle(step, "failed")
        else:
            self._set(step, "blocked")

    def _settle(self, step: str, status: str) -> None:
        self._set(step, status)
        for name, declared in STEPS.items():
            if self.runs[name].status != "upcoming" or self.cancelling:
                continue
            answers = [self._answer(*dependency) for dependency in declared.after]
            if None in answers:
                continue
            if "broken" in answers:
                self._set(name, "not reached")
            elif "done" not in answers:
                self._set(name, "not taken")
            elif declared.is_called:
                self._set(name, "waiting")
            else:
                self._due(name)
        self._end_if_nothing_is_open()

    def _answer(self, step: str, outcome: str) -> str | None:
        status = self.runs[step].status
        if status == "upcoming" or status in OPEN:
            return None
        if outcome == "failed":
            return {"failed": "done", "not reached": "broken"}.get(status, "not taken")
        return "done" if status in DONE else "not taken" if status == "not taken" else "broken"

    def _end_if_nothing_is_open(self) -> None:
        if not any(run.status in OPEN for run in self.runs.values()):
            self.ended = "cancelled" if self.cancelling else "completed"
