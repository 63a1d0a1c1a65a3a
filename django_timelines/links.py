"""Links: absolute, signed, for one timeline, or for one run of one of its steps. They never trust a request's host."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_script_prefix, reverse, set_script_prefix
from django.utils.translation import gettext as _

from . import conf
from .exceptions import Unknown

_CALL, _VIEW = "django_timelines.call", "django_timelines.view"


@dataclass(frozen=True, slots=True)
class CallLink:
    """What a step's link says: which run of which timeline."""

    timeline: uuid.UUID
    step: str
    item: str = ""
    round: int = 1
    revoked_at: int = 0  # the newest event that had revoked such links when it was made


@dataclass(frozen=True, slots=True)
class ViewLink:
    """What a timeline's own link says."""

    timeline: uuid.UUID
    revoked_at: int = 0


def for_call(link: CallLink) -> str:
    """Return the absolute address at which the holder calls the step."""
    token = signing.dumps([link.timeline.hex, link.step, link.item, link.round, link.revoked_at], salt=_CALL)
    return _address("call", token)


def for_view(link: ViewLink) -> str:
    """Return the absolute address at which the holder sees the timeline."""
    token = signing.dumps([link.timeline.hex, link.revoked_at], salt=_VIEW)
    return _address("open", token)


def read_call(token: str) -> CallLink:
    """Return what a call link says; ``Unknown`` (reason ``forged``) if we did not write it."""
    timeline, *rest = _read(token, _CALL)
    return CallLink(uuid.UUID(timeline), *rest)


def read_view(token: str) -> ViewLink:
    """Return what a timeline's link says; ``Unknown`` (reason ``forged``) if we did not write it."""
    timeline, *rest = _read(token, _VIEW)
    return ViewLink(uuid.UUID(timeline), *rest)


def _address(name: str, token: str) -> str:
    """Return an absolute address. ``BASE_URL`` alone says where the site lies: a worker knows nothing of a request's prefix."""
    base = conf.base_url() or ("http://127.0.0.1:8000" if settings.DEBUG else "")
    if not base:
        raise ImproperlyConfigured(
            'Links need the site\'s address: set TIMELINES = {"BASE_URL": "https://example.org"}.'
        )
    prefix = get_script_prefix()
    set_script_prefix("/")
    try:
        return base + reverse(f"timelines:{name}", args=[token])
    finally:
        set_script_prefix(prefix)


def _read(token: str, salt: str) -> Any:
    try:
        return signing.loads(token, salt=salt)
    except signing.BadSignature:
        raise Unknown(_("This link is not one of ours: it was cut off or changed."), "forged") from None
