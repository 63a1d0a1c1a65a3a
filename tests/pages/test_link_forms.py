"""Links to steps that ask for something: the form behind them, and what becomes of what was typed."""

from datetime import timedelta

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.test import Client

from django_timelines.forms import _own, form_for
from django_timelines.models import SealedInput, Timeline
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import Retry, Secret, Workflow, step

pytestmark = pytest.mark.django_db


class Survey(Workflow):
    """Somebody is asked by mail."""

    stars: int = 0
    note: str = ""

    @step
    def ask(self, who: str):
        """Somebody is asked."""

    @step(after=ask, within=timedelta(days=2), retry=Retry(1))
    def answer(self, stars: int, note: str = "none"):
        """What did you think of it?"""
        if stars > 5:
            raise ValidationError({"stars": "Five at most."})
        if note == "rude":
            raise ValidationError("Be kind.")
        if note == "breaks":
            raise OSError("The other side is away.")
        self.stars, self.note = stars, note

    @step(after=answer)
    def thank(self, yes: bool):
        """Thank them."""


class Door(Workflow):
    """Opens to whoever has the link, and the word."""

    opened: int = 0

    @step
    def build(self, by: str):
        """Somebody builds it."""

    @step(after=build, allowed="link")
    def open(self, word: Secret[str]):
        self.opened = len(word)


def asked() -> Survey:
    return Survey.start(who="ada")


def path(link: str) -> str:
    return link.removeprefix("https://example.org")


def sent(page, **typed: object) -> dict[str, object]:
    """Return what the browser sends from the form on this page."""
    return {"timelines-key": page.context["call"].key, **typed}


def calls_of(workflow: Workflow, step: str) -> int:
    return workflow.timeline.events.filter(type="StepCalled", step=step).count()


def test_a_link_to_a_step_that_asks_for_something_shows_its_form_and_spends_nothing(client):
    survey = asked()
    head = survey.timeline.head

    seen, scanned = client.get(path(survey.answer.link())), Client().head(path(survey.answer.link()))

    html = seen.content.decode()
    assert (seen.status_code, scanned.status_code) == (200, 200)
    assert "What did you think of it?" in html
    assert 'name="stars"' in html
    assert 'value="none"' in html
    assert Timeline.objects.get(pk=survey.pk).head == head
    assert client.get(survey.get_absolute_url()).status_code == 404  # looking lets nobody in


