"""Running somebody's network without leaving a trace on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError, first_line
from deepwright.core.spreading import spread_map

_SLACK = 1e-6  # of rounding, beside bounds


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Every sub-module in eval mode inside the block; each one's own mode is put back after it."""
    # a TorchScript module that was frozen has no mode any more
    modes = {module: module.training for module in model.modules() if hasattr(module, "training")}
    for module in modes:
        module.training = False
    try:
        yield model
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def fast_layout(model: nn.Module) -> Iterator[nn.Module]:
    """Convolution weights channels-last inside the block where that is faster: on the CPU, by a third.

    Only strides change, and the very tensors that were there are put back.
    """
    kept = []
    for module in model.modules():
        weight = module._parameters.get("weight") if isinstance(module, nn.Conv2d) else None
        if weight is not None and weight.device.type == "cpu" and weight.is_floating_point():
            kept.append((weight, weight.data))
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    try:
        yield model
    finally:
        for weight, data in reversed(kept):
            weight.data = data


def has_gradients(model: nn.Module) -> bool:
    """Whether gradients reach the input: not where any part of it says that it gives scores only.

    What runs an ONNX file, a scikit-learn estimator or a plain function says so, by an attribute `scores_only`.

    Args:
        model: any module.
    """
    return not any(getattr(module, "scores_only", False) is True for module in model.modules())


def require_gradients(model: nn.Module, what: str) -> None:
    """Refuse a network that gives scores only.

    Args:
        model: any module.
        what: needs gradients or weights.

    Raises:
        InputError: it has none.
    """
    if not has_gradients(model):
        raise InputError(
            what,
            given="a network that gives scores only",
            expected="a torch network, whose weights and gradients are there",
            hint="only `audit` takes a network that is a file for another runtime, an estimator or a function",
        )


@contextmanager
def without_gradients(model: nn.Module) -> Iterator[nn.Module]:
    """Every parameter's gradient off; afterwards each is asked for as it was."""
    wanted = [(p, p.requires_grad) for p in model.parameters()]
    for parameter, _ in wanted:
        parameter.requires_grad_(False)
    try:
        yield model
    finally:
        for parameter, requires in wanted:
            parameter.requires_grad_(requires)


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Eval mode, the faster layout, every parameter's gradient off: backward passes reach the input only."""
    with without_gradients(model), evaluating(model), fast_layout(model):
        yield model


def require_float_images(x: Tensor, name: str = "x") -> None:
    """Refuse integer pixels, NaN and infinity, and say which was found."""
    if not x.is_floating_point():
        raise InputError(
            name,
            given=f"dtype {x.dtype}, range {int(x.min())}..{int(x.max())}" if x.numel() else f"dtype {x.dtype}",
            expected="floats in [0, 1]",
            hint="use x.float() / 255 for 8-bit images",
        )
    if not torch.isfinite(x).all():
        rows = (~torch.isfinite(x)).flatten(1).any(1).nonzero().flatten()[:5].tolist()
        raise InputError(name, given=f"NaN or infinity in samples {rows}", expected="finite numbers")


