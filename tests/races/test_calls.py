"""Clause 5: many calls at the same moment, on as many connections. The database decides who is first; the others agree."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from subprocess import PIPE
from typing import Any

import django_rq
import pytest
from django.conf import settings
from django.db import connections, transaction
from rq import SimpleWorker

from django_timelines.exceptions import NotUnique, Refused
from django_timelines.models import Event, UniqueValue
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import PermanentFailure
from tests.limits.workflows import Rename, Signup
from tests.races.at_once import at_once
from tests.races.workflows import Till
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import plan

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

FIFTY = 50


def effects(step: str) -> int:
    return Entry.objects.filter(text=step).count()


def raising(error: Exception) -> Callable[[object], None]:
    def body(workflow: object) -> None:
        raise error

    return body


def events(till: Till, step: str, type: str) -> int:
    return Event.objects.filter(timeline=till.pk, step=step, type=type).count()


def test_fifty_calls_with_one_input_have_one_effect_and_one_answer() -> None:
    till = Till.start(owner="Ada")

    answers = at_once(*[lambda: str(Till.get(till.pk).pay(amount=5))] * FIFTY)

    assert answers == ["completed"] * FIFTY
    assert (effects("pay"), events(till, "pay", "StepCalled"), Till.get(till.pk).total) == (1, 1, 5)


def test_calls_from_processes_have_one_effect_and_one_answer() -> None:
    till = Till.start(owner="Ada")
    command = [sys.executable, "-m", "tests.races.caller", HERE, str(connections[HERE].settings_dict["NAME"])]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
    processes = [
        subprocess.Popen([*command, str(till.pk)], env=environment, text=True, stdin=PIPE, stdout=PIPE)
        for _ in range(4)
    ]

    ready = [process.stdout and process.stdout.readline() for process in processes]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=50)[0] for process in processes]

    assert ready == ["ready\n"] * 4
    assert answers == ["completed\n"] * 4
    assert (effects("pay"), Till.get(till.pk).total) == (1, 5)


@pytest.mark.parametrize("step", ["mail", "stamp"])
def test_fifty_calls_of_an_outside_effect_start_it_once(step: str) -> None:
    till = Till.start(owner="Ada")

    def call() -> tuple[str, str]:
        bound = getattr(Till.get(till.pk), step)
        return str(bound(amount=5)), str(bound.wait(timeout=100))

    answers = at_once(*[call] * FIFTY)

    assert {waited for _, waited in answers} == {"completed"}
    assert {called for called, _ in answers} <= {"due", "completed"}  # who came while it was under way was told so
    assert (effects(step), events(till, step, "AttemptStarted")) == (1, 1)


@pytest.mark.parametrize(("step", "there"), [("pay", 0), ("mail", 1), ("stamp", 1)])
def test_fifty_calls_of_a_step_that_fails_try_it_once(step: str, there: int) -> None:
    plan[step] = raising(PermanentFailure("The line went dead: was it done?"))
    till = Till.start(owner="Ada")
    callers = [getattr(Till.get(till.pk), step) for _ in range(FIFTY)]  # none of them knows that it is blocked

    with recorded_errors():
        answers = at_once(*[lambda bound=bound: str(bound(amount=5)) for bound in callers])

    assert "blocked" in answers
    assert {*answers} <= {"due", "blocked"}
    assert (effects(step), events(till, step, "AttemptFailed")) == (there, 1)


@pytest.mark.redis
def test_fifty_calls_of_a_step_that_a_worker_runs_ring_one_bell(place: Callable[..., None]) -> None:
    queue = django_rq.get_queue("default")
    queue.empty()
    place(Till._declaration.label, pay="rq:default")
    till = Till.start(owner="Ada")

    answers = at_once(*[lambda: str(Till.get(till.pk).pay(amount=5))] * FIFTY)
    jobs = len(queue.job_ids)
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")

    assert answers == ["due"] * FIFTY
    assert (jobs, effects("pay"), Till.get(till.pk).pay.status) == (1, 1, "completed")


def test_fifty_calls_with_one_key_have_one_effect_and_one_answer() -> None:
    till = Till.start(owner="Ada")

    answers = at_once(*[lambda: str(Till.get(till.pk).pay.using(key="evt_17")(amount=5))] * FIFTY)

    assert answers == ["completed"] * FIFTY
    assert (effects("pay"), events(till, "pay", "StepCalled")) == (1, 1)


def test_of_fifty_calls_with_different_input_one_is_taken() -> None:
    till = Till.start(owner="Ada")

    answers = at_once(*[lambda amount=amount: Till.get(till.pk).pay(amount=amount) for amount in range(FIFTY)])

    taken = [amount for amount, answer in enumerate(answers) if answer == "completed"]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert (len(taken), len(refused)) == (1, FIFTY - 1)
    assert {error.reason for error in refused} == {"settled"}
    assert (effects("pay"), Till.get(till.pk).total) == (1, taken[0])


def test_of_fifty_calls_of_an_outside_effect_with_different_input_one_is_taken() -> None:
    till = Till.start(owner="Ada")

    answers = at_once(*[lambda amount=amount: Till.get(till.pk).mail(amount=amount) for amount in range(FIFTY)])

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert Counter(str(answer) for answer in answers if not isinstance(answer, Refused)) == {"completed": 1}
    assert {error.reason for error in refused} <= {"taken", "settled"}
    assert effects("mail") == 1


def test_of_fifty_calls_that_use_one_key_for_different_input_one_is_taken() -> None:
    till = Till.start(owner="Ada")

    answers = at_once(
        *[lambda amount=amount: Till.get(till.pk).pay.using(key="evt_17")(amount=amount) for amount in range(FIFTY)]
    )

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert Counter(str(answer) for answer in answers if not isinstance(answer, Refused)) == {"completed": 1}
    assert {error.reason for error in refused} == {"key_reused"}
    assert effects("pay") == 1


def test_fifty_starts_with_one_key_are_one_timeline() -> None:
    found = at_once(*[lambda: Till.using(key="form-token").start(owner="Ada").pk] * FIFTY)

    assert (len(found), len(set(found))) == (FIFTY, 1)
    assert (Till.timelines.count(), effects("open")) == (1, 1)


def test_of_fifty_starts_with_one_unique_value_one_is_taken_and_the_others_are_refused_alike() -> None:
    found = at_once(*[lambda: Signup.start(email="ada@example.org").pk] * FIFTY)

    refused = [answer for answer in found if isinstance(answer, NotUnique)]
    (begun,) = [answer for answer in found if not isinstance(answer, NotUnique)]
    assert [(error.reason, error.timeline) for error in refused] == [("not_unique", begun)] * (FIFTY - 1)
    assert (Signup.timelines.count(), UniqueValue.objects.count(), effects("register")) == (1, 1, 1)


FEW = 6  # in transactions, of which each waits for the one before


def in_transaction(deed: Callable[[], Any]) -> Callable[[], Any]:
    def do() -> Any:
        with transaction.atomic(using=HERE):
            Entry.objects.create(text="caller")
            return deed()

    return do


def test_starts_with_one_key_in_transactions_of_their_callers_are_one_timeline() -> None:
    found = at_once(*[in_transaction(lambda: Till.using(key="form-token").start(owner="Ada").pk)] * FEW)

    assert found == [Till.timelines.get().pk] * FEW
    assert (effects("open"), effects("caller")) == (1, FEW)


def test_of_starts_with_one_unique_value_in_transactions_of_their_callers_one_is_taken() -> None:
    found = at_once(*[in_transaction(lambda: Signup.start(email="ada@example.org").pk)] * FEW)

    refused = [answer for answer in found if isinstance(answer, NotUnique)]
    assert [error.timeline for error in refused] == [Signup.timelines.get().pk] * (FEW - 1)
    assert (UniqueValue.objects.count(), effects("register")) == (1, 1)


def test_of_many_who_change_to_one_unique_value_one_gets_it() -> None:
    renames = [Rename.start(wanted=f"{number}") for number in range(10)]
    drain()

    answers = at_once(*[lambda one=one: str(Rename.get(one.pk).change(name="Ada")) for one in renames])

    assert Counter(str(getattr(answer, "reason", answer)) for answer in answers) == {"completed": 1, "not_unique": 9}
    assert [Rename.get(one.pk).name for one in renames].count("Ada") == 1
    assert UniqueValue.objects.count() == 10


def test_two_who_trade_their_unique_values_end_somehow_and_no_value_is_held_twice() -> None:
    ada, bea = Rename.start(wanted="Ada"), Rename.start(wanted="Bea")
    drain()

    answers = at_once(
        lambda: str(Rename.get(ada.pk).change(name="Bea")), lambda: str(Rename.get(bea.pk).change(name="Ada"))
    )

    assert {str(getattr(answer, "reason", answer)) for answer in answers} <= {"completed", "not_unique"}
    assert UniqueValue.objects.count() == 2


def test_calls_of_different_steps_of_one_timeline_all_have_their_effect() -> None:
    tills = [Till.start(owner="Ada") for _ in range(3)]
    steps = ("pay", "mail", "stamp")

    answers = at_once(*[lambda t=till, s=step: str(getattr(t, s)(amount=1)) for till in tills for step in steps])
    drain()

    assert answers == ["completed"] * 9
    assert [effects(step) for step in ("open", *steps, "count", "tell")] == [3] * 6
