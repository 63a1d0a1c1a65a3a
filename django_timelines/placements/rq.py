"""``rq:<queue>``: through django-rq. RQ's retries, dependencies and scheduler stay unused."""

from __future__ import annotations

from typing import Any

import django_rq
from django_rq.settings import QUEUES
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Worker
from rq.job import Job

from .base import ANSWER, Bell, Placement

PATIENCE = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}  # seconds, where the site gives none


class RQ(Placement):
    """One RQ job for each attempt, whose id names timeline and fence: the bells for it are one job, and wait once."""

    _connected: tuple[dict[str, Any], Any] | None = None

    @property
    def _queue(self) -> Any:
        """The queue, over connections that are kept: ``get_queue`` alone makes a new one for each bell."""
        config = QUEUES[self.argument]
        if self._connected is None or self._connected[0] != config:
            self._connected = {**config}, _connection(self.argument)
        return django_rq.get_queue(self.argument, commit_mode="auto", connection=self._connected[1])

    def ring(self, bell: Bell) -> bool:
        """Enqueue the job now: we come after the commit already. One that is in the queue stays where it is there.

        Its status alone does not tell: a worker that died as it took it, or a queue that was emptied, leaves that behind.
        """
        queue, job = self._queue, f"timelines-{bell.timeline}-{bell.fence}"
        if Job.exists(job, queue.connection) and queue.get_job_position(job) is not None:
            return True
        queue.enqueue_call(
            ANSWER,
            kwargs=bell.as_json(),
            job_id=job,
            timeout=QUEUES[self.argument].get("DEFAULT_TIMEOUT", -1),
            result_ttl=0,
            failure_ttl=24 * 3600,
        )
        return True

    def problem(self) -> str | None:
        """Say that the queue is not among ``RQ_QUEUES``."""
        if self.argument in QUEUES:
            return None
        return f"RQ_QUEUES has no queue {self.argument!r}; it has {', '.join(QUEUES) or 'none'}."

    def workers(self) -> int | None:
        """Ask Redis how many workers of the queue are alive.

        A worker says only once which queues it listens to, as it starts, and a flush takes that away: where none is known,
        there is none only if a job waits.
        """
        queue = self._queue
        known = Worker.all_keys(queue=queue)
        alive = (
            int(queue.connection.exists(*known)) if known else 0
        )  # who is killed stays known, and its heartbeat ends
        return alive or (None if queue.is_empty() else 0)


def _connection(queue: str) -> Any:
    """Return a connection that soon gives up a Redis which neither answers nor refuses: who rings has more to do.

    That of a cache stays as it is: others use it, too.
    """
    connection = django_rq.get_connection(queue)
    if "USE_REDIS_CACHE" not in QUEUES[queue]:
        options = connection.connection_pool.connection_kwargs
        options |= {name: seconds for name, seconds in PATIENCE.items() if options.get(name) is None}
        options["retry"] = Retry(NoBackoff(), 1)
    return connection
