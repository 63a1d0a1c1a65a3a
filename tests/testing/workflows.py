"""Workflows that only these tests need."""

from datetime import timedelta

from django_timelines.workflows import AT_LEAST_ONCE, Retry, RetryAfter, Workflow, step, subworkflow


class Postcard(Workflow):
    """Written to somebody, and waited for."""

    @step(delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(seconds=10), jitter=False, on=OSError))
    async def post(self, to: str) -> None:
        """Bring it to the post."""


class Telegram(Workflow):
    """Sent by itself, and again after no time at all."""

    @step
    def write(self, to: str) -> None:
        """Say whom it is to."""

    @step(after=write, retry=Retry(3, wait=timedelta(milliseconds=1), on=OSError))
    def send(self) -> None:
        """Tap it out."""


class Announcement(Workflow):
    """Sent to each by a telegram, and printed then."""

    people: list[str]

    @step
    def draft(self, people: list[str]) -> None:
        self.people = people

    telegrams = subworkflow(Telegram, after=draft, each="people", given=lambda announcement, person: {"to": person})

    @step(after=telegrams)
    def print_it(self) -> None:
        """For those who have no telegraph."""


class Chore(Workflow):
    """Done within as many days as it is given."""

    days: int

    def time(self) -> timedelta:
        """Say how long it may take."""
        if self.days < 0:
            raise RetryAfter(60)
        return timedelta(days=self.days)

    @step
    def ask(self, days: int) -> None:
        self.days = days

    @step(after=ask, manual=True, within=lambda chore: chore.time())
    def go(self) -> None:
        """Somebody runs it."""

    @step(after=go)
    def thank(self) -> None:
        """For those who went."""
