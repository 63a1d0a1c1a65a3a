"""The how-to about hearing of blocked steps, followed by a reader in a new project."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone
from django_rq import get_queue

from django_timelines import store
from django_timelines.testing import travel
from tests.shop.here import HERE
from tests.shop.workflows import Order

from .snippets import ROOT, Reader, blocks

PAGE = ROOT / "docs" / "howto" / "be-told.md"
SETTINGS = """
INSTALLED_APPS += ["django_timelines", "support"]
ADMINS = [("Grace", "grace@example.org")] if django.VERSION < (6, 0) else ["grace@example.org"]
TIMELINES = {"BASE_URL": "https://example.org"}
"""
TOLD = """
import io, json
from datetime import timedelta

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

class Standing(Workflow):
    @step
    def begin(self): ...

    @step(after=begin, delay=timedelta(days=30))
    def pay(self): ...

def answered():
    return health(RequestFactory().get("/")).status_code

def listed():
    said = io.StringIO()
    call_command("timelines", "list", "--status", "blocked", "--json", stdout=said)
    return [one["id"] for one in json.loads(said.getvalue())["timelines"]]

setup_test_environment()
assert answered() == 503, "no clock, on a site with nothing but schedules"
standing = Standing.start()
drain()
assert Standing.get(standing.pk).timeline.status == "waiting" and answered() == 503, "no clock, while one waits for its time"
transfer = Transfer.start()
assert listed() == [] and answered() == 503, "no clock has been seen"
store.sighted("default", "clock", moments.now())
assert answered() == 200
store.sighted("default", "clock", moments.now() - timedelta(minutes=2))
assert answered() == 503, "the clock is dead"

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


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
def test_the_page_for_a_monitor_says_that_no_worker_is_there(place: Callable[..., None]) -> None:
    place(background="rq:default")
    get_queue("default").connection.flushdb()
    view: dict[str, Any] = {}
    exec(next(text for _language, text in blocks(PAGE) if "def health" in text), view)  # noqa: S102 (the page is ours)
    Order.start(customer="Ada")

    with travel(timedelta(seconds=11)):
        store.sighted(HERE, "clock", timezone.now())
        answer = view["health"](RequestFactory().get("/"))

    assert (answer.status_code, answer.content) == (503, b'{"wrong": ["no_worker"]}')
