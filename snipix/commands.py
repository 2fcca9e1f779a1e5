"""The ground of operators' commands: one way to explain, to show progress, and to report.

A command answers on standard output, for people or, with `--json`, as one JSON document for
programs. Progress and warnings go to standard error, so that they never mix with it.
"""

import json
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    OutputWrapper,
)
from django.db import DatabaseError
from pymongo.errors import ConfigurationError, PyMongoError

from snipix import errors, open_transactions, releases
from snipix.database.base import patient
from snipix.left import LeftOver

DONE, FAILED, MISSPELT, FOUND, LEFT, INTERRUPTED = 0, 1, 2, 3, 4, 130
_EXIT_CODES = {
    DONE: "done",
    FAILED: "something went wrong: it is said on standard error",
    MISSPELT: "the command is misspelt",
    INTERRUPTED: "it was interrupted",
}
ONLY_LOOKING = ("dry_run", "check", "list", "print", "verify")
"""Options with which nothing is changed."""
_AUTHENTICATION_FAILED = (18, 8000)
"""MongoDB's code, and Atlas's."""
_DIGITS = 20
_BAR = 30
_LINES = 20
"""Of progress, at most, where there is no terminal."""
_Item = TypeVar("_Item")


class HelpFormatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Django's order of options; examples and exit codes stay on lines of their own."""


class OperatorCommand(BaseCommand):
    """A command with an example in its `--help`, `--json`, and exit codes that scripts can use."""

    example: ClassVar[str]
    """What somebody would type, after `manage.py`."""
    exit_codes: ClassVar[Mapping[int, str]] = {}
    """What its own exit codes mean, such as `{FOUND: "there is something to do"}`."""
    needs_whole_database: ClassVar[bool] = False
    """Whether it refuses one that is only restored in part."""
    has_parts: ClassVar[bool] = False
    """Whether it consists of several, as `cache stats` and `cache warm`: see `add_part`."""
    repeating: ClassVar[str] = "What was done stays done: run it again to go on."
    """What to know, and to do, once it didn't come to its end."""
    _is_quiet = False
    _step: "Progress | None" = None

    def changes(self, options: Mapping[str, Any]) -> bool:
        """Whether it changes anything, called like this."""
        return not any(options.get(name) for name in ONLY_LOOKING)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        told = {"epilog": self._epilog(self.example), "formatter_class": HelpFormatter}
        parser = super().create_parser(prog_name, subcommand, **told, **kwargs)
        if not self.has_parts:
            _add_json(parser)
        return parser

    def add_part(self, parts: Any, name: str, *, help: str, example: str) -> CommandParser:
        """Add one of several commands in one to what `add_subparsers` made."""
        part: CommandParser = parts.add_parser(
            name,
            help=help,
            description=help,
            epilog=self._epilog(example),
            formatter_class=RawDescriptionHelpFormatter,
        )
        _add_json(part)
        return part

    def _epilog(self, example: str) -> str:
        codes = _EXIT_CODES | dict(self.exit_codes)
        told = "; ".join(f"{code} {meaning}" for code, meaning in sorted(codes.items()))
        return f"example: manage.py {example}\nexit codes: {told}"

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it.

        Raises CommandError, with a sentence, also for what the database or the disk refuses.
        """
        self._is_quiet = options.get("verbosity") == 0
        outlook = self.repeating if self.changes(options) else "Nothing was changed."
        try:
            with patient():
                if self.needs_whole_database:
                    releases.refuse_half_restored()
                if self.changes(options):
                    _end_what_was_killed()
                return super().execute(*args, **options)
        except errors.SnipixError as error:
            raise CommandError(error.detail) from error
        except releases.NotServed as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, PyMongoError) as error:
            raise CommandError(_told_of_database(error, outlook)) from error
        except OSError as error:
            raise CommandError(f"{told_of(error)} {outlook}") from error
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {outlook}", returncode=INTERRUPTED) from None
        finally:
            self._end_step()

    def report(
        self,
        found: Mapping[str, Any],
        options: Mapping[str, Any],
        show: Callable[[Mapping[str, Any]], Iterable[str]],
        *,
        is_wrong: bool = False,
    ) -> None:
        """Answer what was found or done: as JSON, or as the lines that `show` makes of it.

        With `--verbosity 0` people are told nothing, as by Django's own commands, unless something
        is wrong: the exit code alone says nothing that they could act on.
        """
        if options["json"]:
            self.stdout.write(json.dumps(found, default=str))
        elif options["verbosity"] > 0 or is_wrong:
            for line in show(found):
                self.stdout.write(line)

    def tell_left(self, left: LeftOver) -> None:
        """Name what was left, and end with LEFT, if anything was. Raises CommandError."""
        for line in left.lines():
            self.stderr.write(f"left {line}")
        if left.count:
            raise CommandError(f"{left.count:,} were left; all else is done.", returncode=LEFT)

    def show(self, what: str, done: int, total: int) -> None:
        """Show how far one of several steps has come; the next one begins a line of its own."""
        if self._step is None or self._step.what != what:
            self._end_step()
            self._step = self.shown(total=total, what=what)
        self._step.total = total
        self._step.at(done)

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.end()
        self._step = None

    def progress(self, items: Iterable[_Item], *, total: int, what: str) -> Iterator[_Item]:
        """Yield `items`, showing how many of `total` are done."""
        with self.shown(total=total, what=what) as shown:
            for done, item in enumerate(items, 1):
                yield item
                shown.at(done)

    def shown(self, *, total: int, what: str) -> "Progress":
        """How far work has come, to be told of it; silent with `--verbosity 0`, as for cron."""
        return Progress(self.stderr, total=total, what=what, is_quiet=self._is_quiet)


def _end_what_was_killed() -> None:
    """Let go of what a killed run was changing: MongoDB would keep it from us for a minute."""
    with suppress(DatabaseError, PyMongoError):  # what the command itself does will tell
        open_transactions.end_abandoned()


def _told_of_database(error: DatabaseError | PyMongoError, outlook: str) -> str:
    """Not the error's own text: the driver's hold documents, and the server's address."""
    cause = error.__cause__ or error
    kind = type(cause).__name__
    is_refused = getattr(cause, "code", None) in _AUTHENTICATION_FAILED
    if is_refused or isinstance(cause, ConfigurationError):
        return f"MONGODB_URI can't be used ({kind}): check it, with its user, password and options."
    return f"MongoDB can't do it just now ({kind}). {outlook}"


