"""``{% load timelines %}``: draw a timeline on the server, and bring it to life.

In the head::

    {% timelines_style %}{% timelines_script %}{% timelines_refresh signup %}

and where it is to be seen::

    {% timeline signup %}
    {% timeline_diagram signup %}
    {% timelines_family signup %}

An element elsewhere on the page that has an ``id`` and the attribute ``data-timelines-page`` is kept up to date as well: when
the timeline moves, the page is fetched again and the element takes on what it is there.
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable
from functools import lru_cache, partial
from typing import Any

from django import template
from django.apps import apps
from django.template import Context
from django.template.base import Template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from .. import conf, policy, registry
from ..diagram import diagram_of
from ..models import Timeline
from ..outline import Line, Outline, outline
from ..relatives import relatives_of
from ..state import ENDED

register = template.Library()


@register.inclusion_tag("django_timelines/section.html")
def timeline(shown: Any) -> dict[str, Any]:
    """Draw a timeline (a workflow object, a ``Timeline``, or its outline), alive if the page has the script."""
    drawn = shown if isinstance(shown, Outline) else outline(_row(shown))
    row = drawn.timeline
    return {"outline": drawn, "timeline": row, "since": _address("since", row), "socket": _socket(row)}


@register.simple_tag(takes_context=True)
def timelines_step(context: Context, line: Line, timeline: uuid.UUID) -> SafeString:
    """Draw one line of the outline of this timeline."""
    return _drawn(context, "step", line=line, id=f"step-{timeline.hex}-{line.name}")


@register.simple_tag(takes_context=True)
def timelines_icon(context: Context, status: str) -> SafeString:
    """Draw the sign of a status."""
    return _drawn(context, "icon", status=status)


@register.inclusion_tag("django_timelines/diagram.html", takes_context=True)
def timeline_diagram(context: Context, shown: Any) -> dict[str, Any]:
    """Draw the steps of a timeline and where it stands on them, alive if the page has the script; or of a class, by its label.

    Given the ``outline`` that the page draws as well, its boxes lead to the steps there; and to children that the reader may see.
    """
    if isinstance(shown, str):
        return {"diagram": diagram_of(registry.get(shown))}
    row = shown.timeline if isinstance(shown, Outline) else _row(shown)
    declaration = registry.find(row.workflow)
    lines = shown.lines if isinstance(shown, Outline) else ()
    rows = {line.name: f"#step-{row.id.hex}-{line.name}" for line in lines}
    of_child = partial(_page_of, row, context.get("request"))
    diagram = diagram_of(declaration, row, rows=rows, child_url=of_child) if declaration else None
    return {"diagram": diagram, "is_live": row.status not in ENDED}


@register.inclusion_tag("django_timelines/family.html", takes_context=True)
def timelines_family(context: Context, shown: Any) -> dict[str, Any]:
    """Link the timeline that began this one and those that it began: whichever the reader may see."""
    row, request = _row(shown), context.get("request")
    relatives = relatives_of(row, getattr(request, "user", None), getattr(request, "session", None))
    return {"timeline": row, "relatives": relatives}


@register.simple_tag(takes_context=True)
def timelines_style(context: Context) -> SafeString:
    """Link the stylesheets, with the nonce of the page's policy if the context has one (``csp_nonce``)."""
    links = ((static(f"django_timelines/{name}.css"), _nonce(context)) for name in ("diagram", "timelines"))
    return format_html_join("", '<link rel="stylesheet" href="{}"{}>', links)


@register.simple_tag(takes_context=True)
def timelines_script(context: Context) -> SafeString:
    """Load the script: an ES module, which a policy of ``script-src 'self'`` allows, or its nonce."""
    address = static("django_timelines/live.js")
    return format_html('<script type="module" src="{}"{}></script>', address, _nonce(context))


@register.simple_tag(takes_context=True)
def timelines_refresh(context: Context, shown: Any, seconds: int = 5) -> SafeString:
    """In the head: without JavaScript the page is loaded again every few seconds, until the timeline has ended.

    Not while there is something to fill in: that would be gone.
    """
    fills_in = any(getattr(call, "asks", False) for call in context.get("calls") or ())
    if fills_in or _row(shown).status in ENDED:
        return SafeString("")
    return format_html('<noscript><meta http-equiv="refresh" content="{}"></noscript>', int(seconds))


def _nonce(context: Context) -> str:
    nonce = context.get("csp_nonce")
    return "" if nonce is None else format_html(' nonce="{}"', nonce)


def _drawn(context: Context, template: str, **values: Hashable) -> SafeString:
    """Draw with a template that looks at these values alone. What did not change since the last push is not drawn again."""
    engine: Any = context.template and context.template.engine
    found = engine.get_template(f"django_timelines/{template}.html")
    return _draw(found, tuple(values.items()), get_language(), get_current_timezone_name())


@lru_cache(maxsize=1024)
def _draw(template: Template, values: tuple[tuple[str, Hashable], ...], language: str | None, zone: str) -> SafeString:
    return template.render(Context(dict(values)))


def _row(shown: Any) -> Timeline:
    return shown if isinstance(shown, Timeline) else shown.timeline


def _page_of(parent: Timeline, request: Any, id: uuid.UUID) -> str:
    child = parent.children.filter(pk=id).first()
    reader = getattr(request, "user", None), getattr(request, "session", None)
    if child is None or not (conf.children_are_seen() or policy.may_view(child, *reader)):
        return ""
    try:
        return child.get_absolute_url()
    except NoReverseMatch:
        return ""


def _address(name: str, timeline: Timeline) -> str:
    return reverse(f"timelines:{name}", args=[timeline.id])


def _socket(timeline: Timeline) -> str:
    """Return the socket's address beside the page's, or an empty string where nothing serves it: then the page polls."""
    if not apps.is_installed("django_timelines.live"):
        return ""
    drawn_in = {"language": get_language() or "", "zone": get_current_timezone_name()}
    return f"{_address('timeline', timeline)}live/?{urlencode(drawn_in)}"
