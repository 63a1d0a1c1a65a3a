"""An email backend for the demo: mails go to the outbox page.

``OUTBOX_STALL_FILE`` names a file; while that exists, the "mail server" hangs: it takes a connection and does not answer.
That is how one sees what a timeline says meanwhile, and what happens when its worker is killed in the middle of it.
``OUTBOX_FAIL_FILE`` names another; while that exists, the "mail server" is away: it refuses each connection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from .models import Mail

STALL_FILE = os.environ.get("OUTBOX_STALL_FILE", "")
FAIL_FILE = os.environ.get("OUTBOX_FAIL_FILE", "")


class EmailBackend(BaseEmailBackend):
    """Stores mails instead of sending them."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Put each mail into the outbox; return how many there were."""
        while STALL_FILE and Path(STALL_FILE).exists():
            time.sleep(0.05)
        if FAIL_FILE and Path(FAIL_FILE).exists():
            raise ConnectionRefusedError("The demo's mail server is away.")
        for message in email_messages:
            Mail.objects.create(to=", ".join(message.to), subject=str(message.subject), body=str(message.body))
        return len(email_messages)
