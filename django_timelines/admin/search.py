"""Finding timelines: by what an index serves, never by reading payloads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import registry
from ..engine.call import KEY_LIMIT, key_digest
from ..models import Timeline

HELP = _("An id or its beginning (6 digits or more), a whole key, or who started it: a user's name or primary key.")
MOST_LABELS = 200
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


def matching(term: str, using: str) -> Q:
    """Return which timelines a search means."""
    found = Q(started_by__in=_users(term))
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


def _users(term: str) -> list[str]:
    model = get_user_model()
    try:
        users = list(model._default_manager.filter(**{model.USERNAME_FIELD: term}).values_list("pk", flat=True)[:2])
    except (ValueError, ValidationError, OverflowError):  # a name that is a number or a UUID, and this is none
        users = []
    return [term[:64], *map(str, users)]
