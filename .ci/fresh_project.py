"""Install the wheel into an empty environment, follow the README in a new project, and run a workflow there.

``fresh_project.py WHEEL DJANGO``, by the Python to be tried. A python block of the README whose first line is a comment
that names a file (``# mysite/settings.py``) is appended to that file; the extras are those of its ``pip install``.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

README = Path("README.md").read_text()

WORKFLOW = """
from django_timelines.workflows import Workflow, step

class Greeting(Workflow):
    name: str
    text: str

    @step
    def ask(self, name: str):
        self.name = name

    @step(after=ask)
    def greet(self):
        self.text = f"Hello, {self.name}."
"""

STORY = """
from django.test import Client
from django_timelines.testing import drain
from greetings.workflows import Greeting

greeting = Greeting.start(name="Ada")
drain()
greeting = Greeting.get(greeting.pk)
assert greeting.text == "Hello, Ada.", greeting.timeline.explain()
assert greeting.timeline.status == "completed", greeting.timeline.status
assert Client(SERVER_NAME="localhost").get("/admin/", follow=True).status_code == 200
"""


def main(wheel: str, django: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home, project = Path(directory) / "environment", Path(directory) / "project"
        venv.create(home, with_pip=True)
        python = [str(home / "bin" / "python")]
        run(*python, "-m", "pip", "install", "--quiet", wheel + extras(), f"django~={django}.0")
        project.mkdir()
        run(*python, "-m", "django", "startproject", "mysite", str(project))
        manage = [*python, "manage.py"]
        run(*manage, "startapp", "greetings", cwd=project)
        (project / "greetings/workflows.py").write_text(WORKFLOW)
        append(project / "mysite/settings.py", 'INSTALLED_APPS += ["greetings"]')
        for path, block in blocks():
            append(project / path, block)
        run(*manage, "migrate", cwd=project)
        run(*manage, "check", cwd=project)
        run(*manage, "makemigrations", "--check", cwd=project)
        run(*manage, "shell", "-c", STORY, cwd=project)


def extras() -> str:
    found = re.search(r"pip install .*?django-timelines(\[[\w,]+\])?", README)
    return (found and found[1]) or ""


def blocks() -> list[tuple[str, str]]:
    found = re.findall(r"^```python\n(# (mysite/\w+\.py).*?)^```", README, re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit("The README has no python block that begins with `# mysite/settings.py`.")
    return [(path, block) for block, path in found]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(f"\n{text}\n")


def run(*command: str, cwd: Path | None = None) -> None:
    print("$", *command[:6], flush=True)
    subprocess.run(command, check=True, cwd=cwd)


main(*sys.argv[1:])
