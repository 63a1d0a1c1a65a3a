"""Importing contacts. What happens with the file is in ``workflows.py``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from django_timelines.policy import remember
from django_timelines.workflows import Refused

from .forms import UploadForm
from .models import Contact
from .workflows import ImportContacts

SAMPLE = 20_000  # rows


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def import_contacts(request: HttpRequest) -> HttpResponse:
    """Show the form, or put the file into the storage and begin to import it."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        begun = _begin(str(form.cleaned_data["token"]), form.cleaned_data["file"])
        remember(request.session, [begun.pk.hex])
        return redirect(begun)
    return render(request, "contacts/import_contacts.html", {"form": form, "contacts": Contact.objects.count()})


def _begin(token: str, file: UploadedFile[Any]) -> ImportContacts:
    """Begin the import of this form, or find the one that it began: a second click finds its file in use, or gone."""
    with suppress(Refused):
        return ImportContacts.get(key=token)
    path = f"contacts/{token}.csv"
    saved = default_storage.save(path, file)
    if saved != path:  # of two clicks at once
        default_storage.delete(saved)
    return ImportContacts.using(key=token).start(path=path)


@require_safe
def sample(request: HttpRequest) -> StreamingHttpResponse:
    """Return a file to try it with. Every hundredth row has no address."""
    answer = StreamingHttpResponse(_rows(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="contacts.csv"'
    return answer


def _rows() -> Iterator[str]:
    yield "name,email\n"
    for number in range(1, SAMPLE + 1):
        yield f"Contact {number},{'nobody' if number % 100 == 0 else f'contact{number}@example.org'}\n"
