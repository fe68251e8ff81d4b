"""What the options of all workflows share: how a value is checked, where files go, and what is told on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.core.devices import Compute, resolve_precision
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import write_text
from deepwright.core.lock import lock

Say = Callable[[str], object]
"""Is told what a workflow does at the moment, in a line."""

_UNFINISHED = ".unfinished"


def quiet(text: str) -> None:
    """Tell nobody.

    Args:
        text: what would have been told.
    """


def said(**options: Any) -> dict[str, Any]:
    """The options that were given.

    Args:
        **options: by name; None is an option that wasn't.
    """
    return {name: value for name, value in options.items() if value is not None}


def require_several(name: str, values: object) -> None:
    """Refuse one thing where several are asked for: a text is a sequence of letters, which nobody means.

    Args:
        name: of the option.
        values: what was given.

    Raises:
        InputError: a text, or what isn't a sequence.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise InputError(name, given=repr(values), expected="several, as a tuple or a list")


def require_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Refuse a word that isn't among some.

    Args:
        name: of the option.
        value: what was given.
        known: the words that are allowed.

    Raises:
        InputError: another word, with the ones nearest to it.
    """
    known = list(known)
    if value not in known:
        raise unknown_name(name, str(value), known)


def require_place(
    device: str | None,
    precision: str | None,
    precisions: Sequence[str] | None = None,
    model: nn.Module | None = None,
) -> None:
    """Refuse a device that isn't here, and a precision that it doesn't work in.

    Args:
        device: see `core.devices.resolve`; None is where the network lives.
        precision: see `core.devices.resolve_precision`.
        precisions: those that the workflow can do with; all by default.
        model: the network, where there is one already.

    Raises:
        InputError: an unknown or absent one of either, or two that don't go together.
    """
    Compute(device=device, precision=precision).fabric(model or nn.Identity())
    if precision is not None and precisions is not None:
        require_choice("precision", resolve_precision(precision), precisions)


def require_writable(out: Path | str) -> None:
    """Refuse a folder that can't be written: before minutes of work, not after.

    Args:
        out: the folder; where it is missing it stays so, for what follows may still be refused.

    Raises:
        InputError: why it can't be written.
    """
    if not str(out) or "\0" in str(out):
        raise InputError("out", given=repr(str(out)), expected="the name of a folder", hint='"." is the current one')
    probe = Path(out) / ".writable"
    missing = [folder for folder in probe.parents if not os.path.exists(folder)]
    write_text(probe, "")
    probe.unlink()
    for folder in missing:
        with suppress(OSError):  # another process has begun its work there
            folder.rmdir()


def unfinished(out: Path | str, fresh: bool = False) -> Path:
    """The folder in which work keeps what it will go on from; it is there as long as the work isn't finished.

    Args:
        out: the folder of the results.
        fresh: forget what an interrupted run left.
    """
    folder = Path(out) / _UNFINISHED
    if fresh:
        finished(out)
    return folder


def finished(out: Path | str) -> None:
    """Forget the state of work that is done (or that shall begin afresh).

    Args:
        out: the folder of the results, which stay.

    Raises:
        LockedError: another process is at work there.
    """
    folder = Path(out) / _UNFINISHED
    held = [lock(folder / name.name[1:].removesuffix(".lock")) for name in folder.glob(".*.lock")]
    shutil.rmtree(folder, ignore_errors=True)
    del held
