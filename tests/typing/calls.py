"""What type checkers make of calls. mypy and pyright check it, nobody runs it: a line that is ignored is an error in both."""

from typing import assert_type

from django.contrib.auth.models import User

from django_timelines.workflows import Outcome, Workflow, step
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

signup = Signup.get("018f")
assert_type(signup, Signup)
assert_type(signup.activate(), Outcome)
assert_type(signup.activate.link(), str)
signup.activate("now")  # type: ignore[call-arg]
signup.activat()  # type: ignore[attr-defined]
order.pay.skip({"reason": "a gift"}, reason="in cash", amount=5)
order.timeline.amend({"reason": "a gift"}, reason="mistyped", amount=5)
