"""A user model of a project's own, with a UUID as its key."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(AbstractUser):
    """Whoever uses the site."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
