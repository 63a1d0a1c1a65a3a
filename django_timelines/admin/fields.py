"""The fields of a timeline as its page shows them: values in the reader's words, rows by their names and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import display_for_value, quote
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import registry
from ..fields import Field
from ..models import Timeline
from ..references import models_in
from .payloads import Payload, payload

_FORMATTED = (date, datetime, time, timedelta, Decimal)


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field. ``value`` is None while no step has set it; ``url`` is the admin page of the row that it names."""

    title: str
    value: Payload | None
    url: str = ""


def fields_of(timeline: Timeline, request: HttpRequest, site: AdminSite) -> Iterator[FieldRow]:
    """Yield the declared fields in their order, then those that only the state still has."""
    declaration = registry.find(timeline.workflow)
    declared = declaration.fields if declaration else {}
    values = timeline.state["fields"]
    for name in [*declared, *(name for name in values if name not in declared)]:
        title = name.replace("_", " ")
        if name not in values:
            yield FieldRow(title, None)
        elif (model := _model(declared.get(name))) is not None and values[name] is not None:
            text, url = row_of(model, values[name], request, site)
            yield FieldRow(title, payload(text), url)
        else:
            yield FieldRow(title, payload(_readable(declared.get(name), values[name])))


def row_of(model: type[Model], key: Any, request: HttpRequest, site: AdminSite) -> tuple[str, str]:
    """Return what a referenced row is called, and its admin page if this user may see it there."""
    name = f"{model._meta.verbose_name} {key}"
    model_admin = site._registry.get(model)
    if model_admin is None or not model_admin.has_view_or_change_permission(request):
        return name, ""
    try:
        row = model_admin.get_queryset(request).filter(pk=key).first()
        is_there = row is not None or model._base_manager.filter(pk=key).exists()
    except (ValueError, TypeError, OverflowError, ValidationError):  # a key of another type than the model has today
        row, is_there = None, False
    if not is_there:
        return _("%(name)s (not there any more)") % {"name": name}, ""
    if row is None or not model_admin.has_view_or_change_permission(request, row):  # not this user's to see
        return name, ""
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[quote(key)], current_app=site.name)
    return str(row), url


def _model(field: Field | None) -> type[Model] | None:
    """Return the model of a field that holds one reference, which may be optional."""
    models = models_in(field.annotation) if field else []
    return models[0] if len(models) == 1 else None


def _readable(field: Field | None, value: Any) -> Any:
    """Return dates, times and numbers as the reader's language writes them; all else as it is stored."""
    if field is None or not isinstance(value, str):
        return value
    try:
        decoded = field.decode(value)
    except Exception:  # stored under an older type: show what is there
        return value
    return str(display_for_value(decoded, "-")) if isinstance(decoded, _FORMATTED) else value
