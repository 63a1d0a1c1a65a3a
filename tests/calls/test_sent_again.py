"""A form that is sent again and is not valid any more, by what its first sending did: the answer is the first one's."""

import re
from html import unescape
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import path

from django_timelines.forms import form_for
from django_timelines.views import StartView, StepView
from django_timelines.workflows import Workflow, step
from tests.shop.models import Entry, Unique

from . import urls

pytestmark = pytest.mark.django_db


class Guest(Workflow):
    """Somebody signs up by a name, takes a seat, and fetches their coat."""

    seat: int = 0

    @step
    def sign_up(self, text: str, table: int = 1) -> None:
        Unique.objects.create(text=text)

    @step(after=sign_up)
    def sit_down(self, seat: int, note: str = "") -> None:
        self.seat = seat

    @step(after=sit_down)
    def fetch(self, coat: Entry) -> None:
        coat.delete()

    @step(after=fetch)
    def leave(self, word: str) -> None:
        Unique.objects.create(text=word)


@form_for(Guest.sign_up)
class SignUpForm(forms.ModelForm):
    """A name that nobody has."""

    table = forms.IntegerField(required=False)

    class Meta:
        model = Unique
        fields = ("text",)


@form_for(Guest.sit_down)
class SeatForm(forms.Form):
    """A seat that is free."""

    seat = forms.TypedChoiceField(coerce=int)
    note = forms.CharField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = [timeline.subject.seat for timeline in Guest.timelines.all()]
        self.fields["seat"].choices = [(seat, f"Seat {seat}") for seat in (1, 2, 3) if seat not in taken]


@form_for(Guest.leave)
class WordForm(forms.Form):
    """A word that nobody has said."""

    word = forms.CharField()

    def clean_word(self) -> str:
        word = self.cleaned_data["word"].lower()
        if Unique.objects.filter(text=word).exists():
            raise ValidationError("Somebody has said that.")
        return word


urlpatterns = [
    path("guest/", StartView.as_view(workflow=Guest)),
    path("guest/at/<int:table>/", StartView.as_view(workflow=Guest)),
    path("guest/<uuid:pk>/seat/", StepView.as_view(workflow=Guest, step="sit_down")),
    *urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def routed(settings) -> None:
    settings.ROOT_URLCONF = __name__


def sent(page: Any, **typed: object) -> dict[str, object]:
    """Return what the browser sends from the first form of a page."""
    hidden = re.findall(r'<input type="hidden" name="(timelines-\w+)" value="([^"]*)">', page.content.decode())
    return {name: unescape(value) for name, value in hidden} | typed


def signed_up(client: Client, text: str = "ada") -> tuple[Guest, str]:
    """Sign up in this browser; return the guest and the address of their page."""
    address = client.post("/guest/", {"text": text})["Location"]
    return Guest.get(address.strip("/").rpartition("/")[2]), address


def calls_of(guest: Guest, step: str) -> int:
    return guest.timeline.events.filter(type="StepCalled", step=step).count()


def test_a_start_that_has_taken_what_its_form_looks_for_leads_to_its_timeline_when_it_is_sent_again(client):
    form = sent(client.get("/guest/"), text="ada")

    first = client.post("/guest/", form)
    client.cookies.clear()
    second = client.post("/guest/", form)  # sent before the first answer came: without its cookie

    assert (second.status_code, second["Location"]) == (302, first["Location"])
    assert client.get(second["Location"]).status_code == 200
    assert Guest.timelines.count() == 1


@pytest.mark.parametrize(
    ("address", "change"),
    [
        ("/guest/", {"timelines-key": "0" * 32}),
        ("/guest/", {"timelines-key": "order-17"}),
        ("/guest/", {"text": "grace"}),
        ("/guest/", {"text": ""}),
        ("/guest/", {"table": "2"}),
        ("/guest/at/2/", {}),
    ],
)
def test_another_start_that_is_not_valid_is_answered_with_its_form(client, address, change):
    Unique.objects.create(text="grace")
    form = sent(client.get("/guest/"), text="ada")
    first = client.post("/guest/", form)["Location"]

    stranger = Client()
    answer = stranger.post(address, form | change)

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == ["text"]
    assert stranger.get(first).status_code == 404


@pytest.mark.parametrize("page", ["{}", "/guest/{pk}/seat/"])
def test_a_call_that_has_taken_what_its_form_looks_for_is_done_when_it_is_sent_again(client, page):
    guest, address = signed_up(client)
    page = page.format(address, pk=guest.pk)
    form = sent(client.get(page), seat="2", note="By the door.")

    answers = [client.post(page, form) for _twice in range(2)]
    changed = client.post(page, form | {"note": "By the window."})

    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, address)] * 2
    assert changed.status_code == 200
    assert calls_of(guest, "sit_down") == 1


def test_a_link_that_has_taken_what_its_form_looks_for_is_followed_when_its_form_is_sent_again(client):
    guest, _address = signed_up(client)
    link = guest.sit_down.link().removeprefix("https://example.org")
    form = sent(client.get(link), seat="2")

    first, second = client.post(link, form), Client().post(link, form)
    changed = client.post(link, form | {"seat": "many"})

    assert (first.status_code, second.status_code) == (302, 302)
    assert second["Location"] == first["Location"]
    assert changed.status_code == 410
    assert calls_of(guest, "sit_down") == 1


def test_what_a_form_makes_of_what_was_typed_and_refuses_by_then_is_its_own_business(client):
    guest, address = signed_up(client)
    coat = Entry.objects.create(text="A coat.")
    guest.sit_down(seat=1)
    guest.fetch(coat=coat)
    form = sent(client.get(address), word="Bye")

    answers = [client.post(address, form) for _twice in range(2)]

    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, address)] * 2
    assert calls_of(guest, "leave") == 1


def test_a_row_that_the_step_has_deleted_is_no_reason_for_another_answer(client):
    guest, address = signed_up(client)
    guest.sit_down(seat=1)
    coat = Entry.objects.create(text="A coat.")
    form = sent(client.get(address), coat=coat.pk)

    answers = [client.post(address, form) for _twice in range(2)]

    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, address)] * 2
    assert calls_of(guest, "fetch") == 1
