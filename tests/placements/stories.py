"""The four examples' stories: what people do, and what each timeline then tells, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.core import mail
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from django_timelines.testing import travel
from example_project.coffee.models import Charge
from example_project.coffee.workflows import Build, Order, Payment
from example_project.contacts.models import Contact
from example_project.contacts.workflows import ImportContacts
from example_project.donation.models import Campaign, Gift
from example_project.donation.workflows import Donation
from example_project.signup.models import Tour
from example_project.signup.workflows import Signup

type_until = Callable[[Any, str, str], Any]
"""Let the workers work until this step of the workflow, or its ``timeline``, stands there; return it as it is then."""


@dataclass(frozen=True)
class Story:
    """``happens`` does what people do. ``told``: by workflow, the events, each as its type, step, item and attempt."""

    workflows: tuple[Any, ...]
    happens: Callable[[type_until], None]
    told: Mapping[str, str]

    @property
    def steps(self) -> list[str]:
        """Those that it comes to, as settings name them."""
        steps = [(one._declaration.label, step) for one in self.workflows for step in one._declaration.steps]
        return [f"{label}.{step}" for label, step in steps if f"\nAttemptStarted {step} " in self.told[label]]


def sign_up(until: type_until) -> None:
    """A visitor registers and follows the link."""
    signup = Signup.start(email="ada@example.org", password="difference engine")
    signup = until(signup, "activate", "waiting")
    signup.activate()
    signup = until(signup, "start_onboarding", "completed")

    assert signup.user.is_active
    assert Tour.objects.count() == 1
    assert [message.to for message in mail.outbox] == [["ada@example.org"]]


def forget_to_come(until: type_until) -> None:
    """A visitor registers and never follows the link."""
    signup = Signup.start(email="ada@example.org", password="difference engine")
    until(signup, "activate", "waiting")
    travel(timedelta(days=4))
    until(signup, "expire", "completed")

    assert not User.objects.exists()


def order_coffee(until: type_until) -> None:
    """A customer orders, and a barista hands it over once it is paid and made."""
    order = Order.start(customer="Ada", drinks=["latte", "mocha", "latte"])
    order = until(order, "hand_over", "waiting")
    order.hand_over()
    order = until(order, "hand_over", "completed")

    payment, build = order.payment.child, order.build.child
    assert [one.timeline.status for one in (order, payment, build)] == ["completed"] * 3
    assert (payment.amount, build.drinks) == (Decimal("11.80"), ["latte", "mocha", "latte"])
    assert [(charge.key, str(charge.pk)) for charge in Charge.objects.all()] == [
        (f"{payment.pk.hex}-charge", payment.reference)
    ]


def donate(until: type_until) -> None:
    """A visitor gives to a campaign, form by form."""
    campaign = Campaign.objects.create(title="Trees", about="More of them.")
    donation = Donation.start(campaign=campaign)
    donation = until(donation, "select_amount", "waiting")
    donation.select_amount(amount=30)
    donation = until(donation, "enter_details", "waiting")
    donation.enter_details(name="Ada", email="ada@example.org")
    donation = until(donation, "verify_address", "waiting")
    donation.verify_address()
    donation = until(donation, "pay", "waiting")
    donation.pay()
    donation = until(donation, "thank", "completed")

    assert list(Gift.objects.values_list("campaign", "amount", "donor", "reference")) == [
        (campaign.pk, 30, "Ada", donation.reference)
    ]
    assert [message.to for message in mail.outbox] == [["ada@example.org"]]


def import_contacts(until: type_until) -> None:
    """Somebody uploads a file of more than one batch."""
    rows = ["name,email", *(f"Contact {n},c{n}@example.org" for n in range(501)), "Bob,nobody"]
    path = default_storage.save("contacts.csv", ContentFile("\n".join(rows)))
    done = until(ImportContacts.start(path=path), "tidy_up", "completed")

    assert (done.imported, done.rejected) == (501, 1)
    assert Contact.objects.values("email").distinct().count() == Contact.objects.count() == 501
    assert not default_storage.exists(path)


SIGN_UP = """
TimelineStarted
StepCalled register
AttemptStarted register 1
StepCompleted register 1
StepDue open_account
AttemptStarted open_account 1
StepCompleted open_account 1
StepDue send_activation_link
AttemptStarted send_activation_link 1
StepCompleted send_activation_link 1
StepDue activate
StepCalled activate
AttemptStarted activate 1
StepCompleted activate 1
StepNotTaken expire
StepDue start_onboarding
AttemptStarted start_onboarding 1
StepCompleted start_onboarding 1
TimelineCompleted
"""

SIGN_UP_OVERDUE = """
TimelineStarted
StepCalled register
AttemptStarted register 1
StepCompleted register 1
StepDue open_account
AttemptStarted open_account 1
StepCompleted open_account 1
StepDue send_activation_link
AttemptStarted send_activation_link 1
StepCompleted send_activation_link 1
StepDue activate
StepOverdue activate
StepNotReached start_onboarding
StepDue expire
AttemptStarted expire 1
StepCompleted expire 1
TimelineCompleted
"""

ORDER = """
TimelineStarted
StepCalled place
AttemptStarted place 1
StepCompleted place 1
StepDue payment
AttemptStarted payment 1
StepDue payment 1
StepCompleted payment 1
StepNotTaken apologise
StepDue build
AttemptStarted build 1
StepDue build 1
StepCompleted build 1
StepDue hand_over
StepCalled hand_over
AttemptStarted hand_over 1
StepCompleted hand_over 1
TimelineCompleted
"""

PAYMENT = """
TimelineStarted
StepCalled request
AttemptStarted request 1
StepCompleted request 1
StepDue charge
AttemptStarted charge 1
StepCompleted charge 1
TimelineCompleted
"""

BUILD = """
TimelineStarted
StepCalled line_up
AttemptStarted line_up 1
StepCompleted line_up 1
StepDue make
StepDue make latte
AttemptStarted make latte 1
StepCompleted make latte 1
StepDue make mocha
AttemptStarted make mocha 1
StepCompleted make mocha 1
StepDue make latte#2
AttemptStarted make latte#2 1
StepCompleted make latte#2 1
TimelineCompleted
"""

DONATION = """
TimelineStarted
StepCalled begin
AttemptStarted begin 1
StepCompleted begin 1
StepDue select_amount
StepCalled select_amount
AttemptStarted select_amount 1
StepCompleted select_amount 1
StepDue enter_details
StepCalled enter_details
AttemptStarted enter_details 1
StepCompleted enter_details 1
StepDue send_verification
AttemptStarted send_verification 1
StepCompleted send_verification 1
StepDue verify_address
StepCalled verify_address
AttemptStarted verify_address 1
StepCompleted verify_address 1
StepDue pay
StepCalled pay
AttemptStarted pay 1
StepCompleted pay 1
StepDue charge
AttemptStarted charge 1
StepCompleted charge 1
StepDue thank
AttemptStarted thank 1
StepCompleted thank 1
TimelineCompleted
"""

IMPORT = """
TimelineStarted
StepCalled upload
AttemptStarted upload 1
StepCompleted upload 1
StepDue load_rows
AttemptStarted load_rows 1
StepCompleted load_rows 1
StepDue tidy_up
AttemptStarted tidy_up 1
StepCompleted tidy_up 1
TimelineCompleted
"""

STORIES = {
    "sign-up": Story((Signup,), sign_up, {"signup.Signup": SIGN_UP}),
    "sign-up, overdue": Story((Signup,), forget_to_come, {"signup.Signup": SIGN_UP_OVERDUE}),
    "coffee": Story(
        (Order, Payment, Build),
        order_coffee,
        {"coffee.Order": ORDER, "coffee.Payment": PAYMENT, "coffee.Build": BUILD},
    ),
    "donation": Story((Donation,), donate, {"donation.Donation": DONATION}),
    "contacts": Story((ImportContacts,), import_contacts, {"contacts.ImportContacts": IMPORT}),
}
