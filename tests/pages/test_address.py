"""A workflow may say where its page is: whatever leads to a timeline leads there."""

import re
from typing import Any

import pytest
from django.template import Context
from django.test import Client

from django_timelines.models import Timeline
from django_timelines.templatetags.timelines import timeline_diagram
from django_timelines.testing import drain
from django_timelines.workflows import Workflow, step, subworkflow

from .test_page import knows

pytestmark = pytest.mark.django_db


class Crate(Workflow):
    """Has a page of the site's own."""

    def get_absolute_url(self) -> str:
        return f"/crates/{self.pk}/"

    @step
    def pack(self) -> None:
        """Somebody packs it."""

    @step(after=pack, manual=True)
    def unpack(self) -> None:
        """Whoever gets it unpacks it."""


class Freight(Workflow):
    """Begins a crate."""

    def get_absolute_url(self) -> str:
        return f"/freights/{self.pk}/"

    @step
    def load(self) -> None:
        """Somebody loads it."""

    crate = subworkflow(Crate, after=load)


@pytest.fixture
def freight() -> Any:
    begun = Freight.start()
    drain()
    return Freight.get(begun.pk)


def path(link: str) -> str:
    return link.removeprefix("https://example.org")


def test_links_lead_to_it(freight: Any) -> None:
    crate = freight.crate.child
    link = path(crate.unpack.link())

    shown = Client().get(path(crate.timeline.link()))
    called = Client().post(link)
    again = knows(Client(), crate).get(link)

    assert (shown["Location"], called["Location"]) == (f"/crates/{crate.pk}/", f"/crates/{crate.pk}/")
    assert f'<a href="/crates/{crate.pk}/">' in again.content.decode()


def test_pages_lead_to_that_of_a_parent_and_of_a_child(freight: Any) -> None:
    crate, visitor = freight.crate.child, knows(Client(), freight)

    of_parent, of_child = (visitor.get(f"/timelines/{one.pk}/").content.decode() for one in (freight, crate))

    assert re.findall(r'<a href="(/[a-z]+/)[^"]+">(\w+)</a>', of_parent) == [("/crates/", "Crate")]
    assert re.findall(r'<a href="(/[a-z]+/)[^"]+">(\w+)</a>', of_child) == [("/freights/", "Freight")]


def test_a_diagram_leads_to_that_of_a_child(freight: Any) -> None:
    boxes = timeline_diagram(Context(), freight)["diagram"].boxes

    assert [box.child_url for box in boxes if box.child_url] == [f"/crates/{freight.crate.child.pk}/"]


def test_the_api_names_it(freight: Any) -> None:
    shown = knows(Client(), freight).get(f"/timelines/api/{freight.pk}/").json()

    assert shown["url"] == f"/freights/{freight.pk}/"


def test_where_the_class_is_gone_it_is_ours(freight: Any) -> None:
    crate = freight.crate.child
    link = path(crate.timeline.link())
    Timeline.objects.filter(pk=crate.pk).update(workflow="pages.Gone")

    page = Client().get(link, follow=True)

    assert page.redirect_chain == [(f"/timelines/{crate.pk}/", 302)]
    assert page.status_code == 200
    Timeline.objects.filter(pk=crate.pk).update(workflow=Crate._declaration.label)
