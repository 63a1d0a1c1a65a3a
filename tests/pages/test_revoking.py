"""Links that somebody revoked, and what becomes of whom they let in."""

from datetime import timedelta

import pytest
from django import forms
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from django_timelines.exceptions import Refused, Rejected, Unknown
from django_timelines.forms import _own, form_for
from django_timelines.models import Timeline
from django_timelines.testing import drain
from django_timelines.workflows import Workflow, step
from example_project.signup.workflows import Signup
from tests.admin.conftest import page_of, post, verb_of
from tests.races.at_once import meanwhile

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Invitation(Workflow):
    """Several are asked, each by a link."""

    guests: list[str]
    answers: list[str] = []  # noqa: RUF012 (a default, copied into each timeline)

    @step
    def plan(self, guests: list[str]):
        self.guests = guests

    @step(after=plan, each="guests")
    def answer(self, guest: str, comes: bool):
        self.answers.append(guest)

    @step(after=plan, within=timedelta(days=2))
    def book(self, table: int):
        """Somebody books."""


def planned(*guests: str) -> Invitation:
    return Invitation.get(Invitation.start(guests=list(guests or ["ada", "bob"])).pk)


def path(link: str) -> str:
    return link.removeprefix("https://example.org")


def press(link: str, client: Client | None = None, **typed: object):
    client = client or Client()
    page = client.get(path(link))
    key = page.context["call"].key if page.status_code == 200 else "0" * 32
    return client.post(path(link), {"timelines-key": key, **typed})


def test_a_revoked_link_says_so_and_calls_nothing_and_a_new_one_does():
    invitation = planned()
    old = invitation.book.link()

    invitation.book.revoke_links(reason="It went to the wrong address.")

    for answer in (Client().get(path(old)), press(old, table=4)):
        assert answer.status_code == 410
        assert "This link to “book” was revoked." in answer.content.decode()
    assert press(invitation.book.link(), table=4).status_code == 302
    assert Invitation.get(invitation.pk).book.status == "completed"


def test_it_is_an_event_with_actor_and_reason_and_moves_no_run():
    invitation, ada = planned(), User.objects.create_user("ada")
    fence = invitation.timeline.state["runs"]["book"]["fence"]

    invitation.book.revoke_links(reason="It went to the wrong address.", actor=ada)

    event = invitation.timeline.events.get(type="LinksRevoked")
    assert (event.step, event.actor_label, event.data) == ("book", "ada", {"reason": "It went to the wrong address."})
    assert invitation.timeline.state["runs"]["book"]["fence"] == fence


def test_of_a_step_with_items_one_link_or_all_are_revoked():
    invitation = planned("ada", "bob")
    ada, bob = invitation.answer["ada"].link(), invitation.answer["bob"].link()

    invitation.answer["ada"].revoke_links(reason="She has left.")
    assert (Client().get(path(ada)).status_code, Client().get(path(bob)).status_code) == (410, 200)

    invitation.answer.revoke_links(reason="The party is off.")
    assert Client().get(path(bob)).status_code == 410
    assert press(invitation.answer["ada"].link(), comes="on").status_code == 302


def test_a_link_to_the_timeline_is_revoked_with_whom_it_let_in():
    invitation, guest, starter = planned(), Client(), Client()
    old = invitation.timeline.link()
    guest.get(path(old))
    assert guest.get(invitation.get_absolute_url()).status_code == 200

    invitation.timeline.revoke_links(reason="It is on the internet.")

    assert guest.get(invitation.get_absolute_url()).status_code == 404
    assert "This link was revoked." in guest.get(path(old)).content.decode()
    assert guest.get(path(invitation.timeline.link())).status_code == 302
    assert guest.get(invitation.get_absolute_url()).status_code == 200
    assert starter.get(path(invitation.book.link())).status_code == 200  # a step's own link stands


def test_a_link_to_an_ended_timeline_is_revoked_as_well():
    invitation = planned()
    link, head = invitation.timeline.link(), invitation.timeline.head
    invitation.timeline.cancel(reason="no party")

    invitation.timeline.revoke_links(reason="Nobody else is to know.")

    assert Client().get(path(link)).status_code == 410
    assert Timeline.objects.get(pk=invitation.pk).status == "cancelled"
    assert Timeline.objects.get(pk=invitation.pk).head == head + 3


