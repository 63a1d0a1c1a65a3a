"""Where nobody reads the answer, or it cannot be written: what was done is done, and the exit code says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import IO

import pytest
from django.core.management import call_command

from django_timelines.management.commands.timelines import Command
from tests.hardening.test_damaged import damage
from tests.shop.factories import OrderFactory
from tests.shop.workflows import Order

from .conftest import a_blocked_order

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")  # the command closes its connections
SITE = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
on_a_full_disk = pytest.mark.skipif(not FULL.exists(), reason="/dev/full is not there")


@pytest.fixture
def closed_pipe() -> Iterator[IO[str]]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        yield pipe


def typed_into(out: IO[str], *words: str) -> tuple[int, str]:
    """Run it as from a shell, with this as its standard output: return its exit code, and what it complained about."""
    complained = StringIO()
    try:
        Command(stdout=out, stderr=complained).run_from_argv(["manage.py", "timelines", "--skip-checks", *words])
    except SystemExit as ended:
        return int(ended.code or 0), complained.getvalue()
    return 0, complained.getvalue()


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["", "json"])
def test_what_nobody_reads_is_done(closed_pipe: IO[str], json: list[str]) -> None:
    order = OrderFactory(upto="pay")

    assert typed_into(closed_pipe, "skip", str(order.pk), "pay", "--reason", "in cash", *json) == (0, "")

    assert Order.get(order.pk).pay.status == "skipped"


def test_what_nobody_reads_keeps_the_exit_code_of_its_verb(closed_pipe: IO[str]) -> None:
    damaged, order = a_blocked_order(), a_blocked_order()
    damage(damaged, {"runs": 7})

    assert typed_into(closed_pipe, "retry-blocked", "announce") == (1, "")

    assert Order.get(order.pk).announce.status == "due"
    call_command("timelines", "refold", str(damaged.pk), stdout=StringIO())


def test_a_rewind_that_tells_nobody_what_it_will_do_is_done(closed_pipe: IO[str]) -> None:
    order = OrderFactory(upto="pay")

    assert typed_into(closed_pipe, "rewind", str(order.pk), "--to", "pay", "--reason", "x", "--yes") == (0, "")

    assert Order.get(order.pk).timeline.state["rounds"] == {"pay": 2, "send": 2}


@on_a_full_disk
def test_what_was_done_and_could_not_be_told_has_a_code_of_its_own() -> None:
    order = OrderFactory(upto="pay")
    sentence = "What was asked for was done, but the answer could not be written: No space left on device."

    with FULL.open("w") as full:
        assert typed_into(full, "cancel", str(order.pk), "--reason", "x") == (3, f"{sentence}\n")
    with FULL.open("w") as full:
        code, complained = typed_into(full, "explain", str(order.pk), "--json")

    assert Order.get(order.pk).timeline.status == "cancelled"
    assert (code, json.loads(complained)) == (3, {"error": sentence, "reason": "not_told"})


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_output_does_not_know_is_written_out(tmp_path: Path, encoding: str) -> None:
    order = a_blocked_order()
    Order.get(order.pk).timeline.amend(reason="her full name", customer="Zoë 😀")
    told = tmp_path / "told"

    with told.open("w", encoding=encoding) as out:
        assert typed_into(out, "explain", str(order.pk)) == (0, "")
    assert r"\u201cannounce\u201d is blocked" in told.read_text(encoding)

    with told.open("w", encoding=encoding) as out:
        assert typed_into(out, "show", str(order.pk), "--json") == (0, "")
    assert json.loads(told.read_text(encoding))["fields"]["customer"] == "Zoë 😀"


def test_a_refusal_is_json_in_every_encoding() -> None:
    command = [
        sys.executable,
        "manage.py",
        "timelines",
        "list",
        "--status",
        "Zoë",
        "--json",
        "--settings=tests.settings.sqlite",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    ended = subprocess.run(command, cwd=SITE, env=environment, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert json.loads(ended.stderr)["reason"] == "wrong_usage"


def test_a_process_without_an_output_says_nothing_and_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    order = OrderFactory(upto="pay")
    monkeypatch.setattr(sys, "stdout", None)  # as after >&-

    Command(stderr=StringIO()).run_from_argv(
        ["manage.py", "timelines", "--skip-checks", "cancel", str(order.pk), "--reason=x"]
    )

    assert Order.get(order.pk).timeline.status == "cancelled"
