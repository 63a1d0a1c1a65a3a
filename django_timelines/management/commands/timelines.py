"""``manage.py timelines VERB``: look at timelines, and move them on, from a terminal or a script."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, ArgumentError, ArgumentParser
from io import StringIO
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, OutputWrapper, SystemCheckError

from ...actors import SYSTEM, Actor, ActorType, acting, current
from ...exceptions import Refused
from .. import writing
from ..parsing import Parser
from ..verbs import VERBS, finding
from ..verbs.base import Answer, plain
from ..verbs.terminal import Terminal

REFUSED = 1
NOT_TOLD = 3


class Command(BaseCommand):
    """Answers for people, or with ``--json`` for programs. Exit code 1: refused, and nothing was written (``check``: something
    would block; ``retry-blocked``: some were refused); 2: wrong usage; 3: done, but the answer could not be written.
    """

    help = "Look at timelines, and move them on."

    def __init__(self, stdout: Any = None, *args: Any, **options: Any) -> None:
        """Write nowhere in a process that was begun without a standard output."""
        super().__init__(stdout or sys.stdout or StringIO(), *args, **options)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Parser:
        """Return Django's parser as one of ours, with a parser for each verb."""
        django = super().create_parser(prog_name, subcommand, **kwargs)
        self._typed = bool(django.called_from_command_line)
        parser = Parser(
            parents=[django],
            add_help=False,
            prog=django.prog,
            description=django.description,
            formatter_class=django.formatter_class,
            called_from_command_line=self._typed,
        )
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
        for verb in VERBS:
            of_verb = verbs.add_parser(verb.name, help=verb.help, description=verb.help)
            verb.arguments(of_verb)
            _common(of_verb)
            of_verb.set_defaults(run=verb.run, usage_error=of_verb.error)
        self._parsers = verbs.choices
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Let Django check the system first; what it finds is said as JSON to whoever asked for JSON."""
        self._is_script = self._typed and options["json"]
        options = options if self._typed else self._as_if_typed(options)
        try:
            return super().execute(*args, **options)
        except SystemCheckError as found:
            if not self._is_script or options["traceback"]:
                raise
            self._refuse(Refused(str(found), "system_check"), as_json=True)
            return None

    def _as_if_typed(self, options: dict[str, Any]) -> dict[str, Any]:
        """Read the texts among the options: ``call_command`` hands on as it is what it was given by keyword."""
        parser = self._parsers[options["verb"]]
        texts = [action for action in parser._actions if isinstance(options.get(action.dest), str)]
        try:
            return options | {action.dest: parser._get_value(action, options[action.dest]) for action in texts}
        except ArgumentError as error:
            parser.error(str(error))

    def check(self, *args: Any, **options: Any) -> None:
        """Tell a script what keeps it from being done, and no warnings: it reads one document."""
        told, self.stderr = self.stderr, OutputWrapper(StringIO()) if self._is_script else self.stderr
        try:
            super().check(*args, **options)
        finally:
            self.stderr = told

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says, and print what it answers."""
        terminal = Terminal(self.stdout, as_json=options["json"], typed=self._typed)
        try:
            with acting(_actor()):
                answer = options["run"](options | {"terminal": terminal}, self.style)
        except Refused as refused:
            if options["traceback"]:
                raise
            self._refuse(refused, as_json=options["json"])
            return
        terminal.answer(answer)
        if terminal.lost:
            sentence = f"What was asked for was done, but the answer could not be written: {terminal.lost.strerror}."
            self._complain(sentence, "not_told", NOT_TOLD, as_json=options["json"])
        if answer.code:
            self._end(answer)

    def _end(self, answer: Answer) -> None:
        if not self._typed:
            raise CommandError(answer.lines[-1], returncode=answer.code)
        sys.exit(answer.code)

    def _refuse(self, refused: Refused, *, as_json: bool) -> None:
        sentence = _sentence(refused)
        if not self._typed:
            raise CommandError(sentence, returncode=REFUSED) from refused
        self._complain(sentence, refused.reason, REFUSED, as_json=as_json)

    def _complain(self, sentence: str, reason: str, code: int, *, as_json: bool) -> NoReturn:
        said = writing.as_json({"error": sentence, "reason": reason}, self.stderr)
        self.stderr.write(said, str) if as_json else self.stderr.write(plain(sentence))
        sys.exit(code)


def _actor() -> Actor:
    """Return who acts: this command, unless somebody else calls it."""
    actor = current()
    return Actor(ActorType.COMMAND, "timelines", "timelines") if actor == SYSTEM else actor


def _common(parser: ArgumentParser) -> None:
    finding.add_database(parser)
    parser.add_argument("--json", action="store_true", help="Answer with one JSON document.")
    for flag in ("--no-color", "--force-color", "--traceback"):  # Django's own, also after the verb
        parser.add_argument(flag, action="store_true", default=SUPPRESS, help=SUPPRESS)


def _sentence(refused: Refused) -> str:
    if not isinstance(refused, ValidationError):
        return str(refused)
    if hasattr(refused, "error_dict"):
        return " ".join(f"{name}: {' '.join(several)}" for name, several in refused.message_dict.items())
    return " ".join(refused.messages)
