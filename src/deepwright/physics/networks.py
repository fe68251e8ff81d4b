"""Networks for fields: perceptrons that know their domain, Fourier features, residual nets; all carry jets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import local_rng
from deepwright.physics.derivatives.jets import Jet, concatenate, cosine, propagate, sine


class Sine(nn.Module):
    """sin(w v).

    Args:
        frequency: w.
    """

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:
        """Element by element.

        Args:
            x: values.
        """
        return torch.sin(self.frequency * x)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: that comes in.
        """
        return jet.map(lambda t: self.frequency * t).apply(sine)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "sin": Sine,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
}


def activation_named(name: str) -> nn.Module:
    """A fresh activation.

    Args:
        name: of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


class Rescale(nn.Module):
    """Each axis of a box to [-1, 1].

    Args:
        bounds: ((low, high), ...) of each axis.
    """

    def __init__(self, bounds: Sequence[tuple[float, float]]) -> None:
        super().__init__()
        low, high = torch.tensor(bounds, dtype=torch.float64).T
        if not bool((low < high).all()):
            raise InputError("bounds", given=list(bounds), expected="low < high on each axis")
        self.register_buffer("middle", (low + high) / 2)
        self.register_buffer("scale", 2 / (high - low))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """(x - middle) * scale.

        Args:
            x: points.
        """
        self._require_axes(x)
        return (x - self.middle.to(x)) * self.scale.to(x)  # type: ignore[operator,union-attr]

    def _require_axes(self, x: Tensor) -> None:
        """Refuse points that would be spread over the axes by broadcasting."""
        axes = len(self.middle)  # type: ignore[arg-type]
        if x.shape[-1] != axes:
            raise InputError(
                "points", given=f"{x.shape[-1]} coordinates", expected=f"{axes}, one an axis of the bounds"
            )

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: that comes in.
        """
        self._require_axes(jet.v)
        scale: Tensor = self.scale.to(jet.v)  # type: ignore[operator,union-attr,assignment]
        return jet.map(lambda t: t * scale, -self.middle.to(jet.v) * scale)  # type: ignore[operator,union-attr]


class FourierFeatures(nn.Module):
    """(x, cos 2 pi B x, sin 2 pi B x) with B ~ N(0, sigma^2) (arXiv 2006.10739).

    Args:
        in_features: axes.
        count: rows of B.
        sigma: their spread.
        seed: of B.
    """

    def __init__(self, in_features: int, count: int = 32, sigma: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        draw = torch.randn(count, in_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        self.register_buffer("frequencies", 2 * math.pi * sigma * draw)
        self.out_features = in_features + 2 * count

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        """Features.

        Args:
            x: points.
        """
        phase = x @ self.frequencies.T.to(x)  # type: ignore[operator,union-attr]
        return torch.cat([x, torch.cos(phase), torch.sin(phase)], -1)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: that comes in.
        """
        b: Tensor = self.frequencies.T.to(jet.v)  # type: ignore[operator,union-attr,assignment]
        phase = jet.map(lambda t: t @ b)
        return concatenate([jet, phase.apply(cosine), phase.apply(sine)])


class ResidualBlock(nn.Module):
    """x + body(x).

    Args:
        body: as many outputs as inputs.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """The sum.

        Args:
            x: values.
        """
        return x + self.body(x)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: that comes in.
        """
        return jet.plus(propagate(self.body, jet))


def field(
    in_features: int,
    out_features: int = 1,
    hidden: Sequence[int] = (32, 32, 32),
    *,
    activation: str = "tanh",
    bounds: Sequence[tuple[float, float]] | None = None,
    fourier: tuple[int, float] | None = None,
    residual: bool = False,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> nn.Sequential:
    """A perceptron for a field, Glorot-initialised.

    Args:
        in_features: axes.
        out_features: components.
        hidden: widths.
        activation: a name of `ACTIVATIONS`.
        bounds: of the domain, scaled to [-1, 1] first.
        fourier: (count, sigma) of random features in front.
        residual: hidden layers of equal width add to what they were given.
        dtype: float64 for second-order training on CPU.
        seed: of the weights.

    Raises:
        InputError: an unknown activation, widths below 1, bounds that don't rise.
    """
    if in_features < 1 or out_features < 1 or any(size < 1 for size in hidden):
        given = f"{in_features} axes, {out_features} components, hidden={tuple(hidden)}"
        raise InputError("field", given=given, expected="1 or more of each")
    if bounds is not None and len(bounds) != in_features:
        raise InputError("bounds", given=f"{len(bounds)} axes", expected=f"{in_features}, one (low, high) an axis")
    if fourier is not None and not (fourier[0] >= 1 and 0 < fourier[1] < math.inf):
        raise InputError("fourier", given=fourier, expected="(count, sigma): 1 or more, above 0")
    with local_rng(seed):
        layers: list[nn.Module] = [] if bounds is None else [Rescale(bounds)]
        width = in_features
        if fourier is not None:
            layers.append(FourierFeatures(in_features, *fourier, seed=seed))
            width = layers[-1].out_features  # type: ignore[assignment]
        for size in hidden:
            step = nn.Sequential(_linear(width, size), activation_named(activation))
            layers += [ResidualBlock(step)] if residual and width == size else list(step)
            width = size
        layers.append(_linear(width, out_features))
        return nn.Sequential(*layers).to(dtype)


def _linear(a: int, b: int) -> nn.Linear:
    layer = nn.Linear(a, b, dtype=torch.float64)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
