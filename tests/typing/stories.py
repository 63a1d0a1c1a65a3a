"""What type checkers make of stories. mypy and pyright check it, nobody runs it: see ``calls.py``."""

from datetime import timedelta
from typing import assert_type

from django_timelines.testing import Story, crash_at, fail_step, given
from example_project.signup.workflows import Signup

story = given(Signup, email="ada@example.org").upto(Signup.activate)
assert_type(story, Story[Signup])
assert_type(story.workflow, Signup)
assert_type(story.workflow.email, str)
story.when("activate").then("StepCompleted activate", steps={"activate": "completed"})
story.when(Signup.activate).when().when(timedelta(days=3))
story.when(lambda signup: signup.activate.skip(reason="by telephone"))
story.when(lambda signup: signup.nothing())  # type: ignore[attr-defined]
story.when(7)  # type: ignore[arg-type]
given(story.workflow).then(raises=ValueError)
given(7)  # type: ignore[arg-type]

with crash_at("after body", Signup.open_account), fail_step("activate", OSError, times=2, after=True):
    pass
with crash_at("in the middle"):  # type: ignore[arg-type]
    pass
