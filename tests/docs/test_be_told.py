"""The how-to about hearing of blocked steps, followed by a reader in a new project."""

from __future__ import annotations

from pathlib import Path

from .snippets import ROOT, Reader

PAGE = ROOT / "docs" / "howto" / "be-told.md"
SETTINGS = """
INSTALLED_APPS += ["django_timelines", "support"]
ADMINS = [("Grace", "grace@example.org")] if django.VERSION < (6, 0) else ["grace@example.org"]
TIMELINES = {"BASE_URL": "https://example.org"}
"""
TOLD = """
import io, json

import django
django.setup()

from django.core import mail
from django.core.management import call_command
from django.test import RequestFactory
from django.test.utils import setup_test_environment
from django_timelines import moments, store
from django_timelines.exceptions import PermanentFailure
from django_timelines.testing import drain, fail_step, recorded_errors
from django_timelines.workflows import Workflow, step
from support.views import health
from support.workflows import Alarm

class Transfer(Workflow):
    @step
    def begin(self): ...

    @step(after=begin)
    def book(self): ...

def listed():
    said = io.StringIO()
    call_command("timelines", "list", "--status", "blocked", "--json", stdout=said)
    return [one["id"] for one in json.loads(said.getvalue())["timelines"]]

setup_test_environment()
transfer = Transfer.start()
assert listed() == [] and health(RequestFactory().get("/")).status_code == 503, "no clock has been seen"
store.sighted("default", "clock", moments.now())
assert health(RequestFactory().get("/")).status_code == 200

mail.outbox.clear()
with recorded_errors(), fail_step(Transfer.book, PermanentFailure("No such account.")):
    drain()
assert listed() == [str(transfer.pk)]
subjects = [one.subject.partition("] ")[2] for one in mail.outbox]
assert subjects == [f"{transfer.timeline.workflow} is blocked at book", f"{transfer.timeline.workflow} is blocked"], subjects
assert all("No such account" in one.body and str(transfer.pk) in one.body for one in mail.outbox)

with recorded_errors(), fail_step(Alarm.send, PermanentFailure("No mail.")):
    transfer.book.retry()
    with fail_step(Transfer.book, PermanentFailure("Still none.")):
        drain()
assert Alarm.timelines.count() == 2, "an alarm about an alarm"
print("Told.")
"""


def test_who_follows_the_how_to_about_being_told_hears_of_a_blocked_step(tmp_path: Path) -> None:
    reader = Reader(tmp_path, search=str(ROOT))
    reader.run("-m", "django", "startproject", "mysite", ".")
    reader.run("-m", "django", "startapp", "support")
    reader.write("mysite/settings.py", f"import django\n{SETTINGS}", append=True)
    reader.follow(PAGE)
    reader.run("manage.py", "migrate")
    reader.run("manage.py", "check")

    assert "Told." in reader.run("-c", TOLD)
