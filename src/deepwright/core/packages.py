"""Optional packages: asked for before any work is done, so that nothing fails at its end."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from deepwright.core.errors import MissingExtraError


def require_package(module: str, extra: str, purpose: str) -> None:
    """Refuse where a module isn't there.

    Args:
        module: a package, or a module inside one.
        extra: the extra of this project that brings it.
        purpose: what needs it.

    Raises:
        MissingExtraError: there is no such package, or its version lacks the module.
    """
    try:
        found = importlib.util.find_spec(module) is not None
    except ImportError:
        found = False
    if not found:
        raise _missing(module, extra, purpose)


def _missing(module: str, extra: str, purpose: str) -> MissingExtraError:
    """The error for a package that isn't installed, or that is but lacks a module."""
    package = module.partition(".")[0]
    error = MissingExtraError(module, extra, purpose)
    if package != module:
        try:
            error.given = f"{package} {importlib.metadata.version(package)}, which has no {module}"
        except importlib.metadata.PackageNotFoundError:
            return error
        error.args = (f"{error.what}; given: {error.given}; to do: pip install -U 'deepwright[{extra}]'",)
    return error
