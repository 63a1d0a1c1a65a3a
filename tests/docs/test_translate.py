"""The how-to about translating, followed by a reader in a new project; and what its catalogue has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import django_timelines
from django_timelines.engine.ticks import TickOutcome
from django_timelines.events import EventType
from django_timelines.models.words import EVENTS, WORDS
from django_timelines.state import Outcome, StepStatus, TimelineStatus

from .snippets import ROOT, Reader

PAGE = ROOT / "docs" / "howto" / "translate.md"
GERMAN = {
    "waiting": "wartet",
    "Open account": "Konto eröffnen",
    "Signup": "Anmeldung",
    "This is missing.": "Das fehlt.",
    "Step completed": "Schritt erledigt",
    "The timeline of %(step)s": "Der Zeitstrahl von %(step)s",
}
READ = """
import django
django.setup()

from django.test import RequestFactory
from django.utils.translation import override
from django_timelines.admin.words import event_title
from django_timelines.exceptions import Rejected
from django_timelines.models import Timeline
from django_timelines.outline import outline
from signup.workflows import Signup

signup = Signup.start(email="ada@example.org")
with override("de"):
    drawn = outline(signup.timeline)
    assert (drawn.title, drawn.word, drawn.lines[1].title) == ("Anmeldung", "wartet", "Konto eröffnen"), drawn
    assert event_title("StepCompleted") == "Schritt erledigt"
    try:
        Signup.start()
    except Rejected as error:
        assert error.message_dict == {"email": ["Das fehlt."]}, error
print("Übersetzt.")
"""
WORKFLOW = """
from django_timelines.workflows import Workflow, step

class Signup(Workflow):
    @step
    def register(self, email: str): ...

    @step(after=register, manual=True)
    def open_account(self): ...
"""


def test_the_words_for_where_things_stand_are_those_of_their_enums() -> None:
    assert set(WORDS) == {*TimelineStatus, *StepStatus, *Outcome, *TickOutcome}


def test_the_words_for_what_happened_are_those_of_the_events() -> None:
    assert {word.title().replace(" ", "") for word in EVENTS} == set(EventType)


@pytest.mark.skipif(not shutil.which("msgfmt"), reason="needs the tools of gettext")
def test_who_follows_the_how_to_about_translating_reads_german(tmp_path: Path) -> None:
    reader = Reader(tmp_path, search=str(ROOT))
    reader.run("-m", "django", "startproject", "mysite", ".")
    reader.run("-m", "django", "startapp", "signup")
    reader.write("mysite/settings.py", 'INSTALLED_APPS += ["django_timelines", "signup"]', append=True)
    reader.write("signup/workflows.py", WORKFLOW)
    (tmp_path / "django_timelines").symlink_to(django_timelines.__path__[0])
    (tmp_path / "locale").mkdir()
    reader.follow(PAGE)
    reader.run("manage.py", "migrate")
    catalogue = tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"

    said = catalogue.read_text()
    for english, german in GERMAN.items():
        said, found = re.subn(rf'(msgid "{re.escape(english)}"\nmsgstr )""', rf'\1"{german}"', said)
        assert found == 1, english
    catalogue.write_text(said)
    reader.run("manage.py", "compilemessages", "--locale", "de")

    assert "Übersetzt." in reader.run("-c", READ)
