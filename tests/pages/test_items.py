"""The page of a timeline with a step that has one run for each item."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from django_timelines.testing import drain
from tests.shop.workflows import Bar

from .test_page import knows

pytestmark = pytest.mark.django_db(databases="__all__")


def test_three_items_are_listed_below_their_step(client: Client) -> None:
    bar = Bar.start(drinks=["latte", "mocha", "tea"])
    drain()

    html = knows(client, bar).get(f"/timelines/{bar.pk}/").content.decode()

    assert re.findall(r'<p class="timelines-title">(.*?)</p>', html) == [
        *("Line up", "Make", "latte", "mocha", "tea", "Serve")
    ]
    assert '<p class="timelines-step-word">Completed, 3 of 3</p>' in html
    assert "3 of 3 steps" in html
    assert "more" not in html


def test_of_no_items_nothing_is_counted(client: Client) -> None:
    bar = Bar.start(drinks=[])
    drain()

    html = knows(client, bar).get(f"/timelines/{bar.pk}/").content.decode()

    assert html.count('<p class="timelines-step-word">Completed</p>') == 3
    assert "0 of 0" not in html


def test_of_a_thousand_items_a_few_are_listed_and_the_others_counted(client: Client) -> None:
    bar = Bar.start(drinks=[f"drink {number}" for number in range(1_000)])

    html = knows(client, bar).get(f"/timelines/{bar.pk}/").content.decode()

    assert html.count('<p class="timelines-title">drink ') == 20
    assert '<li class="timelines-more timelines-item">and 980 more</li>' in html
    assert '<p class="timelines-step-word">Running, 0 of 1000</p>' in html
