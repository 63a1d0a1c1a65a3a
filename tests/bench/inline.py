"""Goals 1 to 4: a step that runs where it is called, against one commit of psycopg's."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection, connections

from django_timelines.workflows import Workflow

from . import hints
from .databases import connect, on
from .measure import Effort, Figure, each, figure, interleaved, type_aim, type_work
from .workflows import Called, Outside, Plain, Ten, Writing

SLOW_DISK = "SET commit_delay = 2000; SET commit_siblings = 0"  # microseconds, for every commit
QUICK_DISK = "RESET commit_delay; RESET commit_siblings"


def steps(effort: Effort) -> list[Figure]:
    """Time five steps in a row, of each kind."""
    with connect() as raw:
        took = interleaved(
            effort.rounds,
            {
                "raw": each(effort.many, lambda: commit(raw)),
                "plain": each(effort.few, lambda: Plain.start(name="x"), parts=5),
                "writing": each(effort.few, lambda: Writing.start(name="x"), parts=5),
                "outside": each(effort.few, lambda: Outside.start(name="x"), parts=5),
                "called": each(effort.few, call_five, parts=5),
                "sqlite": on_sqlite(each(effort.few, lambda: Plain.start(name="x"), parts=5)),
                "sqlite writing": on_sqlite(each(effort.few, lambda: Writing.start(name="x"), parts=5)),
            },
        )

    def line(name: str, key: str, *aims: type_aim) -> list[Figure]:
        return figure(f"inline step, {name}, to a raw commit", took[key], took["raw"], "ms", *aims)

    return [
        *line("exactly-once, no-op", "plain", (1, 3.0), (None, 6.0)),
        *line("exactly-once, one ORM insert in its body", "writing", (1, 4.0), (None, 6.0)),
        *line("at-least-once, no-op", "outside", (1, 3.0)),
        *line("exactly-once, no-op, each called by itself", "called", (None, 6.0)),
        *line("exactly-once, no-op, on SQLite (WAL)", "sqlite", (4, 1.5)),
        *line("exactly-once, one ORM insert, on SQLite (WAL)", "sqlite writing", (None, None)),
    ]


def slow_disk(effort: Effort) -> list[Figure]:
    """Time them with a disk that takes two milliseconds more for each flush."""
    with connect() as raw:
        raw.execute(SLOW_DISK)
        raw.commit()
        with connection.cursor() as cursor:
            cursor.execute(SLOW_DISK)
        took = interleaved(
            effort.rounds,
            {
                "raw": each(effort.many // 2, lambda: commit(raw)),
                "plain": each(effort.few // 2 or 1, lambda: Plain.start(name="x"), parts=5),
            },
        )
        with connection.cursor() as cursor:
            cursor.execute(QUICK_DISK)
    return figure("inline step, no-op, flush takes 2 ms, to a raw commit", took["plain"], took["raw"], "ms", (3, 1.4))


def counted(effort: Effort) -> list[Figure]:
    """Count what the server is asked for: transactions by its own statistics, statements as Django sends them."""
    lines = []
    for name, n, run in (
        ("flow of five", 5, lambda: Plain.start(name="x")),
        ("flow of ten", 10, lambda: Ten.start(name="x")),
        ("five at-least-once steps", 5, lambda: Outside.start(name="x")),
        ("five calls", 5, call_five),
    ):
        committed, sent = commits(run), statements(run)
        read = sum(sql.lstrip().upper().startswith("SELECT") for sql in sent)
        lines += figure(f"commits, {name}, to n + 1", committed, n + 1, "commits", (2, 1.0))
        lines += figure(f"commits, {name}, to n + 2", committed, n + 2, "commits", (None, 1.0))
        lines += figure(f"statements, {name}, to a step", len(sent), n, "statements")
        lines += figure(f"reads, {name}, to a step", read, n, "statements", (2, 0.0))
    return lines


def commit(raw: psycopg.Connection[Any]) -> None:
    """``BEGIN; INSERT one row; COMMIT``."""
    raw.execute("INSERT INTO raw (data) VALUES (%s)", ["x"])
    raw.commit()


def call_five() -> Workflow:
    """Call five steps, one after the other, on one object."""
    called = Called.start(name="x")
    called.two(name="x")
    called.three(name="x")
    called.four(name="x")
    called.five(name="x")
    return called


def hints_too(effort: Effort) -> list[Figure]:
    """Time them where each commit sends a hint to the channel layer as well."""
    with connect() as raw:
        took = interleaved(
            effort.rounds,
            {
                "raw": each(effort.many, lambda: commit(raw)),
                "plain": with_hints(each(effort.few, lambda: Plain.start(name="x"), parts=5)),
            },
        )
    text = "inline step, exactly-once, no-op, with live hints through Redis, to a raw commit"
    return figure(text, took["plain"], took["raw"], "ms", (None, 6.0))


def with_hints(work: type_work) -> type_work:
    """Return the same work, with hints."""

    def heard() -> float:
        with hints.on():
            return work()

    return heard


def on_sqlite(work: type_work) -> type_work:
    """Return the same work, on the other database."""

    def there() -> float:
        with on("sqlite"):
            return work()

    return there


def commits(run: Callable[[], object]) -> int:
    """Return how many transactions it committed, whether they wrote or only read."""
    with connect("postgres", autocommit=True) as observer:  # not counted: it looks from another database
        # the asking is counted, too: see what one commit looks like
        one = [_committed(observer, _one) for _ in range(5)]
        busy = [_committed(observer, run) for _ in range(5)]
    return int(statistics.median(busy) - statistics.median(one)) + 1


def _one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO raw (data) VALUES ('x')")


def _committed(observer: psycopg.Connection[Any], run: Callable[[], object]) -> int:
    before = _total(observer)
    run()
    return _total(observer) - before


def _total(observer: psycopg.Connection[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"
    return int(observer.execute(query, [connection.settings_dict["NAME"]]).fetchone()[0])  # type: ignore[index]


def statements(run: Callable[[], object]) -> list[str]:
    """Return the statements that it sends, without BEGIN and COMMIT."""
    sent: list[str] = []
    with watched(sent):
        run()
    return sent


@contextmanager
def watched(sent: list[str]) -> Iterator[None]:
    """Note each statement of this thread's connections."""

    def note(execute: Any, sql: str, *args: Any) -> Any:
        sent.append(sql)
        return execute(sql, *args)

    with connections["default"].execute_wrapper(note):
        yield
