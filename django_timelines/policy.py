"""Who may see a timeline, and who may call its steps: one policy for page, socket, API and admin.

A link is a right of its own: to see a timeline, or to call one step, until it is revoked.

``TIMELINES["CAN_VIEW"]`` and ``TIMELINES["CAN_CALL"]`` name others. A step's own ``allowed=`` holds wherever a call comes from.
"""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils.module_loading import import_string

from . import conf, registry
from .actors import Actor, ActorType
from .answers import answered
from .exceptions import ItemsNotLoaded
from .models import Run, Timeline, TimelineQuerySet
from .registry import Declaration
from .rules import allows, has_permission, is_here
from .runs import can_be_stored
from .state import TAKES_CALLS, revoked_at, run_key, split_key, waiting_steps

SESSION_KEY = "django_timelines"
GUEST_KEY = "django_timelines_guest"  # those that a link has shown to this session, until links to them are revoked
CALLS_KEY = "django_timelines_calls"  # keys of the forms that this session has sent
_NOTED = "_django_timelines_noted"  # what a request has noted in its session, which bears it until the answer
REMEMBERED = 50  # timelines of one session; the oldest is forgotten first


def may_view(timeline: Timeline, user: Any, session: Any) -> bool:
    """Ask the configured policy. Whom nobody knows (None) is an anonymous user to it."""
    path = conf.can_view()
    said = import_string(path)(timeline, user=_somebody(user), session=session)
    return bool(answered(f"CAN_VIEW, {path},", said))


def may_call(timeline: Timeline, step: str, user: Any, session: Any) -> bool:
    """Ask the configured policy. What runs by itself, or is not there, is nobody's to call from outside.

    However the caller has written it, the policy is given the one name that the run has: what it compares is what is called.
    Whom nobody knows (None) is an anonymous user to it.
    """
    declaration = registry.find(timeline.workflow)
    name, item, round = split_key(step)
    current = declaration.current(name) if declaration else name
    declared = declaration.steps.get(current) if declaration else None
    if declared is None or not declared.waits or not can_be_stored(step):
        return False
    path = conf.can_call()
    said = import_string(path)(timeline, run_key(current, item, round), user=_somebody(user), session=session)
    return bool(answered(f"CAN_CALL, {path},", said))


def may_start(declaration: Declaration, user: Any) -> bool:
    """Tell whether this user may begin a timeline where the site has no page of its own for it.

    The entry step's ``allowed=`` says so. Without it: staff with the permission to add timelines; with ``DEBUG`` anybody.
    """
    entry = declaration.step(declaration.graph.entry.name)
    if entry.allowed:
        return allows(entry, None, _somebody(user))
    return settings.DEBUG or _is_staff(user, "django_timelines.add_timeline")


def can_view(timeline: Timeline, *, user: Any, session: Any) -> bool:
    """The default: staff with the view permission; whoever started it, as this user or in this browser's session.

    The holder of the timeline's signed link becomes one of the latter by opening it. Who may see a parent may see its children.
    And whoever is named by the ``allowed=`` of a step that waits.
    """
    if _is_staff(user, "django_timelines.view_timeline"):
        return True
    known = set(_remembered(session, SESSION_KEY))
    seen: Timeline | None = timeline
    while seen is not None:
        if seen.id.hex in known or _started(seen, user) or _was_let_in(session, seen):
            return True
        seen = _parent_of(seen)
    return _is_asked_for(timeline, user)


def _parent_of(timeline: Timeline) -> Timeline | None:
    if timeline.parent is None:
        return None
    parents = Timeline.objects.using(timeline.using).filter(pk=timeline.parent)
    return parents.only("id", "parent", "started_by").first()


