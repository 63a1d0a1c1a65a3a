"""``{% timeline_diagram %}``: the steps of a timeline as a drawing, on a page."""

from __future__ import annotations

from typing import Any

import pytest
from django.template import Context, Template
from django.utils.html import escape

from django_timelines import registry
from django_timelines.outline import outline
from django_timelines.testing import drain
from tests.shop.workflows import Order, Supper

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def drawn(shown: Any) -> str:
    return Template("{% load timelines %}{% timeline_diagram shown %}").render(Context({"shown": shown}))


def test_a_timeline_is_drawn_and_kept_up_to_date_until_it_has_ended() -> None:
    order = Order.start("x")
    element = f'<figure class="timelines-drawn" id="diagram-{order.pk.hex}" data-timelines-page'

    assert element in drawn(order)
    assert element in drawn(order.timeline)
    order.timeline.cancel(reason="Not wanted.")
    assert "data-timelines-page" not in drawn(Order.get(order.pk))


def test_boxes_of_an_outline_lead_to_its_steps_on_the_page() -> None:
    order = Order.start("x")
    shown = outline(order.timeline)
    page = Template("{% load timelines %}{% timeline shown %}{% timeline_diagram shown %}").render(
        Context({"shown": shown})
    )

    for line in shown.lines:
        assert f'href="#step-{order.pk.hex}-{line.name}"' in page
        assert f'<li class="timelines-step timelines-is-{line.css}" id="step-{order.pk.hex}-{line.name}"' in page
    assert "href=" not in drawn(order)
    assert drawn(order).count('tabindex="0" role="img"') == len(shown.lines)


def test_a_box_leads_to_the_timeline_that_its_step_began() -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    bill = supper.timeline.children.get(workflow="shop.Bill")

    assert f'href="/timelines/{bill.pk}/" aria-label="The timeline of Bill"' in drawn(Supper.get(supper.pk))


def test_a_class_is_drawn_without_a_timeline() -> None:
    html = drawn("shop.Order")

    assert 'aria-label="Announce: runs by itself. After Pack"' in html
    assert "data-timelines-page" not in html


def test_nothing_is_drawn_where_the_code_has_no_such_class(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Order.start("x")
    monkeypatch.delitem(registry._declarations, "shop.Order")

    assert drawn(order.timeline).strip() == ""


def test_nothing_is_inline() -> None:
    html = drawn(Order.start("x"))

    assert "style=" not in html
    assert "<style" not in html
    assert "onclick" not in html


def test_what_a_class_says_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = '<script>"&'
    monkeypatch.setattr("django_timelines.diagram.sketch.title_of", lambda step: f"{hostile}{step}")

    html = drawn("shop.Order")

    assert hostile not in html
    assert escape(f"{hostile}pack") in html
