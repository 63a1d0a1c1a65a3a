"""The order page's form."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms

from .till import MENU

MOST = 6  # of one drink


class OrderForm(forms.Form):
    """Who orders what. ``token`` is made with the page: the same form sent twice is one order."""

    customer = forms.CharField(
        label="Your name",
        max_length=40,
        help_text="The barista calls it out.",
        widget=forms.TextInput(attrs={"autocomplete": "given-name"}),
    )
    token = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number, (drink, price) in enumerate(MENU.items()):
            self.fields[f"drink_{number}"] = forms.IntegerField(
                label=f"{drink.title()}, {price}", initial=0, required=False, min_value=0, max_value=MOST
            )

    def clean(self) -> dict[str, Any]:
        """Put the drinks together, as many of each as were asked for."""
        data = self.cleaned_data
        counts = [(drink, data.pop(f"drink_{number}", None) or 0) for number, drink in enumerate(MENU)]
        data["drinks"] = [drink for drink, count in counts for _ in range(count)]
        if not data["drinks"] and not self.errors:
            raise forms.ValidationError("Choose at least one drink.")
        return data

    def renew(self) -> None:
        """Give the form that is shown again a token of its own."""
        self.data = {**self.data, "token": str(uuid.uuid4())}
