"""People who look at the shop's timelines."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client


def staff_with(*codenames: str, name: str = "ada") -> Client:
    """Return the browser of a member of staff with these permissions."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client
