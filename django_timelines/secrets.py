"""Encrypts secret inputs while an attempt may need them. Needs the extra ``secrets`` (cryptography)."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class FernetSealer:
    """Seals with a key derived from ``SECRET_KEY``; opens with that or one of ``SECRET_KEY_FALLBACKS``."""

    def __init__(self) -> None:
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def seal(self, values: dict[str, Any]) -> bytes:
        """Encrypt JSON values by name."""
        return self._fernet.encrypt(json.dumps(values).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """Decrypt what ``seal`` made."""
        values: dict[str, Any] = json.loads(self._fernet.decrypt(bytes(sealed)))
        return values


def _derive(key: str | bytes) -> bytes:
    material = key.encode() if isinstance(key, str) else key
    derived = HKDF(SHA256(), 32, salt=None, info=b"django_timelines.secrets").derive(material)
    return base64.urlsafe_b64encode(derived)
