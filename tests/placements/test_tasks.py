"""``tasks:<backend>``: bells go through Django's tasks, to a backend with workers or to one that runs them at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django_tasks_db.models import DBTaskResult

from django_timelines import conf
from django_timelines.engine import clock
from django_timelines.models import Event
from django_timelines.testing import deliver_twice, travel
from tests.shop.here import HERE
from tests.shop.workflows import Order, plan, ran

from . import tasks_worker

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_task_is_enqueued_after_the_commit_and_not_after_a_rollback(place: Callable[..., None]) -> None:
    place(background="tasks:table")

    with transaction.atomic(using=HERE):
        Order.start(customer="Ada")
        assert not DBTaskResult.objects.exists()
    assert DBTaskResult.objects.count() == 1

    with transaction.atomic(using=HERE):
        Order.start(customer="Grace")
        transaction.set_rollback(True, using=HERE)
    assert DBTaskResult.objects.count() == 1


def test_one_task_goes_on_with_the_next_due_steps_and_events_say_where(place: Callable[..., None]) -> None:
    place(background="tasks:table")
    order = Order.start(customer="Ada")

    tasks_worker.work()

    assert Order.get(order.pk).pay.status == "waiting"
    assert [task.status for task in DBTaskResult.objects.all()] == ["SUCCESSFUL"]
    completed = Event.objects.filter(type="StepCompleted").order_by("sequence")
    assert list(completed.values_list("step", "placement")) == [
        ("place", "inline"),
        ("pack", "tasks:table"),
        ("announce", "tasks:table"),
    ]


def test_a_second_task_for_the_same_attempt_does_nothing(place: Callable[..., None]) -> None:
    place(background="tasks:table")
    with deliver_twice():
        Order.start(customer="Ada")
    assert DBTaskResult.objects.count() == 2

    tasks_worker.work()

    assert (ran["pack"], ran["announce"]) == (1, 1)


def test_a_body_that_fails_is_its_policys_business_and_no_failed_task(place: Callable[..., None]) -> None:
    place(background="tasks:table")

    def fail(order: Any) -> None:
        raise OSError("The printer is out of paper.")

    plan["pack"] = fail
    order = Order.start(customer="Ada")
    tasks_worker.work()
    assert [task.status for task in DBTaskResult.objects.all()] == ["SUCCESSFUL"]
    assert Order.get(order.pk).pack.status == "retrying"

    del plan["pack"]
    with travel(timedelta(seconds=3)):
        clock.tick(HERE)
        tasks_worker.work()

    assert Order.get(order.pk).pay.status == "waiting"


def test_a_backend_that_runs_at_once_does_so_after_the_commit(place: Callable[..., None]) -> None:
    place(background="tasks:default")

    with transaction.atomic(using=HERE):
        order = Order.start(customer="Ada")
        assert ran["pack"] == 0

    assert Order.get(order.pk).pay.status == "waiting"
    assert (ran["pack"], ran["announce"]) == (1, 1)


def test_what_a_backend_runs_at_once_never_nests(place: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "QUICK", -1)  # each step gives the job back: a bell for each
    place(background="tasks:default")
    depths = []

    def look(order: Any) -> None:
        depths.append(sum(frame.function == "answer" for frame in inspect.stack(0)))

    plan["pack"] = plan["announce"] = look
    order = Order.start(customer="Ada")

    assert Order.get(order.pk).pay.status == "waiting"
    assert depths == [1, 1]


def test_a_backend_that_cannot_enqueue_fails_no_call(place: Callable[..., None]) -> None:
    place(background="tasks:nowhere")

    order = Order.start(customer="Ada")

    assert order.pack.status == "due"
