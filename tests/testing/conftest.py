"""Each helper works in a transaction that is rolled back (``TestCase``) and without (``TransactionTestCase``)."""

import pytest

_IN_A_TRANSACTION = pytest.mark.django_db(databases="__all__")
_WITHOUT = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(
    params=[
        pytest.param(False, id="TestCase", marks=_IN_A_TRANSACTION),
        pytest.param(True, id="TransactionTestCase", marks=_WITHOUT),
    ]
)
def committed(request: pytest.FixtureRequest) -> bool:
    """Tell whether what the test writes is committed. A test with it runs in both ways."""
    return bool(request.param)
