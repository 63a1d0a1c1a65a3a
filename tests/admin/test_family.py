"""The page of a timeline that belongs to others, and of one whose step has many items."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from django_timelines.admin import family
from django_timelines.models import Run, Timeline
from django_timelines.testing import drain, recorded_errors
from django_timelines.testing.due import carry_out
from tests.rules.test_3_each import spill
from tests.shop.stories import eaten
from tests.shop.workflows import Bar, Dish, Jury, Supper, plan

from .conftest import LIST, a_parcel, lose_step, page_of, post, verb_of

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def text_of(client: Client, timeline: Any) -> str:
    response = client.get(page_of(timeline))
    assert response.status_code == 200
    return str(response.content.decode())


def tree(text: str) -> list[tuple[int, str, str]]:
    """Return the family as it is drawn: depth, workflow, what began it."""
    part = text.partition('aria-label="Family"')[2].partition("</table>")[0]
    rows = re.findall(r'timelines-depth-(\d)">.*?>(\w+) [0-9a-f-]+<.*?</th>\s*<td>(.*?)</td>', part)
    return [(int(depth), title, begun_by.replace("\N{EN DASH}", "")) for depth, title, begun_by in rows]


def test_a_step_leads_to_its_child_and_the_child_back_to_its_parent(root: Client) -> None:
    supper = eaten("soup")
    bill = supper.bill.child

    text = text_of(root, supper)

    assert f'href="{page_of(bill)}">Its timeline<span class="visually-hidden">: “Bill”</span>' in text
    assert f'href="{page_of(supper.cooking["soup"].child)}">Its timeline' in text
    assert f'<dt>Parent</dt><dd><a href="{page_of(supper)}">Supper {str(supper.pk)[:18]}</a>' in text_of(root, bill)
    assert "<dt>Parent</dt>" not in text


def test_the_events_of_a_parent_and_a_child_lead_to_one_another(root: Client) -> None:
    supper = eaten("soup")
    bill, dish = supper.bill.child, supper.cooking["soup"].child
    report = supper.timeline.events.get(cause_timeline=dish.pk, type="StepCompleted")

    text = text_of(root, supper)

    assert f'<a href="{page_of(bill)}">Its timeline</a>' in text
    assert f'<a href="{page_of(dish)}?before={report.cause + 1}#event-{report.cause}">after event' in text
    assert bill.pk.hex not in text
    assert "items: 1" in text
    assert "null" not in text


def test_the_page_of_a_parent_that_was_cancelled_with_its_children_says_so(root: Client) -> None:
    supper = eaten("soup")
    assert supper.bill.status == "waiting"

    supper.timeline.cancel(reason="the guest left")
    drain()

    text = text_of(root, supper)
    assert Supper.get(supper.pk).bill.status == "cancelled"
    assert "was cancelled." in text


def test_the_family_is_a_tree_on_the_page_of_each_of_them(root: Client) -> None:
    plan["thank"] = lambda supper: Dish.start(name="coffee")
    supper = eaten("soup", "cake")
    supper.bill.child.tip(amount=1)
    drain()
    supper = Supper.get(supper.pk)
    supper.thank()

    drawn = tree(text_of(root, supper))

    assert drawn == [
        (0, "Supper", ""),
        (1, "Bill", "Bill"),
        (1, "Dish", "Cooking[soup]"),
        (1, "Dish", "Cooking[cake]"),
        (1, "Dish", ""),
    ]
    assert tree(text_of(root, supper.bill.child)) == drawn
    assert 'aria-label="Family"' not in text_of(root, a_parcel())


def test_a_site_that_hides_a_timeline_hides_it_wherever_the_admin_names_the_family(root: Client, settings: Any) -> None:
    supper = eaten("soup")
    bill = supper.bill.child
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": "tests.admin.test_family.no_bill"}

    page = text_of(root, supper)
    causes = root.get(reverse("admin:django_timelines_timeline_causes", args=[supper.pk])).content.decode()
    listed = root.get(LIST).context["cl"].result_list

    assert [title for _, title, _ in tree(page)] == ["Supper", "Dish"]
    assert f"event-{bill.pk.hex}-1" not in causes
    assert f"event-{supper.pk.hex}-1" in causes
    assert sorted(one.workflow for one in listed) == ["shop.Dish", "shop.Supper"]
    assert root.get(page_of(bill)).status_code == 403


def no_bill(timeline: Timeline, *, user: Any, session: Any) -> bool:
    return timeline.workflow != "shop.Bill"


def test_of_a_large_family_the_oldest_are_listed_and_the_one_that_is_looked_at(
    root: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    supper = eaten(*(f"dish {number}" for number in range(6)))
    monkeypatch.setattr(family, "MOST", 3)
    newest = supper.timeline.children.last()

    text = text_of(root, newest)

    assert [title for _, title, _ in tree(text)] == ["Supper", "Bill", "Dish", "Dish"]
    assert f'<span aria-current="page">Dish {str(newest.pk)[:18]}</span>' in text
    assert "and 4 more" in text
    assert [title for _, title, _ in tree(text_of(root, supper))] == ["Supper", "Bill", "Dish"]


def test_where_a_policy_hides_some_of_a_large_family_only_a_superuser_is_told_how_many_there_are(
    root: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, client: Client
) -> None:
    supper = eaten(*(f"dish {number}" for number in range(6)))
    monkeypatch.setattr(family, "MOST", 3)
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": "tests.admin.test_family.no_bill"}
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_timeline"))
    client.force_login(viewer)

    assert "and 5 more" in text_of(root, supper)
    assert not re.search(r"and \d+ more", text_of(client, supper))


def test_items_are_listed_below_their_step_which_counts_them(root: Client) -> None:
    plan["make"] = spill("mocha")
    bar = Bar.start(drinks=["latte", "mocha", "tea"])
    with recorded_errors():
        drain()

    text = text_of(root, bar)

    assert re.findall(r'<th scope="row">([A-Z][^<]+)<', text) == [
        *("Line up", "Make", "Make[latte]", "Make[mocha]", "Make[tea]", "Serve")
    ]
    assert "2 of 3" in text
    assert "1 of 3 steps settled" in text


def test_of_a_thousand_items_those_that_want_a_look_are_listed_and_the_others_counted(root: Client) -> None:
    plan["make"] = spill("drink 777")
    bar = Bar.start(drinks=[f"drink {number}" for number in range(1_000)])
    with recorded_errors():
        carry_out(Run.objects.get(item="drink 777"), bar.timeline.using, alone=True)

    text = text_of(root, bar)

    assert text.count('<th scope="row">Make[drink ') == 50
    assert '<th scope="row">Make[drink 777]' in text
    assert "and 950 more" in text
    assert "0 of 1000" in text


def test_a_box_of_the_diagram_leads_to_the_timeline_that_its_step_began(root: Client) -> None:
    supper = eaten("soup")
    bill = supper.timeline.children.get(workflow="shop.Bill")

    assert f'<a class="timelines-child" href="{page_of(bill)}" aria-label="The timeline of Bill">' in text_of(
        root, supper
    )


def test_items_of_a_step_that_the_code_lost_are_capped_too(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Bar.start(drinks=[f"drink {number}" for number in range(60)])
    lose_step(monkeypatch, Bar, "make")

    assert "and 10 more" in text_of(root, bar)


def test_the_page_of_a_parent_says_that_it_was_cancelled_with_its_children(root: Client) -> None:
    supper = eaten("soup")
    supper.timeline.cancel(reason="the cook is ill")
    drain()

    assert Supper.get(supper.pk).timeline.status == "cancelled"
    assert supper.timeline.events.filter(step="bill", data__cancelled=True).exists()
    assert "the cook is ill" in text_of(root, supper)


def test_links_to_one_of_many_items_are_revoked_on_a_page_of_its_own(root: Client) -> None:
    jury = Jury.start(members=[{"name": "Ada", "seat": 1}, {"name": "Bob", "seat": 2}])
    link = Jury.get(jury.pk).vote["Bob"].link()

    post(root, verb_of("revoke", jury, "vote[Bob]"), reason="lost")

    assert root.get(link).status_code == 410
