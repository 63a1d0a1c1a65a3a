"""The table of faults: each fits the code as it is now, and names tests that are there."""

import re
from pathlib import Path

import pytest

from tests.planted.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]


def test_each_promise_has_a_fault() -> None:
    assert {fault.clause for fault in FAULTS} == {*range(1, 16)}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_fits_the_code_in_one_place(fault: Fault) -> None:
    assert fault.fits(ROOT)
    assert fault.new != fault.old


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_what_is_to_catch_it_is_there(fault: Fault) -> None:
    assert fault.tests
    for test in fault.tests:
        file, _colons, name = test.partition("::")
        assert re.search(rf"^def {name.partition('[')[0]}\(", (ROOT / file).read_text(), re.MULTILINE), test
