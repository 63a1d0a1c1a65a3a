"""``manage.py check`` names what is set wrongly, and the near miss."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core import checks
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_timelines.checks import (
    MIDDLEWARE,
    _assigned_twice,
    _permissions,
    _unknown_permissions,
    check_database,
    check_settings,
    check_site,
    check_workflows,
)
from django_timelines.databases import begin_writing
from django_timelines.middleware import ActorMiddleware
from django_timelines.workflows import AT_LEAST_ONCE, Workflow, step, subworkflow


def ids(found: list[checks.CheckMessage]) -> dict[str | None, str]:
    return {message.id: f"{message.msg} {message.hint}" for message in found}


async def can_call_later(timeline: Any, step: Any, *, user: Any, session: Any) -> bool:
    """A policy that is to be awaited, which nobody does."""
    return True


def test_the_tests_settings_are_in_order() -> None:
    assert check_settings() == []
    assert check_site() == []


@pytest.mark.parametrize(
    ("timelines", "id", "says"),
    [
        ([], "timelines.E001", "TIMELINES is not a dict. Write TIMELINES = {"),
        (None, "timelines.E001", "TIMELINES is not a dict"),
        ({"PLACEMENT": None}, "timelines.E001", "TIMELINES['PLACEMENT'] is not a dict"),
        ({"PLACEMENT": [("*", "rq:default")]}, "timelines.E001", "TIMELINES['PLACEMENT'] is not a dict"),
        ({"PLACEMENTS": {}}, "timelines.E002", "Did you mean 'PLACEMENT'?"),
        ({"CAN_VIEW": "nowhere.policy"}, "timelines.E003", "cannot be imported"),
        ({"CAN_VIEW": ".policy"}, "timelines.E003", "cannot be imported"),
        ({"CAN_CALL": "..policy.can_call"}, "timelines.E003", "cannot be imported"),
        ({"SEALER": None}, "timelines.E003", "cannot be imported"),
        ({"CAN_VIEW": "django_timelines.policy"}, "timelines.E003", "a function, with its name"),
        ({"CAN_CALL": f"{__name__}.can_call_later"}, "timelines.E003", "is an async def, so it gives no answer"),
        ({"CAN_VIEW": "django_timelines.workflows.Workflow"}, "timelines.E003", "which is no function"),
        ({"SEALER": "django_timelines.policy.can_view"}, "timelines.E003", "seal(values) and open(sealed)"),
        ({"LEASE": "long"}, "timelines.E004", "no positive number"),
        ({"LEASE": "60"}, "timelines.E004", "is '60', which is no positive number"),
        ({"LEASE": 0}, "timelines.E004", "no positive number"),
        ({"LEASE": float("nan")}, "timelines.E004", "no positive number"),
        ({"LEASE": 1e300}, "timelines.E004", "a year's at most"),
        ({"GRACE": "long"}, "timelines.E009", "no number"),
        ({"GRACE": float("inf")}, "timelines.E009", "no number"),
        (
            {"PLACEMENT": {"shop.Order.anounce": "rq:mail"}},
            "timelines.E005",
            "Did you mean 'shop.Order.announce'?",
        ),
        (
            {"PLACEMENT": {"coffee.Bild": "rq:mail"}},
            "timelines.E005",
            "each by its name: 'coffee.Build.line_up', 'coffee.Build.make'",
        ),
        ({"PLACEMENT": {"*": "embeded"}}, "timelines.E006", "Did you mean 'embedded'?"),
        ({"PLACEMENT": {"*": "inline:"}}, "timelines.E006", "Write 'inline', with nothing behind it."),
        ({"PLACEMENT": {"*": "embedded:4"}}, "timelines.E006", "Write 'embedded', with nothing behind it."),
        ({"PLACEMENT": {"*": "inline"}}, "timelines.E007", "embedded, rq:<queue> or tasks:<backend>"),
        ({"PLACEMENT": {"*": "rq:nowhere"}}, "timelines.E008", "no queue 'nowhere'; it has default, mail"),
        ({"PLACEMENT": {"*": "tasks:nowhere"}}, "timelines.E008", "no backend 'nowhere'; it has default, table"),
        ({"PLACEMENT": {"*": "tasks"}}, "timelines.E008", "no backend ''; it has default, table"),
        ({"PLACEMENT": {"*": "tasks:default"}}, "timelines.W015", "Give TASKS a backend with workers"),
    ],
)
def test_a_wrong_setting_says_how_to_mend_it(timelines: Any, id: str, says: str, settings: Any) -> None:
    settings.TIMELINES = timelines

    found = ids(checks.run_checks(tags=["timelines"]))

    assert says in found[id]


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ({"BACKEND": "nowhere.Backend"}, "Could not find backend 'nowhere.Backend'"),
        ({"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["b", "a"]}, "has the queues a, b and none named"),
    ],
)
def test_a_backend_of_tasks_that_cannot_enqueue_is_told(backend: dict[str, Any], says: str, settings: Any) -> None:
    settings.TASKS = {**settings.TASKS, "broken": backend}
    settings.TIMELINES = {"PLACEMENT": {"*": "tasks:broken"}}

    assert says in ids(check_settings())["timelines.E008"]


def test_a_backend_of_tasks_with_workers_is_in_order(settings: Any) -> None:
    settings.TIMELINES = {"PLACEMENT": {"*": "tasks:table"}}

    assert check_settings() == []


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [("USE_TZ", False, "timelines.E023"), ("TIMELINES", {"BASE_URL": "example.org"}, "timelines.E024")],
)
def test_a_site_that_cannot_work_is_told(name: str, value: Any, id: str, settings: Any) -> None:
    setattr(settings, name, value)

    assert id in ids(check_site())


@pytest.mark.parametrize(
    ("address", "is_told"), [("https://example.org", True), ("https://example.org/app/", False), ("", False)]
)
def test_a_site_below_a_path_that_its_address_does_not_have_is_told(address: str, is_told: bool, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/app"
    settings.TIMELINES = {"BASE_URL": address}

    assert ("timelines.W025" in ids(check_site())) is is_told


def test_a_site_without_address_middleware_and_urls_is_told(settings: Any) -> None:
    settings.TIMELINES = {}
    settings.MIDDLEWARE = []
    settings.ROOT_URLCONF = "tests.declarations.no_urls"

    assert set(ids(check_site())) == {"timelines.W020", "timelines.W021", "timelines.W022"}


def test_a_project_without_urls_of_its_own_is_told_that_there_are_no_pages(settings: Any) -> None:
    del settings.ROOT_URLCONF

    assert set(ids(check_site())) == {"timelines.W022"}


@pytest.mark.parametrize(
    ("key", "is_told"),
    [
        (models.EmailField(primary_key=True), True),
        (models.TextField(primary_key=True), True),
        (models.CharField(primary_key=True, max_length=64), False),
        (models.UUIDField(primary_key=True), False),
    ],
)
def test_a_user_model_whose_keys_may_be_too_long_is_told(
    key: Any, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with isolate_apps("tests.declarations"):

        class Member(models.Model):  # noqa: DJ008
            name = key

            class Meta:
                app_label = "declarations"

        class Person(models.Model):  # noqa: DJ008
            member = models.OneToOneField(Member, primary_key=True, on_delete=models.CASCADE)

            class Meta:
                app_label = "declarations"

    for users in (Member, Person):
        monkeypatch.setattr("django_timelines.checks.get_user_model", lambda users=users: users)
        assert ("timelines.W027" in ids(check_site())) is is_told


class OursMade(ActorMiddleware):
    """A site's own."""


