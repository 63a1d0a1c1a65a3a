"""Retry, skip and cancel from the admin."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.actors import SYSTEM
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import tick
from django_timelines.engine.runner import Runner
from django_timelines.models import Run, Timeline
from django_timelines.testing import drain, fail_step, recorded_errors, travel
from django_timelines.workflows import PermanentFailure
from tests.shop.factories import OrderFactory
from tests.shop.workflows import Bill, Issue, Supper, Trip

from .conftest import LIST, a_parcel, confirm, page_of, post, somebody_is_first, text_of, verb_of
from .workflows import Parcel

pytestmark = pytest.mark.django_db(transaction=True)
ALL = ("retry", "skip", "cancel")
EVERY = (*ALL, "amend", "rewind", "pause")


@pytest.fixture
def urls(blocked: Parcel) -> dict[str, str]:
    return {
        "retry": verb_of("retry", blocked, "weigh"),
        "skip": verb_of("skip", blocked, "weigh"),
        "cancel": verb_of("cancel", blocked),
        "amend": verb_of("amend", blocked),
        "rewind": verb_of("rewind", blocked),
        "pause": verb_of("pause", blocked),
    }


@pytest.mark.parametrize("verb", EVERY)
def test_each_verb_needs_its_own_permission_to_be_seen_asked_and_done(
    staff, blocked: Parcel, urls: dict[str, str], verb: str
) -> None:
    client = staff("view", verb)

    text = client.get(page_of(blocked)).content.decode()

    for name, url in urls.items():
        assert (f'action="{url}"' in text) is (name == verb)
        assert client.get(url).status_code == (200 if name == verb else 403)
        if name != verb:
            assert client.post(url, {"reason": "because", "fence": "8"}).status_code == 403
    assert Parcel.get(blocked.pk).timeline.head == blocked.timeline.head


def test_a_verb_without_the_view_permission_is_refused(staff, blocked: Parcel, urls: dict[str, str]) -> None:
    client = staff(*EVERY)

    assert [client.get(url).status_code for url in (page_of(blocked), LIST, *urls.values())] == [403] * 8
    assert [client.post(url, {"reason": "because"}).status_code for url in urls.values()] == [403] * 6


def test_a_visitor_is_asked_to_log_in(client: Client, blocked: Parcel, urls: dict[str, str]) -> None:
    for url in (page_of(blocked), *urls.values()):
        assert client.post(url, {"reason": "because"})["Location"].startswith("/admin/login/")
    assert Parcel.get(blocked.pk).timeline.head == blocked.timeline.head


def test_a_verb_needs_the_forms_token(blocked: Parcel, urls: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("grace"))

    assert client.post(urls["cancel"], {"reason": "because"}).status_code == 403


def test_retry_tries_again_and_records_who_and_why(staff, blocked: Parcel, urls: dict[str, str]) -> None:
    client = staff("view", "retry")

    assert "attempt 2" in client.get(urls["retry"]).content.decode()
    message = post(client, urls["retry"], reason="The scales are mended.")

    assert message == "“Weigh” is tried again. It is due now."
    event = blocked.timeline.events.get(sequence=9)
    assert (event.type, event.data["reason"], event.actor_label) == ("StepDue", "The scales are mended.", "ada")
    with recorded_errors():
        drain()
    assert Parcel.get(blocked.pk).weigh.status == "blocked"
    assert Parcel.get(blocked.pk).timeline.events.filter(type="AttemptStarted", step="weigh").count() == 2


def test_retry_warns_of_what_may_have_been_done(root: Client) -> None:
    order = OrderFactory(upto="pay")
    order.pay(amount=1)
    using = order.timeline.using
    claim(order.pk, ("send", ""), Run.objects.get(step="send").fence, Runner(SYSTEM, "elsewhere", using))
    with travel(timedelta(seconds=61)):
        tick(using)

    assert "It may have been done already: then this does it twice." in text_of(root, verb_of("retry", order, "send"))
    assert "and it may have been done. Look, and then retry or skip it." in str(order.timeline.explain())


def test_retry_says_what_becomes_of_a_step_whose_child_or_list_is_what_is_wrong(root: Client, deploy) -> None:
    parcel = deploy("""
        class Kid(Workflow):
            number: str = "seven"
            @step
            def count(self): ...

        class Parcel(Workflow):
            number: int = 0
            people: list[str] = ["a", "\\x07"]
            @step
            def post(self): ...

            kid = subworkflow(Kid, after=post, results={"number": "number"})

            @step(after=post, each="people")
            def tell(self, person: str): ...
    """).start()
    drain()

    assert "looked at again. It begins no other." in text_of(root, verb_of("retry", parcel, "kid"))
    assert "Its list is read again now." in text_of(root, verb_of("retry", parcel, "tell"))
    parcel.timeline.amend(reason="misheard", people=["a"])
    assert post(root, verb_of("retry", parcel, "tell")) == "“Tell” is tried again. It is due now."


def test_a_step_that_is_due_at_a_time_may_be_done_now(root: Client, deploy) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delay=timedelta(days=3))
            def tell(self): ...
    """).start()
    drain()
    url = verb_of("retry", parcel, "tell")

    assert url in text_of(root, page_of(parcel))
    assert "It is done now, whatever its time is: attempt 1, at embedded." in text_of(root, url)
    post(root, url, reason="he asks")
    drain()

    assert type(parcel).get(parcel.pk).timeline.status == "completed"
    assert url not in text_of(root, page_of(parcel))


