"""The people: they start timelines, call steps, change their minds, and click again with the same key when a page breaks."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .browser import Browser
from .history import Answer

PEOPLE = 16
BUSY = 150  # open runs that wait for a worker: from then on nobody starts another timeline
LATER = {"not_yet", "taken"}  # refusals after which the same call may be right


@dataclass(order=True)
class Errand:
    """Something that a person wants, until there is an answer."""

    at: float
    number: int
    path: str = field(compare=False)
    asked: dict[str, Any] = field(compare=False)
    alone: bool = field(default=True, compare=False)  # what follows from its answer is this person's
    tried: int = field(default=0, compare=False)


class People:
    """All of them, what they were answered, and what was counted."""

    def __init__(self, port: int, seed: str) -> None:
        self.port, self.seed = port, seed
        self.answers: list[Answer] = []
        self.counted: Counter[str] = Counter()
        self.numbers = itertools.count(1)
        self.closing = threading.Event()  # nobody starts another timeline; what was begun is brought to its end
        self.stop = threading.Event()
        self.due = 0
        self.persons = [Person(self, number) for number in range(PEOPLE)]
        self.threads = [threading.Thread(target=person.live, daemon=True) for person in self.persons]
        self.threads.append(threading.Thread(target=Operator(self).live, daemon=True))

    def begin(self) -> None:
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        if not all(thread.is_alive() for thread in self.threads):
            raise RuntimeError("Somebody ended early; what they said stands above.")
        self.stop.set()
        for thread in self.threads:
            thread.join(20)

    def unanswered(self) -> int:
        """Return how many errands nobody has answered."""
        return sum(len(person.errands) for person in self.persons)


class Person:
    """One person, in a thread."""

    def __init__(self, people: People, number: int) -> None:
        self.people = people
        self.draw = random.Random(f"person {people.seed} {number}")
        self.browser = Browser(people.port)
        self.lock = threading.Lock()
        self.errands: list[Errand] = []

    def live(self) -> None:
        """Do what is to be done; start a timeline when nothing is."""
        while not self.people.stop.is_set():
            errand = self._next()
            if errand is not None:
                self._do(errand)
            elif not self.people.closing.is_set() and self.people.due < BUSY and not self._is_put_off():
                self._want_timeline()
                time.sleep(self.draw.expovariate(1 / 0.03))  # people come by chance, so many a second
            else:
                time.sleep(0.05)  # it polls: work comes up by time, too

    def want(self, path: str, asked: dict[str, Any], after: float = 0, *, alone: bool = True) -> None:
        """Add an errand."""
        with self.lock:
            heapq.heappush(
                self.errands, Errand(time.monotonic() + after, next(self.people.numbers), path, asked, alone)
            )

    def _next(self) -> Errand | None:
        with self.lock:
            return self.errands[0] if self.errands and self.errands[0].at <= time.monotonic() else None

    def _is_put_off(self) -> bool:
        """Tell whether a start of theirs is not answered yet: the site does not seem to be there."""
        with self.lock:
            return any(errand.path == "start" for errand in self.errands)

    def _want_timeline(self) -> None:
        name = f"n{next(self.people.numbers)}"
        workflow = self.draw.choices(["Chain", "Fork", "Visit", "Claim", "Order"], [4, 3, 2, 2, 3])[0]
        asked = {"workflow": workflow, "key": f"key of {name}", "name": name}
        self.want("start", asked)
        if self.draw.random() < 0.1:
            self._somebody().want("start", asked, alone=False)

    def _somebody(self) -> Person:
        return self.draw.choice(self.people.persons)

    def _do(self, errand: Errand) -> None:
        answered = self.browser.click(errand.path, errand.asked)
        errand.tried += 1
        again: float | None = None
        if answered is None:
            self.people.counted["clicked again after a broken page"] += 1
            again = self.draw.uniform(0.05, 0.5)
        elif answered[0] == 409 and answered[1]["reason"] in LATER:
            again = min(0.5 * 2 ** min(errand.tried, 4), 4)
        with self.lock:
            self.errands.remove(errand)
            if again is not None:
                errand.at = time.monotonic() + again
                self.errands.append(errand)
            heapq.heapify(self.errands)
        if answered is not None:
            self._note(errand, *answered)

    def _note(self, errand: Errand, status: int, body: dict[str, Any]) -> None:
        asked = errand.asked
        if status == 409:
            self.people.counted[f"refused: {body['reason']}"] += 1
        elif errand.path == "start":
            self.people.answers.append(Answer("start", f"chaos.{asked['workflow']}", body["timeline"], asked["key"]))
            if errand.alone:
                self._go_on(asked["workflow"], body["timeline"], asked["name"])
        elif errand.path == "call":
            answer = Answer("call", f"chaos.{asked['workflow']}", asked["timeline"], asked["key"], asked["step"])
            self.people.answers.append(answer)
            self.people.counted[f"call answered: {body['outcome']}"] += 1
        else:
            self.people.counted[f"by hand: {asked['verb']}"] += 1

    def _go_on(self, workflow: str, timeline: str, name: str) -> None:
        """Plan what this person does with the new timeline."""
        target = {"workflow": workflow, "timeline": timeline}
        if workflow in ("Chain", "Fork", "Order") and self.draw.random() < (0.2 if workflow == "Order" else 0.08):
            self.want("operate", {**target, "verb": "cancel"}, self.draw.uniform(0, 6))
        if workflow == "Order":
            after = self.draw.uniform(0.2, 3)
            self.want("call", {**target, "step": "fetch", "key": f"fetching {name}", "input": {}}, after)
        if workflow in ("Chain", "Claim"):
            self._say_yes({**target, "step": "approve" if workflow == "Chain" else "decide"}, name)
        elif workflow == "Visit" and self.draw.random() < 0.8:
            after = self.draw.choice([0, 0.5, 1, 2, 3, 4.9, 5, 5.1])
            self.want("call", {**target, "step": "arrive", "key": f"arrival of {name}", "input": {}}, after)

    def _say_yes(self, target: dict[str, Any], name: str) -> None:
        after = self.draw.uniform(0.2, 1.5)
        if self.draw.random() < 0.15:
            self.want("call", {**target, "key": f"no of {name}", "input": {"by": "nobody"}}, after)
            after += 1
        asked = {**target, "key": f"yes of {name}", "input": {"by": "ann"}}
        self.want("call", asked, after)
        twice = self.draw.random()
        if twice < 0.15:  # the same click, twice at once
            self._somebody().want("call", asked, after)
        elif twice < 0.25:  # another's click, at once
            self._somebody().want("call", {**asked, "key": f"other yes of {name}", "input": {"by": "bob"}}, after)


class Operator:
    """Looks after what is blocked."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.draw = random.Random(f"operator {people.seed}")
        self.browser = Browser(people.port)

    def live(self) -> None:
        while not self.people.stop.wait(0.4):
            answered = self.browser.click("blocked", {})
            if answered is None:
                continue
            self.people.due = answered[1]["due"]
            for workflow, timeline, step, item in answered[1]["blocked"]:
                verb = "skip" if self.draw.random() < 0.3 else "retry"
                asked = {"workflow": workflow, "timeline": timeline, "step": step, "item": item, "verb": verb}
                answered = self.browser.click("operate", asked)
                if answered is not None and answered[0] == 200:
                    self.people.counted[f"by hand: {verb}"] += 1
