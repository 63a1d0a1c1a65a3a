"""``manage.py check``: what is declared or set wrongly, each with how to mend it."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import inspect
import itertools
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_permission_codename, get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import CharField, TextField
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from . import answers, conf, following, placements, registry
from .databases import begins_with_lock
from .exceptions import DeclarationError
from .forms import form_class
from .models import Timeline
from .people import LINK
from .projections import Projection
from .steps import Delivery, Step

MIDDLEWARE = "django_timelines.middleware.ActorMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


@register("timelines")
def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check ``TIMELINES``: unknown names with the near miss, placements, dotted paths."""
    if wrong := _unreadable():
        return wrong
    given: dict[Any, Any] = getattr(settings, "TIMELINES", {})
    found: list[CheckMessage] = [
        Error(f"TIMELINES has no setting {name!r}.", hint=_near(name, conf.DEFAULTS), id="timelines.E002")
        for name in given
        if name not in conf.DEFAULTS
    ]
    for name, path in (("CAN_VIEW", conf.can_view()), ("CAN_CALL", conf.can_call()), ("SEALER", conf.sealer())):
        if path == conf.DEFAULTS[name]:
            continue
        if unfit := _unfit(name, path):
            message, hint = unfit
            found.append(Error(f"TIMELINES[{name!r}] {message}.", hint=hint, id="timelines.E003"))
    try:
        conf.lease()
    except ImproperlyConfigured as error:
        return [*found, Error(str(error), id="timelines.E004")]
    try:
        conf.grace()
    except ImproperlyConfigured as error:
        return [*found, Error(str(error), id="timelines.E009")]
    return found + list(_placements())


def _unfit(name: str, path: str) -> tuple[str, str] | None:
    """Say why a path leads to no policy, or to no sealer, and what to give instead; None if it does."""
    try:
        named = import_string(path)
    except (ImportError, TypeError, ValueError) as error:  # the last two of a path that begins or ends with a dot
        return f"cannot be imported: {error}", "Give a dotted path."
    if name == "SEALER":
        seals = callable(named) and all(callable(getattr(named, method, None)) for method in ("seal", "open"))
        return (
            None if seals else (f"is {path}, which seals nothing", "Name a class with seal(values) and open(sealed).")
        )
    if not callable(named) or isinstance(named, type):
        return f"is {path}, which is no function", "Give the dotted path of a function, with its name."
    try:
        answers.check("", named)
    except DeclarationError as error:
        return f"is no policy: {str(error).rstrip('.')}", "Whoever asks awaits nothing, and goes through nothing."
    return None


def _unreadable() -> list[CheckMessage]:
    """Tell whether the settings cannot be read at all. What else is to be checked is checked once they can."""
    try:
        conf.placements()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="timelines.E001")]
    return []


def _placements() -> Iterator[CheckMessage]:
    known = [
        f"{declaration.label}.{step}" for declaration in registry.everything().values() for step in declaration.steps
    ]
    for label, placement in conf.placements().items():
        if label != conf.BACKGROUND and label not in known:
            message = f"TIMELINES['PLACEMENT'] places {label!r}, which is no step."
            yield Error(message, hint=_near_step(label, known), id="timelines.E005")
        if hint := _no_placement(placement):
            yield Error(f"{label!r} is placed at {placement!r}, which is no placement.", hint=hint, id="timelines.E006")
            continue
        if label == conf.BACKGROUND and placement == placements.INLINE:
            hint = "Retries need somebody who runs them: embedded, rq:<queue> or tasks:<backend>."
            yield Error("The default background placement '*' cannot be inline.", hint=hint, id="timelines.E007")
        problem = _problem(placement)
        if problem:
            yield Error(f"{label!r} is placed at {placement!r}: {problem}", id="timelines.E008")
        elif placements.get(placement).runs_at_once():
            yield Warning(
                f"{label!r} is placed at {placement!r}, which has no workers: it runs at once, in whoever rings.",
                hint="The clock rings for retries, and stands still meanwhile. Give TASKS a backend with workers.",
                id="timelines.W015",
            )