def can_call(timeline: Timeline, step: str, *, user: Any, session: Any) -> bool:
    """The default: who the step's ``allowed=`` names. Without it: whoever started the timeline, and staff who may change it.

    What was given to somebody is theirs alone, who are named by ``allowed=`` if there is one.
    A step whose link a body made is its holder's to call: whoever started the timeline is to follow the link.
    """
    declaration = registry.get(timeline.workflow)
    declared = declaration.step(split_key(step)[0])
    if is_for(timeline, step, user):
        return True
    if declared.allowed or who_has(timeline, step):
        return False
    if _is_staff(user, "django_timelines.change_timeline"):
        return True
    return timeline.id.hex in _remembered(session, SESSION_KEY) and not _is_its_holders(declaration, timeline, step)


def is_for(timeline: Timeline, step: str, user: Any) -> bool:
    """Tell whether the step waits for this user: it was given to them; else its ``allowed=`` names them, or they started it."""
    declaration = registry.find(timeline.workflow)
    declared = declaration.steps.get(declaration.current(split_key(step)[0])) if declaration else None
    if declaration is None or declared is None or not declared.waits:
        return False
    has = who_has(timeline, step)
    if has and not (user is not None and is_here(user) and str(user.pk) == has):
        return False
    if declared.allowed:
        return allows(declared, declaration.make(timeline), user)
    return bool(has) or (_started(timeline, user) and not _is_its_holders(declaration, timeline, step))


def _is_its_holders(declaration: Declaration, timeline: Timeline, run: str) -> bool:
    """Tell whether a body made a link to the run, under whatever name its step had then."""
    return not {*timeline.state.get("links", ())}.isdisjoint(_keys_of(declaration, run))


def _keys_of(declaration: Declaration, run: str) -> list[str]:
    """Return the keys by which the state may know a run: its step may have had another name before."""
    name, item, round = split_key(run)
    return [run_key(known, item, round) for known in declaration.names_of(name)]


def who_has(timeline: Timeline, run: str) -> str:
    """Return the primary key of the user to whom the run was given; empty if it is for all who may call it."""
    declaration = registry.find(timeline.workflow)
    keys = _keys_of(declaration, run) if declaration else [run]
    try:
        found = [timeline.state["runs"].get(key, {}).get("assigned") for key in keys]
    except ItemsNotLoaded:
        item = split_key(run).item
        names = [split_key(key).step for key in keys]
        rows = Run.objects.using(timeline.using).filter(timeline=timeline.pk, step__in=names, item=item)
        return rows.values_list("assigned", flat=True).first() or ""
    return next((str(has["id"]) for has in found if has), "")


def may_assign(user: Any) -> bool:
    """Tell whether this user may give a step to somebody from outside: who has the permission ``assign_timeline``."""
    known = user is not None and user.is_authenticated and user.is_active
    return bool(known and has_permission(user, "django_timelines.assign_timeline"))


def sees_all(user: Any) -> bool:
    """Tell whether this user may see every timeline, so that how many there are gives nothing away.

    By the default policy staff with the view permission may. One of the site's own is asked for one timeline at a time: beside it
    only superusers, who can let themselves see any.
    """
    asks_for_each = not conf.children_are_seen()
    return _is_staff(user, "django_timelines.view_timeline") and (
        not asks_for_each or getattr(user, "is_superuser", False)
    )


def known_to(timelines: TimelineQuerySet, user: Any, session: Any) -> TimelineQuerySet:
    """Return those of the timelines that this viewer began or was shown; for staff who may view timelines, all."""
    if _is_staff(user, "django_timelines.view_timeline"):
        return timelines
    guest = [entry.partition("@")[0] for entry in _remembered(session, GUEST_KEY)]
    shown = [uuid.UUID(id) for id in (*_remembered(session, SESSION_KEY), *guest)]
    wanted = Q(pk__in=shown)
    if user is not None and user.is_authenticated and user.is_active:
        wanted |= Q(started_by=str(user.pk))
    return timelines.filter(wanted)


def user_of(actor: Actor) -> Any:
    """Return the user that an actor is, as the database has it now; for a visitor or a link an anonymous one; else None."""
    if actor.type == ActorType.USER and actor.id:
        return get_user_model()._default_manager.filter(pk=actor.id).first()
    return _somebody(None) if actor.type in (ActorType.USER, ActorType.LINK) else None


