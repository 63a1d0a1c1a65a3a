"""What type checkers make of calls. mypy and pyright check it, nobody runs it: a line that is ignored is an error in both."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

from django.contrib.auth.models import User

from django_timelines.workflows import Limit, Outcome, Workflow, schedule, step, subworkflow
from example_project.signup.workflows import Signup


class Order(Workflow):
    """A call takes what the step's method takes."""

    amount: int
    payer: User

    @step
    def place(self, amount: int) -> None:
        self.amount = amount
        self.amount = "five"  # type: ignore[assignment]

    @step(after=place)
    def pay(self, amount: int, *, note: str = "") -> None:
        self.record(note)  # type: ignore[arg-type]

    @step(after=[place, pay])
    def send(self) -> None: ...

    @step(after=send.failed)
    def apologise(self) -> None: ...

    @step(after="place")  # type: ignore[call-overload, untyped-decorator]
    def count(self) -> None: ...


@schedule("0 7 * * 1-5", tz="Europe/Berlin", given=lambda tick: {"day": tick.day})
class Report(Workflow):
    """A schedule leaves the class what it is; a step may say when it is due."""

    day: int

    @step
    def draw_up(self, day: int) -> None:
        self.day = day

    @step(after=draw_up, delay=timedelta(hours=1), within=lambda report: timedelta(days=report.day))
    def send(self) -> None: ...

    @step(after=send, until=datetime(2030, 1, 1, tzinfo=UTC))
    def burn(self) -> None: ...

    @step(after=send, delay=5)  # type: ignore[call-overload, untyped-decorator]
    def forget(self) -> None: ...


assert_type(Report.start(day=1), Report)


class Signups(Workflow, unique="email"):
    """Class keywords leave the class what it is; a function is given the workflow object."""

    email: str

    @step
    def begin(self, email: str) -> None: ...


class ByFunction(Workflow, unique=lambda signup: signup.email.lower()):
    email: str

    @step
    def begin(self, email: str) -> None: ...


class Limited(Workflow, limit=Limit(2, per=lambda limited: limited.email)):
    email: str

    @step(limit=3)
    def begin(self, email: str) -> None: ...

    @step(after=begin, limit=Limit(1, per=["email"]))
    def go_on(self) -> None: ...

    @step(after=begin, limit="three")  # type: ignore[call-overload, untyped-decorator]
    def stop(self) -> None: ...


assert_type(Limited.start(email="").go_on(), Outcome)


class ByNumber(Workflow, unique=5):  # type: ignore[arg-type]
    @step
    def begin(self) -> None: ...


assert_type(Signups.start(email=""), Signups)


class Round(Workflow):
    """The item of a step with ``each=`` is given; a call takes the other parameters."""

    drinks: list[str]

    @step
    def line_up(self, drinks: list[str]) -> None:
        self.drinks = drinks

    @step(after=line_up, each="drinks", at_once=2)
    def make(self, drink: str) -> None: ...

    @make.undo
    def pour_away(self, drink: str) -> None: ...

    @step(after=make, each="drinks", at_least=1)
    def taste(self, drink: str, points: int) -> None: ...

    @step(after=line_up, each="drinks")  # type: ignore[arg-type]
    def count(self) -> None: ...

    paid = subworkflow(Order, after=line_up, given=lambda round: {"amount": 2 * len(round.drinks)})

    @step(after=[paid, taste])
    def leave(self) -> None: ...

    @step(after=paid.failed)
    def stay(self) -> None: ...


order = Order.start(amount=5)
assert_type(order, Order)
assert_type(order.amount, int)
assert_type(order.payer, User)
assert_type(order.pay(5, note="in cash"), Outcome)
assert_type(order.pay.using(key="a")(amount=5), Outcome)
order.pay("5")  # type: ignore[arg-type]
order.pay(5, comment="in cash")  # type: ignore[call-arg]
order.pay()  # type: ignore[call-arg]
order.pay.using(key="a")("5")  # type: ignore[arg-type]
order.pay.skip()  # type: ignore[call-arg]
order.pya(5)  # type: ignore[attr-defined]
order.pay.linc()  # type: ignore[attr-defined]

drinks = Round.start(drinks=["latte", "mocha"])
assert_type(drinks.make["latte"](), Outcome)
assert_type(drinks.make["latte"].retry(reason="a new cup"), Outcome)
assert_type(drinks.taste["latte"](points=5), Outcome)
assert_type(drinks.taste["latte"].using(key="a")(5), Outcome)
assert_type(drinks.paid(), Outcome)
drinks.make["latte"]("latte")  # type: ignore[call-arg]
drinks.taste["latte"]("latte", 5)  # type: ignore[call-arg, arg-type]
drinks.taste["latte"]()  # type: ignore[call-arg]
drinks.paid(amount=5)  # type: ignore[call-arg]


async def awaited() -> None:
    order = await Order.astart(amount=5)
    assert_type(order, Order)
    assert_type(await Order.using(key="a").astart(amount=5), Order)
    assert_type(await order.pay.acall(5, note="in cash"), Outcome)
    assert_type(await order.pay.using(key="a").acall(amount=5), Outcome)
    assert_type(await order.pay.await_outcome(timeout=2), Outcome)
    await order.pay.acall("5")  # type: ignore[arg-type]
    await order.pay.acall()  # type: ignore[call-arg]
    await order.pay.askip()  # type: ignore[call-arg]
    await order.timeline.acancel()  # type: ignore[call-arg]


signup = Signup.get("018f")
assert_type(signup, Signup)
assert_type(signup.activate(), Outcome)
assert_type(signup.activate.link(), str)
signup.activate("now")  # type: ignore[call-arg]
signup.activat()  # type: ignore[attr-defined]
order.pay.skip({"reason": "a gift"}, reason="in cash", amount=5)
order.timeline.amend({"reason": "a gift"}, reason="mistyped", amount=5)
