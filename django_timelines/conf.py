"""The settings, read in this one place: ``TIMELINES = {…}``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured

DEFAULTS: dict[str, Any] = {
    "BASE_URL": "",  # where links point to: never a request's host
    "PLACEMENT": {},  # step label, or "*", to placement
    "LEASE": 60,  # seconds that an attempt is its worker's without a heartbeat
    "GRACE": 8,  # seconds that a worker which ends gives to what it is executing
    "CAN_VIEW": "django_timelines.policy.can_view",  # who may see a timeline: page, socket, API, admin
    "CAN_CALL": "django_timelines.policy.can_call",  # who may call a step from outside: page and API
    "SEALER": "django_timelines.secrets.FernetSealer",  # encrypts Secret[…] inputs
}

BACKGROUND = "*"
FIRST_RING = timedelta(seconds=5)  # the clock rings again for what nobody picked up, after 5 s …
LAST_RING = timedelta(minutes=5)  # … doubling to 5 min
QUICK = 1.0  # seconds for which a runner goes on with the next due steps before it gives the job back
LONGEST_BATCH = 1.0  # seconds after which a batch is committed, however few items it has
LOOK_EVERY = 1.0  # seconds after which a long step looks whether it is paused or cancelled
SHOW_EVERY = 0.5  # seconds after which pages are told of its progress again
PLACEMENT_LIMIT = 100  # characters
A_YEAR = 366 * 24 * 3600.0  # seconds
WARN_BYTES = 64 * 1024
REFUSE_BYTES = 1024 * 1024


def _get(name: str) -> Any:
    return _dict("TIMELINES", getattr(settings, "TIMELINES", {})).get(name, DEFAULTS[name])


def _placed() -> dict[Any, Any]:
    return _dict("TIMELINES['PLACEMENT']", _get("PLACEMENT"))


def _dict(name: str, given: Any) -> dict[Any, Any]:
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f'{name} is not a dict. Write TIMELINES = {{"PLACEMENT": {{"*": "rq:default"}}}}.')
    return given


def _seconds(name: str, *, positive: bool = False) -> float:
    """Return a span; ``ImproperlyConfigured`` if it is none. Most servers run no checks as they start."""
    given, wanted = _get(name), "positive number" if positive else "number"
    if isinstance(given, int | float) and 0 <= given <= A_YEAR and (given or not positive):  # NaN is not, either
        return float(given)
    sentence = f"TIMELINES[{name!r}] is {given!r}, which is no {wanted} of seconds."
    raise ImproperlyConfigured(f"{sentence} Write one, a year's at most: {DEFAULTS[name]}, say.")


def base_url() -> str:
    """Return the site's address without a trailing slash, or an empty string when it is not set."""
    return str(_get("BASE_URL") or "").rstrip("/")


def placements() -> dict[str, str]:
    """Return ``PLACEMENT`` as it stands now; ``ImproperlyConfigured`` if it, or ``TIMELINES``, is no dict."""
    return {str(label): _placement(placement) for label, placement in _placed().items()}


def placement(label: str) -> str | None:
    """Return where ``PLACEMENT`` puts this step, or None."""
    placed = _placed().get(label)
    return None if placed is None else _placement(placed)


def _placement(name: object) -> str:
    return str(name)[:PLACEMENT_LIMIT]


def lease() -> timedelta:
    """Return how long an attempt is its worker's without a heartbeat."""
    return timedelta(seconds=_seconds("LEASE", positive=True))


def grace() -> float:
    """Return how many seconds a worker that ends gives to what it is executing."""
    return _seconds("GRACE")


def can_view() -> str:
    """Return the dotted path of the policy for page and socket."""
    return str(_get("CAN_VIEW"))


def children_are_seen() -> bool:
    """Tell whether who may see a parent may see its children. So the default policy has it; one of the site's own may not."""
    return bool(can_view() == DEFAULTS["CAN_VIEW"])


def can_call() -> str:
    """Return the dotted path of the policy for calls that come from outside."""
    return str(_get("CAN_CALL"))


def sealer() -> str:
    """Return the dotted path of what encrypts secrets."""
    return str(_get("SEALER"))


record_errors_only = False
"""Set by ``django_timelines.testing.recorded_errors``: an inline error is recorded and not raised."""


def raises_errors() -> bool:
    """Tell whether an unexpected inline error is raised once it is recorded: with ``DEBUG``, and under a test runner."""
    return (settings.DEBUG or is_tested()) and not record_errors_only


def is_tested() -> bool:
    """Tell whether a test runner is at work.

    ``mail.outbox`` is there only between ``setup_test_environment`` and its end (Django's docs, "Testing tools").
    """
    return hasattr(mail, "outbox")