def _no_placement(placement: str) -> str:
    """Return what to write instead of what is no placement; nothing for what is one."""
    scheme, colon, _argument = placement.partition(":")
    if scheme in (placements.INLINE, placements.EMBEDDED):
        return f"Write {scheme!r}, with nothing behind it." if colon else ""
    if scheme in placements.SCHEMES:
        return ""
    near = difflib.get_close_matches(scheme, placements.SCHEMES, 1)
    return f"Did you mean {near[0]!r}?" if near else "Write inline, embedded, rq:<queue> or tasks:<backend>."


def _problem(placement: str) -> str | None:
    try:
        return placements.get(placement).problem()
    except ImportError as error:
        return f"{error}. Install the extra: pip install 'django-timelines[{placement.partition(':')[0]}]'."
    except ImproperlyConfigured as error:
        return str(error)


@register("timelines")
def check_workflows(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check what the classes need around them: the extra for secrets, the database of their models, permissions; and what
    of them runs at once.
    """
    found: list[CheckMessage] = []
    if _unreadable():
        return found
    permissions = _permissions()
    has_cryptography = importlib.util.find_spec("cryptography") is not None
    for declaration in registry.everything().values():
        secret = [name for name in declaration.steps if declaration.secrets(name)]
        if secret and conf.sealer() == conf.DEFAULTS["SEALER"] and not has_cryptography:
            message = f"{declaration.label}.{secret[0]} takes a Secret, which needs the package cryptography."
            found.append(Error(message, hint="pip install 'django-timelines[secrets]'.", id="timelines.E010"))
        found += _chosen_secrets(declaration, secret)
        found += _routed_elsewhere(declaration)
        found += _assigned_twice(declaration)
        found += _unknown_permissions(declaration, permissions)
    return found


def _chosen_secrets(declaration: registry.Declaration, steps: Iterable[str]) -> Iterator[CheckMessage]:
    """Name steps that have no form: a secret that is chosen can be hidden by no field that is made from its type."""
    for name in steps:
        try:
            form_class(declaration, declaration.step(name))
        except DeclarationError as error:
            yield Error(f"{declaration.label}.{name} has no form. {error}", id="timelines.E016")


def _permissions() -> set[str]:
    """Return the permissions that Django makes for the installed models, as ``allowed=`` names them."""
    found = set[str]()
    for model in apps.get_models():
        opts = model._meta
        names = [get_permission_codename(action, opts) for action in opts.default_permissions]
        found |= {f"{opts.app_label}.{name}" for name in (*names, *(name for name, _label in opts.permissions))}
    return found


def _unknown_permissions(declaration: registry.Declaration, known: Iterable[str]) -> Iterator[CheckMessage]:
    """Name steps that are allowed to whoever has a permission that no model declares: it may be misspelt."""
    otherwise = (
        "Write it into permissions of a model's Meta, and migrate. If a migration or a backend of yours knows it, "
        "silence this check."
    )
    for name, declared in declaration.steps.items():
        for rule in declared.allowed:
            if callable(rule) or rule == LINK or ":" in rule or rule in known:
                continue
            near = difflib.get_close_matches(rule, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else otherwise
            message = f"{declaration.label}.{name}: allowed={rule!r} is a permission that no model declares."
            yield Warning(message, hint=hint, id="timelines.W017")


def _assigned_twice(declaration: registry.Declaration) -> Iterator[CheckMessage]:
    """Name steps that may run at once and assign the same field (clause 12 of the contract). What undoes or reminds is none."""
    ancestors = declaration.graph.ancestors()
    assigned = {name: _assigned(declaration.step(name)) & set(declaration.fields) for name in ancestors}
    found = [
        (f"{one} and .{other} may run at once, and both assign", fields, _OF_STEPS)
        for one, other in itertools.combinations(ancestors, 2)
        if (fields := assigned[one] & assigned[other]) and one not in ancestors[other]
    ]
    for name, fields in assigned.items():
        declared = declaration.step(name)
        runs_again = declared.delivery is Delivery.EXACTLY_ONCE and declared.child is None
        if fields and declared.each and declared.each.at_once != 1 and not runs_again:
            found.append((f"{name} may run for several items at once, and each assigns", fields, _OF_ITEMS))
    for said, fields, hint in found:
        yield Warning(f"{declaration.label}.{said} {', '.join(sorted(fields))}.", hint=hint, id="timelines.W012")


_OF_STEPS = (
    "Let one come after the other, or give each a field of its own: who is second runs again, or blocks, and what a child gives "
    "(results=) wins."
)
_OF_ITEMS = (
    "Write at_once=1, deliver it exactly once, or count in a step that comes after it: who is second blocks, and of children "
    "(results=) the last wins."
)


def _assigned(declared: Step[...]) -> set[str]:
    """Return the attributes of ``self`` that a step assigns: by its source, if there is any, or as its child's results."""
    if declared.child is not None:
        return set(declared.results)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(declared.body)))
    except (OSError, TypeError, SyntaxError):
        return set()
    stored = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}


