"""``tasks:<backend>``: through Django's tasks, to whatever stands behind that name in ``TASKS``: Celery, a table, a queue.

They are part of Django from 6.0 on; for 5.2 there is the package django-tasks. Priorities, deferring and results stay unused.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import django
from django.utils.module_loading import import_string

from .base import ANSWER, Bell, Placement

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import DEFAULT_TASK_BACKEND_ALIAS, DEFAULT_TASK_QUEUE_NAME, task, task_backends
    from django.tasks.backends.immediate import ImmediateBackend
else:
    from django_tasks import DEFAULT_TASK_BACKEND_ALIAS, DEFAULT_TASK_QUEUE_NAME, task, task_backends
    from django_tasks.backends.immediate import ImmediateBackend


def queue_of(backend: str) -> str:
    """Return the queue of a backend that bells go to: ``default``, or the one that it has instead."""
    queues = task_backends[backend].queues
    return DEFAULT_TASK_QUEUE_NAME if not queues or DEFAULT_TASK_QUEUE_NAME in queues else min(queues)


# A task belongs to a backend from its making on; a bell says which one it is rung at.
_HOME = DEFAULT_TASK_BACKEND_ALIAS if DEFAULT_TASK_BACKEND_ALIAS in task_backends else next(iter(task_backends), "")


@task(backend=_HOME, queue_name=queue_of(_HOME))
def answer_bell(**bell: Any) -> None:
    """Answer a bell, in a worker of the backend."""
    import_string(ANSWER)(**bell)


class _Line(threading.local):
    """What this thread rings while it enqueues: a backend that runs a task at once rings from within, for what that made due."""

    bells: list[tuple[Any, Bell]] | None = None


_line = _Line()


class Tasks(Placement):
    """One task for each wake-up. A second one for the same attempt does nothing."""

    def ring(self, bell: Bell) -> bool:
        """Enqueue the task now: we come after the commit. What is rung from within waits in line, so that nothing nests."""
        rung = answer_bell.using(backend=self.argument, queue_name=queue_of(self.argument))
        if _line.bells is not None:
            _line.bells.append((rung, bell))
            return True
        _line.bells = [(rung, bell)]
        try:
            while _line.bells:
                rung, bell = _line.bells.pop(0)
                rung.enqueue(**bell.as_json())
        finally:
            _line.bells = None
        return True

    def problem(self) -> str | None:
        """Say that the backend is not among ``TASKS``, or leaves open which of its queues is meant."""
        known = sorted(task_backends)
        if self.argument not in known:
            return f"TASKS has no backend {self.argument!r}; it has {', '.join(known) or 'none'}."
        queues = task_backends[self.argument].queues
        if len(queues) > 1 and DEFAULT_TASK_QUEUE_NAME not in queues:
            return (
                f"TASKS[{self.argument!r}] has the queues {', '.join(sorted(queues))} and none named "
                f"{DEFAULT_TASK_QUEUE_NAME!r}. Add that, or a backend with one of them."
            )
        return None

    def runs_at_once(self) -> bool:
        """Tell whether the backend has no workers, as the one that is Django's default."""
        return isinstance(task_backends[self.argument], ImmediateBackend)
