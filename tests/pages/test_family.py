"""A page links to the timeline that began this one, and to those that it began: whichever its reader may see."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.template import Context, Template
from django.test import Client, RequestFactory

from django_timelines import policy, relatives
from django_timelines.actors import acting, of_user
from django_timelines.children import heads_of
from django_timelines.engine.explain import explain_publicly
from django_timelines.models import Timeline
from django_timelines.sight import look
from django_timelines.testing import drain, recorded_errors, travel
from tests.counting import rows_read
from tests.shop.here import HERE
from tests.shop.stories import eaten
from tests.shop.workflows import Order, Supper, plan

from .test_page import knows

pytestmark = pytest.mark.django_db(databases="__all__")


def links(client: Client, timeline: Timeline) -> list[tuple[str, str]]:
    """Return where the page's family links lead, and what they are called."""
    html = client.get(f"/timelines/{timeline.pk}/").content.decode()
    part = re.search(r'<nav class="timelines-family".*?</nav>', html, re.DOTALL)
    return re.findall(r'href="/timelines/([0-9a-f-]+)/">(.*?)</a>', part[0]) if part else []


def test_who_may_see_a_parent_may_see_its_children_and_goes_there_and_back(client: Client) -> None:
    supper = eaten("soup", "<b>cake</b>")
    visitor = knows(client, supper)
    bill, soup, cake = supper.timeline.children

    assert links(visitor, supper.timeline) == [
        (str(bill.pk), "Bill"),
        (str(soup.pk), "Cooking: soup"),
        (str(cake.pk), "Cooking: &lt;b&gt;cake&lt;/b&gt;"),
    ]
    assert links(visitor, bill) == [(str(supper.pk), "Supper")]
    assert Client().get(f"/timelines/{bill.pk}/").status_code == 404


def test_who_may_see_a_child_alone_sees_no_way_to_its_parent(client: Client) -> None:
    supper = eaten("soup")
    bill = supper.bill.child
    guest = knows(client, bill)

    assert guest.get(f"/timelines/{bill.pk}/").status_code == 200
    assert links(guest, bill.timeline) == []
    assert guest.get(f"/timelines/{supper.pk}/").status_code == 404


def test_children_are_their_starters_wherever_they_were_begun(client: Client) -> None:
    ada, eve = User.objects.create_user("ada"), User.objects.create_user("eve")
    with acting(of_user(ada)):
        supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    child = supper.timeline.children.first()

    assert child is not None
    assert policy.can_view(child, user=ada, session={})
    assert not policy.can_view(child, user=eve, session={})


def test_each_link_is_asked_of_the_policy(client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    supper = eaten("soup")
    settings.TIMELINES = settings.TIMELINES | {"CAN_VIEW": "tests.pages.test_family.no_bills"}

    assert [title for _, title in links(knows(client, supper), supper.timeline)] == ["Cooking: soup"]


def test_what_the_policy_hides_is_not_counted_linked_or_told_of(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relatives, "MOST", 1)
    supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    bill = Supper.get(supper.pk).bill.child
    request = RequestFactory().get("/")
    request.user, request.session = AnonymousUser(), {policy.SESSION_KEY: [supper.pk.hex]}
    page = "{% load timelines %}{% timeline_diagram shown %}{% timelines_family shown %}"

    def seen() -> str:
        return Template(page).render(Context({"shown": supper.timeline, "request": request}))

    told = [reason.public for reason in explain_publicly(look(supper.pk, HERE)).reasons]
    assert (bill.pk.hex in seen().replace("-", ""), "more" in seen(), len(told)) == (True, True, 2)

    settings.TIMELINES = settings.TIMELINES | {"CAN_VIEW": "tests.pages.test_family.no_bills"}
    told = [reason.public for reason in explain_publicly(look(supper.pk, HERE)).reasons]
    assert (bill.pk.hex in seen().replace("-", ""), "more" in seen()) == (False, False)
    assert told == ["“bill” is under way."]


def no_bills(timeline: Timeline, *, user: Any, session: Any) -> bool:
    """Keep one workflow's timelines to oneself."""
    return timeline.workflow != "shop.Bill" and policy.can_view(timeline, user=user, session=session)


def test_a_list_of_children_is_capped_and_says_how_many_more_there_are(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relatives, "MOST", 2)
    supper = eaten("soup", "cake", "tea")
    visitor = knows(client, supper)

    assert len(links(visitor, supper.timeline)) == 2
    assert "<li>and 2 more</li>" in visitor.get(f"/timelines/{supper.pk}/").content.decode()


def test_the_links_appear_while_the_page_is_open_and_cost_nothing_where_there_are_none(client: Client) -> None:
    supper, order = Supper.start(guest="Ada", dishes=[]), Order.start(customer="Ada")

    alone = knows(client, supper).get(f"/timelines/{supper.pk}/").content.decode()
    plain = knows(client, order).get(f"/timelines/{order.pk}/").content.decode()

    nav = f'<nav class="timelines-family" id="family-{supper.pk.hex}" aria-label="Parent and children"'
    assert f"{nav} data-timelines-page hidden>" in alone
    assert "timelines-family" not in plain


def test_to_say_how_a_child_stands_it_is_read_once_and_nobody_looks_for_a_clock() -> None:
    def burn(dish: Any) -> None:
        raise OSError("too hot")

    plan["cook"] = burn
    supper = Supper.start(guest="Ada", dishes=["soup"])
    with recorded_errors():
        drain()
    sight = look(supper.pk, HERE)
    assert sight is not None

    with travel(timedelta(hours=1)), rows_read(HERE) as read:
        explain_publicly(sight)
        heads = heads_of(sight)

    assert heads.keys() == {child.pk for child in supper.timeline.children}
    assert read["run"] == 2
    assert "sighting" not in read
