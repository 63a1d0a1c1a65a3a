"""What a reader sees who has followed a page: programs that are run in the project that it makes."""

GREETING = """
import django
django.setup()

from django.core.management import call_command
from django.test import Client
from django_timelines.testing import drain
from greetings.workflows import Greeting

visitor = Client(SERVER_NAME="localhost")
page = visitor.post("/", {"name": "Ada"}, follow=True)
address = page.redirect_chain[-1][0]
assert page.status_code == 200 and "Greet" in page.content.decode(), page.content
assert "Hello" not in page.content.decode(), "the step that runs by itself ran in the request"

drain()
page = visitor.get(address)
assert '<h1 id="text" data-timelines-page>Hello, Ada.</h1>' in page.content.decode(), page.content
assert Client(SERVER_NAME="localhost").get(address).status_code == 404, "somebody else sees it"

made = visitor.get("/timelines/start/greetings.Greeting/")
assert '<input type="text" name="name"' in made.content.decode(), made.content

timeline = Greeting.timelines.get()
assert timeline.status == "completed", str(timeline.explain())
assert [event.type for event in timeline.events.all()][-1] == "TimelineCompleted"
assert visitor.get("/admin/", follow=True).status_code == 200
call_command("check", fail_level="WARNING", databases=["default"])
print("Greeted.")
"""
