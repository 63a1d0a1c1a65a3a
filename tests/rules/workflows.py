"""Workflows whose work is sent back from several sides. As in the shop, ``plan`` decides what a body does."""

from django_timelines.workflows import Workflow, step, subworkflow
from tests.shop.workflows import body


class Comic(Workflow):
    """Text and pictures are worked over side by side."""

    words: int = 0
    pictures: int = 0
    verdict: str = ""

    @step
    def begin(self) -> None:
        body(self, "begin")

    @step(after=begin)
    def draw(self) -> None:
        body(self, "draw")
        self.pictures += 1

    @draw.undo
    def rub_out(self) -> None:
        body(self, "rub_out")

    @step(after=begin)
    def review(self, verdict: str) -> None:
        body(self, "review")
        self.verdict = verdict

    @step(after=review, when=lambda comic: comic.verdict == "poor", again=review)
    def rewrite(self) -> None:
        body(self, "rewrite")
        self.words += 1

    @step(after=review, when=lambda comic: comic.verdict == "good")
    def typeset(self) -> None:
        body(self, "typeset")

    @step(after=[draw, typeset])
    def publish(self) -> None:
        body(self, "publish")


class Opinion(Workflow):
    """What somebody thinks of it."""

    @step
    def ask(self) -> None:
        body(self, "ask")

    @step(after=ask, manual=True)
    def answer(self) -> None:
        body(self, "answer")


class Survey(Workflow):
    """Two are asked at once: the answer of one sends the work back, the other's is counted."""

    @step
    def begin(self) -> None:
        body(self, "begin")

    @step(after=begin)
    def prepare(self) -> None:
        body(self, "prepare")

    critic = subworkflow(Opinion, after=prepare, again=prepare)
    reader = subworkflow(Opinion, after=begin)

    @step(after=reader)
    def count(self) -> None:
        body(self, "count")
