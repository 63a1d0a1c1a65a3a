"""The database of the timelines in the settings that the tests run with: see ``tests/settings/elsewhere.py``."""

from django.db import router

from django_timelines.models import Timeline

HERE = router.db_for_write(Timeline)
