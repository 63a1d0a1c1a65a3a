"""Asking to whom a step is to be given."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .forms import ReasonForm
from .search import users_like


class AssignForm(ReasonForm):
    """To whom, by name. Who may see users may type a part of it, and is told who is meant."""

    user = forms.CharField(
        label=gettext_lazy("To"),
        required=False,
        max_length=254,
        help_text=gettext_lazy("A user's name, or the beginning of it. Left empty, it is for all who may call it."),
    )

    def __init__(self, *args: Any, asker: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sees_people = asker.has_perm("{0.app_label}.view_{0.model_name}".format(get_user_model()._meta))
        self.extra = self["user"]

    def clean_user(self) -> Any:
        """Return the user who is meant, or None."""
        term = self.cleaned_data["user"].strip()
        found = users_like(term, people=self._sees_people) if term else []
        named = [user for user in found if user.get_username() == term]
        if term and not found:
            raise forms.ValidationError(_("There is no such user."))
        if len(found) > 1 and not named:
            names = ", ".join(user.get_username() for user in found)
            raise forms.ValidationError(_("Several are meant: %(names)s. Type more.") % {"names": names})
        return (named or found)[0] if found else None
