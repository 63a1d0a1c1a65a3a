"""Clause 15: secrets are stored encrypted, only while an attempt may need them, and shown nowhere."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers

from django_timelines.models import Event, Lease, Run, SealedInput, Timeline
from django_timelines.testing import drain, recorded_errors, travel
from tests.shop.workflows import Vault, plan, seen

pytestmark = pytest.mark.django_db(databases="__all__")
CODE = "correct horse battery staple"


def everything_stored() -> str:
    rows: list[Any] = []
    for model in (Timeline, Run, Lease, SealedInput):
        rows += serializers.serialize("python", model.objects.all())
    rows += list(Event.objects.values())
    return json.dumps(rows, default=str)


def fail_with_the_secret(workflow: Any) -> None:
    raise ValueError(f"wrong code {seen[-1]}")


def test_a_secret_that_is_used_at_once_is_never_stored() -> None:
    Vault.start(owner="Ada", code=CODE)

    assert seen == [CODE]
    assert SealedInput.objects.count() == 0
    assert CODE not in everything_stored()


def test_a_secret_waits_encrypted_for_its_attempt_and_is_gone_after_it(place: Any) -> None:
    place("shop.Vault", unlock="embedded")
    Vault.start(owner="Ada", code=CODE)
    assert SealedInput.objects.count() == 1
    assert CODE not in everything_stored()
    assert CODE.encode() not in bytes(SealedInput.objects.get().sealed)

    drain()

    assert seen == [CODE]
    assert SealedInput.objects.count() == 0


def test_a_retry_gets_the_secret_and_its_error_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    plan["unlock"] = fail_with_the_secret
    with recorded_errors(), caplog.at_level(logging.DEBUG):
        vault = Vault.start(owner="Ada", code=CODE)
    assert SealedInput.objects.count() == 1
    assert CODE not in everything_stored()
    assert CODE not in caplog.text

    del plan["unlock"]
    with travel(timedelta(seconds=11)):
        drain()

    assert seen == [CODE, CODE]
    assert (Vault.get(vault.pk).close.status, SealedInput.objects.count()) == ("completed", 0)


def test_a_skipped_step_forgets_its_secret() -> None:
    plan["unlock"] = fail_with_the_secret
    with recorded_errors():
        vault = Vault.start(owner="Ada", code=CODE)

    vault.unlock.skip(reason="opened by hand")

    assert SealedInput.objects.count() == 0


def test_the_secret_of_a_call_that_was_kept_for_no_item_of_an_empty_list_is_gone_at_the_end(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            people: list[str] = []

            @step
            def post(self): ...

            @step(after=post, manual=True)
            def hold(self): ...

            @step(after=hold, each="people", early="keep")
            def sign(self, person: str, code: Secret[str]): ...

            @step(after=sign, manual=True)
            def thank(self): ...
    """).start()
    drain()
    parcel.sign["Zoe"](code=CODE)
    parcel.hold()
    assert SealedInput.objects.count() == 1

    type(parcel).get(parcel.pk).thank()

    assert (type(parcel).get(parcel.pk).timeline.status, SealedInput.objects.count()) == ("completed", 0)


def test_a_new_call_of_a_blocked_step_forgets_the_secret_of_the_one_before(place: Any) -> None:
    place("shop.Vault", unlock="embedded")
    plan["unlock"] = fail_with_the_secret
    with recorded_errors():
        vault = Vault.start(owner="Ada", code=CODE)
        drain()
        with travel(timedelta(seconds=11)):
            drain()
    assert Vault.get(vault.pk).unlock.status == "blocked"

    Vault.get(vault.pk).unlock(owner="Bea", code="another")
    assert SealedInput.objects.count() == 1
    del plan["unlock"]
    drain()

    assert (Vault.get(vault.pk).timeline.status, SealedInput.objects.count()) == ("completed", 0)


def test_a_secret_that_does_not_fit_is_not_repeated_to_the_caller() -> None:
    from django_timelines.exceptions import Rejected

    with pytest.raises(Rejected) as rejected:
        Vault.start(owner="Ada", code=["not", CODE])

    assert CODE not in str(rejected.value)
