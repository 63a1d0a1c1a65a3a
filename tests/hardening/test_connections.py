"""A worker outlives a restart of the database, and a connection that is out of step."""

from typing import Any

import pytest
from django.db import Error, connections
from pymysql.constants import COMMAND

from django_timelines.engine import leaks
from django_timelines.engine.execute import answer
from django_timelines.models import Run
from tests.shop.here import HERE
from tests.shop.workflows import Order

from .broken import break_connection

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_worker_whose_connection_broke_answers_the_next_bell():
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    order = Order.start(customer="ann")
    run = Run.objects.get(timeline=order.pk)
    bell = {"timeline": order.pk.hex, "step": "pack", "item": "", "fence": run.fence, "using": HERE}
    break_connection(HERE)

    with pytest.raises(Error):
        answer(**bell, placement="rq:default")
    answer(**bell, placement="rq:default")

    assert Order.get(order.pk).pack.status == "completed"


def test_a_connection_that_was_interrupted_before_it_read_its_answer_is_not_asked_again() -> None:
    connection = connections[HERE]
    if connection.vendor != "mysql":
        pytest.skip("only MySQL's driver in Python can be interrupted between a question and its answer")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    raw: Any = connection.connection
    raw._execute_command(COMMAND.COM_QUERY, "SELECT 7")  # nobody reads the answer

    assert leaks.mend()

    with connection.cursor() as cursor:
        cursor.execute("SELECT 8")
        assert cursor.fetchone() == (8,)
    assert not leaks.mend()
