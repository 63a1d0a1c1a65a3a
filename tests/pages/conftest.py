import pytest

from example_project.signup.workflows import Signup
from tests.pages.stories import signed_up


@pytest.fixture
def signup(db) -> Signup:
    """A sign-up that waits for its visitor to follow the link; nobody's session knows it."""
    return signed_up()
