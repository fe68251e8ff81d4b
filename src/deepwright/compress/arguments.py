"""What every entry of this room refuses alike: things of another type, inputs that don't fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from deepwright.compress.errors import ShapeError
from deepwright.core.errors import InputError
from deepwright.core.inference import failed_on
from deepwright.core.requirements import require_whole


def require_type(name: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    """Refuse another type.

    Args:
        name: of the argument.
        value: what was given.
        kind: what it must be.
        expected: that in words.

    Raises:
        InputError: it isn't.
    """
    if not isinstance(value, kind):
        raise InputError(name, given=f"{type(value).__name__} {str(value)[:60]!r}", expected=expected)


def require_batch(x: object, name: str) -> int:
    """The samples of a tensor, or of a tuple's first.

    Args:
        x: inputs of a network, samples along the first axis.
        name: of the argument.

    Raises:
        InputError: no tensor, no axis of samples, or no sample.
    """
    first = x[0] if isinstance(x, tuple) and x else x
    if not isinstance(first, Tensor) or first.ndim == 0:
        given = f"shape {tuple(first.shape)}" if isinstance(first, Tensor) else f"{type(first).__name__}"
        raise InputError(name, given=given, expected="a tensor of inputs, samples along its first axis")
    if len(first) == 0:
        raise InputError(name, given="an empty batch", expected="at least one input")
    return len(first)


@contextmanager
def running(name: str, inputs: object) -> Iterator[None]:
    """A call of somebody's network inside the block: what it raises tells of its inputs.

    Args:
        name: of the argument that holds the inputs.
        inputs: their shapes are told.

    Raises:
        ShapeError: the network failed.
    """
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        raise failed_on(inputs, error, name, kind=ShapeError, expected="inputs that the network takes") from error


def calibration_batches(calibration: Any, like: tuple[int, ...] | None, minimum: int) -> list[Tensor]:
    """The inputs of calibration batches, which may hold labels too.

    Args:
        calibration: batches of inputs, or of (inputs, labels).
        like: shape of one input, where it is known.
        minimum: fewer samples are refused.

    Raises:
        InputError: no batches, inputs of another shape, NaN or infinity, too few.
    """
    require_whole(1, minimum=minimum)
    if not isinstance(calibration, Iterable) or isinstance(calibration, Tensor | str | bytes | Mapping):
        given = f"{type(calibration).__name__}"
        raise InputError("calibration", given=given, expected="batches of inputs", hint="[x] for one tensor of inputs")
    found: list[Tensor] = []
    for batch in calibration:
        inputs = batch[0] if isinstance(batch, list | tuple) and batch else batch
        require_batch(inputs, "calibration")
        if like is not None and tuple(inputs.shape[1:]) != like:
            raise InputError("calibration", given=f"inputs of shape {tuple(inputs.shape[1:])}", expected=f"{like}")
        if inputs.is_floating_point() and not torch.isfinite(inputs).all():
            raise InputError("calibration", given="NaN or infinity", expected="finite inputs")
        found.append(inputs)
    seen = sum(len(x) for x in found)
    if seen < minimum:
        raise InputError("calibration", given=f"{seen} samples", expected=f"at least {minimum}")
    return found
