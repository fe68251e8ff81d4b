"""What strategies are given, looked at before anything is computed: numbers that are finite, rows that exist."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.requirements import require_whole


def require_count(k: Any, most: int) -> None:
    """Refuse a number of choices that can't be made.

    Args:
        k: how many are asked for.
        most: how many samples there are to choose from.
    """
    require_whole(k=k)
    if not 0 < k <= most:
        raise InputError("k", given=k, expected=f"1..{most}, the samples without a label")


def numbers(value: Any, name: str, expected: str) -> Tensor:
    """A tensor of real numbers as floats of single precision or more.

    Args:
        value: what was given; integers are taken.
        name: what it is.
        expected: the form.

    Raises:
        InputError: no tensor, or one of booleans or complex numbers.
    """
    if not isinstance(value, Tensor) or value.dtype == torch.bool or value.is_complex():
        given = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise InputError(name, given=given, expected=expected)
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def finite_features(features: Any) -> Float[Tensor, "n d"]:
    """Features of a pool, between which distances can be taken.

    Args:
        features: what was given.

    Raises:
        InputError: anything but (N, d) finite numbers, whose squares are finite too.
    """
    x = numbers(features, "features", "a tensor (N, d)")
    if x.ndim != 2 or 0 in x.shape:
        raise InputError("features", given=f"shape {tuple(x.shape)}", expected="(N, d), one sample and feature or more")
    bad = ~torch.isfinite(x.float().square().sum(1))
    if bool(bad.any()):
        given = f"NaN, infinity or numbers too large to square, for samples {bad.nonzero().flatten()[:5].tolist()}"
        raise InputError("features", given=given, expected="finite numbers")
    return x.float()


def finite_logits(logits: Any, name: str = "logits") -> Float[Tensor, "n classes"]:
    """Logits of classes with a most probable one; minus infinity stands for a class that is ruled out.

    Args:
        logits: what was given.
        name: what it is.

    Raises:
        InputError: anything but (N, classes) numbers, NaN or infinity as the largest of a row, or probabilities.
    """
    z = numbers(logits, name, "a tensor (N, classes)")
    if z.ndim != 2 or z.shape[1] < 2:
        raise InputError(name, given=f"shape {tuple(z.shape)}", expected="(N, classes), two classes or more")
    largest = z.amax(1)  # NaN where the row has one
    if not bool(torch.isfinite(largest.sum())):  # one host wait
        bad = (~torch.isfinite(largest)).nonzero().flatten()
        if len(bad):
            kind = "NaN" if bool(torch.isnan(largest).any()) else "infinity"
            raise InputError(name, given=f"{kind} for samples {bad[:5].tolist()}", expected="numbers")
    return read_logits(z, strict=True)


def rows(indices: Any, n: int, name: str, device: torch.device) -> Int64[Tensor, " m"]:
    """Indices of a pool, each once, on a device.

    Args:
        indices: what was given.
        n: samples of the pool.
        name: what they are.
        device: where to.

    Raises:
        InputError: no tensor of integers in one row, indices outside the pool, or one twice.
    """
    whole = isinstance(indices, Tensor) and indices.dtype in (torch.int64, torch.int32) and indices.ndim == 1
    if not whole:
        given = f"a tensor of {indices.dtype}, shape {tuple(indices.shape)}" if isinstance(indices, Tensor) else indices
        raise InputError(name, given=given, expected="a tensor (m,) of integers")
    if len(indices):
        outside = indices[(indices < 0) | (indices >= n)]
        if len(outside):
            raise InputError(name, given=outside[:5].tolist(), expected=f"indices 0..{n - 1}")
        if len(indices.unique()) < len(indices):
            raise InputError(name, given="an index twice", expected="each index once")
    return indices.to(device, torch.int64)
