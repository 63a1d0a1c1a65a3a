"""``rq:<queue>``: through django-rq. RQ's retries, dependencies and scheduler stay unused."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import django_rq
from django.utils.module_loading import import_string
from django_rq.settings import QUEUES
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker, get_current_job
from rq.job import Job

from .. import conf
from .base import ANSWER_ALL, Bell, Placement, stopping

PATIENCE = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}  # seconds, where the site gives none
SMALL = 0.01  # share of a job's timeout that is nothing to the last body which it executes
TAKE_NEXT = """
    while true do
        local id = redis.call('lindex', KEYS[1], 0)
        if not id or not string.match(id, '^timelines%-%x+%-%d+$') then
            return {}
        end
        local job = redis.call('hgetall', ARGV[1] .. id)
        redis.call('lpop', KEYS[1])
        if #job > 0 then
            redis.call('del', ARGV[1] .. id)
            return {id, job}
        end
    end
"""
"""Take the first job of a queue if it is one of our bells, and it alone: a job of somebody else's is never out of the queue."""


class RQ(Placement):
    """One RQ job for each attempt, whose id names timeline and fence: the bells for it are one job, and wait once.

    A worker answers a bell and those that wait behind it in one job, for as long as that is quick.
    """

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
            f"{__name__}.{answer.__name__}",
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


def answer(**bell: Any) -> None:
    """Answer a bell, then those that wait next in its queue. RQ's own work for a job, a fork above all, costs more than a step.

    A bell that is lost on the way (the process dies, or it raises) is rung again by the clock, as any is.
    """
    import_string(ANSWER_ALL)(_waiting(bell, get_current_job()))


def _waiting(bell: dict[str, Any], job: Any) -> Iterator[dict[str, Any]]:
    bound = job.timeout if (job.timeout or -1) > 0 else math.inf  # seconds after which RQ ends the job
    until = time.monotonic() + min(conf.QUICK, bound * SMALL)
    waits: dict[str, Any] | None = bell
    while waits is not None:
        yield waits
        waits = _take_next(job) if time.monotonic() < until and not stopping.is_set() else None


def _take_next(job: Job) -> dict[str, Any] | None:
    """Take the next bell out of the queue that this job was in; None if there is none, or something else comes first."""
    queue = Queue(job.origin, connection=job.connection)
    try:
        taken: Any = job.connection.eval(TAKE_NEXT, 1, queue.key, Job.redis_job_namespace_prefix)
    except RedisError:  # it is away, or lets nobody run a script: then each bell has a job of its own
        return None
    if not taken:
        return None
    id, stored = taken
    next_job = Job(id.decode(), job.connection, job.serializer)
    next_job.restore(dict(zip(stored[::2], stored[1::2], strict=True)))
    return next_job.kwargs


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
