"""The example project's pages, under the tests' settings."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

import example_project.site


@pytest.fixture
def visitor(db: None, settings: Settings, client: Client) -> Client:
    """A browser that has not been here before."""
    settings.ROOT_URLCONF = "example_project.urls"
    (engine,) = settings.TEMPLATES
    options = {**engine["OPTIONS"], "libraries": {"site": "example_project.site.templatetags.site"}}
    templates = Path(example_project.site.__file__).parent / "templates"
    settings.TEMPLATES = [engine | {"DIRS": [templates], "OPTIONS": options}]
    return client
