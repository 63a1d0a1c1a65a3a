"""Install the wheel into an empty environment, follow the README in a new project, and run its workflow there.

``fresh_project.py WHEEL DJANGO``, by the Python to be tried. The extras and the other packages are those of the README's
``pip install``; what counts as a file or a command there is said in ``tests/docs/snippets.py``.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from tests.docs.snippets import Reader  # noqa: E402 (found by the line above)
from tests.docs.stories import GREETING  # noqa: E402

README = ROOT / "README.md"


def main(wheel: str, django: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home, project = Path(directory) / "environment", Path(directory) / "project"
        venv.create(home, with_pip=True)
        project.mkdir()
        reader = Reader(project, str(home / "bin" / "python"))
        install = [reader.python, "-m", "pip", "install", "--quiet", *packages(wheel), f"django~={django}.0"]
        subprocess.run(install, check=True)
        reader.follow(README)
        reader.run("manage.py", "makemigrations", "--check")
        print(reader.run("-c", GREETING))


def packages(wheel: str) -> list[str]:
    found = re.search(r'pip install "path/to/django-timelines(\[[\w,]+\])" (.*)', README.read_text())
    if not found:
        sys.exit('The README has no `pip install "path/to/django-timelines[…]" …`.')
    return [wheel + found[1], *found[2].split()]


main(*sys.argv[1:])
