"""The page "what led to what": the events of all timelines of a family, each within the step that began it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_timelines import causes
from django_timelines.causes import causes_of, read_place
from django_timelines.models import Event, Timeline
from tests.shop.stories import eaten
from tests.shop.workflows import Supper

from .conftest import page_of, text_of

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def causes_page(timeline: Any, after: str = "") -> str:
    return reverse("admin:django_timelines_timeline_causes", args=[timeline.pk]) + (f"?after={after}" if after else "")


def anchors(text: str) -> list[str]:
    return re.findall(r'<li id="(event-\w+-\d+)"', text)


def test_the_page_of_a_timeline_leads_to_it(root: Client) -> None:
    supper = eaten("soup")

    assert f'<a href="{causes_page(supper)}">What led to what</a>' in text_of(root, page_of(supper))
    assert f'<a href="{page_of(supper)}">' in text_of(root, causes_page(supper))


def test_all_events_of_the_family_are_there_once_wherever_one_comes_from(root: Client) -> None:
    supper = eaten("soup", "fish")
    bill = supper.timeline.children[0]
    family = Event.objects.filter(timeline__correlation=supper.timeline.correlation)
    wanted = sorted(f"event-{event.timeline_id.hex}-{event.sequence}" for event in family)

    assert len({event.timeline_id for event in family}) == 4
    assert sorted(anchors(text_of(root, causes_page(supper)))) == wanted
    assert sorted(anchors(text_of(root, causes_page(bill)))) == wanted


def test_a_timeline_stands_within_the_step_that_began_it() -> None:
    supper = eaten("soup")
    bill, dish = supper.timeline.children

    (top,) = causes_of(supper.timeline).branches

    assert top.timeline == supper.timeline
    assert [branch.timeline for branch in top.parts["bill"].begun] == [bill]
    assert [branch.timeline for branch in top.parts["cooking"].begun] == [dish]
    assert [key for key, part in top.parts.items() if part.begun] == ["bill", "cooking"]


def test_an_event_says_what_led_to_it_and_what_it_led_to_on_other_timelines(root: Client) -> None:
    supper = eaten("soup")
    dish = supper.timeline.children[1]
    begun = Event.objects.get(timeline=dish.pk, sequence=1)
    told = Event.objects.get(timeline=supper.pk, cause_timeline=dish.pk)
    text = text_of(root, causes_page(supper))

    assert begun.cause_timeline == supper.pk
    assert f'href="#event-{supper.pk.hex}-{begun.cause}">event {begun.cause} of Supper' in text
    assert f'href="#event-{dish.pk.hex}-{told.cause}">event {told.cause} of Dish' in text
    assert text.count(f'href="#event-{supper.pk.hex}-{told.sequence}">event {told.sequence} of Supper') == 1
    assert re.search(
        rf'id="event-{dish.pk.hex}-{told.cause}"(?:(?!</li>).)*led to <a href="#event-{supper.pk.hex}', text, re.DOTALL
    )


def test_all_but_the_timeline_that_one_comes_from_is_closed(root: Client) -> None:
    text = text_of(root, causes_page(eaten("soup", "fish")))

    assert text.count('<details class="timelines-branch" open>') == 1
    assert text.count("<details open") == 0


def test_a_large_family_has_pages_that_miss_nothing(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    supper = eaten("soup", "fish", "cake")
    family = Event.objects.filter(timeline__correlation=supper.timeline.correlation)
    seen, after = [], None

    while True:
        page = causes_of(supper.timeline, after, most=7)
        seen += list(page.events)
        if page.next is None:
            break
        after = page.next

    assert seen == [(event.timeline_id, event.sequence) for event in family.order_by("timeline_id", "sequence")]
    monkeypatch.setattr(causes, "MOST_TIMELINES", 2)
    assert {key[0] for key in causes_of(supper.timeline).events} == set(
        supper.timeline.family.values_list("pk", flat=True)[:2]
    )


def test_pages_go_on_behind_what_the_reader_may_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    supper = eaten("soup", "fish", "cake")
    dishes = set(supper.timeline.children.filter(workflow="shop.Dish").values_list("pk", flat=True))
    bill = supper.timeline.children.filter(workflow="shop.Bill").values_list("pk", flat=True)[0]
    monkeypatch.setattr(causes, "MOST_TIMELINES", 1)
    pages = [causes_of(supper.timeline, sees=lambda timeline: timeline.pk in dishes)]

    while pages[-1].next and len(pages) < 20:
        pages.append(causes_of(supper.timeline, pages[-1].next, sees=lambda timeline: timeline.pk in dishes))

    found = {timeline for page in pages for timeline, _sequence in page.events}
    assert (found, pages[-1].next) == (dishes, None)
    assert bill not in found


def test_a_later_page_names_what_is_on_an_earlier_one(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    supper = eaten("soup")
    after = f"{supper.pk.hex}-3"

    text = text_of(root, causes_page(supper, after))

    assert f"event-{supper.pk.hex}-3" not in anchors(text)
    assert ", continued" in text
    assert re.search(rf'href="{page_of(supper)}\?before=[234]#event-[123]">event [123]</a>', text)
    assert '<a href="?">First events</a>' in text


def test_timelines_that_began_one_another_endlessly_are_still_drawn(root: Client) -> None:
    first = Supper.start(guest="Ada", dishes=[]).timeline
    before = first
    for _ in range(40):
        before = begun_by(before, first)

    text = text_of(root, causes_page(first))

    assert len(anchors(text)) == Event.objects.filter(timeline__correlation=first.correlation).count()
    assert len(causes_of(first).branches) == 7  # six of the 41 within one another each time


def begun_by(other: Timeline, first: Timeline) -> Timeline:
    """Let an event of another timeline have led to a new one."""
    begun = Supper.start(guest="Bo", dishes=[]).timeline
    Timeline.objects.filter(pk=begun.pk).update(correlation=first.correlation)
    Event.objects.filter(timeline=begun.pk, sequence=1).update(cause=1, cause_timeline=other.pk)
    return begun


def test_it_takes_as_many_queries_for_many_timelines_as_for_few(django_assert_num_queries: Any) -> None:
    few, many = eaten("soup"), eaten(*(f"dish {number}" for number in range(12)))

    for timeline in (few.timeline, many.timeline):
        with django_assert_num_queries(2):
            found = causes_of(timeline)
        assert all("data" in event.get_deferred_fields() for event in found.events.values())
        assert all("state" in branch.timeline.get_deferred_fields() for branch in found.branches)


@pytest.mark.parametrize("after", ["nonsense", "-", "x-1", "01a203e0bd0c77f7a8aa44834d223698-99999999999", "%00-1"])
def test_an_address_that_means_nothing_shows_the_first_page(root: Client, after: str) -> None:
    supper = eaten("soup")

    assert read_place(after) is None
    assert anchors(text_of(root, causes_page(supper, after))) == anchors(text_of(root, causes_page(supper)))


def test_it_is_for_those_who_may_view_timelines(staff: Callable[..., Client]) -> None:
    supper = eaten("soup")

    assert staff("retry", name="bo").get(causes_page(supper)).status_code == 403
    assert staff("view", name="cy").get(causes_page(supper)).status_code == 200
    assert Client().get(causes_page(supper)).status_code == 302


def test_what_others_wrote_is_text(root: Client) -> None:
    supper = eaten("<script>alert(1)</script>")

    text = text_of(root, causes_page(supper))

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
