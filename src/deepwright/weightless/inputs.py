"""What a weightless network is given: Boolean features, and one class a sample."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn import exceptions
from torch import Tensor

from deepwright.core.errors import InputError, NotFittedError

_BOOLEANIZE = "put a Booleanizer(...) before it: Booleanizer(method='thermometer', bits=8).fit(X).transform(X)"


class NotNumbersError(InputError, TypeError):
    """Objects that no number can be made of; scikit-learn's users expect a `TypeError` for them."""


class UnfittedError(NotFittedError, exceptions.NotFittedError):
    """The house's error, and the one that scikit-learn's users expect."""


def as_array(x: Any, what: str) -> np.ndarray:
    """A matrix of samples as NumPy has it; tensors come from their device.

    Args:
        x: anything that NumPy takes, or a tensor.
        what: its name, for errors.

    Raises:
        InputError: no (samples, features) with at least one of each, or not of numbers.
    """
    if hasattr(x, "toarray") and hasattr(x, "tocsr"):
        raise InputError(what, given="a sparse matrix", expected="a dense array", hint=f"{what}.toarray()")
    found = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if found.dtype.kind == "O":
        try:
            found = found.astype(np.float64)
        except (TypeError, ValueError) as error:
            kind = NotNumbersError if isinstance(error, TypeError) else InputError
            raise kind(f"{what} isn't a table of numbers", given=str(error)) from None
    if found.dtype.kind == "c":
        raise InputError(f"{what}: Complex data not supported", expected="real numbers")
    if found.dtype.kind not in "biuf":
        raise InputError(f"{what} isn't a table of numbers", given=f"dtype {found.dtype}")
    if found.ndim != 2:
        hint = "Reshape your data: one row a sample"
        raise InputError(what, given=f"shape {found.shape}: not 2-D", expected="(samples, features)", hint=hint)
    for count, name in zip(found.shape, ("sample(s)", "feature(s)")):
        if count == 0:
            raise InputError(f"{what} has 0 {name} (shape={found.shape}) while a minimum of 1 is required.")
    return found


def check_tensor_bits(bits: Tensor, features: int) -> None:
    """Refuse tensors that aren't (samples, features) of 0 and 1, whatever their dtype.

    Values aren't looked at while a compiler traces, which would stop at them.

    Args:
        bits: what came in.
        features: how many there must be.

    Raises:
        InputError: another shape, or values other than 0 and 1.
    """
    if bits.ndim != 2 or bits.shape[1] != features:
        raise InputError("bits", given=f"shape {tuple(bits.shape)}", expected=f"(samples, {features})")
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[no-untyped-call]
        return
    if not bool(((bits == 0) | (bits == 1)).all()):
        seen = "NaN" if bool((bits != bits).any()) else f"values from {float(bits.min()):g} to {float(bits.max()):g}"
        raise InputError("bits", given=seen, expected="0 and 1 only", hint=_BOOLEANIZE)


def as_bits(x: Any, features: int | None = None, what: str = "X") -> np.ndarray:
    """Boolean features as bytes, (samples, features) of 0 and 1.

    Args:
        x: what the user gave.
        features: how many there must be; any number where None.
        what: its name, for errors.

    Raises:
        InputError: another shape, another number of features, or values other than 0 and 1.
    """
    found = as_array(x, what)
    if features is not None and found.shape[1] != features:
        raise InputError(
            f"{what} has {found.shape[1]} features, but this network was fitted on {features}",
            hint="use the same columns and the same Booleanizer",
        )
    unsigned = found.dtype.kind in "bu"
    if not (found.max() <= 1 if unsigned else ((found == 0) | (found == 1)).all()):
        low, high = found.min(), found.max()
        seen = "NaN" if found.dtype.kind == "f" and np.isnan(found).any() else f"values from {low} to {high}"
        raise InputError(f"{what} isn't Boolean", given=seen, expected="0 and 1 only", hint=_BOOLEANIZE)
    return np.ascontiguousarray(found, dtype=np.uint8)


def warn_constant(bits: np.ndarray) -> None:
    """Refuse bits that never change over all samples, warn of a part of them.

    Args:
        bits: (samples, features) of 0 and 1.
    """
    if len(bits) < 2:
        return
    constant = float((bits == bits[0]).all(axis=0).mean())
    if constant == 1.0:
        raise InputError(
            "all bits of X are constant",
            given=f"{bits.shape[1]} features, each with one value in all {len(bits)} samples",
            hint="the threshold lies outside the features' range: look at it, or use Booleanizer('quantile_onehot')",
        )
    if constant > 0.5:
        warnings.warn(f"{constant:.0%} of the bits of X are constant: they tell nothing", UserWarning, stacklevel=3)


def as_labels(y: Any, samples: int) -> np.ndarray:
    """One class a sample, as a flat array.

    Args:
        y: what the user gave.
        samples: how many there must be.

    Raises:
        InputError: another shape or length, one-hot rows, NaN, fractions.
    """
    if y is None:
        raise InputError("y", given="None: requires y to be passed, but the target y is None", expected="labels")
    found = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if found.ndim != 1:
        hint = "y.argmax(1) for one-hot rows, y.ravel() for one column"
        raise InputError("y", given=f"shape {found.shape}", expected="(samples,): one class a sample", hint=hint)
    if len(found) != samples:
        raise InputError("y", given=f"{len(found)} labels", expected=f"{samples}: one a sample of X")
    if found.dtype.kind == "f":
        if not np.isfinite(found).all() or (found != np.floor(found)).any():
            hint = "bin a regression target first"
            raise InputError("y", given="Unknown label type: NaN, inf or fractions", expected="classes", hint=hint)
    elif found.dtype.kind == "O":
        if not all(isinstance(label, str) for label in found.tolist()):
            raise InputError("y", given="Unknown label type: labels of mixed kinds", expected="numbers or strings")
        found = found.astype(str)
    elif found.dtype.kind not in "biuUS":
        raise InputError("y", given=f"dtype {found.dtype}", expected="integers, Booleans or strings")
    return found


def as_classes(y: np.ndarray, classes: Any = None) -> np.ndarray:
    """The sorted classes: those of y, or those given, of which y may have some.

    Args:
        y: labels.
        classes: all classes there will be.

    Raises:
        InputError: fewer than two, or a label that isn't among those given.
    """
    if classes is None:
        found = np.unique(y)
    else:
        given = np.asarray(classes)
        found = np.unique(as_labels(given, len(given)) if given.ndim == 1 else as_labels(given, -1))
        known_labels(y, found)
        absent = sorted(set(found.tolist()) - set(y.tolist()))
        if absent:
            warnings.warn(f"no samples of the classes {absent}", UserWarning, stacklevel=3)
    if len(found) < 2:
        raise InputError("y", given=f"{len(found)} class", expected="at least two classes")
    return found


def known_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The place of each label among the classes.

    Args:
        y: labels.
        classes: sorted.

    Raises:
        InputError: a label that isn't among them.
    """
    unknown = sorted(set(y.tolist()) - set(classes.tolist()))
    if unknown:
        raise InputError("y has labels outside the classes", given=unknown[:5], expected=f"one of {classes.tolist()}")
    return np.searchsorted(classes, y)


def integer(value: Any, what: str, low: int, high: int) -> int:
    """A whole number within its bounds.

    Args:
        value: what was given.
        what: its name.
        low: smallest allowed.
        high: largest allowed.

    Raises:
        InputError: anything else, True and False too.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise InputError(what, given=repr(value), expected=f"a whole number in {low}..{high}")
    return int(value)
