"""Plain functions of arrays or tensors as networks that give scores only."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError, first_line
from deepwright.nets.scores_only import ScoresOnly

_TAKES = ("numpy", "tensor")


class _OnTensors:
    """A function of tensors, called with arrays."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function = function

    def __call__(self, array: np.ndarray) -> Any:
        with torch.no_grad():
            return self.function(torch.from_numpy(np.array(array)))


def from_callable(
    function: Callable[[Any], Any], example: Tensor | None = None, takes: str | None = None
) -> ScoresOnly:
    """A function (N, ...) -> scores as a network without gradients.

    Args:
        function: of an array, or of a tensor on the CPU.
        example: some inputs, by which it is told what the function takes.
        takes: "numpy" or "tensor"; by default what the function's annotation says, else what it runs on, arrays first.

    Raises:
        InputError: no function of one argument, or one that fails on both.
    """
    _require_one_argument(function)
    if takes not in (None, *_TAKES):
        raise InputError("takes", given=repr(takes), expected="'numpy' or 'tensor'")
    name = getattr(function, "__name__", type(function).__name__)
    what = "a function" if name == "<lambda>" else f"the function {name}"
    forms: dict[str, Callable[[np.ndarray], Any]] = {"numpy": function, "tensor": _OnTensors(function)}
    known = takes or _annotated(function)
    if known is None and example is not None:
        known = _tried(forms, example[:2], what)
    made = ScoresOnly(forms[known or "numpy"], what=what)
    made.undecided, made.of_function = None if known else function, True
    return made


def _require_one_argument(function: Any) -> None:
    if not callable(function) or inspect.isclass(function):
        raise InputError("model", given=repr(function), expected="a function of one batch of inputs that gives scores")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return  # of a compiled module: what it takes shows when it is called
    ordered = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not ordered or len(required) > 1 or any(p.kind == p.KEYWORD_ONLY for p in required):
        given = f"a function of {', '.join(p.name for p in required) or 'nothing'}"
        raise InputError("model", given=given, expected="a function of one batch of inputs that gives scores")


def _annotated(function: Any) -> str | None:
    """What the first argument is said to be."""
    try:
        first = next(iter(inspect.signature(function, eval_str=True).parameters.values())).annotation
    except Exception:  # annotations of names that can't be found
        return None
    if inspect.isclass(first) and issubclass(first, Tensor):
        return "tensor"
    return "numpy" if first is np.ndarray else None


def _tried(forms: dict[str, Callable[[np.ndarray], Any]], few: Tensor, what: str) -> str:
    """The first form that runs."""
    failed = {}
    for name, form in forms.items():
        try:
            ScoresOnly(form, what=what)(few)
        except Exception as error:  # a user's function may raise anything
            own = isinstance(error, InputError)
            failed[name] = str(getattr(error, "given", "")) if own else f"{type(error).__name__}: {first_line(error)}"
        else:
            return name
    raise InputError(
        f"{what} failed on its input",
        given=f"shape {tuple(few.shape)}; as an array: {failed['numpy']}; as a tensor: {failed['tensor']}",
        expected="one row of scores a sample",
    )
