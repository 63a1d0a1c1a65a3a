"""A process may die at any point. Here some are tried; ``make crash`` tries them all."""

import os
import subprocess
import sys

import pytest

NEEDED = {"sqlite": [], "postgres": [pytest.mark.postgres], "mariadb": [pytest.mark.mariadb]}


@pytest.mark.redis
@pytest.mark.timeout(180)
@pytest.mark.parametrize("database", [pytest.param(name, marks=marks) for name, marks in NEEDED.items()])
def test_all_goes_on_wherever_a_process_died(database: str) -> None:
    without_coverage = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    crash = [sys.executable, "-m", "tests.crash", "--database", database, "--every", "15", "--within", "15"]

    ended = subprocess.run(crash, env=without_coverage, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 findings" in ended.stdout
