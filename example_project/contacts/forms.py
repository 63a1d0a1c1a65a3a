"""The upload page's form."""

from __future__ import annotations

import csv
import uuid
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

COLUMNS = ("name", "email")
LARGEST = 50 * 1024 * 1024  # bytes
HEADER = 2_000  # bytes within which the first line has to end


class UploadForm(forms.Form):
    """A file of contacts. ``token`` is made with the page: the same form sent twice is one import."""

    file = forms.FileField(
        label="CSV file",
        help_text="In UTF-8. Its first line names the columns, name and email among them.",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
    )
    token = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput)

    def clean_file(self) -> Any:
        """Look at its size and at its first line; the rows are the import's business."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            raise ValidationError("This file is larger than 50 MB. Send it in parts.")
        beginning = file.read(HEADER)
        file.seek(0)
        try:
            (header,) = csv.reader([beginning.splitlines()[0].decode()])
        except (UnicodeDecodeError, csv.Error):
            raise ValidationError("This is no CSV file in UTF-8.") from None
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise ValidationError(
                "Its first line has no column %(columns)s.", params={"columns": " and ".join(missing)}
            )
        return file
