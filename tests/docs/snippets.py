"""Follow a page of the documentation as its reader would, from an empty directory.

- A block that names a file in its first line, ``# signup/views.py`` or ``{# signup/templates/signup/page.html #}``, is that
  file; with ``(at the end)`` after the name it is appended.
- Of a console block, the lines that begin with ``python -m django`` or ``python manage.py`` are run.
- A ``pycon`` block is a session of ``manage.py shell``: it must answer what the page says.

It needs nothing but Python, as ``.ci/fresh_project.py`` follows the README with it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:# |\{# )(\w+/[\w/]+\.\w+)( \(at the end\))?(?=\n|:| #\})")

SESSION = """
import django, doctest, sys
django.setup()
test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "session", "session", 0)
sys.exit(doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed)
"""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of each fenced block."""
    for found in BLOCK.finditer(page.read_text()):
        yield found[1], found[2]


@dataclass(frozen=True)
class Reader:
    """Somebody with a directory, a Python, and django_timelines importable there (by ``search``, if it is not installed)."""

    project: Path
    python: str = sys.executable
    search: str = ""

    def follow(self, page: Path) -> None:
        """Do what the page says."""
        for language, text in blocks(page):
            if named := FILE.match(text):
                self.write(named[1], text, append=bool(named[2]))
            elif language == "console":
                self.type(text)
            elif language == "pycon":
                self.run("-c", SESSION, given=text)

    def write(self, name: str, text: str, *, append: bool = False) -> None:
        """Write a file."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w") as file:
            file.write(f"\n\n{text}" if append else text)

    def type(self, lines: str) -> None:
        """Run the commands that end by themselves and need nothing but the project."""
        for line in lines.splitlines():
            if line.startswith(("python -m django ", "python manage.py ")):
                self.run(*shlex.split(line, comments=True)[1:])

    def run(self, *arguments: str, given: str = "") -> str:
        """Run Python in the project; return what it said, or fail with it."""
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": self.search}
        ended = subprocess.run(
            [self.python, *arguments], cwd=self.project, env=environment, input=given, text=True, capture_output=True
        )
        said = f"{given}\n{ended.stdout}\n{ended.stderr}"
        assert ended.returncode == 0, f"{shlex.join(arguments)[:80]} …\n{said}"
        return said
