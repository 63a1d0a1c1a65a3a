"""``rq:<queue>``: through django-rq. RQ's retries, dependencies and scheduler stay unused."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import django_rq
from django.db import close_old_connections
from django.utils.module_loading import import_string
from django_rq.settings import QUEUES
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker, get_current_job
from rq.job import Job, JobStatus
from rq.suspension import WORKERS_SUSPENDED

from .. import conf
from .base import ANSWER_ALL, STOP, Bell, Placement, stopping

logger = logging.getLogger("django_timelines")
PATIENCE = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}  # seconds, where the site gives none
LOOK = 0.5  # seconds between two looks at whether a job's worker is told to end
IDLE = 5.0  # seconds without a job after which a connection may be too old
SMALL = 0.01  # share of a job's timeout that is nothing to the last body which it executes


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

        Its status alone does not tell: a worker that died as it took it, or a queue that was emptied, leaves that behind. A job
        that has started may answer others by now, and is deleted by its id as it ends: then the bell gets another.
        """
        queue, job = self._queue, f"timelines-{bell.timeline}-{bell.fence}"
        for known in (job, f"{job}-again"):
            if queue.job_class.exists(known, queue.connection) and queue.get_job_position(known) is not None:
                return True
        if queue.connection.hget(queue.job_class.key_for(job), "status") == JobStatus.STARTED.encode():
            job = f"{job}-again"
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

    A bell that is lost on the way (the process dies, or it raises) is rung again by the clock, as any is. A worker that does not
    fork keeps its database connections from job to job. After a while without one they are let go as between two requests: the
    server, or what lies between, may have.
    """
    job = get_current_job()
    if time.monotonic() - _idle.since >= IDLE:
        close_old_connections()
    try:
        with _ending_with_its_worker(job) if job else nullcontext():
            import_string(ANSWER_ALL)(_waiting(bell, job) if job else [bell])
    finally:
        _idle.since = time.monotonic()


class _Idle(threading.local):
    """Since when this thread has answered no bell, in monotonic time."""

    since = -math.inf


_idle = _Idle()


@contextmanager
def _ending_with_its_worker(job: Job) -> Iterator[None]:
    """Stop gracefully once the job's worker is told to end: RQ waits for the job then, and tells its work-horse nothing."""
    answered = threading.Event()
    threading.Thread(target=_end_with_its_worker, args=(job, answered), name="timelines-stop", daemon=True).start()
    try:
        yield
    finally:
        answered.set()


def _end_with_its_worker(job: Job, answered: threading.Event) -> None:
    key = _key_of_worker(job)
    while not (answered.wait(LOOK) or stopping.is_set()):
        try:
            told_to_end = job.connection.hexists(key, "shutdown_requested_date")
        except Exception:  # Redis is away
            logger.info("Cannot see whether the worker of %s is told to end.", job.id, exc_info=True)
        else:
            if told_to_end:
                import_string(STOP)()


def _key_of_worker(job: Job) -> str:
    return f"{Worker.redis_worker_namespace_prefix}{job.worker_name}"


def _waiting(bell: dict[str, Any], job: Job) -> Iterator[dict[str, Any]]:
    bound = job.timeout if job.timeout and job.timeout > 0 else math.inf  # seconds after which RQ ends the job
    until = time.monotonic() + min(conf.QUICK, bound * SMALL)
    waits: dict[str, Any] | None = bell
    while waits is not None:
        yield waits
        waits = None
        if time.monotonic() < until and not stopping.is_set():
            try:
                waits = _take_next(job)
            except (
                Exception
            ):  # Redis is away, or what comes next cannot be read: RQ's worker sees to what is in the queue
                logger.info("Left what waits behind %s to the next job.", job.id, exc_info=True)


def _take_next(job: Job) -> dict[str, Any] | None:
    """Take the next bell out of the queue that this job was in; None if RQ's worker is to say what it does next.

    So it is if it is told to end or to pause, has a job in another of its queues, or if something else than a bell comes first.
    """
    redis, key = job.connection, Queue.redis_queue_namespace_prefix + job.origin
    with redis.pipeline(transaction=False) as asked:
        asked.hmget(_key_of_worker(job), "queues", "shutdown_requested_date")
        asked.exists(WORKERS_SUSPENDED)
        asked.lindex(key, 0)
        (queues, told_to_end), suspended, first = asked.execute()
    if queues is None or told_to_end or suspended or first is None:
        return None
    others = {Queue.redis_queue_namespace_prefix + name for name in queues.decode().split(",")} - {key}
    if any(redis.llen(other) for other in others):
        return None
    next_one = type(job).fetch(first.decode(), redis, job.serializer)
    if next_one.func_name != job.func_name:
        return None
    bell: dict[str, Any] = next_one.kwargs
    if not redis.lrem(key, 1, first):
        return None  # another worker took it
    next_one.delete(remove_from_queue=False)
    return bell


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