def nan_outside(out: Tensor, x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """What was made of inputs; NaN throughout where a sample had a number outside the bounds, or none.

    No value is looked at: what would wait for an accelerator to refuse such inputs makes them tell by themselves.

    Args:
        out: (N, ...) made of x.
        x: (N, ...) floats.
        bounds: of every number.
    """
    inside = ((x >= bounds[0]) & (x <= bounds[1])).flatten(1).all(1)  # NaN is neither
    return torch.where(inside.view(-1, *[1] * (out.ndim - 1)), out, torch.nan)


def floats_within(x: Tensor, bounds: tuple[float, float], hint: str | None = None) -> Tensor:
    """Inputs of a training step that have to lie within bounds: refused on the CPU where they don't.

    On an accelerator no value is looked at: such samples become NaN, and the loss, which a fit looks at now and then,
    with them.

    Args:
        x: (N, ...) what was given.
        bounds: of every number.
        hint: what to do.

    Raises:
        InputError: whole numbers; on the CPU also numbers outside the bounds, or none.
    """
    if not x.is_floating_point():
        raise InputError("inputs", given=str(x.dtype), expected="floats", hint=hint)
    slack = (bounds[0] - _SLACK, bounds[1] + _SLACK)
    if x.device.type != "cpu":
        return nan_outside(x, x, slack)
    if x.numel() == 0:
        return x
    low, high = (float(end) for end in torch.aminmax(x.detach()))
    if not (slack[0] <= low and high <= slack[1]):  # NaN is neither
        raise InputError("inputs", given=f"range {low:.4g}..{high:.4g}", expected=f"within {bounds}", hint=hint)
    return x


def require_labels(y: Tensor, classes: int | None, n: int | None = None, name: str = "labels") -> None:
    """Refuse labels of a wrong shape, type or range."""
    if y.is_floating_point() or y.dtype == torch.bool or y.ndim != 1:
        raise InputError(
            name, given=f"{y.dtype} of shape {tuple(y.shape)}", expected="integer class indices of shape (N,)"
        )
    if n is not None and len(y) != n:
        raise InputError(name, given=f"{len(y)} labels for {n} samples", expected="one label a sample")
    if len(y) and (int(y.min()) < 0 or (classes is not None and int(y.max()) >= classes)):
        raise InputError(
            name,
            given=f"values {int(y.min())}..{int(y.max())}",
            expected=f"0..{classes - 1}" if classes else "0 or more",
            hint="labels count from 0",
        )


def logits_of(model: nn.Module, batches: Iterable[Tensor]) -> Float[Tensor, "n classes"]:
    """Outputs of the network on float input batches: eval mode, no gradients, checked for NaN.

    Args:
        model: any module that gives one row of logits a sample; it is left as found.
        batches: inputs (N, ...), which are brought to the model's device and dtype.

    Returns:
        logits where the first batch was, in float32 (float64 where the model's are).

    Raises:
        InputError: outputs that aren't finite, or aren't one row a sample.
    """
    return torch.cat(read_outputs(model, batches, _checked))


def failed_on(
    inputs: Any,
    error: Exception,
    what: str = "the network failed on its input",
    *,
    kind: type[InputError] = InputError,
    **words: Any,
) -> InputError:
    """The house's error for what somebody's network raised: it tells of the inputs.

    Args:
        inputs: tensors, nested or not; their shapes and types are told.
        error: what was raised.
        what: begins the message.
        kind: of error.
        words: what else the error says (expected, hint).
    """
    tensors = [t for t in torch.utils._pytree.tree_leaves(inputs) if isinstance(t, Tensor)]
    seen = ", ".join(f"{t.dtype} of shape {tuple(t.shape)}".removeprefix("torch.") for t in tensors)
    return kind(what, given=f"{seen or type(inputs).__name__}: {first_line(error)[:200]}", **words)


@contextmanager
def answering(inputs: Any, what: str = "x", hint: str | None = None) -> Iterator[None]:
    """A call of somebody's network inside the block: where it fails on its inputs, the error tells of them.

    Args:
        inputs: tensors, nested or not.
        what: the argument that holds them.
        hint: what may be done.

    Raises:
        InputError: the network failed; memory that ran out is raised as it is.
    """
    try:
        yield
    except (InputError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        raise failed_on(inputs, error, what, expected="inputs that the network takes", hint=hint) from error


def read_outputs(
    model: nn.Module, batches: Iterable[Tensor], read: Callable[[Any, int], Any], *, progress: str | None = None
) -> list[Any]:
    """What is read from the network's output on each batch: eval mode, no gradients.

    Args:
        model: any module; it is left as found.
        batches: inputs (N, ...), which are brought to the model's device and dtype.
        read: (output, number of samples) -> what is kept, which is brought to where the first batch was.
        progress: what a bar says; None shows none.

    Raises:
        InputError: a network that fails on its input; no batch.
    """
    rows = spread_map(partial(_reader, model, read), batches, progress=progress)
    if not rows:
        raise InputError("data", given="no batch", expected="at least one")
    first = rows[0][0]
    return [found if where == first else _brought(found, first) for where, found in rows]


def _brought(found: Any, where: torch.device) -> Any:
    return found.to(where) if hasattr(found, "to") else found


@contextmanager
def _reader(
    model: nn.Module, read: Callable[[Any, int], Any]
) -> Iterator[Callable[[int, Tensor], tuple[torch.device, Any]]]:
    """Of a batch: where it is, and what is read from the output, brought there."""

    def one(number: int, x: Tensor) -> tuple[torch.device, Any]:
        try:
            out = model(to_model(x, model))
        except InputError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            hint = "check the input size, the channels and the preprocessing (--size, --mean, --std)"
            raise failed_on(x, error, hint=hint) from error
        return x.device, _brought(read(out, len(x)), x.device)

    with evaluating(model), fast_layout(model), torch.no_grad():
        yield one


def _checked(out: object, n: int) -> Tensor:
    if not isinstance(out, Tensor):
        raise InputError(
            "the network's output", given=type(out).__name__, expected="one tensor of logits", hint="wrap it"
        )
    if out.ndim == 1 and len(out) == n:
        out = out[:, None]
    if out.ndim != 2 or len(out) != n:
        raise InputError(
            "the network's output", given=f"shape {tuple(out.shape)} for {n} inputs", expected="(N, classes)"
        )
    if not torch.isfinite(out).all():
        raise InputError(
            "the network's output",
            given="NaN or infinity",
            expected="finite logits",
            hint="check weights and input range",
        )
    return out if out.dtype == torch.float64 else out.float()
