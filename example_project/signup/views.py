"""Signing up, and the account in the end. What happens between is in ``workflows.py``."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from django_timelines.policy import may_view
from django_timelines.workflows import Refused, StepStatus

from .forms import SignupForm
from .models import Account
from .workflows import Signup


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_up(request: HttpRequest) -> HttpResponse:
    """Show the form, or begin a sign-up with it and go to its page."""
    form = SignupForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        token = form.cleaned_data.pop("token")
        try:
            signup = Signup.using(key=str(token)).start(**form.cleaned_data)
        except ValidationError as error:  # the step said no: wherever it ran, the same answer
            form.add_error(None, error)
        except Refused:  # somebody went back to the form and changed the address
            form.renew()
            form.add_error(None, "This form was sent already. Send it again for another sign-up.")
        else:
            signup.send_activation_link.wait(timeout=2)  # the next page at once on the happy path
            return redirect(signup)
    return render(request, "signup/sign_up.html", {"form": form})


@require_safe
@never_cache
def account(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the account to whoever may see its sign-up, once that is activated."""
    try:
        signup = Signup.get(pk)
    except Refused:
        raise Http404 from None
    if not may_view(signup.timeline, request.user, request.session):
        raise Http404
    if signup.activate.status != StepStatus.COMPLETED:
        return redirect(signup)
    fields = signup.timeline.state["fields"]
    return render(
        request, "signup/account.html", {"signup": signup, "account": get_object_or_404(Account, pk=fields["account"])}
    )
