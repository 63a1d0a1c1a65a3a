import pytest
from django.core import mail
from django.contrib.auth.models import User
from django_timelines.models import *
from example_project.signup.workflows import Signup
from django_timelines.engine import clock
from django_timelines.engine.execute import answer
from django_timelines.placements import get

def drain():
    from django_timelines.models import Run
    from django_timelines import moments
    while True:
        r = Run.objects.filter(due=None, status__in=["due"]).select_related("timeline").first() or Run.objects.filter(due__lte=moments.now(), status__in=["due","retrying"]).first()
        if not r: return
        answer(r.timeline_id.hex, r.step, r.item, r.fence, "default", "embedded")

@pytest.mark.django_db(transaction=True)
def test_story(settings):
    s = Signup.start(email="a@example.org", password="pw")
    print(s, s.timeline.explain(), s.timeline.state)
    assert s.register.status == "completed"
    drain()
    s = Signup.get(s.pk)
    for e in s.timeline.events.all(): print(e, e.data, e.actor_label, e.placement, e.cause)
    print(mail.outbox[0].body)
    print(s.timeline.explain())
    assert s.activate() == "completed"
    drain()
    s = Signup.get(s.pk)
    for e in s.timeline.events.all(): print(e, e.data, e.actor_label, e.placement, e.cause)
    print(s, s.timeline.explain(), s.user, s.account.tours.all())
    print(Run.objects.all(), Lease.objects.all())
    assert Signup.get(s.pk, at=5).register.status == "completed"
    print(Signup.timelines.about(s.user), Signup.timelines.waiting_for("activate"))
    with pytest.raises(Exception) as e: Signup.start(email="a@example.org", password="pw")
    print(repr(e.value)); assert Timeline.objects.count() == 1
