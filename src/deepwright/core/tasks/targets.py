"""Targets as a task needs them: whole labels in range, or finite numbers; what looks like another task is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import array_tensor

Labels = Tensor | np.ndarray | Sequence[Any]
"""Classes as people have them: of any type of whole numbers; `Task.check_targets` makes int64 of them."""
Rows = Tensor | np.ndarray
"""Outputs as people have them."""


def as_tensor(y: Any, name: str) -> Tensor:
    """A tensor of real numbers from a tensor, array or list."""
    if isinstance(y, list | tuple):
        y = _array(y, name)
    if isinstance(y, np.ndarray) and y.dtype.kind in "biuf":
        y = array_tensor(y, name)
    if not isinstance(y, Tensor) or y.is_complex():
        raise InputError(name, given=_dtype_of(y), expected="numbers", hint="map names of classes to 0, 1, 2, ...")
    return y


def _array(y: Sequence[Any], name: str) -> np.ndarray:
    try:
        return np.asarray(y)
    except ValueError as error:
        raise InputError(name, given="rows of different lengths", expected="one shape for all samples") from error


def _dtype_of(y: Any) -> str:
    return f"{type(y).__name__} of {y.dtype}" if hasattr(y, "dtype") else type(y).__name__


def require_finite_targets(y: Tensor, name: str) -> None:
    """Refuse NaN and infinity, and name the first samples that have them."""
    bad = ~torch.isfinite(y).reshape(len(y), -1).all(1) if y.numel() else y.new_zeros(0, dtype=torch.bool)
    if bool(bad.any()):
        rows = bad.nonzero().flatten()[:5].tolist()
        raise InputError(name, given=f"NaN or infinity in samples {rows}", expected="finite numbers")


def require_count(y: Any, n: int | None, name: str) -> None:
    """Refuse another number of targets than samples."""
    if n is not None and len(y) != n:
        raise InputError(name, given=f"{len(y)} for {n} samples", expected="one a sample")


def beside(out: Any, y: Any) -> Any:
    """Targets where the outputs are, one for each of them (None stays None).

    Raises:
        InputError: another number of targets than outputs, which arithmetic might broadcast.
    """
    if y is None:
        return None
    if len(y) != len(out):
        raise InputError("targets", given=f"{len(y)} for {len(out)} outputs", expected="one an output")
    return y.to(out.device) if isinstance(y, Tensor) and isinstance(out, Tensor) and y.device != out.device else y


def whole_labels(y: Any, name: str) -> Int64[Tensor, "..."]:
    """Labels of any type as int64; floats must be whole numbers.

    Raises:
        InputError: fractions (they look like regression), NaN, booleans that nobody asked for.
    """
    y = as_tensor(y, name)
    if y.is_floating_point():
        require_finite_targets(y.reshape(-1, 1) if y.ndim == 0 else y, name)
        fractions = y != y.round()
        if bool(fractions.any()):
            raise InputError(
                name,
                given=f"{y.dtype} with fractions, e.g. {float(y[fractions][0]):.4g}",
                expected="whole numbers, one a class",
                hint="this looks like regression: Regression(outputs=1), or Regression(outputs=D) for (N, D) targets",
            )
        if y.numel() and float(y.abs().max()) > 2**53:
            raise InputError(name, given=f"values up to {float(y.abs().max()):.4g}", expected="class indices")
    return y.long()


def one_a_sample(y: Tensor, n: int | None, name: str) -> Tensor:
    """(N,) from (N,) or (N, 1).

    Raises:
        InputError: another shape; one-hot rows and rows of several labels are named.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise InputError(name, given=f"shape {tuple(y.shape)}", expected="(N,), one class a sample", hint=_rows_hint(y))
    require_count(y, n, name)
    return y


def _rows_hint(y: Tensor) -> str | None:
    if y.ndim == 2 and len(y) and bool(((y == 0) | (y == 1)).all()):
        if bool((y.sum(1) == 1).all()):
            return "one-hot rows: use y.argmax(1)"
        return f"several labels a sample: MultiLabel({y.shape[1]})"
    if y.ndim > 2:
        return "labels of pixels or positions: Segmentation(classes)"
    return None


def require_range(y: Tensor, classes: int, name: str) -> None:
    """Refuse labels outside 0..classes - 1, and say where they seem to be shifted by one."""
    if y.numel() == 0:
        return
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        shifted = low == 1 and high == classes
        raise InputError(
            name,
            given=f"values {low}..{high}",
            expected=f"0..{classes - 1}",
            hint="labels count from 0: use y - 1" if shifted else "labels count from 0",
        )


def zeros_and_ones(y: Any, name: str) -> Int64[Tensor, "..."]:
    """Labels of any type, booleans too, that are 0 or 1."""
    y = as_tensor(y, name)
    whole = y.long() if y.dtype == torch.bool else whole_labels(y, name)
    if whole.numel() and bool(((whole != 0) & (whole != 1)).any()):
        values = whole.unique()[:5].tolist()
        hint = {(-1, 1): "use (y + 1) // 2", (1, 2): "labels count from 0: use y - 1"}.get(tuple(values))
        raise InputError(
            name, given=f"values {values}", expected="0 and 1", hint=hint or "more classes: Classification(classes)"
        )
    return whole


def real_targets(y: Any, shape: Sequence[int], n: int | None, name: str) -> Float[Tensor, "n ..."]:
    """Finite floats (N, *shape); (N,) is taken where there is one number a sample; whole numbers become floats.

    Raises:
        InputError: another shape, booleans, NaN.
    """
    y = as_tensor(y, name)
    if y.dtype == torch.bool:
        raise InputError(name, given="booleans", expected="numbers", hint="this looks like Binary()")
    y = y if y.is_floating_point() else y.to(torch.get_default_dtype())
    one = all(size == 1 for size in shape)
    if y.ndim == 1 and one:
        y = y.reshape(-1, *shape)
    if y.ndim == len(shape) and shape[-1] == 1 and tuple(y.shape[1:]) == tuple(shape[:-1]):
        y = y[..., None]
    if tuple(y.shape[1:]) != tuple(shape):
        form = ", ".join(map(str, ("N", *shape)))
        raise InputError(name, given=f"shape {tuple(y.shape)}", expected=f"({form})")
    require_count(y, n, name)
    require_finite_targets(y, name)
    return y


def require_some(train: Any) -> None:
    """Refuse an empty training set, of which nothing has a mean or a share."""
    if len(train) == 0:
        raise InputError("training targets", given="none", expected="at least one")


def require_names(names: Sequence[str], classes: int) -> tuple[str, ...]:
    """One name a class, or none; as a tuple."""
    names = tuple(names)
    if names and (len(names) != classes or len(set(names)) != classes):
        raise InputError(
            "names", given=f"{len(names)}, {len(set(names))} of them different", expected=f"{classes} different ones"
        )
    return names