def remember(session: Any, timelines: list[str]) -> None:
    """Let this browser's session see and move on these timelines (32 hexadecimal digits each)."""
    _remember(session, SESSION_KEY, timelines)


def let_in(session: Any, timeline: Timeline) -> None:
    """Let this browser's session look at a timeline whose link it has followed, until its links are revoked."""
    _remember(session, GUEST_KEY, [_as_guest(timeline)])


def note_beside_others(session: Any) -> None:
    """Let what this request has noted in its session lie beside what other answers have noted there since it was read.

    For a session is saved as a whole, as the request that is answered last has it. Call it right before that. One that is kept
    in a cookie is stored nowhere else: of two answers at once the browser keeps the later one's.
    """
    noted = getattr(session, _NOTED, ())
    if not noted or session.session_key is None:  # nobody else has one that is new, or was flushed
        return
    stored = type(session)(session.session_key)
    for key, timelines in noted:
        _remember(stored, key, timelines)
    session.update({key: stored[key] for key in (SESSION_KEY, GUEST_KEY, CALLS_KEY) if key in stored})


def has_noted(session: Any) -> bool:
    """Tell whether this request has noted anything in its session, which is not read for it."""
    return bool(getattr(session, _NOTED, ()))


def remember_call(session: Any, key: str) -> None:
    """Note that this browser's session has sent the form with this key."""
    _remember(session, CALLS_KEY, [key])


def has_called(session: Any, key: str) -> bool:
    """Tell whether this browser's session has sent the form with this key: what is in it may be shown there again."""
    return bool(key) and key in _remembered(session, CALLS_KEY)


def _as_guest(timeline: Timeline) -> str:
    since = revoked_at(timeline.state)
    return f"{timeline.id.hex}@{since}" if since else timeline.id.hex


def _was_let_in(session: Any, timeline: Timeline) -> bool:
    entries = [entry for entry in _remembered(session, GUEST_KEY) if entry.startswith(timeline.id.hex)]
    return bool(entries) and _as_guest(timeline) in entries  # most are none: their state is not read for it


def _remember(session: Any, key: str, timelines: list[str]) -> None:
    if session is None:  # a site without sessions: nobody is remembered
        return
    known = [entry for entry in _remembered(session, key) if entry not in timelines]
    cast("MutableMapping[str, Any]", session)[key] = [*known, *timelines][-REMEMBERED:]
    with suppress(AttributeError):  # of a plain mapping, which nobody saves
        setattr(session, _NOTED, [*getattr(session, _NOTED, ()), (key, timelines)])


def _remembered(session: Any, key: str) -> list[str]:
    return list(session.get(key, ())) if session is not None else []


def _somebody(user: Any) -> Any:
    return import_string("django.contrib.auth.models.AnonymousUser")() if user is None else user


def _started(timeline: Timeline, user: Any) -> bool:
    known = user is not None and user.is_authenticated and user.is_active
    return bool(known and timeline.started_by and timeline.started_by == str(user.pk))


def _is_staff(user: Any, permission: str) -> bool:
    known = user is not None and user.is_authenticated and user.is_active
    return bool(known and getattr(user, "is_staff", False) and has_permission(user, permission))


def _is_asked_for(timeline: Timeline, user: Any) -> bool:
    """Tell whether a step waits that was given to this user, or whose ``allowed=`` names them."""
    declaration = registry.find(timeline.workflow)
    if declaration is None or "runs" not in timeline.state:
        return False
    open_runs = Run.objects.using(timeline.using).filter(timeline=timeline.pk, status__in=TAKES_CALLS)
    if is_here(user) and user.pk is not None and open_runs.filter(assigned=str(user.pk)).exists():
        return True
    waiting = waiting_steps(timeline.state)
    steps = [step for name, step in declaration.steps.items() if name in waiting and step.allowed]
    return any(allows(step, declaration.make(timeline), user) for step in steps)