def told_of(error: OSError) -> str:
    """Say which file it was, and why not."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or type(error).__name__}."


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """What reads an option that is a whole number, both ends included; for argparse's `type`."""

    def read(text: str) -> int:
        is_short = len(text) <= _DIGITS  # Python refuses to read very many
        if not (is_short and text.isdecimal() and least <= int(text) <= most):
            raise ArgumentTypeError(f"must be a whole number from {least:,} to {most:,}")
        return int(text)

    return read


def file_path(text: str) -> Path:
    """Read an option that names a file; for argparse's `type`."""
    if not text or "\0" in text:
        raise ArgumentTypeError("must be the path of a file")
    return Path(text)


def _add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer as JSON, for programs")


class Progress:
    """How far long work has come: a bar on a terminal, otherwise a plain line now and then.

    As a context manager it ends with how far the work came, also where that isn't all.
    """

    def __init__(
        self, stream: OutputWrapper, *, total: int, what: str, is_quiet: bool = False
    ) -> None:
        self._stream, self.total, self.what = stream, total, what
        self._is_quiet, self._is_bar = is_quiet, stream.isatty()
        self._done = self._told = 0

    def at(self, done: int) -> None:
        """Say that so many are done."""
        self._done = done
        step = 1 if self._is_bar else max(1, self.total // _LINES)
        if done // step > self._told // step or done == self.total:
            self._tell(is_last=done == self.total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Say where it ends, unless that was said."""
        is_open = self._is_bar and self._done != self.total
        if self._done and (is_open or self._told != self._done):
            self._tell(is_last=True)

    def _tell(self, *, is_last: bool) -> None:
        self._told = self._done
        if self._is_quiet:
            return
        text = f"{self._done:,} of {self.total:,} {self.what}"
        if self._is_bar:
            full = _BAR * min(self._done, self.total) // max(self.total, 1)
            self._write(f"\r[{'#' * full:{_BAR}}] {text}", ending="\n" if is_last else "")
        else:
            self._write(text, ending="\n")

    def _write(self, text: str, *, ending: str) -> None:
        self._stream.write(text, str, ending)
        self._stream.flush()
