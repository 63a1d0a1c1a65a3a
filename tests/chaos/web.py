"""The web process: a thread for each connection, as a small site is served."""

import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"

from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application

if __name__ == "__main__":
    run("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), threading=True)
