"""What a labelling loop is given, looked at before anything is trained or written."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.inference import evaluating, failed_on
from deepwright.core.requirements import require_callable
from deepwright.core.tasks import Task
from deepwright.core.tasks.targets import as_tensor


def whole_numbers(values: Any, name: str) -> list[int]:
    """Indices or labels of any dtype as integers.

    Args:
        values: (n,) integers, or floats that are whole numbers.
        name: what they are.

    Raises:
        InputError: fractions, NaN, booleans, anything else than numbers in one row.
    """
    if isinstance(values, list | tuple):
        values = [v.item() if isinstance(v, Tensor | np.generic) and v.ndim == 0 else v for v in values]
        if any(isinstance(v, bool) for v in values):  # numpy would make numbers of them
            raise InputError(name, given="booleans", expected="integers")
    found = as_tensor(values, name)
    if found.ndim != 1 or found.dtype == torch.bool:
        given = "booleans" if found.dtype == torch.bool else f"shape {tuple(found.shape)}"
        raise InputError(name, given=given, expected="integers, (n,)")
    numbers = found.tolist()
    broken = [v for v in numbers if isinstance(v, float) and not v.is_integer()]
    if broken:
        raise InputError(name, given=broken[:5], expected="integers")
    return [int(v) for v in numbers]


def require_validation(validation: Any, classes: int | None) -> None:
    """Refuse validation data whose accuracy would mean nothing.

    Args:
        validation: (x, y), or None.
        classes: labels stay below; None where it isn't known.

    Raises:
        InputError: no pair of tensors, none or other than one label a sample, labels that no class has, inputs that
            aren't finite.
    """
    if validation is None:
        return
    pair = isinstance(validation, list | tuple) and len(validation) == 2
    if not pair or not all(isinstance(part, Tensor) for part in validation):
        raise InputError("validation", given=type(validation).__name__, expected="a pair of tensors (x, y)")
    x, y = validation
    if x.ndim == 0 or len(x) == 0 or y.shape != x.shape[:1]:
        given = f"x of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}"
        raise InputError("validation", given=given, expected="(n, ...) and (n,), one sample or more")
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise InputError("validation", given="NaN or infinity in its inputs", expected="finite numbers")
    wrong = [v for v in whole_numbers(y, "labels of validation") if v < 0 or (classes is not None and v >= classes)]
    if wrong:
        expected = "0 or more" if classes is None else f"0..{classes - 1}"
        raise InputError("labels of validation", given=wrong[:5], expected=expected)


def require_parts(selector: Any, trainer: Any, oracle: Any, task: Any) -> None:
    """Refuse parts of a loop that can't do their work, before a person answers the first question.

    Args:
        selector: see `LabelingLoop`.
        trainer: likewise, or None.
        oracle: likewise, or None.
        task: likewise, or None.

    Raises:
        InputError: one that isn't what its name says.
    """
    if not callable(getattr(selector, "fresh", None)):
        hint = "WholeSelector(model), or PrunedSelector(model, x[:2])" if isinstance(selector, nn.Module) else None
        given = type(selector).__name__
        raise InputError("selector", given=given, expected="an object with fresh() -> network", hint=hint)
    for name, part in (("trainer", trainer), ("oracle", oracle)):
        if part is not None:
            require_callable(name, part, "a function")
    if task is not None and (isinstance(task, type) or not isinstance(task, Task)):
        raise InputError("task", given=repr(task), expected="a task of core.tasks, such as Classification(10)")


def count_columns(network: nn.Module, x: Tensor, task: Task | None) -> int | None:
    """How many classes a network tells apart; None where scoring has to say what is wrong with its output.

    Args:
        network: as it is at the start.
        x: (1, ...) one sample.
        task: how to read outputs.

    Raises:
        InputError: the network can't take the sample.
    """
    with evaluating(network), torch.no_grad():
        try:
            out = network(to_model(x, network))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if isinstance(error, InputError | torch.OutOfMemoryError):
                raise
            raise failed_on(x, error, "pool", expected="samples that the selector's network takes") from error
        logits = read_logits(out, task)
    return logits.shape[1] if isinstance(logits, Tensor) and logits.ndim == 2 else None
