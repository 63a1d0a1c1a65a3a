"""The sign-up page's form."""

from __future__ import annotations

import uuid

from django import forms


class SignupForm(forms.Form):
    """What a visitor tells us. ``token`` is made with the page: the same form sent twice is one sign-up."""

    email = forms.EmailField(
        label="Email address", max_length=150, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label="Password",
        min_length=8,
        max_length=128,
        strip=False,
        help_text="At least 8 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    token = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput)

    def renew(self) -> None:
        """Give the form that is shown again a token of its own."""
        self.data = {**self.data, "token": str(uuid.uuid4())}
