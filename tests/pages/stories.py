"""Where the stories of these tests begin."""

from django.core import mail

from django_timelines.testing import drain
from example_project.signup.workflows import Signup


def signed_up(email: str = "ada@example.org") -> Signup:
    """Sign somebody up and run what is due: the mail with the link has gone out."""
    signup = Signup.start(email=email, password="correct horse")
    drain()
    return Signup.get(signup.pk)


def path_in_mail() -> str:
    """Return the path of the link in the newest mail, as the visitor's browser asks for it."""
    return str(mail.outbox[-1].body).removeprefix("https://example.org")
