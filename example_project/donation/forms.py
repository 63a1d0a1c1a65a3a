"""The one form that says more than its step's parameters do. The others are made from those."""

from __future__ import annotations

from django import forms

from django_timelines.forms import form_for

from .workflows import Donation


@form_for(Donation.enter_details)
class DetailsForm(forms.Form):
    """Who gives, and where we find them."""

    name = forms.CharField(label="Your name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(
        label="Email address",
        max_length=150,
        help_text="We send a link there, to make sure that it is yours.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
