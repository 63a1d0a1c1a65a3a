"""The five steps."""

from joeflow import tasks
from joeflow.models import Workflow


class Five(Workflow):
    """One after the other."""

    start = tasks.Start()

    def one(self) -> None: ...

    def two(self) -> None: ...

    def three(self) -> None: ...

    def four(self) -> None: ...

    def five(self) -> None: ...

    edges = ((start, one), (one, two), (two, three), (three, four), (four, five))
