"""The plugin for pytest, in a project of somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
SECRET_KEY = "for tests only"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django_timelines", "errands"]
"""
WORKFLOWS = """
from datetime import timedelta
from django_timelines.workflows import Workflow, step

class Errand(Workflow):
    @step
    def ask(self, what: str): ...

    @step(after=ask, manual=True, within=timedelta(days=1))
    def run(self): ...

    @step(after=run)
    def thank(self): ...
"""
TESTS = """
from datetime import timedelta
import pytest
from django.test import TestCase
from django_timelines import moments
from django_timelines.models import Timeline
from errands.workflows import Errand

@pytest.mark.django_db
def test_it_travels(timelines):
    errand = Errand.start(what="bread")
    timelines.travel(timedelta(days=2))
    assert timelines.drain() == 0
    assert Errand.get(errand.pk).run.status == "overdue"
    with timelines.travel(timedelta(days=1)):
        assert moments.offset == timedelta(days=3)
    assert moments.offset == timedelta(days=2)

def test_it_is_back(timelines):
    assert moments.offset == timedelta(0)

def test_errors_are_recorded(transactional_db, recorded_errors, timelines, monkeypatch):
    errand = Errand.start(what="bread")
    errand.run()
    monkeypatch.setattr(Errand._declaration.steps["thank"], "body", lambda self: 1 / 0)
    assert timelines.drain() == 1

@pytest.mark.django_db
def test_it_breaks():
    Errand.start(what="bread")
    Timeline.objects.update(status="completed")

def test_it_breaks_without_a_transaction(transactional_db):
    Errand.start(what="bread")
    Timeline.objects.update(status="completed")

def test_it_breaks_behind_a_live_server(live_server):
    Errand.start(what="bread")
    Timeline.objects.update(status="completed")

class ItBreaks(TestCase):
    def test_it_breaks_unseen(self):
        Errand.start(what="bread")
        Timeline.objects.update(status="completed")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project."""
    (tmp_path / "errands").mkdir()
    (tmp_path / "errands" / "__init__.py").touch()
    (tmp_path / "errands" / "workflows.py").write_text(WORKFLOWS)
    (tmp_path / "their_settings.py").write_text(SETTINGS)
    (tmp_path / "test_errands.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = their_settings\n")
    return tmp_path


def run(project: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "django_timelines.pytest_plugin", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
    environment["PYTHONPATH"] = str(ROOT)
    ended = subprocess.run(command, cwd=project, env=environment, text=True, capture_output=True, timeout=150)
    return ended.stdout + ended.stderr


def test_nothing_is_checked_that_nobody_asked_for(project: Path) -> None:
    said = run(project)

    assert "7 passed" in said, said


def test_each_test_with_a_database_is_checked_where_the_ini_file_asks_for_it(project: Path) -> None:
    said = run(project, "-o", "timelines_hold=true")

    assert "7 passed, 3 errors" in said, said
    assert "ERROR test_errands.py::test_it_breaks - AssertionError: errands.Errand" in said
    assert "ERROR test_errands.py::test_it_breaks_without_a_transaction - AssertionError" in said
    assert "ERROR test_errands.py::test_it_breaks_behind_a_live_server - AssertionError" in said
    assert "the status is 'completed', and by its events " in said


def test_the_plugin_comes_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"django_timelines.pytest_plugin": "django_timelines.pytest_plugin"}
