"""The reference names all that there is, and nothing that there is not."""

from __future__ import annotations

import ast
import inspect
import re

from django.apps import apps
from django.db.models import Model

from django_timelines import conf, exceptions, projections, signals, testing, urls, workflows
from django_timelines.events import EventType
from django_timelines.exceptions import Refused
from django_timelines.management.verbs import VERBS
from django_timelines.models import Event, Run, Sighting, Timeline
from django_timelines.state import ENDED, OPEN, StepStatus, TimelineStatus
from django_timelines.templatetags import timelines

from .snippets import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text()


def section(heading: str) -> str:
    """Return the text between this heading and the next."""
    return REFERENCE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return what the first cells of its tables put between backticks."""
    return [name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)]


def test_each_setting_is_there_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section("Settings"), re.MULTILINE)

    assert {name: eval(default) for name, default in rows} == conf.DEFAULTS  # noqa: S307 (the page is ours)


def test_each_public_name_is_there() -> None:
    assert sorted(first_cells(section("Public names"))) == sorted(
        [*workflows.__all__, *projections.__all__, *testing.__all__]
    )


def test_each_name_that_is_ours_on_a_workflow_is_there() -> None:
    from django_timelines.declarations import RESERVED

    assert set(first_cells(section("On a workflow").partition("On a step")[0])) == RESERVED


def test_each_awaited_twin_is_in_the_how_to() -> None:
    page = (ROOT / "docs" / "howto" / "use-async.md").read_text()

    def awaited(owner: type) -> set[str]:
        return {name for name, found in vars(owner).items() if inspect.iscoroutinefunction(inspect.unwrap(found))}

    assert {name for name in awaited(workflows.BoundStep) if f".{name}(" not in page} == set()
    assert {name for name in awaited(Timeline) if not re.search(rf"\.({name}|{name[1:]})\(", page)} == set()


def test_each_option_of_a_step_is_there() -> None:
    from django_timelines.steps import Step

    options = set(Step.__init__.__annotations__) - {"body", "return"}
    assert set(re.findall(r"^\| `(\w+)=` \|", section("Options of a step"), re.MULTILINE)) == options


REFUSALS = {name for name, found in vars(exceptions).items() if isinstance(found, type) and issubclass(found, Refused)}
"""The names of what is raised with a reason."""


def reasons_in(source: str) -> set[str]:
    """Return the reasons that this code gives refusals: the constants after the sentence, and defaults of ``reason``."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REFUSALS:
            found += [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "reason")]
        elif isinstance(node, ast.FunctionDef) and [argument.arg for argument in node.args.args][-1:] == ["reason"]:
            found += node.args.defaults[-1:]
    return {one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value}


REASONS = set().union(*(reasons_in(path.read_text()) for path in (ROOT / "django_timelines").rglob("*.py")))


def test_each_check_is_there() -> None:
    declared = re.findall(r'id="(timelines\.\w+)"', (ROOT / "django_timelines" / "checks.py").read_text())

    assert first_cells(section("Checks")) == sorted(declared, key=lambda id: id[-3:])


def test_each_event_type_is_there() -> None:
    assert set(re.findall(r"`(\w+)`", section("Events"))) == set(EventType)


def test_each_status_is_there() -> None:
    of_timelines, of_steps = (re.sub(r"\s+", " ", part) for part in section("Statuses").strip().split("\n\n")[:2])

    assert of_timelines.partition(".")[0] == "Of a timeline: " + " · ".join(TimelineStatus)
    assert of_steps.partition(".")[0] == "Of a step: " + " · ".join(StepStatus)


def test_each_reason_of_a_refusal_is_there() -> None:
    said = first_cells(section("Reasons of refusals"))

    without_a_refusal = {"malformed", "wrong_usage"}  # of a request to the API, of a command line
    assert set(said) == REASONS | without_a_refusal


def test_each_exception_is_there() -> None:
    raised = {
        name for name, found in vars(exceptions).items() if getattr(found, "__module__", "") == exceptions.__name__
    }
    engines_own = {"TimelinesError", "ValueTaken"}

    assert set(first_cells(section("Exceptions"))) == raised - engines_own


def test_each_signal_is_there_with_its_arguments() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", section("Signals and logging"), re.MULTILINE)
    said = {name: {*re.findall(r"`(\w+)`", arguments), "using"} for name, arguments in rows}

    declared = {name for name, found in vars(signals).items() if isinstance(found, signals.Signal)}
    assert said.keys() == declared
    documented = re.findall(r'^(\w+) = Signal\(\)\n"""(.*?)"""', inspect.getsource(signals), re.MULTILINE | re.DOTALL)
    for name, doc in documented:
        assert said[name] == set(re.findall(r"``(\w+)``", doc.partition("rgument")[2])), name


def test_each_column_of_what_can_be_queried_is_there() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (`.*?) \|$", section("What you can query"), re.MULTILINE))
    said = {name: {*re.findall(r"`(\w+)`", cell)} for name, cell in rows.items()}

    def columns(model: type[Model], *ours: str) -> set[str]:
        return {field.name for field in model._meta.concrete_fields} - {"pk", *ours}

    assert said["Timeline"] == columns(Timeline, "digest")
    assert said["timeline.events"] == columns(Event)
    assert said["timeline.runs"] == columns(Run, "id", "timeline", "fence", "rings", "ring", "awaits", "cursor")
    assert said["Sighting"] == columns(Sighting)


def test_each_reason_of_an_explanation_is_there() -> None:
    reasons = first_cells(section("What you can query").partition("\n| reason |")[2])
    tree = ast.parse((ROOT / "django_timelines" / "engine" / "explain.py").read_text())
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason"]
    words = {node.args[0].value for node in made if isinstance(node.args[0], ast.Constant)}

    assert set(reasons) == words | ENDED | OPEN | {StepStatus.OVERDUE}


def test_each_command_is_there() -> None:
    cells = re.findall(r"^\| (`.*?) \|", section("Commands"), re.MULTILINE)
    said = [name.removeprefix("timelines ") for cell in cells for name in re.findall(r"`([\w -]+)`", cell)]
    commands = {path.stem for path in (ROOT / "django_timelines" / "management" / "commands").glob("timelines_*.py")}

    assert sorted(said) == sorted({verb.name for verb in VERBS} | commands)


def test_each_address_is_there() -> None:
    said = {name.removeprefix("timelines:") for name in re.findall(r"`([\w:]+)`", section("Addresses"))}

    assert {pattern.name for pattern in urls.urlpatterns} - said == set()


def test_each_permission_is_there() -> None:
    ours = apps.get_app_config("django_timelines").get_models()
    declared = {codename for model in ours for codename, _name in model._meta.permissions}

    assert declared - set(re.findall(r"`(\w+)`", section("Permissions"))) == set()


def test_each_template_tag_is_in_a_page() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))

    assert {name for name in timelines.register.tags if f"{{% {name} " not in pages} == set()
