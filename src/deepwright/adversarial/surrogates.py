"""What stands in for something else: steps without a useful gradient, and networks in place of the one that is meant.

Source: arXiv 1802.00420 (BPDA), 1611.02770 (several surrogates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number


class _Bpda(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable, backward: Callable) -> Tensor:
        ctx.backward_function = backward
        ctx.save_for_backward(x)
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(ctx.backward_function(point), point, gradients[0])
        return gradient, None, None


def bpda(
    function: Callable[[Tensor], Tensor], surrogate: Callable[[Tensor], Tensor] = lambda x: x * 1
) -> Callable[[Tensor], Tensor]:
    """A step with another function's gradient, for `through=` of an attack.

    Args:
        function: the step as it is: rounding, JPEG, a median filter.
        surrogate: stands in its place on the way back; the identity by default.
    """
    return lambda x: _Bpda.apply(x, function, surrogate)


class Surrogates(nn.Module):
    """Several networks as one, whose outputs are averaged before any softmax.

    Args:
        models: of one task, each giving tensors of one shape (or dicts of such, as detectors do), on one device, in one
            dtype.
        weights: of each, of sum 1 after division; alike by default.
    """

    def __init__(self, models: Sequence[nn.Module], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        strange = [type(m).__name__ for m in models if not isinstance(m, nn.Module)]
        if len(models) == 0 or strange:
            raise InputError("models", given=", ".join(strange) or "none", expected="networks, at least one")
        places = {(str(device_of(m)), str(dtype_of(m))) for m in models}
        if len(places) > 1:
            given = "; ".join(" in ".join(place) for place in sorted(places))
            raise InputError("models", given=given, expected="one device and one dtype", hint="model.to(...)")
        weights = [1.0] * len(models) if weights is None else list(weights)
        for weight in weights:
            require_number(0, weights=weight)
        if len(weights) != len(models) or not sum(weights) > 0:
            raise InputError("weights", given=repr(weights), expected=f"{len(models)} numbers, not all 0")
        self.models = nn.ModuleList(models)
        self.weights = [float(w) / sum(weights) for w in weights]
        self.training = any(m.training for m in models)

    def forward(self, x: Tensor) -> Any:
        """The weighted mean of their outputs.

        Args:
            x: as each of them takes it.

        Raises:
            InputError: outputs that can't be averaged.
        """
        return self._mean([model(x) for model in self.models])

    def _mean(self, outs: Sequence[Any]) -> Any:
        first = outs[0]
        if isinstance(first, Mapping) and all(isinstance(o, Mapping) and set(o) == set(first) for o in outs):
            return {name: self._mean([out[name] for out in outs]) for name in first}
        if not all(isinstance(o, Tensor) and o.shape == first.shape for o in outs):
            told = ", ".join(str(tuple(o.shape)) if isinstance(o, Tensor) else type(o).__name__ for o in outs)
            raise InputError("the surrogates' outputs", given=told, expected="tensors of one shape, to be averaged")
        return sum(w * out for w, out in zip(self.weights, outs, strict=True))
