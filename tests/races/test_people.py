"""What people do at the same moment: a call through a link that is revoked meanwhile."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.pages.test_revoking import Invitation, path, planned
from tests.races.at_once import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.mark.parametrize("_time", range(5))
def test_of_a_call_and_a_revocation_at_once_each_order_is_whole(_time: int) -> None:
    invitation = planned()
    link, browser = invitation.book.link(), Client()
    key = browser.get(path(link)).context["call"].key

    pressed, _ = at_once(
        lambda: browser.post(path(link), {"timelines-key": key, "table": 4}),
        lambda: Invitation.get(invitation.pk).book.revoke_links(reason="wrong address"),
    )

    events = list(invitation.timeline.events.order_by("sequence").values_list("type", "step"))
    called, revoked = ("StepCalled", "book"), ("LinksRevoked", "book")
    assert revoked in events
    if pressed.status_code == 302:
        assert events.index(called) < events.index(revoked)
        assert Invitation.get(invitation.pk).book.status == "completed"
    else:
        assert pressed.status_code == 410
        assert called not in events
