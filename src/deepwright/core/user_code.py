"""Code of the user's that is run at our side: what goes wrong in it is told in one line, with its file and line."""

from __future__ import annotations

import os
import signal
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.interrupt import Terminated


def stops_the_process(error: BaseException) -> bool:
    """Whether an exit was asked for by a signal, and not by the code that ran (`sys.exit()` in a check).

    Args:
        error: what was caught.
    """
    if isinstance(error, Terminated):
        return True
    if not isinstance(error, SystemExit):
        return False
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()} - {None}
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code in handlers for frame in frames)


def in_users_code(error: BaseException) -> bool:
    """Whether the user's own code was running when an error came up: neither ours nor an installed package's.

    Args:
        error: with its traceback.
    """
    return _place(error) is not None


def in_one_line(error: BaseException) -> str:
    """The kind of an error, what it says, and where in the user's own code it came up.

    Args:
        error: with its traceback.
    """
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{type(error).__name__}: {error.msg} ({_short(error.filename)}, line {error.lineno})"
    if isinstance(error, SystemExit):
        said = f"it ended the process: sys.exit({'' if error.code is None else error.code})"
    else:
        lines = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    place = _place(error)
    return said if place is None else f"{said} ({_short(place[0])}, line {place[1]})"


@contextmanager
def users_code(what: str, expected: str) -> Iterator[None]:
    """Turn what goes wrong in the user's code in this block into an `InputError`, `sys.exit()` and bad syntax too.

    Args:
        what: begins the message, as in "cannot run heat.py".
        expected: what the code should have been.

    Raises:
        InputError: the block failed. Signals and Ctrl-C go on as they are.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if stops_the_process(error):
            raise
        raise InputError(what, given=in_one_line(error), expected=expected) from error


@contextmanager
def mistakes_told(what: str, expected: str) -> Iterator[None]:
    """Turn errors that come up in the user's functions while ours call them into an `InputError`.

    Args:
        what: begins the message, as in "cannot solve heat.py".
        expected: what the code should have been.

    Raises:
        InputError: the user's own code failed; what fails in ours goes on as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not in_users_code(error):
            raise
        raise InputError(what, given=in_one_line(error), expected=expected) from error


def _place(error: BaseException) -> tuple[str, int] | None:
    """File and line of the innermost frame that is the user's own."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if not name.startswith("<") and not os.path.abspath(name).startswith(_not_theirs()):
            found = (name, line)
    return found


@cache
def _not_theirs() -> tuple[str, ...]:
    """Folders of this package, of Python, and of installed packages."""
    paths = sysconfig.get_paths()
    roots = {
        str(Path(__file__).resolve().parents[1]),
        *(paths[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
    return tuple(os.path.join(os.path.abspath(root), "") for root in roots)


def _short(name: str) -> str:
    """The path as the user would type it here."""
    try:
        return str(Path(name).resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return name
