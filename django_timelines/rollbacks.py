"""Telling whether what was read or written in an open transaction was rolled back since."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from django.db import connections, transaction


class RollbackWatch:
    """Watches the transaction, and the savepoints, that were open when it began. It costs no query.

    Django keeps a hook of ``on_commit`` until the commit, and drops it with a rollback, also with one to a savepoint.
    """

    def __init__(self, *, stands: bool = False) -> None:
        self._stands = stands
        self._hook: weakref.ref[partial[None]] | None = None

    @property
    def rolled_back(self) -> bool:
        """Tell whether it is gone; of what was pickled meanwhile nobody knows, so it is to be read again."""
        return not self._stands and (self._hook is None or self._hook() is None)

    def begin(self, using: str) -> None:
        """Begin with what is open now."""
        hook = partial(setattr, self, "_stands", True)
        self._hook = weakref.ref(hook)
        transaction.on_commit(hook, using=using, robust=True)

    def __getstate__(self) -> dict[str, Any]:
        return {"_stands": self._stands, "_hook": None}


COMMITTED = RollbackWatch(stands=True)  # what was read outside of any transaction


def watch_over(using: str) -> RollbackWatch:
    """Return a watch over what is open now. All rows that are read in a row have the same one: there may be a million."""
    connection = connections[using]
    if not connection.in_atomic_block:
        return COMMITTED
    if connection.run_on_commit:
        savepoints, hook = connection.run_on_commit[-1][:2]
        watch = hook.args[0] if isinstance(hook, partial) and hook.func is setattr else None
        if isinstance(watch, RollbackWatch) and savepoints == set(connection.savepoint_ids):
            return watch
    watch = RollbackWatch()
    watch.begin(using)
    return watch
