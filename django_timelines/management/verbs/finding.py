"""Which timeline is meant: by its id, by the beginning of its id, or by its key."""

from __future__ import annotations

import re
import uuid
from argparse import ArgumentParser

from django.db import connections, router

from ... import registry
from ...engine.asked import key_digest
from ...exceptions import Refused, Unknown
from ...models import Timeline, TimelineQuerySet
from .base import type_options

NAMED = 4  # of several timelines that are meant
_BEGINNING_OF_AN_ID = re.compile(r"[0-9a-f]{1,32}")


def add_timeline(parser: ArgumentParser) -> None:
    """Take a timeline."""
    parser.add_argument("timeline", metavar="ID", help="Its id, the beginning of its id, or (with --key) its key.")
    parser.add_argument("--key", action="store_true", help="ID is the key that it was started with.")
    parser.add_argument("--workflow", metavar="LABEL", help="With --key: of this workflow, signup.Signup say.")


def add_database(parser: ArgumentParser) -> None:
    """Take the database that holds the timelines."""
    parser.add_argument("--database", choices=tuple(connections), help="The database. Default: that of the router.")


def timelines(options: type_options) -> TimelineQuerySet:
    """Return the timelines of the database that is meant."""
    return Timeline.objects.using(options["database"] or router.db_for_write(Timeline))


def timeline(options: type_options) -> Timeline:
    """Return the timeline that is meant; ``Unknown`` if there is none, ``Refused`` if there are several."""
    return _by_key(options) if options["key"] else by_id(options, options["timeline"])


def by_id(options: type_options, beginning: str) -> Timeline:
    """Return the timeline whose id is this or begins with it."""
    span = _id_span(beginning)
    found = list(timelines(options).filter(pk__range=span)[: NAMED + 1]) if span else []
    return _one(found, f"whose id begins with {beginning!r}", "Give more of it.")


def _by_key(options: type_options) -> Timeline:
    key, label = options["timeline"], options["workflow"]
    digests = [key_digest(one, key) for one in ([label] if label else registry.everything())]
    found = list(timelines(options).filter(digest__in=digests)[: NAMED + 1])
    return _one(found, f"with the key {key!r}{f' of {label}' if label else ''}", "Say --workflow.")


def _one(found: list[Timeline], described: str, advice: str) -> Timeline:
    if not found:
        raise Unknown(f"There is no timeline {described}.", "unknown_timeline")
    if len(found) > 1:
        named = ", ".join(str(one) for one in found[:NAMED])
        more = " and more" if len(found) > NAMED else ""
        raise Refused(f"There are several timelines {described}: {named}{more}. {advice}", "ambiguous")
    return found[0]


def _id_span(beginning: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    digits = beginning.lower().replace("-", "")
    if not _BEGINNING_OF_AN_ID.fullmatch(digits):
        return None
    return uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
