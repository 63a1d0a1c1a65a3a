"""Sites that keep no sessions, know no users, or ask all to log in: every address answers as it answers an anonymous visitor."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase
from django.test import Client
from django.urls import reverse

from django_timelines.urls import urlpatterns
from django_timelines.workflows import Workflow, step

pytestmark = pytest.mark.django_db


class Poll(Workflow):
    """Everybody may call what it waits for."""

    @step
    def ask(self, question: str):
        """Somebody asks."""

    @step(after=ask, allowed=lambda poll, user: not user.is_staff)
    def answer(self, note: str):
        """Anybody answers."""


def known_by_a_token(get_response: Any) -> Any:
    """Know users without a session, as a site's own middleware may."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        request.user = AnonymousUser()
        return get_response(request)

    return answer


COMMON = ["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"]
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
ACTOR = "django_timelines.middleware.ActorMiddleware"
LOGIN = [
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
]
SITES = {
    "neither": [*COMMON, ACTOR],
    "only sessions": [*COMMON, SESSIONS, ACTOR],
    "only users": [*COMMON, f"{__name__}.known_by_a_token", ACTOR],
    "asks everybody to log in": [*COMMON, SESSIONS, *LOGIN, ACTOR],
}


def theirs(timeline: Any, step: str = "", *, user: Any, session: Any) -> bool:
    """Decide as the documentation's policies do, which ask the user first."""
    return bool(user.is_authenticated and timeline.started_by == str(user.pk))


def anybodys(timeline: Any, step: str = "", *, user: Any, session: Any) -> bool:
    """Show the page with its forms, and take a call."""
    return True


def address(name: str, poll: Poll) -> str:
    """Return the address of this name in our URLconf, for this poll."""
    links = {"open": poll.timeline.link(), "call": poll.answer.link()}
    if name in links:
        return links[name].removeprefix("https://example.org")
    known = {"pk": poll.pk, "workflow": poll.timeline.workflow, "run": "answer"}
    converters = next(pattern.pattern.converters for pattern in urlpatterns if pattern.name == name)
    return reverse(f"timelines:{name}", kwargs={word: known[word] for word in converters})


def answers(name: str) -> list[int]:
    """Return how the site answers whoever looks there, sends a form, and sends JSON, each in a new browser."""
    poll = Poll.start(question="Why?")
    form = {"timelines-step": "answer", "note": "x", "question": "Why?"}
    asked = (
        {"input": {"note": "x"}}
        if name == "api_step"
        else {"workflow": poll.timeline.workflow, "input": {"question": "Why?"}}
    )
    return [
        Client().get(address(name, poll)).status_code,
        Client().post(address(name, poll), form).status_code,
        Client().post(address(name, Poll.start(question="Why?")), asked, content_type="application/json").status_code,
    ]


@pytest.mark.parametrize("policy", [theirs, anybodys])
@pytest.mark.parametrize("site", SITES)
def test_every_address_answers_as_it_answers_an_anonymous_visitor(settings, site, policy):
    path = f"{__name__}.{policy.__name__}"
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": path, "CAN_CALL": path}
    settings.DEBUG = policy is anybodys  # then anybody may begin a timeline
    names = [pattern.name for pattern in urlpatterns]
    expected = {name: answers(name) for name in names}

    settings.MIDDLEWARE = SITES[site]

    assert {name: answers(name) for name in names} == expected
    assert max(max(statuses) for statuses in expected.values()) < 500
