"""The project as an ASGI application: its pages, and the websockets of live timelines.

``uvicorn example_project.asgi:application``
"""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
pages = get_asgi_application()  # sets Django up, which the imports below need

from django.conf import settings  # noqa: E402
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402

from django_timelines.live.asgi import with_sockets  # noqa: E402

application = with_sockets(ASGIStaticFilesHandler(pages) if settings.DEBUG else pages)
