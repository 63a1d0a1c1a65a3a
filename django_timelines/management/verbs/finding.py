"""Which timeline is meant: by its id, by the beginning of its id, or by its key."""

from __future__ import annotations

import re
import uuid
from argparse import ArgumentParser
from typing import Any

from django.db import connections, router

from ... import registry
from ...engine.asked import key_digest
from ...exceptions import Refused, Unknown
from ...models import Timeline, TimelineQuerySet
from .base import type_options
from .typed import word

NAMED = 4  # of several timelines that are meant
_BEGINNING_OF_AN_ID = re.compile(r"[0-9a-f]{1,32}")


def add_timeline(parser: ArgumentParser, *, needed: bool = True) -> None:
    """Take a timeline. Where none is needed, all of a workflow, or all that there are, are meant without one."""
    how_many: dict[str, Any] = {} if needed else {"nargs": "?"}
    said = "Its id, the beginning of its id, or (with --key) its key." + ("" if needed else " Default: everything.")
    parser.add_argument("timeline", type=word, metavar="ID", help=said, **how_many)
    parser.add_argument("--key", action="store_true", help="ID is the key that it was started with.")
    said = "Of this workflow, signup.Signup say." + ("" if needed else " Without ID: all of this workflow.")
    add_workflow(parser, said)


def add_workflow(parser: ArgumentParser, help: str) -> None:
    """Take a workflow."""
    parser.add_argument("--workflow", type=word, metavar="LABEL", help=help)


def add_database(parser: ArgumentParser) -> None:
    """Take the database that holds the timelines."""
    parser.add_argument("--database", choices=tuple(connections), help="The database. Default: that of the router.")


def timelines(options: type_options) -> TimelineQuerySet:
    """Return the timelines of the database that is meant."""
    return Timeline.objects.using(database(options))


def database(options: type_options) -> str:
    """Return the database that is meant."""
    return str(options["database"] or router.db_for_write(Timeline))


def among(options: type_options) -> TimelineQuerySet:
    """Return the timelines of the workflow that is meant; all of the database if none is."""
    label = options["workflow"]
    return timelines(options) if label is None else of_workflow(options, label)


def of_workflow(options: type_options, label: str) -> TimelineQuerySet:
    """Return the timelines of a workflow, under all its names; ``Unknown`` if neither the code nor a timeline has it."""
    declaration = registry.find(label)
    if declaration is not None:
        return timelines(options).of(declaration)
    found = timelines(options).filter(workflow=label)
    if not found.exists():
        registry.get(label)  # says which there are
    return found


def timeline(options: type_options) -> Timeline:
    """Return the timeline that is meant; ``Unknown`` if there is none, ``Refused`` if there are several."""
    some = among(options)
    return _by_key(options) if options["key"] else by_id(options, options["timeline"], some)


def by_id(options: type_options, beginning: str, some: TimelineQuerySet | None = None) -> Timeline:
    """Return the timeline whose id is this or begins with it. ``some``: those that may be meant; all without it."""
    span, some = _id_span(beginning), timelines(options) if some is None else some
    found = list(some.filter(pk__range=span)[: NAMED + 1]) if span else []
    return _one(found, f"whose id begins with {beginning!r}{_of(options)}", "Give more of it.")


def _of(options: type_options) -> str:
    return f" of {options['workflow']}" if options.get("workflow") else ""


def _by_key(options: type_options) -> Timeline:
    key, label = options["timeline"], options["workflow"]
    known = registry.everything().values()
    names = [name for one in known if not label or label in one.names for name in one.names]
    digests = [key_digest(name, key) for name in names or [label]]
    found = list(timelines(options).filter(digest__in=digests)[: NAMED + 1])
    return _one(found, f"with the key {key!r}{_of(options)}", "Say --workflow.")


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
