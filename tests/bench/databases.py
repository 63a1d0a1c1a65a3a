"""Databases of this run's own: made before it, dropped after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django_rq
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from rq import Worker

from tests.services import missing_redis

STAMPS = f"{settings.QUEUE}:stamps"
"""The list in Redis in which a worker says what time it was."""


class Router:
    """Sends everything to the database that is measured."""

    alias = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return Router.alias

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return Router.alias

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


@contextmanager
def on(alias: str) -> Iterator[None]:
    """Measure on this database."""
    before, Router.alias = Router.alias, alias
    try:
        yield
    finally:
        Router.alias = before


def connect(database: str | None = None, **options: Any) -> psycopg.Connection[Any]:
    """Return a bare connection, to the run's database unless said otherwise."""
    given = settings.DATABASES["default"]
    return psycopg.connect(
        dbname=database or given["NAME"], user=given["USER"], host=given["HOST"], port=given["PORT"], **options
    )


@contextmanager
def own() -> Iterator[None]:
    """Make this run's databases, with all tables and the raw one, and drop them in the end."""
    name = psycopg.sql.Identifier(settings.DATABASES["default"]["NAME"])
    settings.BUILD.mkdir(exist_ok=True)
    with connect("postgres", autocommit=True) as server:
        server.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(name))
        try:
            for alias in settings.DATABASES:
                with on(alias):
                    call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
            with connect() as raw:
                raw.execute("CREATE TABLE raw (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data text NOT NULL)")
            yield
        finally:
            connections.close_all()
            server.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            for file in settings.BUILD.glob(f"{settings.DATABASE}.sqlite3*"):
                file.unlink()


@contextmanager
def own_redis() -> Iterator[str | None]:
    """Use a queue of this run's own, and sweep up in the end. Yields why that cannot be, or None."""
    if problem := missing_redis():
        yield problem
        return
    try:
        yield None
    finally:
        _sweep(django_rq.get_queue(settings.QUEUE))


def _sweep(queue: Any) -> None:
    """Remove what RQ keeps of a queue: its jobs, the registries that they are in, its workers."""
    queue.connection.delete(STAMPS)
    for worker in Worker.all(queue=queue):
        worker.register_death()
    for registry in (queue.finished_job_registry, queue.failed_job_registry, queue.started_job_registry):
        for job in registry.get_job_ids():
            registry.remove(job, delete_job=True)
    queue.delete(delete_jobs=True)
