"""What the demo "sent"."""

from __future__ import annotations

from django.db import models


class Mail(models.Model):
    """A mail, kept in the database so that the page shows what workers in other processes sent, too."""

    to = models.CharField(max_length=300)
    subject = models.CharField(max_length=300)
    body = models.TextField()
    sent_at = models.DateTimeField(auto_now_add=True)

    objects: models.Manager[Mail] = models.Manager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.subject} to {self.to}"
