"""Rows as the values of fields, and what is about them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.utils.functional import SimpleLazyObject

from django_timelines.models import Event
from django_timelines.testing import drain, recorded_errors
from tests.shop.models import Entry, Marked, Numbered, Tagged, Unique
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")
PARCEL = """
    from tests.shop.models import Entry, Marked, Unique
    class Parcel(Workflow):
        label: Entry | None = None
        marked: Marked | None = None
        unique: Unique | None = None
        others: list[Entry] = []

        @step
        def take(
            self, label: Entry | None = None, marked: Marked | None = None, unique: Unique | None = None,
            others: list[Entry] | None = None,
        ):
            self.label, self.marked, self.unique, self.others = label, marked, unique, others or []
"""


def lazily(row: Any) -> Any:
    """Return the row as ``request.user`` is one."""
    return SimpleLazyObject(lambda: row)


def as_marked(entry: Entry) -> Marked:
    return Marked.objects.get(pk=entry.pk)


def deferred(entry: Entry) -> Entry:
    return Entry.objects.only("pk").get(pk=entry.pk)


@pytest.mark.parametrize("seen", [lazily, as_marked, deferred])
def test_what_is_about_a_row_is_found_whatever_the_row_is_wrapped_in(deploy: Any, seen: Any) -> None:
    parcel, entry = deploy(PARCEL), Entry.objects.create(text="fragile")
    about = [parcel.start(label=entry), parcel.start(marked=as_marked(entry)), parcel.start(others=[entry])]
    parcel.start(label=Entry.objects.create(text="heavy"))

    assert {one.pk for one in parcel.timelines.about(seen(entry))} == {one.pk for one in about}


@pytest.mark.parametrize("given", [lazily, as_marked, deferred])
def test_a_row_is_taken_whatever_it_is_wrapped_in(deploy: Any, given: Any) -> None:
    parcel, entry = deploy(PARCEL), Entry.objects.create(text="fragile")

    taken = parcel.get(parcel.start(label=given(entry), others=[given(entry)]).pk)

    assert (taken.label, taken.others) == (entry, [entry])
    assert type(taken.label) is Entry


def test_a_row_that_inherits_is_stored_and_found_by_the_key_of_the_model_that_is_declared(deploy: Any) -> None:
    Unique.objects.create(text="before")
    parcel, numbered = deploy(PARCEL), Numbered.objects.create(text="fragile")
    assert numbered.pk != numbered.unique.pk

    taken = parcel.start(unique=numbered)

    assert parcel.get(taken.pk).unique == numbered.unique
    assert [one.pk for one in parcel.timelines.about(numbered)] == [taken.pk]
    assert [one.pk for one in parcel.timelines.about(numbered.unique)] == [taken.pk]


def test_a_row_of_another_model_is_named_in_the_refusal(deploy: Any) -> None:
    parcel = deploy(PARCEL)

    with pytest.raises(Exception, match="a Entry is wanted, not a Unique"):
        parcel.start(label=lazily(Unique.objects.create(text="fragile")))


def test_nothing_can_be_about_what_is_no_row_or_has_no_key(deploy: Any) -> None:
    parcel = deploy(PARCEL)

    for nobody in (AnonymousUser(), lazily(AnonymousUser()), None, 7):
        with pytest.raises(TypeError, match="give a row of a model"):
            parcel.timelines.about(nobody)
    with pytest.raises(ValueError, match="it has no primary key"):
        parcel.timelines.about(Entry(text="never saved"))


def test_what_is_about_whoever_asks_for_a_page_is_found(deploy: Any, client: Any) -> None:
    parcel = deploy("""
        from django.contrib.auth import get_user_model
        User = get_user_model()
        class Parcel(Workflow):
            sender: User

            @step
            def take(self, sender: User):
                self.sender = sender
    """)
    ada = get_user_model().objects.create_user("ada")
    sent = parcel.start(sender=ada)
    client.force_login(ada)

    request = client.get("/timelines/").wsgi_request

    assert type(request.user) is SimpleLazyObject
    assert [one.pk for one in parcel.timelines.about(request.user)] == [sent.pk]


def tagged(model: type[Any]) -> str:
    return f"""
        from tests.shop.models import {model.__name__}
        class Parcel(Workflow):
            tag: {model.__name__} | None = None

            @step
            def take(self, tag: {model.__name__} | None = None):
                self.tag = tag

            @step(after=take)
            def tie(self):
                self.tag = {model.__name__}(text="fragile")
                plan["then"](self.tag)

            @step(after=tie)
            def use(self):
                ran[self.tag.text] += 1
    """


@pytest.mark.parametrize("model", [Tagged, Entry])
def test_a_body_cannot_leave_a_row_in_a_field_that_it_never_saved(deploy: Any, model: type[Any]) -> None:
    parcel = deploy(tagged(model)).start()
    plan["then"] = lambda tag: None

    with recorded_errors():
        drain()

    failed = Event.objects.get(timeline=parcel.pk, type="AttemptFailed")
    assert failed.step == "tie"
    assert f"this {model.__name__} is not in the database: save it first" in failed.data["error"]["message"]


@pytest.mark.parametrize("model", [Tagged, Entry])
def test_a_body_may_save_a_row_after_it_has_set_the_field(deploy: Any, model: type[Any]) -> None:
    deploy(tagged(model)).start()
    plan["then"] = lambda tag: tag.save()

    drain()

    assert ran == {"fragile": 1}


def test_a_row_that_was_never_saved_cannot_be_given_to_a_step(deploy: Any) -> None:
    parcel = deploy(tagged(Tagged))

    with pytest.raises(ValidationError, match="this Tagged is not in the database: save it first"):
        parcel.start(tag=Tagged(text="never saved"))


def test_a_step_cannot_be_given_to_a_user_who_was_never_saved(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def take(self): ...

            @step(after=take, manual=True, assigned=lambda parcel: plan["who"])
            def sign(self): ...
    """)
    plan["who"] = get_user_model()(username="ada")
    parcel.start()

    with recorded_errors():
        drain()

    message = Event.objects.get(type="AttemptFailed").data["error"]["message"]
    assert message.endswith("Return a saved user, or None for nobody.")
