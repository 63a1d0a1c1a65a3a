"""A transaction of ours that is committed while the body in it goes on: what follows is in the next one."""

from __future__ import annotations

import logging
import time

from django.db import connections, transaction
from django.db.transaction import Atomic

from ..databases import begin_writing
from ..exceptions import PermanentFailure
from .runner import Runner

logger = logging.getLogger("django_timelines")
FAIREST, SHORTEST, LONGEST = 0.1, 0.005, 0.1  # of the time that a transaction took; and seconds, at least and at most


class Block:
    """The transaction of an exactly-once body. Inside one of the caller's it is a savepoint, and so is each that follows it."""

    def __init__(self, runner: Runner) -> None:
        self._using = runner.using
        self._is_inner = runner.in_transaction
        self._atomic: Atomic
        self._since = 0.0
        self.broken: Exception | None = None  # why a batch could not be committed
        self.rolled_back: Exception | None = None  # with what the database has rolled back all that the body wrote
        self.committed = False  # what is open now, or was last

    def __enter__(self) -> Block:
        self._begin()
        return self

    def __exit__(self, *raised: object) -> None:
        if self.is_open:
            self._atomic.__exit__(*raised)  # type: ignore[arg-type]

    @property
    def is_open(self) -> bool:
        """Tell whether there is a transaction: not after a commit that failed."""
        return any(block is self._atomic for block in connections[self._using].atomic_blocks)

    def check(self) -> None:
        """See that the body has left its own ``atomic()`` blocks; ``PermanentFailure`` if not: it would be so each time.

        And that what it wrote is there: a body that goes on after a deadlock would not notice.
        """
        if self.rolled_back is not None:
            raise self.rolled_back
        if not self.is_open:
            raise self.broken or RuntimeError("The transaction around the body is gone.")
        check_blocks(self._using, connections[self._using].atomic_blocks.index(self._atomic) + 1)

    def renew(self) -> None:
        """Commit, and begin the next transaction."""
        self.check()
        try:
            self._atomic.__exit__(None, None, None)
        except Exception as error:
            if not self.committed:
                self.broken = error  # whoever swallows it comes no further than to the next batch
                raise
            logger.exception("A hook that a body gave to on_commit failed, after the commit of a batch.")
        self._let_others_write()
        self._begin()

    def note_rollback(self, error: Exception) -> None:
        """Note that what the body wrote since its last batch is gone: it is to run again, whatever it makes of the error."""
        self.rolled_back = error

    def _begin(self) -> None:
        self.committed = False
        self._atomic = transaction.atomic(using=self._using)
        self._atomic.__enter__()
        # the first hook: whatever a hook of the body raises later, the commit stands
        transaction.on_commit(self._note, using=self._using)
        if not self._is_inner:
            begin_writing(connections[self._using])
        self._since = time.monotonic()

    def _note(self) -> None:
        self.committed = True

    def _let_others_write(self) -> None:
        """SQLite has one writer and no queue for it: who waits asks again now and then, and would never find it free."""
        if connections[self._using].vendor == "sqlite" and not connections[self._using].in_atomic_block:
            time.sleep(min(LONGEST, max(SHORTEST, FAIREST * (time.monotonic() - self._since))))


def check_blocks(using: str, depth: int) -> None:
    """See that no transaction is open that the body opened itself."""
    if len(connections[using].atomic_blocks) > depth:
        raise PermanentFailure(
            "The body iterates inside an atomic() block of its own, which nothing can be committed out of. "
            "Begin and end the block within the loop, or leave it out: each batch is a transaction already."
        )