def test_retry_needs_no_reason(root: Client, urls: dict[str, str]) -> None:
    assert post(root, urls["retry"], reason="") == "“Weigh” is tried again. It is due now."


def test_all_that_is_blocked_on_a_timeline_is_retried_at_once(root: Client) -> None:
    issue, broken = Issue.start(pages=["a", "b", "c"]), PermanentFailure("The press is broken.")
    with fail_step("lay_out[a]", broken), fail_step("lay_out[c]", broken):
        drain()
    url = verb_of("retry_blocked", issue)

    assert f'action="{url}"' in text_of(root, page_of(issue))
    assert "These are tried again now, where their retries run: Lay out[a], Lay out[c]." in text_of(root, url)
    assert post(root, url, reason="") == "Tried again: Lay out[a], Lay out[c]."

    drain()
    assert Issue.get(issue.pk).timeline.status == "waiting"
    assert f'action="{url}"' not in text_of(root, page_of(issue))


def test_retry_runs_the_next_attempt_now_instead_of_waiting(root: Client) -> None:
    parcel = a_parcel("again")

    post(root, verb_of("retry", parcel, "weigh"), reason="")
    with recorded_errors():
        drain()

    assert Parcel.get(parcel.pk).weigh.status == "blocked"


def test_skip_says_what_follows_and_asks_for_a_reason(root: Client, blocked: Parcel, urls: dict[str, str]) -> None:
    asked = root.get(urls["skip"])
    assert "These steps follow: Stick." in asked.content.decode()
    assert "Not set so far: customer, label." in asked.content.decode()

    again = root.post(urls["skip"], {"reason": "  ", "fence": asked.context["form"]["fence"].value()})
    assert "This field is required." in again.content.decode()
    assert Parcel.get(blocked.pk).weigh.status == "blocked"

    assert post(root, urls["skip"], reason="Weighed by hand.") == "“Weigh” is skipped."
    drain()

    after = Parcel.get(blocked.pk)
    assert (after.weigh.status, after.stick.status) == ("skipped", "completed")
    skipped = after.timeline.events.get(type="StepSkipped")
    assert (skipped.data["reason"], skipped.actor_label) == ("Weighed by hand.", "grace")


def test_skip_says_what_becomes_of_a_timeline_that_the_step_began(root: Client) -> None:
    supper = Supper.start("Ada", [])
    drain()

    assert "The timeline that it began is cancelled." in text_of(root, verb_of("skip", supper, "bill"))
    post(root, verb_of("skip", supper, "bill"), reason="on the house")
    drain()

    assert Bill.timelines.get().status == "cancelled"
    assert "The timeline that it began" not in text_of(root, verb_of("skip", supper, "thank"))


def test_cancel_says_what_stops_and_asks_for_a_reason(root: Client, blocked: Parcel, urls: dict[str, str]) -> None:
    assert "This stops at once: Weigh." in root.get(urls["cancel"]).content.decode()
    assert "This field is required." in root.post(urls["cancel"], {"reason": "", "fence": "8"}).content.decode()

    assert post(root, urls["cancel"], reason="The customer changed their mind.") == "The timeline is cancelled."

    requested = blocked.timeline.events.get(type="CancelRequested")
    assert (requested.data["reason"], requested.actor_label) == ("The customer changed their mind.", "grace")
    assert Parcel.get(blocked.pk).timeline.status == "cancelled"


@pytest.mark.parametrize("verb", ALL)
def test_a_double_submit_has_one_effect_and_says_so(
    root: Client, blocked: Parcel, urls: dict[str, str], verb: str
) -> None:
    fence = str(root.get(urls[verb]).context["form"]["fence"].value())

    confirm(root, urls[verb], fence=fence, reason="because")
    head = Parcel.get(blocked.pk).timeline.head
    message = confirm(root, urls[verb], fence=fence, reason="because")

    assert Parcel.get(blocked.pk).timeline.head == head
    assert message in (
        "Nothing was done: “Weigh” has moved on since you saw it. It is due now.",
        "Nothing was done: “Weigh” has moved on since you saw it. It is skipped now.",
        "Nothing was done: the timeline is cancelled.",
    )


