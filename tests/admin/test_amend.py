"""Amend, and the fields of a skip, from the admin: typed as JSON or text; only what was changed is sent."""

from datetime import date
from typing import Annotated

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.admin.forms import FieldsForm
from django_timelines.fields import Field, RenamedFrom
from django_timelines.testing import drain

from .conftest import a_parcel, at_home, confirm, page_of, somebody_is_first, text_of, types, verb_of
from .workflows import Gift, Parcel

pytestmark = pytest.mark.django_db(transaction=True)


def filled_in(client: Client, url: str, **typed: str) -> dict[str, str]:
    """Return what a browser would send: the inputs as the page has them, but for what the person types."""
    form = client.get(url).context["form"]
    asked = {"fence": str(form["fence"].value())}
    for input in form.inputs:
        asked[input.bound.html_name] = asked[input.bound.html_initial_name] = input.bound.value().replace("\n", "\r\n")
    reason = typed.pop("reason", "mistyped")
    return asked | {"reason": reason} | {f"field-{name}": text for name, text in typed.items()}


def test_each_field_has_an_input_with_its_present_value(root: Client) -> None:
    parcel = a_parcel(name="17")
    form = root.get(verb_of("amend", parcel)).context["form"]

    values = {input.title: (input.bound.value(), input.type) for input in form.inputs}

    assert values == {
        "name": ("17", "str"),
        "customer": ("", "user, by primary key"),
        "promised": ("2027-01-31", "date"),
        "label": ("17, 500 g", "str"),
        "weight": ("500", "int"),
        "trouble": ('""', "str"),
    }


def test_only_what_was_changed_is_sent_and_says_who_and_why(staff) -> None:
    parcel, client = a_parcel(), staff("view", "amend")
    url = verb_of("amend", parcel)

    message = confirm(client, url, **filled_in(client, url, weight="750", promised="2027-02-28"))

    assert message == "Corrected: promised, weight."
    amended = parcel.timeline.events.get(type="Amended")
    assert amended.data == {
        "reason": "mistyped",
        "changes": {"promised": "2027-02-28", "weight": 750},
        "through": "admin",
    }
    assert amended.actor_label == "ada"
    assert (Parcel.get(parcel.pk).weight, Parcel.get(parcel.pk).promised) == (750, date(2027, 2, 28))


@pytest.mark.parametrize("text", ["17", "null", "true", "two\r\nlines", "[1]", "{", "é🦒"])
def test_a_text_field_takes_any_text_and_shows_it_again(root: Client, text: str) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)

    confirm(root, url, **filled_in(root, url, label=text))

    plain = text.replace("\r\n", "\n")
    assert Parcel.get(parcel.pk).label == plain
    shown = {input.title: input.bound.value() for input in root.get(url).context["form"].inputs}
    assert shown["label"] == plain
    assert confirm(root, url, **filled_in(root, url)) == ""  # nothing was changed, so nothing is sent
    assert parcel.timeline.events.filter(type="Amended").count() == 1


def test_a_reference_is_typed_by_its_key(root: Client) -> None:
    lena, max = User.objects.create_user("lena"), User.objects.create_user("max")
    gift = Gift.start(receiver=lena)
    url = verb_of("amend", gift)

    confirm(root, url, **filled_in(root, url, receiver=str(max.pk)))

    assert Gift.get(gift.pk).receiver == max
    head = Gift.get(gift.pk).timeline.head
    for nobody in ("0", "nobody", "[1]", "", '{"a": 1}', "9" * 400):
        assert root.post(url, filled_in(root, url, receiver=nobody)).status_code == 200
    assert types(gift, head) == []


@pytest.mark.parametrize(
    "text",
    ["many", "", "1.5", "[", "[" * 100_000, "9" * 5000, '"\\ud800"', "\x00", "NaN", "1e999", "{}", "<b>"],
)
def test_a_value_that_does_not_fit_is_said_at_its_field_and_nothing_is_lost(root: Client, text: str) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)

    response = root.post(url, filled_in(root, url, weight=text, label="mended", reason="both were wrong"))

    form = response.context["form"]
    assert form.errors["field-weight"]
    assert (form["field-weight"].value(), form["field-label"].value()) == (text, "mended")
    assert form["reason"].value() == "both were wrong"
    assert types(parcel, parcel.timeline.head) == []


