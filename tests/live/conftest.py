import pytest
from django.test import Client

from django_timelines.policy import remember
from example_project.signup.workflows import Signup
from tests.pages.stories import signed_up

from .sockets import Visitor


@pytest.fixture
def signup(transactional_db) -> Signup:
    """A sign-up that waits for its visitor to follow the link."""
    return signed_up()


@pytest.fixture
def visitor(client: Client, signup: Signup) -> Visitor:
    """The browser that signed up."""
    session = client.session
    remember(session, [signup.pk.hex])
    session.save()
    return Visitor(session.session_key)


@pytest.fixture
def stranger(transactional_db) -> Visitor:
    """A browser with no session."""
    return Visitor("")