def test_a_step_that_moved_on_and_is_blocked_again_is_not_touched_by_an_old_page(
    root: Client, blocked: Parcel, urls: dict[str, str]
) -> None:
    old = str(root.get(urls["retry"]).context["form"]["fence"].value())
    with recorded_errors():
        blocked.weigh.retry(reason="somebody else was first")
        drain()
    head = Parcel.get(blocked.pk).timeline.head

    message = confirm(root, urls["retry"], fence=old, reason="me too")

    assert message == "Nothing was done: “Weigh” has moved on since you saw it. It is blocked now."
    assert Parcel.get(blocked.pk).timeline.head == head


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_what_moves_on_in_the_last_moment_is_not_touched(root: Client, blocked: Parcel, verb: str) -> None:
    url = verb_of(verb, blocked, "weigh")
    fence = str(root.get(url).context["form"]["fence"].value())

    def retry_in_vain() -> None:
        with recorded_errors():
            Parcel.get(blocked.pk).weigh.retry()
            drain()

    with somebody_is_first(retry_in_vain):
        message = confirm(root, url, fence=fence, reason="because")

    assert message == "Nothing was done: “Weigh” has moved on since you saw it. It is blocked now."
    assert Parcel.get(blocked.pk).timeline.events.filter(type="StepBlocked").count() == 2


def test_what_moves_on_in_the_last_moment_and_comes_to_the_same_is_done(root: Client, blocked: Parcel) -> None:
    with somebody_is_first(lambda: Parcel.get(blocked.pk).timeline.amend(reason="mistyped", label="new")):
        message = post(root, verb_of("skip", blocked, "weigh"), reason="by hand")

    assert message == "“Weigh” is skipped."
    assert (Parcel.get(blocked.pk).weigh.status, Parcel.get(blocked.pk).label) == ("skipped", "new")


def test_a_cancel_that_would_undo_more_in_the_last_moment_asks_again(root: Client) -> None:
    trip = Trip.start("Ada")
    url = verb_of("cancel", trip)
    fence = str(root.get(url).context["form"]["fence"].value())

    with somebody_is_first(drain):
        message = confirm(root, url, fence=fence, reason="ill", compensate="on")

    assert message == "Nothing was done: the timeline has moved on since you saw it. This would happen now."
    assert Trip.get(trip.pk).timeline.events.filter(type="CancelRequested").count() == 0


def test_a_question_that_came_too_late_leads_back_with_a_sentence(root: Client, blocked: Parcel) -> None:
    response = root.get(verb_of("retry", blocked, "pack"), follow=True)

    assert response.redirect_chain == [(page_of(blocked), 302)]
    assert [str(message) for message in response.context["messages"]] == [
        "Nothing was done: “Pack” has moved on since you saw it. It is completed now."
    ]


@pytest.mark.parametrize("run", ["no_such_step", "weigh[x]", "pack/../weigh", "%00", "[", "weigh]", "é" * 300])
@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_an_unknown_step_is_refused_and_nothing_is_written(root: Client, blocked: Parcel, verb: str, run: str) -> None:
    url = f"{LIST}{blocked.pk}/{verb}/{run}/"

    assert root.get(url).status_code == 302
    assert confirm(root, url, fence="0", reason="because") != ""
    assert Parcel.get(blocked.pk).timeline.head == blocked.timeline.head


@pytest.mark.parametrize(
    "run", ["lay_out[a]@x", "lay_out[a]@99999999999", "lay_out[a]@0", "lay_out[x", "lay_out[x]]", "find_a_mistake[x"]
)
@pytest.mark.parametrize("verb", ["retry", "skip", "assign", "revoke"])
def test_an_item_that_there_is_not_is_refused_however_it_is_written(root: Client, verb: str, run: str) -> None:
    issue = Issue.start(pages=["a"])
    drain()
    head = Issue.get(issue.pk).timeline.head
    url = f"{LIST}{issue.pk}/{verb}/{run}/"

    assert root.get(url).status_code == 302
    assert confirm(root, url, fence="0", reason="because") != ""
    assert Issue.get(issue.pk).timeline.head == head


def test_an_item_is_found_however_its_name_is_written(root: Client) -> None:
    issue = Issue.start(pages=["a"])
    with fail_step("lay_out[a]", PermanentFailure("The press is broken.")):
        drain()

    assert post(root, f"{LIST}{issue.pk}/retry/lay_out[a/", reason="") == "“Lay out[a]” is tried again. It is due now."


@pytest.mark.parametrize("asked", [{}, {"fence": "x"}, {"fence": "9" * 500}, {"reason": "a" * 3000, "fence": "8"}])
def test_a_garbled_form_is_asked_again(root: Client, blocked: Parcel, urls: dict[str, str], asked: dict) -> None:
    response = root.post(urls["skip"], asked, follow=True)

    assert response.status_code == 200
    assert Parcel.get(blocked.pk).timeline.head == blocked.timeline.head


def test_an_unknown_timeline_is_not_found(root: Client) -> None:
    assert root.get(f"{LIST}01a203e0-bd0c-77f7-a8aa-44834d223698/cancel/").status_code == 404


def test_a_timeline_whose_class_is_gone_can_be_cancelled_and_not_skipped(root: Client, forgotten: Timeline) -> None:
    refused = root.get(verb_of("skip", forgotten, "finish"), follow=True)
    assert "Nothing was done" in str(next(iter(refused.context["messages"])))

    post(root, verb_of("cancel", forgotten), reason="The code is gone.")

    assert Timeline.objects.get(pk=forgotten.pk).status == "cancelled"
