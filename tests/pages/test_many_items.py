"""Pages, frames and lists of a timeline of which very many items are open: a few are shown, and the others counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.frames import Seen, frames
from django_timelines.models import Timeline
from django_timelines.sight import look
from tests.counting import rows_read
from tests.shop.workflows import Bar, Poll

pytestmark = pytest.mark.django_db(databases="__all__")


def asked(count: int) -> Poll:
    """Begin a poll of so many people."""
    return Poll.start(people=[f"person {number:05}" for number in range(count)])


def browser_of_staff() -> Client:
    """Log in as somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def root() -> Client:
    return browser_of_staff()


def framed(poll: Poll) -> str:
    sight = look(poll.pk, poll.timeline.using, poll.timeline.head)
    assert sight is not None
    (frame,) = frames(sight, [Seen(0, "", "en")]).values()
    return frame


def test_a_page_has_the_forms_of_some_items_and_says_how_many_more_wait(root: Client) -> None:
    poll = asked(1_230)

    html = root.get(f"/timelines/{poll.pk}/").content.decode()

    assert html.count("<form") == 20
    assert re.findall(r"<h2>(.*?)</h2>", html)[:2] == ["Answer[person 00000]", "Answer[person 00001]"]
    assert '<p class="timelines-more">And 1,210 more wait.</p>' in html


@pytest.fixture
def grouping(settings: Any) -> None:
    """A site that writes 1,234."""
    settings.USE_THOUSAND_SEPARATOR = True


def test_a_live_page_asks_for_what_follows_event_1000_on_a_site_that_groups_digits(
    root: Client, grouping: None
) -> None:
    poll = asked(1_230)

    html = root.get(f"/timelines/{poll.pk}/").content.decode()

    assert f'data-timelines-sequence="{poll.timeline.head}"' in html
    assert poll.timeline.head > 1_000


def test_the_admin_reads_its_own_way_to_older_events_on_a_site_that_groups_digits(root: Client, grouping: None) -> None:
    poll = asked(1_230)
    page = f"/admin/django_timelines/timeline/{poll.pk}/change/"

    (query,) = re.findall(r'href="(\?before=.*?)#events"', root.get(page).content.decode())
    html = root.get(page + query).content.decode()

    assert html.count('<tr id="event-') == 100
    assert f'<tr id="event-{poll.timeline.head - 100}">' in html
    assert '<a href="?before=2#event-1">after event 1</a>' in html


def test_what_led_to_what_numbers_its_events_on_a_site_that_groups_digits(root: Client, grouping: None) -> None:
    poll = asked(1_230)
    page = f"/admin/django_timelines/timeline/{poll.pk}/causes/"

    html = root.get(f"{page}?after={poll.pk.hex}-1099").content.decode()

    assert re.findall(r'<li id="event-\w+-1100" value="(.*?)"', html) == ["1100"]


def test_who_has_an_item_far_down_the_list_finds_its_form_first(client: Client) -> None:
    poll = asked(60)
    ada = User.objects.create_user("ada")
    poll.answer["person 00050"].assign(ada)
    client.force_login(ada)

    html = client.get(f"/timelines/{poll.pk}/").content.decode()
    listed = client.get("/timelines/").content.decode()

    assert re.findall(r"<h2>(.*?)</h2>", html) == ["Answer[person 00050]"]
    assert (html.count("<form"), "more wait" in html) == (1, False)
    assert listed.count("Answer[person 00050]") == 1


def test_what_is_wrong_with_an_item_far_down_the_list_is_said_in_its_form(root: Client) -> None:
    poll = asked(60)

    html = root.post(f"/timelines/{poll.pk}/", {"timelines-step": "answer[person 00050]"}).content.decode()

    assert "This field is required." in html
    assert re.findall(r"<h2>(.*?)</h2>", html)[0] == "Answer[person 00050]"


def test_the_list_of_what_waits_for_me_has_some_items_of_each_timeline(client: Client, settings: Any) -> None:
    ada = User.objects.create_user("ada")
    poll = Poll.using(actor=ada).start(people=[str(number) for number in range(60)])
    client.force_login(ada)

    html = client.get("/timelines/").content.decode()

    assert html.count(str(poll.pk)) == 20
    assert '<li class="timelines-more">and 40 more</li>' in html


def test_looking_at_many_items_reads_no_more_rows_than_looking_at_some(root: Client) -> None:
    works: dict[str, Callable[[Any], object]] = {
        "page": lambda poll: root.get(f"/timelines/{poll.pk}/").content,
        "api": lambda poll: root.get(f"/timelines/api/{poll.pk}/").content,
        "admin": lambda poll: root.get(f"/admin/django_timelines/timeline/{poll.pk}/change/").content,
        "mine": lambda poll: root.get("/timelines/").content,
        "frame": framed,
        "explain": lambda poll: str(Timeline.objects.get(pk=poll.pk).explain()),
    }
    read: dict[int, Any] = {}
    for count in (120, 360):
        poll = asked(count)
        read[count] = {}
        for name, work in works.items():
            with rows_read(poll.timeline.using) as rows:
                work(poll)
            read[count][name] = rows
        Timeline.objects.all().delete()

    assert read[360] == read[120]


def test_a_frame_of_many_items_is_as_small_as_one_of_some() -> None:
    few, many = framed(asked(80)), framed(asked(240))

    assert abs(len(many) - len(few)) < 100


def test_an_explanation_counts_what_it_does_not_name() -> None:
    poll = asked(240)
    poll.answer["person 00007"](words="yes")

    said = [reason.sentence for reason in Poll.get(poll.pk).timeline.explain().reasons]

    assert said[-1] == "And 234 more of “answer” are waiting."
    assert len(said) == 6


def test_the_lists_name_a_few_open_items_and_count_the_others(root: Client) -> None:
    bar = Bar.start(drinks=[f"drink {number}" for number in range(100)])

    html = root.get("/admin/django_timelines/timeline/").content.decode()

    assert "97 more" in html
    assert str(bar.pk) in html