@pytest.mark.parametrize("text", ["[" * 500 + "]" * 500, '"\\ud800"', "x" * 9_000])
def test_a_hostile_text_harms_nothing(root: Client, text: str) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)

    assert root.post(url, filled_in(root, url, label=text), follow=True).status_code == 200
    assert text_of(root, page_of(parcel))
    assert text_of(root, url)


def test_a_field_that_was_changed_meanwhile_is_asked_again(root: Client) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)
    asked = filled_in(root, url, weight="750")
    parcel.timeline.amend(reason="somebody else was first", weight=600, label="new")
    head = Parcel.get(parcel.pk).timeline.head

    response = root.post(url, asked)

    text, form = response.content.decode(), response.context["form"]
    assert form.errors["field-weight"] == ["It was changed since you saw it."]
    assert "It is now: <span" in text
    assert form["field-weight"].value() == "750"
    assert form["field-label"].value() == "new"  # what the person left alone shows what it is now
    assert types(parcel, head) == []
    again = {name: form[name].value() for name in form.fields}
    again |= {f"initial-{name}": form.data[f"initial-{name}"] for name in form.fields if name.startswith("field-")}
    assert confirm(root, url, **again) == "Corrected: weight."


def test_a_field_that_is_changed_in_the_last_moment_is_asked_again(root: Client) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)
    asked = filled_in(root, url, weight="750")

    with somebody_is_first(lambda: Parcel.get(parcel.pk).timeline.amend(reason="I was first", weight=600)):
        response = root.post(url, asked)

    assert response.context["form"].errors["field-weight"] == ["It was changed since you saw it."]
    assert Parcel.get(parcel.pk).weight == 600


def test_a_timeline_that_moved_on_elsewhere_is_amended_all_the_same(root: Client) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)
    asked = filled_in(root, url, weight="750")
    parcel.timeline.pause(reason="a moment")

    assert confirm(root, url, **asked) == "Corrected: weight."


def test_nothing_changed_is_said(root: Client) -> None:
    parcel = a_parcel()
    url = verb_of("amend", parcel)

    for asked in (filled_in(root, url), {"reason": "x", "field-nonsense": "1"}, {"reason": "x", "weight": "1"}):
        assert "Change one field at least." in root.post(url, asked).content.decode()
    assert "This field is required." in root.post(url, filled_in(root, url, weight="1", reason="")).content.decode()
    assert types(parcel, parcel.timeline.head) == []


def test_a_field_that_has_another_name_now_shows_what_is_stored_under_the_old_one() -> None:
    field = Field("days", Annotated[int, RenamedFrom("nights")])

    form = FieldsForm(None, {"days": field}, {"nights": 3}, must=True)

    assert [(input.title, input.bound.value()) for input in form.inputs] == [("days", "3")]


def test_a_long_value_is_left_to_the_code(root: Client) -> None:
    gift = Gift.start(receiver=User.objects.get(username="grace"), card="x" * 20_000)

    text = text_of(root, verb_of("amend", gift))

    assert "Too long to be changed here: card" in text
    assert len(text) < 60_000


def test_what_has_ended_or_is_gone_from_the_code_cannot_be_amended(root: Client, forgotten) -> None:
    trip = at_home()
    trip.come_home()

    for timeline in (trip, forgotten):
        assert root.get(verb_of("amend", timeline)).status_code == 302
        assert "/amend/" not in text_of(root, page_of(timeline))


def test_a_skip_sets_the_fields_that_the_step_would_have_set(root: Client, blocked: Parcel) -> None:
    url = verb_of("skip", blocked, "weigh")

    message = confirm(root, url, **filled_in(root, url, weight="1200", reason="weighed by hand"))
    drain()

    assert message == "“Weigh” is skipped."
    skipped = blocked.timeline.events.get(type="StepSkipped")
    assert skipped.data == {"reason": "weighed by hand", "changes": {"weight": 1200}, "through": "admin"}
    assert Parcel.get(blocked.pk).label == "books, 1200 g"


def test_a_skip_with_a_value_that_does_not_fit_is_asked_again(root: Client, blocked: Parcel) -> None:
    url = verb_of("skip", blocked, "weigh")

    response = root.post(url, filled_in(root, url, weight="heavy"))

    assert response.context["form"].errors["field-weight"]
    assert "<details open>" in response.content.decode()
    assert types(blocked, blocked.timeline.head) == []
