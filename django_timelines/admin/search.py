"""Finding timelines: by what an index serves, never by reading payloads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Model, Q
from django.utils.translation import gettext_lazy as _

from .. import registry
from ..engine.asked import KEY_LIMIT, key_digest
from ..models import Timeline

HELP = _(
    "An id or its beginning (6 digits or more), a whole key, or a person who started it or whom it is about: "
    "the beginning of their name or address (3 letters or more), or who started it by primary key."
)
MOST_LABELS = 200
MOST_USERS = 5
MOST_ABOUT = 200  # timelines about those users
LOOKED_THROUGH = 50_000  # the newest timelines, for what they are about: no index tells
SHORTEST_BEGINNING = 3
_BEGINNING_OF_AN_ID = re.compile(r"[0-9a-f]{6,32}")


def labels(using: str) -> list[str]:
    """Return the labels of the workflows in the code, and of those that only the database still has."""
    return sorted({*registry.everything(), *_stored_labels(using)})


def _stored_labels(using: str) -> Iterator[str]:
    """Step from label to label: each one is a look-up in the index, however many timelines it has."""
    label: str | None = ""
    timelines = Timeline.objects.using(using).order_by("workflow").values_list("workflow", flat=True)
    for _number in range(MOST_LABELS):
        label = timelines.filter(workflow__gt=label).first()
        if label is None:
            return
        yield label


def matching(term: str, using: str, *, people: bool) -> Q:
    """Return which timelines a search means. ``people``: also by the beginning of a name, and by an address."""
    users = users_like(term, people=people)
    found = Q(started_by__in=[term[:64], *(str(user.pk) for user in users)])
    if users:
        found |= Q(pk__in=_about(users, using))
    if span := id_span(term):
        found |= Q(pk__range=span)
    if len(term) <= KEY_LIMIT:
        found |= Q(digest__in=[key_digest(label, term) for label in labels(using)])
    return found


def id_span(term: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Return the first and the last id with this beginning, or None if it is none."""
    digits = term.lower().replace("-", "")
    if not _BEGINNING_OF_AN_ID.fullmatch(digits):
        return None
    return uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))


def _about(users: list[Model], using: str) -> list[uuid.UUID]:
    """Return the newest timelines that refer to one of these users."""
    newest = Timeline.objects.using(using).order_by("-id")
    oldest = newest.values_list("pk", flat=True)[LOOKED_THROUGH : LOOKED_THROUGH + 1].first()
    looked_through = newest.filter(pk__gt=oldest) if oldest else newest
    return [
        pk
        for user in users
        for pk in looked_through.about(user).values_list("pk", flat=True)[: MOST_ABOUT // MOST_USERS]
    ]


def users_like(term: str, *, people: bool) -> list[Any]:
    """Return the users of this name; of ``people``, also of this address, then those whose name or address begins so."""
    model = get_user_model()
    names = [model.USERNAME_FIELD]
    if people:
        names += {field.name for field in model._meta.fields} & {model.get_email_field_name()} - {*names}
    lookups = [*names]
    if people and len(term) >= SHORTEST_BEGINNING:
        lookups += [f"{name}__startswith" for name in names]
    found: dict[object, Any] = {}
    for lookup in lookups:
        try:
            found |= {user.pk: user for user in model._default_manager.filter(**{lookup: term})[:MOST_USERS]}
        except (
            ValueError,
            ValidationError,
            OverflowError,
            FieldError,
        ):  # a name that is a number or a UUID: this is none
            continue
    return list(found.values())[:MOST_USERS]
