"""The tests' project as an ASGI application, for the servers of ``tests.placements.worker``."""

from django.core.asgi import get_asgi_application

application = get_asgi_application()
