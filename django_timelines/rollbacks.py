"""Telling whether what was read or written in an open transaction was rolled back since."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from django.db import connections, transaction


class RollbackWatch:
    """Watches the transaction, and the savepoints, that are open now. It costs no query.

    Django keeps a hook of ``on_commit`` until the commit, and drops it with a rollback, also with one to a savepoint.
    """

    def __init__(self, using: str) -> None:
        self._stands = not connections[using].in_atomic_block
        self._hook: weakref.ref[partial[None]] | None = None
        if not self._stands:
            hook = partial(setattr, self, "_stands", True)
            self._hook = weakref.ref(hook)
            transaction.on_commit(hook, using=using, robust=True)

    @property
    def rolled_back(self) -> bool:
        """Tell whether it is gone; of what was pickled meanwhile nobody knows, so it is to be read again."""
        return not self._stands and (self._hook is None or self._hook() is None)

    def __getstate__(self) -> dict[str, Any]:
        return {"_stands": self._stands, "_hook": None}
