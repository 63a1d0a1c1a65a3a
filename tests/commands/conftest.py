"""Somebody at a terminal, and timelines to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_timelines.management.commands.timelines import Command
from django_timelines.testing import drain, fail_step
from tests.shop.factories import OrderFactory
from tests.shop.workflows import Order

type_say = Callable[..., str]
type_ask = Callable[..., Any]
type_at_terminal = Callable[..., str]


@pytest.fixture
def say() -> type_say:
    """Run ``manage.py timelines`` with these words, and return what it says."""

    def run(*words: str) -> str:
        out = StringIO()
        call_command("timelines", *words, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def ask(say: type_say) -> type_ask:
    """Run it with ``--json``, and return the document."""
    return lambda *words: json.loads(say(*words, "--json"))


@pytest.fixture
def type_in(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run it as from a shell: return its exit code, what it said, and what it complained about."""

    def run(*words: str, checks: bool = False) -> tuple[int, str, str]:
        out, err = StringIO(), StringIO()
        code, flags = 0, [] if checks else ["--skip-checks"]
        try:
            Command(stdout=out, stderr=err).run_from_argv(["manage.py", "timelines", *flags, *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, out.getvalue() + said.out, err.getvalue() + said.err

    return run


class Screen(StringIO):
    """What somebody sees."""

    def isatty(self) -> bool:
        return True


class Keyboard(Screen):
    """What somebody types, while somebody else does something."""

    def __init__(self, types: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(types)
        self.meanwhile = meanwhile

    def readline(self, *args: Any) -> str:
        self.meanwhile()
        return super().readline(*args)


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> type_at_terminal:
    """Run it where somebody sits, who types this, while somebody else does that; return all that is on the screen."""

    def run(*words: str, types: str = "", meanwhile: Callable[[], object] = bool) -> str:
        screen = Screen()
        monkeypatch.setattr("sys.stdin", Keyboard(types, meanwhile))
        try:
            call_command("timelines", *words, "--no-color", stdout=screen)
        except CommandError as refused:
            screen.write(f"{refused}\n")
        return screen.getvalue()

    return run


def a_blocked_order() -> Order:
    """Return an order that could not be announced."""
    order = OrderFactory(upto="announce")
    with fail_step("announce", ValueError("The printer is \x1b[31mon fire\x1b[0m.\nRun.")):
        drain()
    return Order.get(order.pk)
