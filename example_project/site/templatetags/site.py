"""Template tags and filters of the example project."""

from __future__ import annotations

import re

from django import template
from django.forms import BoundField
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()
_ADDRESS = re.compile(r"(https?://[^\s<>\"']+)")


@register.filter
def with_links(text: str) -> SafeString:
    """Make the web addresses in a plain text clickable; all else is escaped."""
    parts = enumerate(_ADDRESS.split(text))
    return format_html_join("", "{}", ((_link(part) if number % 2 else part,) for number, part in parts))


@register.filter
def drawn(field: BoundField) -> SafeString:
    """Draw a form's field. The first one that is wrong takes the focus when the form is shown again."""
    wrong = [name for name in field.form.fields if name in field.form.errors]
    return field.as_widget(attrs={"autofocus": True} if wrong[:1] == [field.name] else {})


def _link(address: str) -> SafeString:
    return format_html('<a href="{}" rel="nofollow noopener noreferrer">{}</a>', address, address)
