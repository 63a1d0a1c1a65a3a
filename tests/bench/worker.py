"""A process that runs an RQ worker and takes its orders from standard input: ``burst`` or ``wait``.

python -m tests.bench.worker rq.SimpleWorker [hints]
"""

import os
import sys
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")
django.setup()

import django_rq  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402
from redis import Redis  # noqa: E402

from django_timelines.signals import appended  # noqa: E402

from . import hints  # noqa: E402
from .databases import STAMPS  # noqa: E402
from .workflows import finishing  # noqa: E402

redis = Redis.from_url(settings.REDIS_URL)


def nothing() -> None:
    """Do nothing: the bare job."""


def stamp(*args: object) -> None:
    """Tell who measures what time it is: the clock is the machine's, the same in all processes."""
    redis.rpush(STAMPS, time.monotonic_ns())


def committed(sender: Any, timeline: Any, **kwargs: Any) -> None:
    """Stamp the commit of a last step."""
    if timeline in finishing:
        finishing.discard(timeline)
        stamp()


def main() -> None:
    """Work as told, and answer with how many seconds it took."""
    worker_class = import_string(sys.argv[1])
    if "hints" not in sys.argv:
        hints.off()
    print("ready", flush=True)
    for order in sys.stdin:
        worker = worker_class([django_rq.get_queue(settings.QUEUE)], connection=redis)
        connections.close_all()  # a fork must not share one, as in django-rq's own command
        if order.strip() == "wait":
            appended.connect(committed)
        begin = time.perf_counter()
        worker.work(burst=order.strip() == "burst", logging_level="ERROR")
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
