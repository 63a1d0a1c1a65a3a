"""The import of contacts: its pages, its workflow, and what happens half-way."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from django_timelines import conf
from django_timelines.models import Timeline
from django_timelines.testing import drain, fail_step, recorded_errors, travel
from example_project.contacts.models import Contact
from example_project.contacts.workflows import ImportContacts

TOKEN = "0b7c1f6e-4a57-4d5c-9d4b-3f1a2e8c9d10"


@pytest.fixture(autouse=True)
def uploads(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for them. A batch is as long as it says, however slow the machine is."""
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(conf, "LONGEST_BATCH", 60)
    return tmp_path


def upload(visitor: Client, text: str = "name,email\nAda,ada@example.org\nBob,nobody\n", **more: Any) -> Any:
    file = io.BytesIO(text.encode("utf-8", "surrogateescape"))
    file.name = "contacts.csv"
    return visitor.post("/contacts/", {"file": file, "token": TOKEN} | more)


def test_who_uploads_a_file_sees_its_import_and_the_file_is_tidied_up(visitor: Client, uploads: Path) -> None:
    page = upload(visitor)["Location"]
    drain()

    shown = visitor.get(page).content.decode()
    assert "All done: 1 contacts were imported, 1 rows had no address." in shown
    assert list(Contact.objects.values_list("name", "email")) == [("Ada", "ada@example.org")]
    assert not list(uploads.rglob("*.csv"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("surname,address\nAda,x\n", "Its first line has no column name and email."),
        ("name,address\n", "Its first line has no column email."),
        ("name,email\udcff\n", "This is no CSV file in UTF-8."),
        ("", "The submitted file is empty."),
    ],
)
def test_a_file_of_another_kind_says_so_and_begins_nothing(visitor: Client, text: str, error: str) -> None:
    answer = upload(visitor, text)

    assert answer.context["form"].errors["file"] == [error]
    assert not Timeline.objects.exists()


def test_a_form_that_is_sent_twice_is_one_import(visitor: Client, uploads: Path) -> None:
    first = upload(visitor)
    second = upload(visitor)
    drain()
    third = upload(visitor)

    assert first["Location"] == second["Location"] == third["Location"]
    assert Contact.objects.count() == 1
    assert not list(uploads.rglob("*.csv"))


def test_an_import_that_fails_half_way_goes_on_at_its_cursor_and_imports_nobody_twice(visitor: Client) -> None:
    rows = "".join(f"Contact {n},contact{n}@example.org\n" for n in range(1, 1_200))
    late = rows.replace("Contact 1100,contact1100@example.org", "Contact 1100")  # no such column in this line
    upload(visitor, "name,email\n" + late)
    with recorded_errors():
        drain()
    half_way = Contact.objects.count()
    with default_storage.open(f"contacts/{TOKEN}.csv", "w") as file:  # somebody mends the file
        file.write("name,email\n" + rows)
    travel(timedelta(seconds=10))
    drain()

    assert half_way == 1_000
    assert Contact.objects.count() == Contact.objects.values("email").distinct().count() == 1_199
    done = ImportContacts.get(key=TOKEN)
    assert (done.timeline.status, done.imported, done.rejected) == ("completed", 1_199, 0)


def test_an_import_whose_file_was_replaced_meanwhile_is_blocked_and_says_why(visitor: Client) -> None:
    upload(visitor, "name,email\n" + "".join(f"Contact {n},c{n}@example.org\n" for n in range(600)))
    with recorded_errors(), fail_step(ImportContacts.load_rows, OSError(), after=True):
        drain()
    with default_storage.open(f"contacts/{TOKEN}.csv", "w") as file:
        file.write("name,email\n" + "".join(f"Other {n},o{n}@example.org\n" for n in range(600)))
    travel(timedelta(seconds=10))
    with recorded_errors():
        drain()

    half = ImportContacts.get(key=TOKEN)
    assert half.load_rows.status == "blocked"
    assert "what it iterates was changed" in str(half.timeline.explain())
    assert "Something is wrong with the file" in visitor.get(half.get_absolute_url()).content.decode()
    assert Contact.objects.count() == 500


def test_the_sample_has_the_columns_that_are_asked_for(visitor: Client) -> None:
    lines = b"".join(visitor.get("/contacts/sample.csv").streaming_content).decode().splitlines()

    assert lines[:2] == ["name,email", "Contact 1,contact1@example.org"]
    assert len(lines) == 20_001
