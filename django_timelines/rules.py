"""What a step's ``allowed=`` says of a user."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

import pydantic
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from .answers import answered
from .exceptions import FieldUnset
from .people import LINK, type_rule
from .steps import Step

logger = logging.getLogger("django_timelines")
_MISFITS = (ValidationError, pydantic.ValidationError)  # a field was stored under another type


def allows(step: Step[...], workflow: Any, user: Any, *, holds_link: bool = False) -> bool:
    """Tell whether ``allowed=`` names this user, or the holder of the step's link. Who has left is named by nothing.

    A function is asked about no timeline that newer code calls steps or fields of by other names: it would find them missing.
    """
    if holds_link and LINK in step.allowed:
        return True
    return is_here(user) and any(_names(step, rule, workflow, user) for rule in step.allowed)


def allows_always(step: Step[...], user: Any) -> bool:
    """Tell whether ``allowed=`` names this user whatever the timeline."""
    return is_here(user) and any(_names(step, rule, None, user) for rule in step.allowed if not callable(rule))


def is_here(user: Any) -> bool:
    """Tell whether there is somebody: a visitor, or a user who has not left."""
    return user is not None and (not user.is_authenticated or user.is_active)


def has_permission(user: Any, permission: str) -> bool:
    """Tell whether a user has a permission. A user model of the site's own may know of none."""
    return hasattr(user, "has_perm") and bool(user.has_perm(permission))


def _names(step: Step[...], rule: type_rule, workflow: Any, user: Any) -> bool:
    if callable(rule):
        return (workflow is None or not workflow._is_behind) and _says(step, rule, workflow, user)
    kind, _colon, name = rule.partition(":")
    if not user.is_authenticated or rule == LINK:
        return False
    if kind == "user" and name:
        return bool(user.get_username() == name)
    if kind == "group" and name:
        return name in _groups_of(user)
    return has_permission(user, rule)


def _says(step: Step[...], rule: Any, workflow: Any, user: Any) -> bool:
    """Ask a function. One that reads a field which cannot be read names nobody: it would break the lists of everybody else."""
    asked = f"A function in allowed= of {step.name!r}"
    try:
        return bool(answered(asked, rule(workflow, user)))
    except (ObjectDoesNotExist, FieldUnset, *_MISFITS) as error:
        said = "" if isinstance(error, _MISFITS) else f": {error}"  # what does not fit shows somebody's value
        _warn(asked, getattr(workflow, "pk", None), f"{type(error).__name__}{said}")
        return False


@lru_cache(maxsize=1024)
def _warn(asked: str, timeline: Any, said: str) -> None:
    """Say it once in a process, and not each time that somebody looks at a list."""
    logger.warning("%s was not answered on timeline %s, and names nobody there: %s", asked, timeline, said)


def _groups_of(user: Any) -> frozenset[str]:
    """Return the names of the user's groups: read once, and kept with the user, as Django keeps its permissions."""
    if not hasattr(user, "groups"):
        return frozenset()
    if not hasattr(user, "_timelines_groups"):
        user._timelines_groups = frozenset(user.groups.values_list("name", flat=True))
    found: frozenset[str] = user._timelines_groups
    return found
