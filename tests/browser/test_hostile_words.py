"""Words that would be markup, wherever people and bodies can put some: no page runs them, without a policy that forbids it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

from django_timelines import actors
from django_timelines.actors import of_user
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import PermanentFailure, Workflow, step
from tests.admin.conftest import LIST, page_of

from .conftest import served
from .live_site import LiveSite

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 60_000  # ms
HOSTILE = "'\"></title><img src=x data-hostile onerror=ran=1><script data-hostile>ran=1</script>{{ 7 }}"


def about(words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a body this docstring."""

    def give(body: Callable[..., None]) -> Callable[..., None]:
        body.__doc__ = words
        return body

    return give


class Graffiti(Workflow):
    """Somebody writes on all walls."""

    __doc__ = HOSTILE
    words: str
    walls: list[str]

    @step
    @about(HOSTILE)
    def begin(self, words: str, walls: list[str]):
        self.words, self.walls = words, walls

    @step(after=begin, each="walls")
    @about(HOSTILE)
    def paint(self, wall: str):
        raise PermanentFailure(HOSTILE)

    @step(after=begin)
    @about(HOSTILE)
    def sign(self, name: str): ...

    @step(after=begin, manual=True)
    @about(HOSTILE)
    def clean(self): ...


@pytest.fixture
def site() -> Iterator[LiveSite]:
    with served() as site:
        yield site


@pytest.fixture
def vandal(site: LiveSite, context: BrowserContext) -> User:
    """A superuser with such a name, whose browser it is."""
    user = User.objects.create_superuser(HOSTILE)
    client = Client()
    client.force_login(user)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.address}])
    return user


@pytest.fixture
def graffiti(vandal: User) -> Graffiti:
    """A timeline that says such words wherever it can: two steps wait, and the walls are blocked."""
    with actors.acting(lambda: of_user(vandal)):
        begun = Graffiti.start(words=HOSTILE, walls=[HOSTILE, f"{HOSTILE}/2"])
        with recorded_errors():
            drain()
        begun = Graffiti.get(begun.pk)
        begun.clean.assign(vandal, reason=HOSTILE)
        begun.timeline.pause(reason=HOSTILE)
    return Graffiti.get(begun.pk)


def planted(page: Page) -> list[object]:
    """Return whether a script ran, and how many elements the words have become."""
    return page.evaluate("[typeof ran, document.querySelectorAll('[data-hostile]').length]")


def test_no_page_runs_what_people_write(page: Page, site: LiveSite, graffiti: Graffiti) -> None:
    theirs, ours = str(graffiti.get_absolute_url()), page_of(graffiti)
    verbs = ["cancel/", "amend/", "rewind/", "resume/", "causes/", "revoke_page/", "skip/sign/", "assign/clean/"]
    places = [theirs, "/timelines/", "/timelines/start/test_hostile_words.Graffiti/", ours]
    places += [f"{LIST}{graffiti.pk}/{verb}" for verb in verbs]
    places += [LIST, f"{LIST}workflows/", f"{LIST}workflows/test_hostile_words.Graffiti/", f"{LIST}?q={HOSTILE}"]

    said = 0
    for place in places:
        answer = page.goto(site.address + place)
        assert answer is not None
        assert (answer.status, planted(page)) == (200, ["undefined", 0]), place
        said += "data-hostile" in page.locator("body").inner_text()
    assert said == 9


@pytest.mark.parametrize("whose", ["their", "our"])
def test_nothing_that_is_pushed_to_a_page_runs(
    page: Page, site: LiveSite, graffiti: Graffiti, vandal: User, whose: str
) -> None:
    page.goto(site.address + (str(graffiti.get_absolute_url()) if whose == "their" else page_of(graffiti)))
    timeline = page.locator("[data-timelines]").first
    expect(timeline).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)

    with actors.acting(lambda: of_user(vandal)):
        graffiti.timeline.resume()
        graffiti.sign(name=HOSTILE)
        Graffiti.get(graffiti.pk).clean.skip(reason=HOSTILE)

    expect(page.locator('[data-step="clean"]').first).to_contain_text("skipped", ignore_case=True, timeout=PATIENCE)
    assert planted(page) == ["undefined", 0]