class SessionsMade(SessionMiddleware):
    """A site's own."""


def by_function(get_response: Any) -> Any:
    return get_response


HERE = __name__
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


@pytest.mark.parametrize(
    ("middleware", "says"),
    [
        ([SESSIONS, MIDDLEWARE], None),
        ([f"{HERE}.by_function", f"{HERE}.SessionsMade", f"{HERE}.OursMade", "no.such.middleware"], None),
        ([MIDDLEWARE], None),  # a site without sessions
        ([MIDDLEWARE, SESSIONS], f"{MIDDLEWARE!r} stands before {SESSIONS!r}"),
        ([f"{HERE}.OursMade", f"{HERE}.SessionsMade"], f"'{HERE}.OursMade' stands before '{HERE}.SessionsMade'"),
        ([SESSIONS], "do not know their user"),
    ],
)
def test_a_middleware_that_is_missing_or_comes_before_sessions_is_told(
    middleware: list[str], says: str | None, settings: Any
) -> None:
    settings.MIDDLEWARE = middleware

    found = " ".join(ids(check_site()).values())

    assert found == "" if says is None else says in found


@pytest.mark.django_db(databases="__all__")
def test_plain_sqlite_is_asked_for_better_settings() -> None:
    is_plain = connection.vendor == "sqlite" and "transaction_mode" not in connection.settings_dict["OPTIONS"]

    found = set(ids(check_database(databases=["default"])))

    assert found == ({"timelines.W030"} if is_plain else set())


