"""The tests' own app."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Label ``shop``."""

    name = "tests.shop"
