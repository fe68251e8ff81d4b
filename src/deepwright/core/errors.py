"""Errors that say what was given, what was expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Bad input of any kind.

    Args:
        what: the thing that is wrong, named as the user knows it (an argument, a file, a column).
        given: what was found.
        expected: what would have been right.
        hint: what to do about it.
    """

    def __init__(self, what: str, *, given: object = None, expected: object = None, hint: str | None = None) -> None:
        self.what, self.given, self.expected, self.hint = what, given, expected, hint
        parts = [what]
        if given is not None:
            parts.append(f"given: {given}")
        if expected is not None:
            parts.append(f"expected: {expected}")
        if hint is not None:
            parts.append(f"to do: {hint}")
        super().__init__("; ".join(parts))

    def __reduce__(self) -> Any:
        """As it is, whatever a subclass asks for when it is made: errors come from other processes, too."""
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(kind: type[InputError], args: tuple[Any, ...], state: dict[str, Any]) -> InputError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class NotFittedError(InputError, RuntimeError):
    """Something was asked of an object before its `fit`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not fitted", hint="call .fit(...) on in-distribution data first")


class NotCalibratedError(InputError, RuntimeError):
    """A decision was asked for before a threshold was set."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no threshold", hint="call .calibrate(scores of held-out data) first")


class NotIdentified(InputError):
    """The data don't determine what was asked: no minimum inside a bracket, a degenerate fit."""


class MissingExtraError(InputError, ImportError):
    """An optional dependency is needed and is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}",
            given="it is not installed",
            hint=f"pip install 'deepwright[{extra}]'",
        )


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind where it says nothing.

    Args:
        error: of any kind.
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that isn't in a catalogue, with the closest ones listed.

    Args:
        kind: what the name is of.
        name: what was given.
        known: the catalogue.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return InputError(
        f"unknown {kind}",
        given=repr(name),
        expected="one of " + ", ".join(known),
        hint=f"did you mean {' or '.join(map(repr, close))}?" if close else None,
    )
