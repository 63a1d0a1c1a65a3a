"""What a command does where nobody is named is the command's, however it was started."""

import subprocess
import sys
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2]
ASK = "from django_timelines.actors import current; actor = current(); print(actor.type, actor.label)"


@pytest.mark.parametrize(
    "program",
    [
        ["manage.py"],
        ["-m", "django"],
        ["-c", "from django.core.management import execute_from_command_line as run; import sys; run(sys.argv)"],
    ],
    ids=["manage.py", "python -m django", "code"],
)
def test_a_command_acts_as_itself(program: list[str]) -> None:
    command = [sys.executable, *program, "shell", "--verbosity=0", "--settings=tests.settings.sqlite", "-c", ASK]

    said = subprocess.check_output(command, cwd=SITE, text=True).strip()

    assert said == ("system system" if program[0] == "-c" else "command shell")
