"""The page of one timeline."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape
from django.utils.translation import override

from django_timelines import testing
from django_timelines.actors import Actor, ActorType, acting, of_user
from django_timelines.admin.steps import in_words
from django_timelines.models import Timeline
from django_timelines.testing import drain, recorded_errors
from tests.shop.workflows import Bar

from .conftest import LIST, a_parcel, lose_step, page_of
from .workflows import Gift, Parcel

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>alert('x')</script>"


def text_of(client: Client, timeline: Timeline | Parcel | Gift, query: str = "") -> str:
    response = client.get(page_of(timeline) + query)
    assert response.status_code == 200
    return response.content.decode()


def row_of(text: str, id: str) -> str:
    return text.partition(f'<tr id="{id}"')[2].partition("</tr>")[0]


def test_the_page_of_a_blocked_timeline_says_why_and_offers_the_way_out(root: Client, blocked: Parcel) -> None:
    text = text_of(root, blocked)

    assert '<span class="timelines-badge timelines-blocked">Blocked</span>' in text
    assert "“weigh” is blocked after attempt 1: PermanentFailure: The scales are broken." in text
    assert "1 of 5 steps settled" in text
    assert "<summary>Traceback</summary>" in text
    weigh = row_of(text, "step-2")
    assert "1 of 2" in weigh
    assert f'action="{LIST}{blocked.pk}/retry/weigh/"' in weigh
    assert f'action="{LIST}{blocked.pk}/skip/weigh/"' in weigh
    assert f'action="{LIST}{blocked.pk}/cancel/"' in text


def test_the_page_keeps_itself_up_to_date_and_has_a_link_without_a_script(root: Client, blocked: Parcel) -> None:
    text = text_of(root, blocked)

    assert '<div id="timelines-page" class="timelines-admin" data-timelines-page>' in text
    assert f'id="timeline-{blocked.pk.hex}"' in text
    assert '<a href="">Reload</a>' in text
    assert 'role="status"' in text


def test_a_field_is_shown_in_the_readers_words_and_a_row_by_its_name_and_page(root: Client) -> None:
    user = User.objects.create_user("lena")
    gift = Gift.start(receiver=user, card="Happy birthday! " * 20)
    parcel = a_parcel()

    text = text_of(root, gift)
    assert f'<a href="/admin/auth/user/{user.pk}/change/">lena</a>' in text
    assert '<details class="timelines-payload"><summary>Happy birthday! Happy' in text
    assert "Jan. 31, 2027" in text_of(root, parcel)
    assert "not set" in text_of(root, parcel)


def test_a_row_is_named_only_to_those_who_may_see_it(staff, root: Client) -> None:
    user = User.objects.create_user("lena")
    gift = Gift.start(receiver=user)

    text = text_of(staff("view"), gift)

    assert "lena" not in text
    assert f"user {user.pk}" in text


def only_others(_admin: object, _request: object, user: User | None = None) -> bool:
    return user is None or user.username != "lena"


@pytest.mark.parametrize(
    "hiding",
    [
        {"get_queryset": lambda _admin, _request: User.objects.exclude(username="lena")},
        {"has_view_permission": only_others, "has_change_permission": only_others},
    ],
    ids=["queryset", "permission"],
)
def test_a_row_that_the_admin_of_its_model_hides_is_not_named(root: Client, monkeypatch, hiding: dict) -> None:
    gift = Gift.start(receiver=User.objects.create_user("lena"))
    for name, hides in hiding.items():
        monkeypatch.setattr(UserAdmin, name, hides)

    text = text_of(root, gift)

    assert "lena" not in text
    assert f"user {gift.receiver.pk}<" in text.replace("\n", "")


def test_a_row_that_is_gone_is_said_to_be_gone(root: Client) -> None:
    user = User.objects.create_user("lena")
    gift = Gift.start(receiver=user)
    key = user.pk
    user.delete()

    assert f"user {key} (not there any more)" in text_of(root, gift)


def test_a_key_that_is_none_of_the_model_that_the_field_refers_to_today_is_a_row_that_is_gone(
    root: Client, deploy
) -> None:
    before = """
        from django_timelines.models import Timeline

        class Parcel(Workflow):
            other: str

            @step
            def take(self, other: str):
                self.other = other
    """
    parcel = deploy(before).start(other="somebody's")

    deploy(before.replace("    other: str", "    other: Timeline"))

    assert "timeline somebody&#x27;s (not there any more)" in text_of(root, parcel)


def test_an_event_tells_who_where_and_what_it_changed(root: Client) -> None:
    with acting(of_user(User.objects.get(username="grace"))):
        parcel = a_parcel(name="books")

    text = text_of(root, parcel)

    packed, weighed = row_of(text, "event-4"), row_of(text, "event-8")
    assert "Step completed" in packed
    assert "grace" in packed
    assert '<a href="#event-1">after event 1</a>' in packed
    assert '<strong>name</strong>: <ins><span class="timelines-value">books</span>' in packed
    assert '<del><span class="timelines-value">0</span></del>' in weighed.replace("\n", "")
    assert '<ins><span class="timelines-value">500</span></ins>' in weighed.replace("\n", "")
    assert "Weighed" in row_of(text, "event-7")
    assert "<strong>grams</strong>" in row_of(text, "event-7")


def test_hostile_texts_are_shown_as_text(root: Client) -> None:
    with acting(Actor(ActorType.USER, "1", HOSTILE)):
        parcel = a_parcel(HOSTILE, name=HOSTILE, key=HOSTILE)

    for text in (text_of(root, parcel), root.get(LIST).content.decode()):
        assert HOSTILE not in text
        assert escape(HOSTILE) in text


def test_a_huge_text_is_cut(root: Client) -> None:
    gift = Gift.start(receiver=User.objects.get(username="grace"), card="x" * 50_000)

    text = text_of(root, gift)

    assert "(cut here)" in text
    assert len(text) < 60_000


def test_long_timelines_are_read_in_pages_and_each_diff_is_right(root: Client, monkeypatch) -> None:
    monkeypatch.setattr("django_timelines.admin.events.PAGE", 3)
    parcel = a_parcel()

    newest = text_of(root, parcel, "?before=9")
    older = text_of(root, parcel, "?before=6")

    assert [row_of(newest, f"event-{n}") != "" for n in range(4, 10)] == [False, False, True, True, True, False]
    assert '<del><span class="timelines-value">0</span></del>' in row_of(newest, "event-8").replace("\n", "")
    assert 'href="?before=6#events"' in newest
    assert 'href="?#events"' in newest
    assert row_of(older, "event-5")
    assert "Older events" not in text_of(root, parcel, "?before=2")


def test_an_event_leads_to_the_one_that_led_to_it_wherever_that_is_shown(root: Client, monkeypatch) -> None:
    monkeypatch.setattr("django_timelines.admin.events.PAGE", 3)
    parcel = a_parcel()
    causes = dict(parcel.timeline.events.values_list("sequence", "cause"))

    newest = text_of(root, parcel, "?before=9")

    assert {number: causes[number] for number in (6, 7, 8)} == {6: 5, 7: 6, 8: 7}
    assert '<a href="?before=6#event-5">after event 5</a>' in row_of(newest, "event-6")
    assert '<a href="#event-6">after event 6</a>' in row_of(newest, "event-7")


@pytest.mark.parametrize("before", ["", "0", "-1", "1", "abc", "9" * 5000, "٣", "%00"])
def test_a_garbled_place_shows_the_newest_events(root: Client, blocked: Parcel, before: str) -> None:
    assert row_of(text_of(root, blocked, f"?before={before}"), f"event-{blocked.timeline.head if before != '٣' else 2}")


def test_the_page_costs_the_same_however_long_the_timeline_is(root: Client, django_assert_max_num_queries) -> None:
    parcel = a_parcel("again")
    for _number in range(20):
        with recorded_errors():
            Parcel.get(parcel.pk).weigh.retry()
            drain()

    with django_assert_max_num_queries(25):
        text_of(root, parcel)


def test_a_step_that_has_ended_says_when(root: Client) -> None:
    text = text_of(root, a_parcel())

    assert re.search(r"ended \w+\.? \d+, \d{4}", row_of(text, "step-1"))
    assert "ended" not in row_of(text, "step-4")


def test_a_retry_says_who_asked_for_it_and_why(root: Client, blocked: Parcel) -> None:
    with recorded_errors(), acting(of_user(User.objects.get(username="grace"))):
        blocked.weigh.retry(reason="The scales are mended.")
        drain()
        Parcel.get(blocked.pk).weigh.retry()

    text = text_of(root, blocked)

    assert "<div>tried again by grace: The scales are mended.</div>" in text
    assert "<div>tried again by grace</div>" in text


def test_the_buttons_of_the_steps_are_at_the_top_for_narrow_screens(root: Client, blocked: Parcel) -> None:
    head = text_of(root, blocked).partition("<dl")[0]

    assert f'<form action="{LIST}{blocked.pk}/retry/weigh/" class="timelines-narrow">' in head
    assert "Retry “Weigh”" in head


def test_what_was_cancelled_is_not_counted_as_settled(root: Client, blocked: Parcel) -> None:
    blocked.timeline.cancel(reason="Not wanted any more.")

    assert "1 of 5 steps settled" in text_of(root, Timeline.objects.get(pk=blocked.pk))


def test_every_status_has_its_page(root: Client, forgotten: Timeline) -> None:
    done = a_parcel()
    done.hand_over()
    drain()
    cancelled = a_parcel("broken")
    cancelled.timeline.cancel(reason="Not wanted any more.")
    skipped = a_parcel("broken")
    skipped.weigh.skip(reason="By hand.")
    late = a_parcel()
    with testing.travel(timedelta(days=4)):
        drain()
    with recorded_errors():
        rejected = Gift.start(receiver=User.objects.get(username="grace"))
        rejected.sign("now")

    assert "Completed" in text_of(root, done)
    assert "5 of 5 steps settled" in text_of(root, done)
    assert "Not wanted any more." in text_of(root, cancelled)
    assert "timelines-skipped" in text_of(root, skipped)
    assert "timelines-overdue" in text_of(root, late)
    assert "They did not say please." in text_of(root, rejected)
    assert "timelines-retrying" in text_of(root, a_parcel("again"))
    assert "timelines-due" in text_of(root, Parcel.start(name="one"))


def test_a_step_that_is_being_executed_says_who_holds_it(root: Client, monkeypatch) -> None:
    parcel = a_parcel()
    seen: list[str] = []
    monkeypatch.setattr(Parcel._declaration.steps["thank"], "body", lambda parcel: seen.append(text_of(root, parcel)))

    parcel.hand_over()
    drain()

    row = row_of(seen[0], "step-5")
    assert "timelines-running" in row
    assert re.search(r"held by embedded@\S+ until \w+", row)
    assert row.count("<button") == 1
    assert "Retry by force" in row
    assert "held by" not in text_of(root, parcel)


def test_a_class_that_is_gone_still_has_its_page(root: Client, forgotten: Timeline) -> None:
    text = text_of(root, forgotten)

    assert "Forgotten" in text
    assert "The code has no workflow workflows.Forgotten any more" in text
    assert "an old one" in text
    assert "/skip/" not in text
    assert f"{LIST}{forgotten.pk}/cancel/" in text


def test_the_diagram_leads_to_the_rows_of_the_steps(root: Client, blocked: Parcel) -> None:
    text = text_of(root, blocked)

    assert '<a href="#step-2" aria-label="Weigh: blocked. ' in text
    assert "Weigh" in row_of(text, "step-2")
    assert 'class="timelines-box timelines-is-blocked"' in text
    assert "django_timelines/diagram.css" in text


def test_without_its_class_there_is_no_diagram(root: Client, forgotten: Timeline) -> None:
    assert "timelines-box" not in text_of(root, forgotten)


def test_a_step_that_is_gone_is_still_listed(root: Client, blocked: Parcel, monkeypatch) -> None:
    lose_step(monkeypatch, Parcel, "weigh")

    text = text_of(root, blocked)

    assert "The code has no such step any more." in text
    assert "/retry/weigh/" not in text


@pytest.mark.parametrize("pk", ["01a203e0-bd0c-77f7-a8aa-44834d223698", "nonsense", "_00", "1"])
def test_an_unknown_timeline_leads_back_to_the_index_as_everywhere_in_the_admin(root: Client, pk: str) -> None:
    assert root.get(f"{LIST}{pk}/change/")["Location"] == "/admin/"


def test_nothing_is_added_changed_or_deleted(root: Client, blocked: Parcel) -> None:
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}{blocked.pk}/delete/", {"post": "yes"}).status_code == 403
    assert root.post(page_of(blocked), {"key": "x"}).status_code == 405
    asked = {"action": "delete_selected", "_selected_action": str(blocked.pk)}
    assert "No action selected." in root.post(LIST, asked, follow=True).content.decode()
    assert Timeline.objects.filter(pk=blocked.pk).exists()


def test_the_sites_policy_counts_in_the_admin_too(root: Client, blocked: Parcel, settings) -> None:
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": "tests.admin.test_page.nobody"}

    assert root.get(page_of(blocked)).status_code == 403
    assert root.get(f"{LIST}{blocked.pk}/retry/weigh/").status_code == 403


def nobody(timeline: Timeline, *, user: object, session: object) -> bool:
    """A policy."""
    return False


@pytest.mark.parametrize("name", ["a\nb", "a\r\nb", "a\u2028b", "\x1b[2J"])
def test_an_item_of_which_nobody_could_send_the_name_blocks_its_step_and_the_page_says_so(
    root: Client, name: str
) -> None:
    bar = Bar.start(drinks=["tea", name])

    text = text_of(root, Bar.get(bar.pk).timeline)

    assert "Keys are one line of text, without control characters." in text
    assert f'action="{LIST}{bar.pk}/retry/make/"' in text


def test_a_duration_is_written_as_the_language_writes_numbers() -> None:
    moments = [timedelta(seconds=1.46), timedelta(milliseconds=42)]

    assert [in_words(moment) for moment in moments] == ["1.5 s", "42 ms"]
    with override("de"):
        assert [in_words(moment) for moment in moments] == ["1,5 s", "42 ms"]