@pytest.mark.parametrize(
    ("mode", "is_told"), [("immediate", False), ("EXCLUSIVE", False), ("deferred", True), (None, True)]
)
def test_sqlite_is_asked_for_the_lock_at_the_beginning_in_any_case(
    mode: str | None, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("It is a setting of SQLite's")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", mode)

    assert ("timelines.W030" in ids(check_database(databases=["default"]))) is is_told


@pytest.mark.parametrize(("mode", "locks"), [("immediate", 0), ("DEFERRED", 1), (None, 1)])
@pytest.mark.django_db(transaction=True, databases="__all__")
def test_where_sqlite_begins_without_a_lock_the_first_statement_takes_it(
    mode: str | None, locks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("It is a setting of SQLite's")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", mode)

    with CaptureQueriesContext(connection) as queries:
        begin_writing(connection)

    assert len(queries) == locks


def test_steps_that_may_run_at_once_and_assign_the_same_field_are_named() -> None:
    class Both(Workflow):
        total: int = 0

        @step
        def begin(self) -> None:
            self.total = 1

        @step(after=begin)
        def left(self) -> None:
            self.total += 1

        @step(after=begin)
        def right(self) -> None:
            self.total = 5

    found = [message.msg for message in _assigned_twice(Both._declaration)]

    assert len(found) == 1
    assert found[0].endswith("Both.left and .right may run at once, and both assign total.")


class Note(Workflow):
    """It gives what it was given."""

    note: str = ""

    @step
    def write(self, note: str) -> None:
        self.note = note


class Noted(Workflow):
    """A child gives a field what a step beside it assigns, and each item assigns others."""

    note: str = ""
    last: str = ""
    total: int = 0
    drinks: list[str]

    @step
    def begin(self, drinks: list[str]) -> None:
        self.drinks = drinks

    kid = subworkflow(Note, after=begin, given=lambda noted: {"note": "the child"}, results={"note": "note"})
    kids = subworkflow(
        Note, after=begin, each="drinks", given=lambda noted, drink: {"note": drink}, results={"last": "note"}
    )

    @step(after=begin)
    def beside(self, note: str) -> None:
        self.note = note

    @step(after=[kid, beside])
    def behind(self) -> None:
        self.note = "both"

    @step(after=behind, each="drinks", delivery=AT_LEAST_ONCE)
    def make(self, drink: str) -> None:
        self.total += 1

    @step(after=make, each="drinks", at_once=1, delivery=AT_LEAST_ONCE)
    def serve(self, drink: str) -> None:
        self.total += 1

    @step(after=serve, each="drinks")
    def clear(self, drink: str) -> None:
        self.total -= 1


def test_what_children_and_items_at_once_assign_is_named() -> None:
    found = [message.msg.partition(".Noted.")[2] for message in _assigned_twice(Noted._declaration)]

    assert found == [
        "kid and .beside may run at once, and both assign note.",
        "kids may run for several items at once, and each assigns last.",
        "make may run for several items at once, and each assigns total.",
    ]


class Elsewhere:
    """Routes the effects away from the timelines."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "archive" if model._meta.label == "shop.Entry" else None


def test_a_model_that_exactly_once_does_not_cover_is_named(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.declarations.test_checks.Elsewhere"]

    found = [message.msg for message in check_workflows() if message.id == "timelines.W011"]

    expected = "exactly-once steps, but shop.Entry is written to 'archive' and the timelines to 'default'."
    assert f"shop.Order has {expected}" in found


def test_what_undoes_a_step_or_reminds_of_it_may_assign_what_steps_assign() -> None:
    class Loan(Workflow):
        book: str
        times: int = 0

        @step
        def lend(self, book: str) -> None:
            self.book, self.times = book, 0

        @lend.undo
        def take_back(self) -> None:
            self.book = ""

        @step(after=lend, manual=True, remind=timedelta(days=2))
        def give_back(self) -> None:
            self.book, self.times = "", 0

        @give_back.reminder
        def nudge(self) -> None:
            self.times += 1

    assert list(_assigned_twice(Loan._declaration)) == []


@pytest.mark.parametrize(
    ("allowed", "hint"),
    [
        (["shop.change_entry", "user:ada", "group:shop.team", "link", lambda workflow, user: True], None),
        ("django_timelines.assign_timeline", None),
        ("shop.chang_entry", "Did you mean 'shop.change_entry'?"),
        ("nowhere.at_all", "Write it into permissions of a model's Meta"),
    ],
)
def test_a_permission_that_no_model_declares_is_named(allowed: Any, hint: str | None) -> None:
    class Bicycle(Workflow):
        @step
        def lend(self) -> None:
            pass

        @step(after=lend, manual=True, allowed=allowed)
        def give_back(self) -> None:
            pass

    found = ids([*_unknown_permissions(Bicycle._declaration, _permissions())])

    assert set(found) == ({"timelines.W017"} if hint else set())
    if hint:
        assert (
            f".give_back: allowed={allowed!r} is a permission that no model declares. {hint}" in found["timelines.W017"]
        )
