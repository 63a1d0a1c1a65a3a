"""Plant faults, one at a time, and see that a test tells of each.

python -m tests.planted               # all faults
python -m tests.planted --clause 5    # those of one promise
python -m tests.planted --list        # only say what they break
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("django_timelines", "example_project", "tests", "manage.py", "pyproject.toml")
PASSED, FAILED = 0, 1  # how pytest ends: https://docs.pytest.org/en/stable/reference/exit-codes.html


def main() -> int:
    """Do what was asked for; return 1 if a fault was not caught, or does not fit the code."""
    asked = _asked()
    faults = [fault for fault in FAULTS if asked.clause in (None, fault.clause)]
    if asked.list:
        print(*(f"{fault}  ({fault.file})" for fault in faults), sep="\n")
        return 0
    began = time.monotonic()
    with copied() as copy:
        if not _is_green(copy, faults):
            return 1
        caught = [_try(copy, fault) for fault in faults]
    print(f"{caught.count(True)} of {len(faults)} faults caught, {time.monotonic() - began:.0f} s")
    return 0 if all(caught) else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clause", type=int, choices=range(1, 16), metavar="N", help="only those of this promise")
    parser.add_argument("--list", action="store_true", help="only say what they break")
    return parser.parse_args()


@contextmanager
def copied() -> Iterator[Path]:
    """Copy what the tests need into a folder that goes with the block: nothing is planted where somebody works."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder)
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, copy / part)
        yield copy


def _is_green(copy: Path, faults: Sequence[Fault]) -> bool:
    """Tell whether all tests pass as long as nothing is planted: else that they fail says nothing."""
    for database in sorted({fault.database for fault in faults}):
        tests = dict.fromkeys(test for fault in faults if fault.database == database for test in fault.tests)
        ended = _run(copy, database, [*tests])
        if ended.returncode != PASSED:
            print(f"Nothing is planted, and on {database} these tests fail already:\n{ended.stdout}", flush=True)
            return False
    return True


def _try(copy: Path, fault: Fault) -> bool:
    """Plant a fault, and say what became of it; return whether it was caught."""
    if not fault.fits(copy):
        said = "does not fit any more"
    else:
        with planted(copy, fault):
            ended = _run(copy, fault.database, fault.tests)
        said = {FAILED: "caught", PASSED: "NOT caught"}.get(ended.returncode, f"breaks the tests\n{ended.stdout}")
    print(f"{fault}: {said}", flush=True)
    return said == "caught"


@contextmanager
def planted(copy: Path, fault: Fault) -> Iterator[None]:
    """Let the copy have the fault for the block."""
    path = copy / "django_timelines" / fault.file
    right = path.read_text()
    _write(path, right.replace(fault.old, fault.new))
    try:
        yield
    finally:
        _write(path, right)


def _write(path: Path, source: str) -> None:
    """Write a module. Python knows a compiled one by its second and its size, which may be those of the one before."""
    path.write_text(source)
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _run(copy: Path, database: str, tests: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run tests against the copy until one fails. A service that is missing fails them, too."""
    command = [sys.executable, "-m", "pytest", "--exitfirst", "--quiet", "-p", "no:cacheprovider"]
    command += [f"--ds=tests.settings.{database}", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy), "CI": "true"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