def _routed_elsewhere(declaration: registry.Declaration) -> Iterator[CheckMessage]:
    config = declaration.app_config
    if config is None or not any(step.delivery is Delivery.EXACTLY_ONCE for step in declaration.steps.values()):
        return
    ours = router.db_for_write(Timeline)
    for model in config.get_models():
        theirs = router.db_for_write(model)
        if theirs != ours:
            yield Warning(
                f"{declaration.label} has exactly-once steps, but {model._meta.label} is written to {theirs!r} "
                f"and the timelines to {ours!r}.",
                hint="Exactly once covers the timelines' database only: move the model, or use AT_LEAST_ONCE.",
                id="timelines.W011",
            )


@register("timelines")
def check_projections(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that what projections write commits with their places, and that no two write the same model."""
    found: list[CheckMessage] = []
    ours, writers = router.db_for_write(Timeline), dict[Any, str]()
    for label, one in following.everything().items():
        for model in one.into:
            theirs = router.db_for_write(model)
            if theirs != ours:
                message = (
                    f"{label} writes {model._meta.label}, which is in {theirs!r}, and the timelines are in {ours!r}."
                )
                hint = "A projection's rows commit with its place: move the model."
                found.append(Error(message, hint=hint, id="timelines.E013"))
            other = writers.setdefault(model._meta.concrete_model, label)
            if other != label and not all(_clears_its_own(following.get(each)) for each in (other, label)):
                message = f"{other} and {label} both write {model._meta.concrete_model._meta.label}."
                hint = "A rebuild of one empties it of what the other wrote. Give each a model, or clear() of its own."
                found.append(Warning(message, hint=hint, id="timelines.W014"))
    return found


def _clears_its_own(one: following.Following) -> bool:
    """Tell whether a rebuild of this projection deletes what its own ``clear`` says, and not all rows of its models."""
    return one.projection.clear is not Projection.clear


@register("timelines")
def check_site(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check what links and actors need: the site's address, the middleware, the URLs."""
    found: list[CheckMessage] = []
    if _unreadable():
        return found
    if not conf.base_url() and not settings.DEBUG:
        hint = 'TIMELINES = {"BASE_URL": "https://example.org"}: links never trust a request\'s host.'
        found.append(
            Warning("TIMELINES['BASE_URL'] is not set, so steps have no links.", hint=hint, id="timelines.W020")
        )
    elif conf.base_url() and not conf.base_url().startswith(("http://", "https://")):
        message = f"TIMELINES['BASE_URL'] is {conf.base_url()!r}, which no mail program follows."
        found.append(Error(message, hint="Begin it with http:// or https://.", id="timelines.E024"))
    prefix = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    if conf.base_url() and not conf.base_url().endswith(prefix):
        message = (
            f"TIMELINES['BASE_URL'] is {conf.base_url()!r}, and FORCE_SCRIPT_NAME {prefix!r} is not the end of it."
        )
        hint = "BASE_URL has the path at which the site lies, too: links add nothing to it but their own."
        found.append(Warning(message, hint=hint, id="timelines.W025"))
    if not settings.USE_TZ:
        hint = "Set USE_TZ = True: moments are compared across processes."
        found.append(Error("Timelines need aware times.", hint=hint, id="timelines.E023"))
    found += _middleware()
    found += _long_keys()
    try:
        if getattr(settings, "ROOT_URLCONF", None) is None:  # a project without pages, of workers alone say
            raise NoReverseMatch
        reverse("timelines:timeline", args=["00000000-0000-7000-8000-000000000000"])
    except NoReverseMatch:
        hint = 'path("timelines/", include("django_timelines.urls")) in your URLconf.'
        found.append(Warning("Timelines have no pages and steps no links.", hint=hint, id="timelines.W022"))
    return found


def _middleware() -> Iterator[CheckMessage]:
    hint = f"Add {MIDDLEWARE!r} after the authentication middleware."
    ours, sessions = (_places(path) for path in (MIDDLEWARE, SESSIONS))
    if not ours:
        yield Warning("Calls from requests do not know their user.", hint=hint, id="timelines.W021")
    elif sessions and ours[0] < sessions[0]:
        message = (
            f"{settings.MIDDLEWARE[ours[0]]!r} stands before {settings.MIDDLEWARE[sessions[0]]!r}, so whoever begins a "
            "timeline without being logged in may not see it."
        )
        yield Warning(message, hint=hint, id="timelines.W026")


def _long_keys() -> Iterator[CheckMessage]:
    try:
        key: Any = get_user_model()._meta.pk
    except ImproperlyConfigured:  # a project without users; of one that is misspelt Django says so
        return
    while key.remote_field:
        key = key.target_field
    most = Timeline._meta.get_field("started_by").max_length or 0
    if isinstance(key, CharField | TextField) and (key.max_length is None or key.max_length > most):
        message = f"{key.model._meta.label}.{key.name} is a key of users, and may be longer than the {most} characters we keep."
        hint = "Whoever has a longer one can begin no timeline, and no step can be assigned to them."
        yield Warning(message, hint=hint, id="timelines.W027")


def _places(path: str) -> list[int]:
    """Return where in ``MIDDLEWARE`` this class stands, or one that is made from it."""
    wanted = import_string(path)
    return [place for place, name in enumerate(settings.MIDDLEWARE) if _is_made_from(wanted, name)]


def _is_made_from(wanted: type[Any], path: str) -> bool:
    try:
        found = import_string(path)
    except (ImportError, TypeError, ValueError):  # which Django says
        return False
    return isinstance(found, type) and issubclass(found, wanted)


@register(Tags.database, "timelines")
def check_database(databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Ask for SQLite's better settings where several threads or processes write."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "sqlite" or not router.allow_migrate_model(alias, Timeline):
            continue
        if not begins_with_lock(connection):
            hint = (
                'OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}'
            )
            found.append(
                Warning("SQLite answers “database is locked” to parallel writers.", hint=hint, id="timelines.W030")
            )
    return found


def _near_step(label: str, known: Sequence[str]) -> str:
    """Tell who places a workflow, maybe misspelt, that its steps are placed one by one."""
    workflow = next(iter(difflib.get_close_matches(label, registry.everything(), 1)), "")
    if label.count(".") != 1 or not workflow:
        return _near(label, known)
    steps = ", ".join(repr(step) for step in known if step.startswith(f"{workflow}."))
    return f"Steps are placed, each by its name: {steps}."


def _near(name: object, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, 1)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known) or 'none'}."
