"""What is typed for a name or a number. Nothing empty is taken: the variable that a script forgot to set names not everything."""

from __future__ import annotations

from argparse import ArgumentTypeError

from ...runs import can_be_stored, split_key

MOST = 1_000_000


def word(text: str) -> str:
    """Read what names something: a timeline, a workflow, a step, a projection, a user."""
    if not text:
        raise ArgumentTypeError("it is empty: is a variable not set? Say which is meant.")
    return storable(text)


def step_or_item(text: str) -> str:
    """Read a step, or one of its items: ``make[latte]``. ``make[]`` is not taken for all of them."""
    step, item, _round = split_key(word(text))
    if not step or ("[" in text and not item):
        raise ArgumentTypeError(f"{text!r} names no {'item' if step else 'step'}: is a variable not set?")
    return text


def storable(text: str) -> str:
    """Read a name that may be empty, as that of a workflow's only schedule is."""
    if not can_be_stored(text):
        raise ArgumentTypeError(f"{text!r} is no text: it holds a NUL, or what is no UTF-8. Write it in UTF-8.")
    return text


def number(text: str) -> int:
    """Read how many are to be shown at most."""
    if not text.isdecimal() or len(text) > len(str(MOST)) or not 1 <= int(text) <= MOST:
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {MOST:,}.")
    return int(text)
