"""What a person is asked before a verb is done: why, yes or no to a choice, and fields typed as JSON or text."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.cancel import REASON_LIMIT
from ..fields import Field
from ..inputs import read
from ..references import models_in
from .payloads import LONG, title_of
from .verbs import Outlook, Verb

_REASON = {"rows": 3, "cols": 60}
_MODULE = re.compile(r"(?<!['\"\w.])(?:\w+\.)+")  # datetime.date is a date


class ReasonForm(forms.Form):
    """Why somebody uses a verb, and what they saw of it."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("It is kept on the timeline, with your name."),
        max_length=REASON_LIMIT,
        widget=forms.Textarea(attrs=_REASON),
    )
    fence = forms.CharField(required=False, widget=forms.HiddenInput)
    use_required_attribute = True

    def __init__(self, data: Any, *, needs_reason: bool = True, outlook: Outlook | None = None) -> None:
        seen = outlook.seen if outlook else ""
        super().__init__(data, initial={"fence": seen})
        self._seen = seen
        self.fields["reason"].required = needs_reason
        self.choice: forms.BoundField | None = None
        self.extra: forms.BoundField | None = None  # what else is asked for
        if outlook and (choice := outlook.choice):
            self.fields[choice.name] = forms.BooleanField(label=choice.label, required=choice.required)
            self.choice = self[choice.name]

    @property
    def is_stale(self) -> bool:
        """Tell whether something else would happen now than the person saw."""
        return bool(self.is_bound and self.data.get("fence", "") != self._seen)

    def refresh(self) -> None:
        """Ask again: keep what was typed, on what is true now."""
        data: Any = self.data
        self.data = {**data.dict(), "fence": self._seen}


@dataclass(frozen=True, slots=True)
class Input:
    """One field in the form: ``now`` is its present value where the person typed another one over an older one."""

    title: str
    type: str
    bound: forms.BoundField
    now: str | None


class FieldsForm(ReasonForm):
    """One input for each field. Only what the person changed counts, and only if it still was what they saw."""

    def __init__(
        self, data: Any, declared: Mapping[str, Field], values: Mapping[str, Any], *, must: bool, **options: Any
    ) -> None:
        super().__init__(data, **options)
        self._must = must
        self._now = {name: _present(field, values) for name, field in declared.items()}
        self._declared = {name: field for name, field in declared.items() if len(self._now[name]) <= LONG}
        self.left_out = [title_of(name) for name in declared if name not in self._declared]
        for name in self._declared:
            rows = min(8, 1 + self._now[name].count("\n") + len(self._now[name]) // 60)
            widget = forms.Textarea(attrs={"rows": rows, "cols": 60, "spellcheck": "false"})
            self.fields[_input(name)] = forms.CharField(
                label=title_of(name),
                required=False,
                strip=False,
                show_hidden_initial=True,
                initial=self._now[name],
                widget=widget,
            )

    @property
    def inputs(self) -> Iterator[Input]:
        """The inputs, in the order of the class."""
        for name, field in self._declared.items():
            bound = self[_input(name)]
            now = self._now[name] if self.is_bound and _typed(bound) != _plain(self._now[name]) else None
            yield Input(title_of(name), _type(field), bound, now)

    @property
    def is_touched(self) -> bool:
        """Tell whether the person typed something in one of the inputs."""
        return self.is_bound and any(_typed(self[_input(name)]) != _seen(self[_input(name)]) for name in self._declared)

    def clean(self) -> dict[str, Any]:
        """Add ``changes``: what differs from what the person saw."""
        changes: dict[str, Any] = {}
        for name, field in self._declared.items():
            bound = self[_input(name)]
            if _input(name) in self.errors or _typed(bound) == _seen(bound):
                continue
            if _seen(bound) != _plain(self._now[name]):
                self.add_error(_input(name), _("It was changed since you saw it."))
                continue
            try:
                changes[name] = read(field, _typed(bound) or "")
            except ValidationError as error:
                self.add_error(_input(name), error.messages)
        if self._must and not changes and not self.errors:
            raise ValidationError(_("Change one field at least."))
        return {**self.cleaned_data, "changes": changes}

    def refresh(self) -> None:
        """Ask again: what the person did not touch shows what is true now."""
        super().refresh()
        now: dict[str, Any] = {}
        for name in self._declared:
            bound = self[_input(name)]
            if _typed(bound) == _seen(bound):
                now[bound.html_name] = self._now[name]
            now[bound.html_initial_name] = self._now[name]
        self.data = {**self.data, **now}


def form_for(verb: Verb, outlook: Outlook, data: Any, declared: Mapping[str, Field], values: Any) -> ReasonForm:
    """Return the form of a verb."""
    if not verb.fields:
        return ReasonForm(data, needs_reason=verb.needs_reason, outlook=outlook)
    must = verb.fields == "must"
    return FieldsForm(data, declared, values, must=must, needs_reason=verb.needs_reason, outlook=outlook)


def _input(name: str) -> str:
    return f"field-{name}"


def _plain(text: str | None) -> str | None:
    """Return a text as browsers would send it, but for their line ends."""
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _typed(bound: forms.BoundField) -> str | None:
    """Return what was typed; what was not sent at all is what was seen."""
    typed = _plain(bound.form.data.get(bound.html_name))
    return _seen(bound) if typed is None else typed


def _seen(bound: forms.BoundField) -> str | None:
    return _plain(bound.form.data.get(bound.html_initial_name)) or ""


def _present(field: Field, values: Mapping[str, Any]) -> str:
    """Write what a field holds, also where it is stored under the name that it had before; nothing if it is not set."""
    stored = field.name if field.name in values else field.renamed_from
    return _written(field, values[stored]) if stored in values else ""


def _written(field: Field, encoded: Any) -> str:
    """Write a stored value so that reading it gives the same: as text if that does, else as JSON."""
    if isinstance(encoded, str) and encoded:
        try:
            if _plain(encoded) == encoded and _encoded(field, encoded) == encoded:
                return encoded
        except ValidationError:
            pass
    return json.dumps(encoded, ensure_ascii=False)


def _encoded(field: Field, text: str) -> Any:
    return field.encode(read(field, text))


def _type(field: Field) -> str:
    """Name a field's type as the class does; a row's by what it is called, as it is typed by its primary key."""
    if len(models := models_in(field.annotation)) == 1:
        return _("%(model)s, by primary key") % {"model": models[0]._meta.verbose_name}
    return _MODULE.sub("", inspect.formatannotation(field.annotation))
