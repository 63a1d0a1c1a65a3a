"""Goal 12: what a fresh process pays for the package, against Django's own models."""

import subprocess
import sys
import time

from .measure import Effort, Figure, figure, interleaved, type_aim, type_work

CONFIGURED = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS={apps}, USE_TZ=True)
django.setup()
{then}
"""
MODELS = "import django.db.models"
PACKAGE = "import django.db.models, django_timelines"
OURS = "import django_timelines.workflows"
PYDANTIC = """
import pydantic
pydantic.TypeAdapter(int)
class Event(pydantic.BaseModel): pass
"""
CONTRIB = [f"django.contrib.{app}" for app in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")]
CODE = {
    "nothing": "pass",
    "models": MODELS,
    "package": PACKAGE,
    "configured": CONFIGURED.format(apps=[], then=MODELS),
    "front door": CONFIGURED.format(apps=["django_timelines"], then=OURS),
    "pydantic": CONFIGURED.format(apps=[], then=MODELS + PYDANTIC),
    "project": CONFIGURED.format(apps=CONTRIB, then=MODELS),
    "project with us": CONFIGURED.format(apps=[*CONTRIB, "django_timelines"], then=OURS),
}
EXTRAS = """
import sys
print(sum(name in sys.modules for name in ("rq", "django_rq", "redis", "channels", "cryptography")))
"""


def imports(effort: Effort) -> list[Figure]:
    """Time whole processes, the interpreter's own start included.

    The package itself is empty, and nothing of it can be imported without a configured Django: what a project pays is the
    front door in its own process, so that is said three times, from the strictest reading to the most usual one.
    """
    took = interleaved(max(effort.rounds // 2, 1), {name: process(code) for name, code in CODE.items()})

    def line(name: str, key: str, yardstick: str, *aims: type_aim) -> list[Figure]:
        return figure(f"process with {name}", took[key], took[yardstick], "ms", *aims)

    return [
        *line("django_timelines, to one with django.db.models", "package", "models", (12, 1.1)),
        *line("django_timelines.workflows, to one with django.db.models", "front door", "models", (12, 1.1)),
        *line("the same in a configured Django, to one without it", "front door", "configured", (12, 1.1)),
        *line("the same in a new project, to one without it", "project with us", "project", (12, 1.1)),
        *line("pydantic in a configured Django, to one without it", "pydantic", "configured"),
        *figure("of rq, channels, redis, cryptography: imported by it", extras(), 1, "modules", (12, 0.0)),
    ]


def process(code: str) -> type_work:
    """Return a work that runs a fresh interpreter and answers its milliseconds."""

    def run() -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.perf_counter() - begin) * 1000

    return run


def extras() -> int:
    """Return how many optional packages the front door imports."""
    code = CODE["front door"] + EXTRAS
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
