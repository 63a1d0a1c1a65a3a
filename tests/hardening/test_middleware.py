"""The middleware takes a request as it comes: without a session, or with headers that lie."""

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from django_timelines.middleware import ActorMiddleware
from django_timelines.models import Event, Timeline
from tests.shop.workflows import Visit

pytestmark = pytest.mark.django_db(databases="__all__")


def invite(request: HttpRequest) -> HttpResponse:
    Visit.start(guest="Ada")
    return HttpResponse("ok")


def test_a_project_without_sessions_begins_timelines() -> None:
    request = RequestFactory().get("/")

    response = ActorMiddleware(invite)(request)

    assert isinstance(response, HttpResponse)
    assert (response.status_code, Timeline.objects.count()) == (200, 1)


@pytest.mark.parametrize("header", ["\x00", "\xff" * 100, "\udcff"], ids=["nul", "latin", "surrogate"])
def test_a_trace_header_that_no_database_holds_is_as_none(header: str) -> None:
    request = RequestFactory().get("/", HTTP_TRACEPARENT=header)
    request.session = SessionStore()

    response = ActorMiddleware(invite)(request)

    assert isinstance(response, HttpResponse)
    assert response.status_code == 200
    assert set(Event.objects.values_list("trace", flat=True)) == {""}
