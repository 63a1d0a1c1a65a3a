"""What a body commits while it runs: batch by batch its writes, its facts, its fields and its cursor, together or not at all.

The cursor lies with the open run and goes with it. The fields that batches change are kept there, too: they become the
changes of the step's completion, so that the state is the fold of the events at every moment. Each commit takes the run's row
under its fence, so that an attempt which somebody else has got commits nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connections, transaction

from .. import conf, moments, store
from ..events import NewEvent
from ..exceptions import Conflict, LeaseLost, NotUnique
from ..placements import INLINE, stopping
from ..signals import progressed
from ..state import run_key
from ..statements import type_row
from ..steps import Delivery
from ..store import Snapshot
from .advance import advance
from .beside import beside
from .block import Block, check_blocks
from .interrupt import Again
from .leases import keeper
from .patience import Patience
from .record import check_ours
from .rows import begins_anew
from .runner import Held, Runner, commit, load
from .sealing import sealed_row

type_fields = dict[str, Any]


@dataclass
class Shown:
    """What pages show of a long step."""

    done: float = 0
    total: float | None = None
    message: str = ""
    _since: tuple[float, float] | None = field(default=None, repr=False)  # when, and how much was done then

    def tell(self, done: float, total: float | None, message: str = "") -> None:
        """Say how far it is now. What the rate is worked out from begins with the first word of an attempt."""
        self.done, self.total, self.message = done, total, message
        if self._since is None or done < self._since[1]:
            self._since = time.monotonic(), done

    def row(self) -> type_row:
        """Return what is stored of it."""
        began, done = self._since or (time.monotonic(), self.done)
        seconds = time.monotonic() - began
        rate = (self.done - done) / seconds if seconds > 0 else 0
        said = {"done": self.done, "total": self.total, "message": self.message, "rate": rate}
        return said | {"at": moments.to_text(moments.now())}


class Batches:
    """The commits of one body, while it runs once."""

    def __init__(self, held: Held, runner: Runner, block: Block | None = None, leases: ExitStack | None = None) -> None:
        self._held = held
        self._runner = runner
        self._block = block
        self._leases = leases
        self._depth = len(connections[runner.using].atomic_blocks)
        self._committed_at = self._looked_at = time.monotonic()
        self._shown_at = -math.inf
        self._shown, self._is_told = Shown(), False

    @property
    def are_outside(self) -> bool:
        """Tell whether the body runs in no transaction of ours, so that what it does is done at once."""
        return self._block is None

    def stored(self) -> Any:
        """Return the cursor that an earlier attempt, or an earlier run of this body, has left; None for none."""
        held = self._held
        cursor = self._left_by_a_blocked_run() if held.pending else self._cursor_of(held.fence)
        held.base = dict((cursor or {}).get("base", {}))
        return cursor

    def _left_by_a_blocked_run(self) -> Any:
        """Return the cursor of the run that this call, of which nothing is written yet, tries again."""
        key = run_key(*self._held.name)
        blocked, called = self._held.snapshot.state["runs"].get(key), self._held.seen.state["runs"][key]
        if blocked is None or begins_anew(blocked, called):
            return None
        try:
            return self._cursor_of(blocked["fence"])
        except LeaseLost as lost:  # it went on meanwhile: the call itself must be judged again
            raise Again(Conflict(str(lost))) from lost

    def _cursor_of(self, fence: int) -> Any:
        return store.cursor_of(self._runner.using, self._held.snapshot.id, self._held.name.step, fence)

    def check(self) -> None:
        """See that what the body does can be committed from here."""
        if self._block is not None:
            self._block.check()
        else:
            check_blocks(self._runner.using, self._depth)

    def is_full(self) -> bool:
        """Tell whether the batch has taken long enough, whatever its size: others wait for its rows, and look at its progress."""
        return self._is_ending or time.monotonic() - self._committed_at >= conf.LONGEST_BATCH

    def commit(self, loops: list[type_row], changes: type_fields, recorded: list[NewEvent]) -> None:
        """Commit the batch; ``LeaseLost`` if the attempt is not ours any more, and then nothing of it is."""
        held, fence = self._held, self._held.fence
        fields = (held.seen if held.pending else held.snapshot).state["fields"]
        base = {name: fields.get(name) for name in changes} | held.base
        cursor = {"loops": loops, "base": base, "fence": fence}
        begun: Snapshot | None = None
        patience = Patience()
        while True:
            self.check()
            try:
                with self._transaction():
                    begun = self._append(recorded)
                    row = {"cursor": cursor, "progress": self._shown.row()}
                    store.note(self._runner.using, held.snapshot.id, held.name.step, fence, row)
                break
            except DatabaseError as error:
                if self._block is not None or not patience.outlasts(error):
                    raise
        if begun is not None:
            self._has_begun(begun)
        held.base, held.progressed = base, True
        self._committed_at = time.monotonic()
        self._show()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._block is None:
            with transaction.atomic(using=self._runner.using):
                yield
        else:
            yield
            self._block.renew()

    def _append(self, recorded: list[NewEvent]) -> Snapshot | None:
        """Append what the body recorded; first of all the call itself, if nothing of it is written. Return the timeline then."""
        held, runner = self._held, self._runner
        if held.pending:
            result = advance(held.declaration, held.snapshot, [*held.pending, *recorded], runner.by())
            if held.sealed:
                call = held.seen.state["runs"][run_key(*held.name)]["call"]
                result.change.sealed.append(sealed_row(held.snapshot, held.name, call, held.sealed))
            try:
                commit(result)
            except (Conflict, NotUnique, DatabaseError) as error:
                raise Again(error) from error
            return result.after
        if recorded:
            now = load(held.snapshot.id, runner.using, lock=True, names=[held.name])
            check_ours(held, now)
            commit(advance(held.declaration, now, recorded, runner.by(held.fence)))
        return None

    def _has_begun(self, after: Snapshot) -> None:
        held, runner = self._held, self._runner
        held.snapshot, held.pending, held.sealed = after, [], {}
        if self._leases is not None and not runner.in_transaction:
            self._leases.enter_context(keeper.keep(runner.using, runner.by().holder, held.step.timeout))

    # What pages show

    def begin(self, done: int, total: int | None) -> None:
        """Show how far a loop is from now on."""
        self._is_told = False
        self._shown = Shown()
        self._shown.tell(done, total)

    def come_to(self, done: int, total: int | None) -> None:
        """Say how far the loop is, unless the body says so itself."""
        if not self._is_told:
            self._shown.tell(done, total)

    def tell(self, done: float, total: float | None, message: str) -> None:
        """Let pages show how far the body is: now and then, however often it says so. Nothing is committed with that."""
        if not self._is_told:
            self._is_told, self._shown = True, Shown()
        self._shown.tell(done, total, message)
        held, runner = self._held, self._runner
        if held.pending or runner.in_transaction or not self._is_time_to_show():
            return
        self._shown_at = time.monotonic()  # what cannot be noted now is not tried again at once
        row, where = {"progress": self._shown.row()}, (held.snapshot.id, held.name.step, held.fence)
        if self._block is None and not beside.is_needed():
            store.note(runner.using, *where, row)
        elif not beside.note(runner.using, *where, row):
            return
        self._let_pages_know()

    def _is_time_to_show(self) -> bool:
        return time.monotonic() - self._shown_at >= conf.SHOW_EVERY

    def _show(self) -> None:
        if self._is_time_to_show() and not self._runner.in_transaction:
            self._shown_at = time.monotonic()
            self._let_pages_know()

    def _let_pages_know(self) -> None:
        progressed.send_robust(None, timeline=self._held.snapshot.id, using=self._runner.using)

    # What may end it between two items

    @property
    def _is_ending(self) -> bool:
        return stopping.is_set() and self._runner.placement != INLINE and self._goes_on_later

    def may_stop(self) -> bool:
        """Tell, after a commit, whether the worker ends, or the timeline is paused or cancelled. ``LeaseLost`` if it went on.

        What is delivered at most once would not go on by itself: only a cancel stops it.
        """
        if self._runner.in_transaction:
            return False
        if self._is_ending:
            return True
        if time.monotonic() - self._looked_at < conf.LOOK_EVERY:
            return False
        self._looked_at = time.monotonic()
        now = load(self._held.snapshot.id, self._runner.using, names=[self._held.name])
        check_ours(self._held, now)
        if now.state.get("cancelling"):
            return self._held.step.undoes is None  # what is undone is undone to its end
        return self._goes_on_later and bool(now.is_held or now.state.get("paused"))

    @property
    def _goes_on_later(self) -> bool:
        return self._held.step.delivery is not Delivery.AT_MOST_ONCE
