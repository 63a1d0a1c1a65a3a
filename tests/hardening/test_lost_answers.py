"""The connection goes away just as a transaction was committed: it is there, and nobody was told."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connections

from django_timelines.engine.answer import answer
from django_timelines.models import Event, Run, Timeline
from django_timelines.testing import assert_holds, drain
from django_timelines.testing.patching import wrapped
from tests.shop.here import HERE
from tests.shop.workflows import Order, Paid, plan, ran

from .broken import break_connection
from .workflows import Mail

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@contextmanager
def answer_lost(after: str) -> Iterator[list[str]]:
    """Let the first commit that has written this event be the connection's last, and say that the server went away."""
    connection, seen, lost = connections[HERE], list[str](), list[str]()

    def lose() -> None:
        lost.append(after)
        break_connection(HERE)
        raise OperationalError("server closed the connection unexpectedly")

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = run(sql, params, many, context)
        if "django_timelines_event" in sql and after in repr(params):
            seen.append(after)
            if not connection.in_atomic_block and not lost:  # one statement that is its own transaction
                lose()
        return result

    def commit(original: Any) -> None:
        original()
        if seen and not lost:
            lose()

    with (
        wrapped(connection, "_commit", lambda original: partial(commit, original)),
        connection.execute_wrapper(execute),
    ):
        yield lost
    assert lost, f"Nothing was committed with {after!r}."


@pytest.mark.parametrize("key", ["", "a key"])
def test_a_start_answers_with_the_timeline_that_it_began(key: str) -> None:
    with answer_lost("place"):
        order = Order.using(key=key).start(customer="Ada")

    assert order.place.status == "completed"
    assert Timeline.objects.get().pk == order.pk
    drain()
    assert (Order.get(order.pk).pay.status, ran["place"]) == ("waiting", 1)
    assert_holds(order)


def test_a_call_has_one_effect_and_its_outcome() -> None:
    order = Order.start(customer="Ada")
    drain()

    with answer_lost("pay"):
        assert Order.get(order.pk).pay(amount=5) == "completed"

    assert ran["pay"] == 1
    drain()
    assert_holds(order)


@pytest.mark.parametrize("facts", [[], [Paid(amount=5)]])
def test_an_outside_effect_that_was_recorded_is_not_said_to_be_overtaken(facts: list[Paid]) -> None:
    plan["post"] = lambda mail: [mail.record(fact) for fact in facts]
    mail = Mail.start(text="Dear Ada")
    answered(mail, "stamp")

    with answer_lost("StepCompleted"):
        answered(mail, "post")

    assert Mail.get(mail.pk).post.status == "completed"
    assert not Event.objects.filter(timeline=mail.pk, type="AttemptInterrupted").exists()
    assert_holds(mail)


def answered(workflow: Any, step: str) -> None:
    run = Run.objects.get(timeline=workflow.pk, step=step)
    answer(workflow.pk.hex, step, "", run.fence, HERE, "rq:default")


def test_an_outside_effect_is_recorded_though_the_server_ended_the_connection_meanwhile() -> None:
    connection = connections[HERE]
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server that could end a connection")
    mail = Mail.start(text="Dear Ada")

    def end(workflow: Any) -> None:
        ids = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
        ends = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}
        with connection.cursor() as cursor:
            cursor.execute(ids[connection.vendor])
            (id,) = cursor.fetchone()
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute(ends[connection.vendor], [id])
        finally:
            other.close()

    plan["post"] = end
    drain()

    assert (Mail.get(mail.pk).post.status, ran["post"]) == ("completed", 1)
    assert not Event.objects.filter(timeline=mail.pk, type="AttemptInterrupted").exists()
