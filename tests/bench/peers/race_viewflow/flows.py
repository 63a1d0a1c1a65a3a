"""The five steps, in both ways."""

from typing import Any

from viewflow import this
from viewflow.workflow import flow, lock
from viewflow.workflow.models import Process


class Five(flow.Flow):
    """One transaction for all."""

    process_class = Process
    lock_impl = lock.select_for_update_lock
    start = flow.StartHandle().Next(this.one)
    one = flow.Function(this.nothing).Next(this.two)
    two = flow.Function(this.nothing).Next(this.three)
    three = flow.Function(this.nothing).Next(this.four)
    four = flow.Function(this.nothing).Next(this.five)
    five = flow.Function(this.nothing).Next(this.end)
    end = flow.End()

    def nothing(self, activation: Any) -> None: ...


class Called(flow.Flow):
    """A transaction for each, the next task looked for by whoever calls it."""

    process_class = Process
    lock_impl = lock.select_for_update_lock
    start = flow.StartHandle().Next(this.one)
    one = flow.Handle(this.nothing).Next(this.two)
    two = flow.Handle(this.nothing).Next(this.three)
    three = flow.Handle(this.nothing).Next(this.four)
    four = flow.Handle(this.nothing).Next(this.five)
    five = flow.Handle(this.nothing).Next(this.end)
    end = flow.End()

    def nothing(self, activation: Any) -> None: ...