def test_what_the_form_says_is_what_the_step_is_called_with(client):
    survey = asked()
    page = client.get(path(survey.answer.link()))

    answer = client.post(path(survey.answer.link()), sent(page, stars=4, note="Fine."))

    survey = Survey.get(survey.pk)
    assert (answer.status_code, answer["Location"]) == (302, survey.get_absolute_url())
    assert (survey.stars, survey.note) == (4, "Fine.")
    called = survey.timeline.events.get(type="StepCalled", step="answer")
    assert (called.actor_type, called.actor_label) == ("link", "link")
    assert client.get(survey.get_absolute_url()).context["calls"] == []  # it may look, and call nothing else


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"stars": "many", "note": "Mine."}, "Enter a whole number."),
        ({"stars": "9", "note": "Mine."}, "Five at most."),
        ({"stars": "3", "note": "rude"}, "Be kind."),
        ({"note": "Mine."}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_in_the_form_and_nothing_typed_is_lost(client, typed, sentence):
    survey = asked()
    page = client.get(path(survey.answer.link()))

    again = client.post(path(survey.answer.link()), sent(page, **typed))

    html = again.content.decode()
    assert again.status_code == 200
    assert sentence in html
    assert "<title>Error:" in html
    assert f'value="{typed["note"]}"' in html
    assert Survey.get(survey.pk).answer.status == "waiting"
    mended = client.post(path(survey.answer.link()), sent(again, stars="5", note="Mine."))
    assert mended.status_code == 302
    assert Survey.get(survey.pk).note == "Mine."


@pytest.mark.parametrize("placement", ["inline", "embedded"])
def test_where_a_step_said_no_the_link_shows_its_holders_why_and_each_what_they_typed_themselves(
    client, settings, placement
):
    survey = asked()
    settings.TIMELINES = {**settings.TIMELINES, "PLACEMENT": {"test_link_forms.Survey.answer": placement}}
    link = path(survey.answer.link())
    client.post(link, sent(client.get(link), stars="3", note="rude"))
    drain()

    for holder, typed in ((Client(), [None, "none"]), (client, [3, "rude"])):
        back = holder.get(link)
        assert ("Be kind." in back.content.decode()) == (placement == "embedded")  # inline, it left no event
        assert [field.value() for field in back.context["form"]] == (
            typed if placement == "embedded" else [None, "none"]
        )


def test_a_link_of_the_next_round_shows_nothing_that_was_typed_in_the_last_one(client):
    survey = asked()
    old = path(survey.answer.link())
    client.post(old, sent(client.get(old), stars="4", note="Mine."))
    survey.timeline.rewind(to="answer", reason="They want to think again.")

    page = Client().get(path(Survey.get(survey.pk).answer.link()))

    assert [field.value() for field in page.context["form"]] == [None, "none"]


def test_a_double_click_counts_once(client):
    survey = asked()
    page = client.get(path(survey.answer.link()))

    first = client.post(path(survey.answer.link()), sent(page, stars="4"))
    second = Client().post(path(survey.answer.link()), sent(page, stars="4"))

    assert (first.status_code, second.status_code) == (302, 302)
    assert calls_of(survey, "answer") == 1


def test_a_used_link_takes_no_other_answer(client):
    survey = asked()
    page = client.get(path(survey.answer.link()))
    client.post(path(survey.answer.link()), sent(page, stars="4"))

    changed, wrong = (client.post(path(survey.answer.link()), sent(page, stars=stars)) for stars in ("2", "many"))

    assert (changed.status_code, wrong.status_code) == (410, 410)
    assert "“answer” is done already." in changed.content.decode()
    assert "“answer” is done already." in wrong.content.decode()
    assert Survey.get(survey.pk).stars == 4


def test_who_goes_back_and_changes_what_was_sent_is_asked_once_more_and_nothing_is_lost(client):
    survey = asked()
    link = path(survey.answer.link())
    page = client.get(link)
    with recorded_errors():
        client.post(link, sent(page, stars="4", note="breaks"))
    assert Survey.get(survey.pk).answer.status == "blocked"

    again = client.post(link, sent(page, stars="3", note="Mine."))  # with the key of the first

    assert again.status_code == 409
    assert "was used before" in again.content.decode()
    assert 'value="Mine."' in again.content.decode()
    assert client.post(link, sent(again, stars="3", note="Mine.")).status_code == 302
    assert Survey.get(survey.pk).note == "Mine."


def test_an_expired_link_says_so_and_calls_nothing(client):
    survey = asked()
    page = client.get(path(survey.answer.link()))

    with travel(timedelta(days=3)):
        seen = client.get(path(survey.answer.link()))
        pressed = client.post(path(survey.answer.link()), sent(page, stars="4"))

    assert (seen.status_code, pressed.status_code) == (410, 410)
    assert "has run out" in pressed.content.decode()
    assert calls_of(survey, "answer") == 0


def test_a_link_of_an_earlier_round_says_so_and_a_new_one_leads_there(client):
    survey = asked()
    old = path(survey.answer.link())
    client.post(old, sent(client.get(old), stars="4"))
    survey.timeline.rewind(to="answer", reason="They want to think again.")
    new = path(Survey.get(survey.pk).answer.link())

    for answer in (client.get(old), client.post(old, {"stars": "1"})):
        assert answer.status_code == 410
        assert "“answer” is to be done anew since this link was made." in answer.content.decode()
    assert client.post(new, sent(client.get(new), stars="2")).status_code == 302
    assert Survey.get(survey.pk).stars == 2


def test_an_answer_that_comes_too_early_is_kept_with_what_it_says(client):
    survey = asked()
    link = path(survey.thank.link())

    kept = client.post(link, sent(client.get(link), yes="on"))
    again = client.get(link)
    survey.answer(stars=1)
    drain()

    assert (kept.status_code, again.status_code) == (302, 409)
    assert Survey.get(survey.pk).timeline.status == "completed"


def test_a_secret_is_typed_behind_a_link_and_kept_nowhere(client):
    door = Door.start(by="ada")
    page = client.get(path(door.open.link()))

    assert 'type="password"' in page.content.decode()
    assert client.post(path(door.open.link()), sent(page, word="sesame")).status_code == 302
    assert Door.get(door.pk).opened == 6
    assert not SealedInput.objects.exists()
    assert not any("sesame" in str(event.data) for event in door.timeline.events.all())


def test_a_form_of_the_authors_own_and_a_template_of_their_own(client, settings, tmp_path):
    (tmp_path / "test_link_forms").mkdir()
    (tmp_path / "test_link_forms" / "survey_answer_link.html").write_text(
        "<h1>{{ workflow_title }}: {{ title }}</h1>{% include 'django_timelines/form.html' with button='Send' %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    @form_for(Survey.answer)
    class StarsForm(forms.Form):
        stars = forms.ChoiceField(choices=[(n, "*" * n) for n in range(1, 6)], label="How many?")

    survey = asked()
    try:
        page = client.get(path(survey.answer.link()))
        html = page.content.decode()
        client.post(path(survey.answer.link()), sent(page, stars="5"))
    finally:
        del _own[Survey.answer]

    assert "<h1>Survey: Answer</h1>" in html
    assert "How many?" in html
    assert ">Send</button>" in html
    assert Survey.get(survey.pk).stars == 5


def test_a_link_takes_no_other_method(client):
    survey = asked()

    assert client.put(path(survey.answer.link())).status_code == 405
    assert client.delete(path(survey.answer.link())).status_code == 405