def test_who_may_see_it_anyway_still_does(settings):
    signup, starter = Signup.start(email="ada@example.org", password="correct horse"), Client()
    ada = User.objects.create_superuser("ada")
    starter.force_login(ada)
    signup.timeline.revoke_links(reason="a test")

    assert starter.get(signup.get_absolute_url()).status_code == 200


def test_what_makes_no_sense_is_refused_and_writes_nothing():
    signup = Signup.start(email="ada@example.org", password="correct horse")
    head = signup.timeline.head

    with pytest.raises(Rejected, match="Say why"):
        signup.activate.revoke_links(reason=" ")
    with pytest.raises(Refused, match="runs by itself") as refused:
        signup.open_account.revoke_links(reason="a test")
    with pytest.raises(Unknown):
        planned().answer["eve"].revoke_links(reason="a test")

    assert refused.value.reason == "not_applicable"
    assert Timeline.objects.get(pk=signup.pk).head == head


def test_a_link_that_is_revoked_while_its_form_is_read_calls_nothing():
    invitation = planned()

    @form_for(Invitation.book)
    class TableForm(forms.Form):
        table = forms.IntegerField()

        def clean(self):
            meanwhile(lambda: Invitation.get(invitation.pk).book.revoke_links(reason="wrong address"))

    try:
        answer = press(invitation.book.link(), table=4)
    finally:
        del _own[Invitation.book]

    assert answer.status_code == 410
    assert "was revoked" in answer.content.decode()
    assert Invitation.get(invitation.pk).book.status == "waiting"


def test_the_admin_revokes_the_links_of_a_step_and_of_the_timeline():
    invitation, root = planned(), Client()
    root.force_login(User.objects.create_superuser("grace"))
    step, page = invitation.book.link(), invitation.timeline.link()
    text = root.get(page_of(invitation)).content.decode()
    assert f'action="{verb_of("revoke", invitation, "book")}"' in text
    assert f'action="{verb_of("revoke", invitation, "plan")}"' not in text

    said = post(root, verb_of("revoke", invitation, "book"), reason="wrong address")
    assert said == "No link to “Book” that was made by now is good any more."
    assert (Client().get(path(step)).status_code, Client().get(path(page)).status_code) == (410, 302)

    post(root, verb_of("revoke_page", invitation), reason="wrong address")
    assert Client().get(path(page)).status_code == 410
    events = invitation.timeline.events.filter(type="LinksRevoked")
    assert [event.actor_label for event in events] == ["grace", "grace"]
    assert "wrong address" in root.get(page_of(invitation)).content.decode()


def test_the_command_revokes_them(capsys):
    invitation = planned()
    step, page = invitation.book.link(), invitation.timeline.link()

    call_command("timelines", "revoke", str(invitation.pk), "book", "--reason", "wrong address")
    assert "Revoked: the links to book that were made by now." in capsys.readouterr().out
    call_command("timelines", "revoke", str(invitation.pk), "--reason", "wrong address")

    assert (Client().get(path(step)).status_code, Client().get(path(page)).status_code) == (410, 410)
    actors = invitation.timeline.events.filter(type="LinksRevoked").values_list("actor_type", "actor_label")
    assert list(actors) == [("command", "timelines")] * 2


def test_a_link_that_was_made_under_the_former_name_of_its_step_stays_revoked(deploy):
    first = deploy("""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True)
            def sign(self): ...
    """)
    parcel = first.start(what="books")
    drain()
    old = parcel.sign.link()
    parcel.sign.revoke_links(reason="wrong address")
    new = parcel.sign.link()
    second = deploy("""
        class Parcel(Workflow):
            what: str
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True, renamed_from="sign")
            def confirm(self): ...
    """)

    newer = second.get(parcel.pk).confirm.link()  # the timeline still knows the step as sign

    assert Client().get(path(old)).status_code == 410
    drain()
    second.get(parcel.pk).timeline.amend(reason="another address", what="more books")
    assert [Client().get(path(link)).status_code for link in (old, new, newer)] == [410, 200, 200]
    assert [*second.get(parcel.pk).timeline.state["revoked"]] == ["confirm"]  # which outlives the next renaming
    assert press(newer).status_code == 302
