"""What all commands have in common: how they end, how they speak of options, and what became of older words."""

from __future__ import annotations

import shlex
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from deepwright.core.errors import InputError
from deepwright.core.interrupt import Terminated
from deepwright.core.user_code import in_one_line, in_users_code, stops_the_process

PASSED, GATE_FAILED, BAD_INPUT, BROKE, INTERRUPTED, UNREAD = 0, 1, 2, 3, 130, 141
EXIT_CODES = """Exit codes:
  0    done, and every gate passed
  1    a gate failed (study: a claim doesn't hold)
  2    bad input, or a file of yours that fails
  3    a check broke, or Deepwright itself
  130  interrupted by Ctrl-C (143: by SIGTERM)"""
_STOPPED = "\nStopped. What is finished is kept: run the same command to go on."


class Group(click.Group):
    """Every way to end has its exit code; 0 is only what a command itself returns or `--help` ends with."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line; a command returns its exit code, None for 0.

        Args:
            *args: of click.
            **kwargs: of click.
        """
        try:
            with _sigterm_ends_in_order():
                code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            code = BAD_INPUT
        except InputError as error:
            click.echo(f"deepwright: {error}", err=True)
            code = BAD_INPUT
        except (KeyboardInterrupt, click.Abort):
            click.echo(_STOPPED, err=True)
            code = INTERRUPTED
        except Terminated:
            click.echo(_STOPPED, err=True)
            raise
        except (Exception, SystemExit) as error:
            if stops_the_process(error):
                raise
            code = UNREAD if _nobody_reads(error) else _told(error)
        raise SystemExit(code or PASSED)


def _nobody_reads(error: BaseException) -> bool:
    """Whether click ended the process itself, as it does after `deepwright list | head`."""
    last = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    return isinstance(error, SystemExit) and last.f_globals.get("__name__") == click.core.__name__


def _told(error: BaseException) -> int:
    """One line where the user's own code failed, else the whole trace: then the fault is ours."""
    if in_users_code(error) or isinstance(error, SystemExit):
        click.echo(f"deepwright: your code failed: {in_one_line(error)}", err=True)
        return BAD_INPUT
    click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo("deepwright: this is a fault of Deepwright: please report it with the lines above", err=True)
    return BROKE


@contextmanager
def _sigterm_ends_in_order() -> Iterator[None]:
    """SIGTERM as an exception, so that what is open is closed; only the main thread can hear it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(signum: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


Renames = Callable[[list[str]], list[str] | None]
"""Words after the command -> the same words as they are said today, the command first; None where they are."""


class Command(click.Command):
    """A command whose errors name options as they are typed, and which knows what its words were once.

    Args:
        name: of the command.
        example: the words of one command line that runs.
        renames: of words that it had before.
        **kwargs: of click.
    """

    def __init__(self, name: str | None, *, example: str = "", renames: Sequence[Renames] = (), **kwargs: Any) -> None:
        shown = f"\b\nExample:\n  {example}\n\n" if example else ""
        super().__init__(name, epilog=f"{shown}\b\n{EXIT_CODES}", **kwargs)
        self.example, self.renames = example, renames

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read words.

        Args:
            ctx: of click.
            args: the words after the command.

        Raises:
            InputError: words of before; the hint has those of today.
        """
        for rename in self.renames:
            today = rename(list(args))
            if today is not None:
                given = shlex.join(["deepwright", str(self.name), *args])
                raise InputError("words of an earlier version", given=given, hint=shlex.join(["deepwright", *today]))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run.

        Args:
            ctx: of click.

        Raises:
            InputError: bad input, in the words of the command line.
        """
        try:
            return super().invoke(ctx)
        except InputError as error:
            word = self._word(error.what)
            if hasattr(error, "differences") and any(p.name == "fresh" for p in self.params):
                hint = "give the same words to go on, say --fresh to forget it, or choose another folder by --out"
                raise InputError(error.what, given=error.given, expected=error.expected, hint=hint) from error
            if word is None:
                raise
            raise InputError(word, given=error.given, expected=error.expected, hint=error.hint) from error

    def _word(self, name: str) -> str | None:
        """How a field of the options is said here: `compare_with` is `--compare`, alone or after "unknown"."""
        unknown = "unknown " if name.startswith("unknown ") else ""
        field, _, rest = name.removeprefix(unknown).partition(" ")
        for parameter in self.params:
            if parameter.name == field:
                said = field.upper() if isinstance(parameter, click.Argument) else parameter.opts[0]
                return f"{unknown}{said} {rest}".strip()
        return None


def audited(report: Any) -> int:
    """The exit code of an audit: a check that broke says nothing about the network, so it goes before a gate.

    Args:
        report: an `AuditReport`.
    """
    if any(finding.grade == "failed" for finding in report.findings):
        return BROKE
    return GATE_FAILED if report.failed else PASSED


def renamed(command: str, old: str, new: str, when: Callable[[str], bool] = lambda value: True) -> Renames:
    """An option that bears another name today.

    Args:
        command: whose option it is.
        old: as `--optimiser`.
        new: as `--optimizer`.
        when: which of its values are meant; all by default.
    """

    def today(words: list[str]) -> list[str] | None:
        for i, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name != old:
                continue
            if equals and when(value):
                return [command, *words[:i], f"{new}={value}", *words[i + 1 :]]
            if not equals and when(words[i + 1] if i + 1 < len(words) else ""):
                return [command, *words[:i], new, *words[i + 1 :]]
        return None

    return today


def moved(old: str, value: str, new: str) -> Renames:
    """A value of an option that is a command of its own today.

    Args:
        old: the option, as `--method`.
        value: of it, as `exit`.
        new: the command.
    """

    def today(words: list[str]) -> list[str] | None:
        for i, word in enumerate(words):
            if word == f"{old}={value}":
                return [new, *words[:i], *words[i + 1 :]]
            if word == old and words[i + 1 : i + 2] == [value]:
                return [new, *words[:i], *words[i + 2 :]]
        return None

    return today
