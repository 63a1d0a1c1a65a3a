"""Who did what an event says, as whom, and through what: one line for people."""

from __future__ import annotations

from django.utils.translation import gettext as _

from .actors import ActorType
from .models import Event

NAMED_BY = ("actor_type", "actor_id", "actor_label")  # the columns that ``name_of`` reads
_BY_ITSELF = {ActorType.LINK: "link", ActorType.COMMAND: "command"}


def name_of(event: Event) -> str:
    """Name who did it, as it was called then."""
    return str(event.actor_label or event.actor_id or event.get_actor_type_display())


def through(event: Event) -> str:
    """Return what a person acted through: ``page``, ``link``, ``api``, ``admin`` or ``command``; empty for code of yours."""
    said = event.data.get("through") or _BY_ITSELF.get(ActorType(event.actor_type), "")
    return str(said)


def who(event: Event) -> str:
    """Say it, by the names of then: "Ada (for Bob), through the admin"."""
    name = name_of(event)
    if event.data.get("instead_of"):
        name = _("%(name)s (for %(other)s)") % {"name": name, "other": event.data["instead_of"]}
    ways = {
        "page": _("%(name)s, through a page"),
        "link": _("%(name)s, through a link"),
        "api": _("%(name)s, through the API"),
        "admin": _("%(name)s, through the admin"),
    }
    way = ways.get(through(event))
    return way % {"name": name} if way and event.actor_type == ActorType.USER else name
