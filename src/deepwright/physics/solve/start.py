"""What a residual must be, looked at on a few points before anything is trained: a mistake costs no minutes then."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepwright.core.errors import InputError
from deepwright.physics.solve.block import Block

_FEW = 3
Call = Callable[..., Tensor]


def require_residual(model: nn.Module, block: Block, dtype: torch.dtype) -> None:
    """Refuse what isn't a residual: no tensor, another type, or not as many rows as points.

    Args:
        model: that it is asked of.
        block: whose residual.
        dtype: of the model.

    Raises:
        InputError: what came, and what was expected.
    """
    what = f"residual of block {block.name!r}"
    tensors = few_of(block)
    _require_arguments(what, block, model, tensors)
    meeting = _Meeting()
    try:
        with torch.no_grad(), meeting:
            r: Any = block.residual(model, *tensors)
    except InputError:
        raise
    except Exception as error:
        given = f"{type(error).__name__}: {error}{_line_of(error, block.residual)}"
        expected = f"values at points of shape {tuple(tensors[0].shape)}"
        raise InputError(what, given=given, expected=expected, hint=meeting.said) from error
    if not isinstance(r, Tensor):
        hint = "a constant can't be lowered by training" if isinstance(r, int | float | complex) else None
        raise InputError(what, given=f"{type(r).__name__} {r!r}"[:80], expected="a tensor, (n,) or (n, m)", hint=hint)
    if r.dtype != dtype:
        hint = "stack the real and the imaginary part" if r.is_complex() else None
        raise InputError(what, given=f"values of {r.dtype}", expected=f"{dtype}, as the model", hint=hint)
    if r.ndim > 2 or (block.pointwise and (r.ndim == 0 or len(r) != len(tensors[0]))):
        hint = "Block(..., pointwise=False), where points belong together" if r.ndim == 0 else meeting.said
        given = f"shape {tuple(r.shape)} for {len(tensors[0])} points"
        raise InputError(what, given=given, expected="(n,) or (n, m)", hint=hint)
    if r.numel() == 0:
        raise InputError(what, given=f"shape {tuple(r.shape)}", expected="at least one value")


def require_dependence(model: nn.Module, block: Block) -> None:
    """Refuse to train on what training can't change.

    Args:
        model: whose parameters are fitted.
        block: whose residual.

    Raises:
        InputError: values without gradients.
    """
    with torch.enable_grad():
        r = block.residual(model, *few_of(block))
    if not r.requires_grad:
        given = "values that don't depend on the network (nor on an unknown)"
        hint = "was it detached, or asked without u?"
        raise InputError(f"residual of block {block.name!r}", given=given, expected="a function of u", hint=hint)


def _require_arguments(what: str, block: Block, model: nn.Module, tensors: tuple[Tensor, ...]) -> None:
    try:
        inspect.signature(block.residual).bind(model, *tensors)
    except TypeError as error:
        given = f"a function that can't be called with the network and {len(tensors)} tensors ({error})"
        expected = "(u, points), and then the normals or data that belong to them"
        raise InputError(what, given=given, expected=expected) from None
    except ValueError:
        return  # of a callable that doesn't tell


def require_pointwise(call: Call, block: Block, dtype: torch.dtype) -> None:
    """Refuse residuals that depend on other points, as a mean does, or (n, 1) less (n,).

    Points alone are held against the same points together at other parameters: where a fit is over, what is left of a
    residual may be rounding only.

    Args:
        call: (residual, *tensors) -> its values at other parameters than the model's.
        block: whose residual.
        dtype: of the model.

    Raises:
        InputError: other values alone, and which shapes meet, if that is why.
    """
    few = few_of(block)
    meeting = _Meeting()
    with meeting:
        together = call(block.residual, *few)
    if not (torch.isfinite(together).all() and torch.equal(together, call(block.residual, *few))):
        return  # not defined there, or drawn anew in each pass (dropout): nothing can be said
    alone = [call(block.residual, *(t[i : i + 1] for t in few)) for i in range(len(few[0]))]
    slack = (1e-2 if torch.finfo(dtype).bits < 64 else 1e-6) * float(together.abs().max())
    same = [a.shape == together[:1].shape and bool(((a - t).abs() <= slack).all()) for a, t in zip(alone, together)]
    if not all(same):
        raise InputError(
            f"residual of block {block.name!r}",
            given=meeting.said or "other values for points alone than for the same points together",
            expected="row i a function of row i",
            hint="u(x)[:, 0] or y[:, None], so that both are of one shape"
            if meeting.said
            else "Block(..., pointwise=False), where points belong together",
        )


def few_of(block: Block) -> tuple[Tensor, ...]:
    """The first, middle and last point of a block with what belongs to them; all where points belong together.

    Args:
        block: whose points.
    """
    if not block.pointwise:
        return block.tensors
    rows = sorted({0, len(block) // 2, len(block) - 1})
    return tuple(t[rows] for t in block.tensors)


class _Meeting(TorchFunctionMode):
    """Notices where (n,) meets (n, 1): PyTorch makes a table of all pairs of it.

    Attributes:
        said: that, with the function's name; None where it didn't happen.
    """

    said: str | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
        if self.said is None and isinstance(out, Tensor) and len(shapes) == 2:
            flat = [s for s in shapes if len(s) == 1 and s[0] > 1]
            tall = [s for s in shapes if len(s) == 2 and s[1] == 1]
            if flat and tall and flat[0][0] == tall[0][0] and out.shape == (tall[0][0], tall[0][0]):
                name = getattr(func, "__name__", "an operation").strip("_")
                self.said = f"shapes (N,) and (N, 1) meet in {name!r} and make (N, N), a table of all pairs"
        return out


def _line_of(error: Exception, residual: Callable[..., Any]) -> str:
    """Where in the user's file it happened."""
    code = getattr(residual, "__code__", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
