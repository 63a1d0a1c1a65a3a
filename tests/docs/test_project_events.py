"""The how-to about projections, followed by a reader in a new project."""

from __future__ import annotations

from pathlib import Path

from .snippets import ROOT, Reader, blocks

PAGE = ROOT / "docs" / "howto" / "project-events.md"
SETTINGS = """
INSTALLED_APPS += ["django_timelines", "shop"]
TIMELINES = {"BASE_URL": "https://example.org"}
"""
LINES = """
class Line(models.Model):
    timeline = models.UUIDField()
    amount = models.IntegerField()
"""
SOLD = """
from decimal import Decimal

import django
django.setup()

from django_timelines import following
from django_timelines.engine.rebuild import rebuild
from django_timelines.models import Event as Row
from django_timelines.projections import Projection, on, reaction
from django_timelines.testing import drain
from django_timelines.workflows import Event, Workflow, step
from shop.models import Account, Line
from shop.workflows import Order, PaymentTaken

for amount in (5, 7):
    Order.start(customer="Ada").pay(amount=amount)
drain()
assert Account.objects.get().paid == 12
Account.objects.update(paid=0)
assert rebuild(following.get("shop.Accounts"), "default") == 2
assert Account.objects.get().paid == 12

class Letter(Workflow):
    to: str

    @step
    def write(self, to: str):
        self.to = to

for text in BLOCKS:
    given = {**globals(), "__name__": "shop.later"}
    if "class Balances" in text:
        del following._followings["shop.Accounts"]
    exec(text, given)
    if "upcast" in text:
        first = given["PaymentTaken"].read(Row(version=1, data={"customer": "Ada", "cents": 250}))
        assert (first.amount, first.currency) == (Decimal("2.5"), "EUR")

drain()
assert sorted(Line.objects.values_list("amount", flat=True)) == [5, 7]
assert [letter.subject.to for letter in Letter.timelines.all()] == ["Ada", "Ada"]
assert following.get("shop.Accounts").projection.__name__ == "Balances"
print("Followed.")
"""


def test_who_follows_the_how_to_about_projections_has_accounts(tmp_path: Path) -> None:
    reader = Reader(tmp_path, search=str(ROOT))
    reader.run("-m", "django", "startproject", "mysite", ".")
    reader.run("-m", "django", "startapp", "shop")
    reader.write("mysite/settings.py", SETTINGS, append=True)
    python = [text for language, text in blocks(PAGE) if language == "python"]
    for text in python:
        if text.startswith("# shop/"):
            reader.write(text.split()[1], text)
    reader.write("shop/models.py", LINES, append=True)
    reader.run("manage.py", "makemigrations", "shop")
    reader.run("manage.py", "migrate")
    reader.run("manage.py", "check")

    later = [text for text in python if not text.startswith("# shop/")]
    assert "Followed." in reader.run("-c", SOLD.replace("BLOCKS", repr(later)))
