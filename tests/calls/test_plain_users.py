"""A user model of the site's own, without staff, permissions and groups, as ``AbstractBaseUser`` leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.test import Client

from django_timelines import policy
from django_timelines.actors import of_user
from django_timelines.models import Timeline
from django_timelines.testing import drain
from tests.shop.workflows import Order

from .workflows import Expense

pytestmark = pytest.mark.django_db
ACTOR = "django_timelines.middleware.ActorMiddleware"


@dataclass(frozen=True)
class Member:
    """What every user model has, and no more."""

    pk: str
    is_active: bool = True
    is_authenticated: bool = True
    is_anonymous: bool = False

    def __str__(self) -> str:
        return self.pk

    def get_username(self) -> str:
        return self.pk


def as_ada(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let every request be Ada's."""

    def answer(request: HttpRequest) -> HttpResponse:
        request.user = Member("ada")  # type: ignore[assignment]
        return get_response(request)

    return answer


@pytest.fixture
def member(settings: Any) -> Client:
    middleware = [*settings.MIDDLEWARE]
    middleware.insert(middleware.index(ACTOR), f"{__name__}.as_ada")
    settings.MIDDLEWARE = middleware
    return Client()


def test_these_members_have_nothing_that_djangos_smallest_user_lacks() -> None:
    assert {name for name in dir(Member) if not name.startswith("_")} <= {*dir(AbstractBaseUser), "pk"}
    assert not {"has_perm", "groups", "is_staff", "is_superuser"} & {*dir(AbstractBaseUser)}


def test_they_see_call_and_list_what_they_have_begun(member: Client) -> None:
    order = Order.using(actor=of_user(Member("ada"))).start("ada", 5)
    drain()
    other = Order.using(actor=of_user(Member("eve"))).start("eve", 5)

    page = member.get(f"/timelines/{order.pk}/")
    called = member.post(f"/timelines/{order.pk}/", {"timelines-step": "pay", "amount": "5"})
    listed = member.get("/timelines/api/").json()["timelines"]

    assert (page.status_code, called.status_code) == (200, 302)
    assert [row["id"] for row in listed] == [str(order.pk)]
    assert [member.get(f"/timelines/{path}").status_code for path in ("", f"api/{order.pk}/")] == [200, 200]
    assert member.get(f"/timelines/{other.pk}/").status_code == 404
    assert member.get("/timelines/start/shop.Order/").status_code == 404


def test_a_rule_names_them_by_name_and_never_by_group_or_permission() -> None:
    expense = Expense.using(actor=None).start(owner="ada", amount=5)
    row = Timeline.objects.get(pk=expense.pk)

    assert policy.may_call(row, "look_at", Member("ada"), None)  # the rule is a function of theirs
    assert not policy.may_call(row, "look_at", Member("eve"), None)
    assert not policy.may_call(row, "approve", Member("ada"), None)
    assert not policy.may_assign(Member("ada"))
    assert not policy.sees_all(Member("ada"))
