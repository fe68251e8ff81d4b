"""What is known of activation functions: suprema of their derivatives, and the range of the first over an interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """A function of one number.

    Attributes:
        name: the field's.
        function: itself.
        slope: its first derivative, accurate where it is tiny.
        bend: its second derivative.
        sup: suprema of the absolute values of its first three derivatives; infinite where there is none.
        low: infimum of the first derivative.
        regular: whether the first derivative is positive everywhere, whatever rounding makes of it.
        turns: arguments at which the slope turns (its local extrema), between which it is monotone.
        smooth: whether it is infinitely often differentiable.
    """

    name: str
    function: Function
    slope: Function
    bend: Function
    sup: tuple[float, float, float]
    low: float
    regular: bool
    turns: tuple[float, ...]
    smooth: bool = True

    def slopes(self, low: Float[Tensor, "*s"], high: Float[Tensor, "*s"]) -> tuple[Tensor, Tensor]:
        """The least and the largest slope between two arguments.

        Args:
            low: lower ends.
            high: upper ends.
        """
        ends = torch.stack((self.slope(low), self.slope(high)))
        least, most = ends.amin(0), ends.amax(0)
        for turn in self.turns:
            at = torch.full_like(low, turn)
            inside = (low < at) & (at < high)
            peak = self.slope(at)
            least = torch.where(inside, torch.minimum(least, peak), least)
            most = torch.where(inside, torch.maximum(most, peak), most)
        if self.name == "relu":  # at the kink it has both
            least = torch.where(low <= 0, torch.zeros_like(least), least)
        return least, most

    def range(self, low: Float[Tensor, "*s"], high: Float[Tensor, "*s"]) -> tuple[Tensor, Tensor]:
        """The least and the largest value between two arguments.

        Args:
            low: lower ends.
            high: upper ends.
        """
        ends = torch.stack((self.function(low), self.function(high)))
        least, most = ends.amin(0), ends.amax(0)
        if self.low < 0:  # has one minimum
            bottom = torch.full_like(low, _BOTTOMS[self.name])
            value = self.function(bottom)
            least = torch.where((low < bottom) & (bottom < high), torch.minimum(least, value), least)
        return least, most


def _tanh_slope(x: Tensor) -> Tensor:
    e = torch.exp(-2 * x.abs())  # 1 - tanh^2 is rounded to 0 from |x| = 19 on
    return 4 * e / (1 + e).square()


def _sigmoid_slope(x: Tensor) -> Tensor:
    e = torch.exp(-x.abs())
    return e / (1 + e).square()


def _silu_slope(x: Tensor) -> Tensor:
    return torch.sigmoid(x) + x * _sigmoid_slope(x)


def _gelu_slope(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)


def _relu_slope(x: Tensor) -> Tensor:
    return (x > 0).to(x)


def _tanh_bend(x: Tensor) -> Tensor:
    return -2 * torch.tanh(x) * _tanh_slope(x)


def _sigmoid_bend(x: Tensor) -> Tensor:
    return -torch.tanh(x / 2) * _sigmoid_slope(x)


def _silu_bend(x: Tensor) -> Tensor:
    return 2 * _sigmoid_slope(x) + x * _sigmoid_bend(x)


def _gelu_bend(x: Tensor) -> Tensor:
    return (2 - x.square()) * torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)


_SILU_TURN = 2.3993572805154677  # where x tanh(x/2) = 2
_BOTTOMS = {"silu": -1.2784645427610738, "gelu": -0.7517915253244567}
_INF = math.inf
_OF_SIGMOID, _OF_SOFTPLUS, _OF_SILU = (0.25, 0.09623, 0.12501), (1.0, 0.25001, 0.09624), (1.09984, 0.50001, 0.3083)

# name, function, slope, bend, sup, low, regular, turns
TANH = Activation("tanh", torch.tanh, _tanh_slope, _tanh_bend, (1.0, 0.76981, 2.00001), 0.0, True, (0.0,))
SIGMOID = Activation(
    "sigmoid", torch.sigmoid, _sigmoid_slope, _sigmoid_bend, (0.25, 0.09623, 0.12501), 0.0, True, (0.0,)
)
SOFTPLUS = Activation(
    "softplus", functional.softplus, torch.sigmoid, _sigmoid_slope, (1.0, 0.25001, 0.09624), 0.0, True, ()
)
SILU = Activation(
    "silu",
    functional.silu,
    _silu_slope,
    _silu_bend,
    (1.09984, 0.50001, 0.3083),
    -0.09984,
    False,
    (-_SILU_TURN, _SILU_TURN),
)
GELU = Activation(
    "gelu",
    functional.gelu,
    _gelu_slope,
    _gelu_bend,
    (1.12891, 0.79789, 0.7789),
    -0.12891,
    False,
    (-math.sqrt(2), math.sqrt(2)),
)
RELU = Activation("relu", functional.relu, _relu_slope, torch.zeros_like, (1.0, _INF, _INF), 0.0, False, (), False)

ACTIVATIONS = {a.name: a for a in (TANH, SIGMOID, SOFTPLUS, SILU, GELU, RELU)}


def of_module(module: nn.Module) -> Activation | None:
    """What a module of torch's does, where this table knows it.

    Args:
        module: a leaf.
    """
    if isinstance(module, nn.GELU):
        return GELU if module.approximate == "none" else None
    if isinstance(module, nn.Softplus):
        return SOFTPLUS if module.beta == 1 and module.threshold >= 20 else None
    kinds: tuple[tuple[type[nn.Module], Activation], ...] = (
        (nn.Tanh, TANH),
        (nn.Sigmoid, SIGMOID),
        (nn.SiLU, SILU),
        (nn.ReLU, RELU),
    )
    return next((activation for kind, activation in kinds if isinstance(module, kind)), None)
