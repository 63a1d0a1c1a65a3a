"""A process may die at any point. Here some are tried, on the database that is tested; ``make crash`` tries them all."""

import os
import re
import subprocess
import sys

import pytest
from django.db import connection

NAMES = {"sqlite": "sqlite", "postgresql": "postgres", "mysql": "mariadb"}


@pytest.mark.redis
@pytest.mark.timeout(600)  # it begins no scenario after 15 seconds, and ends the one that it is at
def test_all_goes_on_wherever_a_process_died() -> None:
    database = NAMES[connection.vendor]
    without_coverage = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    crash = [sys.executable, "-m", "tests.crash", "--database", database, "--every", "15", "--within", "15"]

    ended = subprocess.run(crash, env=without_coverage, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r" [1-9]\d* points, 0 findings", ended.stdout), ended.stdout
