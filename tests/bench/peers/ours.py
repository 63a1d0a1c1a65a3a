"""django_timelines: five exactly-once steps, placed inline, called as a view calls them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[3])]
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.settings"

import django  # noqa: E402

django.setup()

from client import main, type_flow  # noqa: E402
from django.core.management import call_command  # noqa: E402

from tests.bench import hints  # noqa: E402
from tests.bench.workflows import Plain  # noqa: E402


def prepare() -> None:
    call_command("migrate", run_syncdb=True, verbosity=0)


def ready() -> type_flow:
    hints.off()
    return lambda: Plain.start(name="x")


if __name__ == "__main__":
    main(prepare, ready)
