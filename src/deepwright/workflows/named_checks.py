"""Checks as people name them: built-in ones by name, their own as functions or as files."""

from __future__ import annotations

from collections.abc import Sequence

from deepwright.checks import BUILTIN, Check, load_checks, resolve


def require_checks(checks: Sequence[str | Check]) -> None:
    """Refuse names that no check has; files are read later.

    Args:
        checks: see `AuditOptions`.

    Raises:
        InputError: the first such name.
    """
    resolve([c for c in checks if not _is_file(c)])


def chosen_checks(checks: Sequence[str | Check], also: Sequence[str] = ()) -> list[str | Check]:
    """Built-in checks first, all of them where none is named; then the user's own.

    Args:
        checks: see `AuditOptions`.
        also: checks on request that what is audited asks for, where none is named.

    Raises:
        InputError: a file that can't be read, or has no check.
    """
    own: list[str | Check] = []
    for check in checks:
        if callable(check):
            own.append(check)
        elif _is_file(check):
            own += load_checks(check).values()
    named: list[str | Check] = [c for c in checks if isinstance(c, str) and not _is_file(c)]
    return [*(named or [*BUILTIN, *also]), *own]


def _is_file(check: str | Check) -> bool:
    return isinstance(check, str) and check.endswith(".py")
