"""Django's error reports, as it mails them to the admins, show no secret: not in any frame between caller and body."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connections
from django.views.debug import ExceptionReporter

from django_timelines.engine.answer import answer
from django_timelines.models import Run
from django_timelines.testing import drain
from tests.shop.here import HERE
from tests.shop.workflows import Vault, plan

from .workflows import Door

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
CODE = "correct horse battery staple"


@contextmanager
def database_away(when: str) -> Iterator[None]:
    """Let the database go away at the first statement that says this."""

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if when in f"{sql} {params}":
            raise OperationalError("the database went away")
        return run(sql, params, many, context)

    with connections[HERE].execute_wrapper(execute):
        yield


def report_of(do: Callable[[], Any]) -> str:
    """Return what Django would mail about the error that this raises."""
    try:
        do()
    except BaseException:
        reporter = ExceptionReporter(None, *sys.exc_info())
        return reporter.get_traceback_text() + reporter.get_traceback_html()
    raise AssertionError("no error")


def vault_placed_away(place: Any) -> tuple[Vault, Run]:
    place("shop.Vault", unlock="embedded")
    vault = Vault.start(owner="Ada", code=CODE)
    return vault, Run.objects.get(step="unlock")


def fail(workflow: Any) -> None:
    raise ZeroDivisionError("jammed")


def interrupt(workflow: Any) -> None:
    raise KeyboardInterrupt


async def start_async() -> None:
    await Vault.astart(owner="Ada", code=CODE)


async def start_async_with_options() -> None:
    await Vault.using(key="form").astart(owner="Ada", code=CODE)


@pytest.mark.parametrize(
    "start",
    [
        lambda: Vault.start(owner="Ada", code=CODE),
        lambda: Vault.using(key="form").start(owner="Ada", code=CODE),
        async_to_sync(start_async),
        async_to_sync(start_async_with_options),
    ],
    ids=["start", "using", "astart", "using async"],
)
def test_a_start_that_the_database_fails_shows_no_secret(start: Callable[[], Any]) -> None:
    with database_away(when="StepCalled"):
        report = report_of(start)

    assert "the database went away" in report
    assert CODE not in report


def test_an_awaited_call_that_the_database_fails_shows_no_secret() -> None:
    door = Door.start()
    drain()
    door.knock(times=1)

    async def call() -> None:
        await door.unlock.acall(code=CODE)

    with database_away(when="StepCalled"):
        report = report_of(async_to_sync(call))

    assert "the database went away" in report
    assert CODE not in report


def test_a_call_that_is_interrupted_shows_no_secret() -> None:
    door = Door.start()
    drain()
    door.knock(times=1)
    plan["unlock"] = interrupt

    report = report_of(lambda: Door.get(door.pk).unlock(code=CODE))

    assert "KeyboardInterrupt" in report
    assert CODE not in report


def test_a_worker_that_cannot_record_a_failure_shows_no_secret(place: Any) -> None:
    vault, run = vault_placed_away(place)
    plan["unlock"] = fail

    with database_away(when="AttemptFailed"):
        report = report_of(lambda: answer(vault.pk.hex, "unlock", "", run.fence, HERE, "embedded"))

    assert "the database went away" in report
    assert CODE not in report
