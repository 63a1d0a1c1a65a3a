"""What people do at the same moment: calls, revocations, assignments, reminders."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django import forms
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.exceptions import Refused
from django_timelines.forms import _own, form_for
from django_timelines.models import Run
from django_timelines.testing import drain, travel
from django_timelines.workflows import AT_LEAST_ONCE, Workflow, step
from tests.pages.test_revoking import Invitation, path, planned
from tests.races.at_once import at_once, meanwhile

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.mark.parametrize("_time", range(5))
def test_of_a_call_and_a_revocation_at_once_each_order_is_whole(_time: int) -> None:
    invitation = planned()
    link, browser = invitation.book.link(), Client()
    key = browser.get(path(link)).context["call"].key

    pressed, _ = at_once(
        lambda: browser.post(path(link), {"timelines-key": key, "table": 4}),
        lambda: Invitation.get(invitation.pk).book.revoke_links(reason="wrong address"),
    )

    events = list(invitation.timeline.events.order_by("sequence").values_list("type", "step"))
    called, revoked = ("StepCalled", "book"), ("LinksRevoked", "book")
    assert revoked in events
    if pressed.status_code == 302:
        assert events.index(called) < events.index(revoked)
        assert Invitation.get(invitation.pk).book.status == "completed"
    else:
        assert pressed.status_code == 410
        assert called not in events


@pytest.mark.parametrize("_time", range(5))
def test_of_a_call_and_an_assignment_at_once_each_order_is_whole(_time: int) -> None:
    ada, bob = User.objects.create_user("ada"), User.objects.create_user("bob")
    invitation = planned()
    invitation.book.assign(ada)
    browser = Client()
    browser.force_login(ada)
    form = browser.get(invitation.get_absolute_url()).context["call"]
    sent = {"timelines-step": "book", "timelines-key": form.key, "timelines-seen": form.seen, "table": 4}

    pressed, given = at_once(
        lambda: browser.post(invitation.get_absolute_url(), sent),
        lambda: Invitation.get(invitation.pk).book.assign(bob),
    )

    after = Invitation.get(invitation.pk)
    if pressed.status_code == 302:  # she was first: there was nothing left to give
        assert isinstance(given, Refused)
        assert after.book.status == "completed"
    else:
        assert given is None
        assert pressed.status_code in (403, 404)
        assert (after.book.status, after.book.assigned) == ("waiting", bob)


@pytest.mark.parametrize("_time", range(5))
def test_of_two_assignments_at_once_the_later_event_counts_in_state_and_row(_time: int) -> None:
    users = [User.objects.create_user(name) for name in ("ada", "bob")]
    invitation = planned()

    at_once(*(lambda user=user: Invitation.get(invitation.pk).book.assign(user) for user in users))

    last = invitation.timeline.events.filter(type="StepAssigned").latest("sequence")
    assert str(Invitation.get(invitation.pk).book.assigned) == last.data["assigned"]["label"]
    assert Run.objects.get(timeline=invitation.pk, step="book").assigned == last.data["assigned"]["id"]


class Lamp(Workflow):
    """Somebody is to switch it off, and is reminded."""

    @step
    def light(self, room: str):
        """It burns."""

    @step(after=light, manual=True, remind=timedelta(days=1))
    def switch_off(self):
        """Somebody does."""

    @switch_off.reminder(delivery=AT_LEAST_ONCE)
    def call_out(self):
        heard.append(self.idempotency_key)


heard: list[str] = []


@pytest.mark.parametrize("_time", range(5))
def test_of_several_clocks_and_workers_one_reminds(_time: int) -> None:
    heard.clear()
    lamp = Lamp.start(room="cellar")

    with travel(timedelta(days=1, hours=1)):
        answers = at_once(drain, drain, drain)

    assert [answer for answer in answers if isinstance(answer, BaseException)] == []
    assert len(heard) == 1
    assert lamp.timeline.events.filter(type="AttemptStarted", step="call_out").count() == 1
    assert Run.objects.filter(timeline=lamp.pk, step="call_out").count() == 1  # the next one


@pytest.mark.parametrize("_time", range(5))
def test_of_a_reminder_and_the_call_at_once_nothing_is_left(_time: int) -> None:
    heard.clear()
    lamp = Lamp.start(room="cellar")

    with travel(timedelta(days=1, hours=1)):
        _drained, outcome = at_once(drain, lambda: Lamp.get(lamp.pk).switch_off())
        drain()

    assert outcome == "completed"
    assert len(heard) <= 1
    assert Lamp.get(lamp.pk).timeline.status == "completed"
    assert not Run.objects.filter(timeline=lamp.pk).exists()


def test_a_reminder_that_is_executed_when_the_step_is_called_comes_to_its_end(row_locks: None) -> None:
    heard.clear()
    lamp = Lamp.start(room="cellar")

    def called_meanwhile(workflow: Lamp) -> None:
        heard.append(meanwhile(lambda: Lamp.get(lamp.pk).switch_off()))

    with pytest.MonkeyPatch.context() as patch, travel(timedelta(days=1, hours=1)):
        patch.setattr(Lamp.call_out, "body", called_meanwhile)
        drain()

    assert heard == ["completed"]
    assert Lamp.get(lamp.pk).timeline.status == "completed"
    assert lamp.timeline.events.filter(type="StepCompleted", step="call_out").exists()


def test_what_is_given_to_somebody_else_while_a_form_is_read_is_not_called() -> None:
    ada, bob = User.objects.create_user("ada"), User.objects.create_user("bob")
    invitation, browser = planned(), Client()
    invitation.book.assign(ada)
    browser.force_login(ada)

    @form_for(Invitation.book)
    class TableForm(forms.Form):
        table = forms.IntegerField()

        def clean(self) -> None:
            meanwhile(lambda: Invitation.get(invitation.pk).book.assign(bob))

    try:
        answer = browser.post(invitation.get_absolute_url(), {"timelines-step": "book", "table": 4})
    finally:
        del _own[Invitation.book]

    assert answer.status_code == 403
    assert "“book” is not yours to call: bob has it." in answer.content.decode()
    assert Invitation.get(invitation.pk).book.status == "waiting"
