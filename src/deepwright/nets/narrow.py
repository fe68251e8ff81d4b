"""Residual networks of one width with scaled branches: between a plain MLP and an Euler step of a neural ODE."""

from __future__ import annotations

from typing import Any

from torch import nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_number, require_whole

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
}


class NarrowBlock(nn.Module):
    """h(x) = skip * x + residual * f(x) with f(x) = V s(W x + c) + v, or s(W x + c) without the inner affine map.

    Args:
        width: of x and h(x).
        skip: what x is multiplied by.
        residual: what f(x) is multiplied by.
        activation: a name in `ACTIVATIONS`.
        inner_affine: whether f ends with V and v.
        batch_norm: whether W x + c is normalised.
    """

    def __init__(
        self,
        width: int,
        skip: float = 1.0,
        residual: float = 1.0,
        activation: str = "tanh",
        inner_affine: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_number(skip=skip, residual=residual)
        self.skip, self.residual = float(skip), float(residual)
        layers: list[nn.Module] = [nn.Linear(width, width)]
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(_activation(activation))
        if inner_affine:
            layers.append(nn.Linear(width, width))
        self.f = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:  # tensors, or what stands for them while torch.fx follows
        """(batch, width) -> (batch, width)."""
        return self.skip * x + self.residual * self.f(x)


class NarrowResNet(nn.Module):
    """w h_L(... h_1(A x + a)) + b with blocks of one width (arXiv 2603.28591).

    `skip=0` is a plain MLP, `skip=1, residual=T/L` an explicit Euler step of a neural ODE; what lies between is a
    residual network whose channel ratio residual / skip decides whether an input can be enclosed.

    Args:
        in_features: of x.
        width: of every block.
        depth: blocks.
        out_features: logits or values.
        skip: of every block.
        residual: of every block.
        activation: a name in `ACTIVATIONS`.
        inner_affine: whether a block's residual ends with an affine map.
        batch_norm: whether pre-activations are normalised.
        input_layer: whether there is A x + a; without it width must be in_features.
        input_activation: whether the activation is applied to A x + a.
        final: "linear", or "sigmoid" for probabilities.

    Raises:
        InputError: a width that needs an input layer, an unknown activation or end.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        depth: int,
        out_features: int = 1,
        *,
        skip: float = 1.0,
        residual: float = 1.0,
        activation: str = "tanh",
        inner_affine: bool = False,
        batch_norm: bool = False,
        input_layer: bool = True,
        input_activation: bool = False,
        final: str = "linear",
    ) -> None:
        super().__init__()
        require_whole(1, in_features=in_features, width=width, depth=depth, out_features=out_features)
        if final not in ("linear", "sigmoid"):
            raise unknown_name("final", str(final), ("linear", "sigmoid"))
        if not input_layer and width != in_features:
            raise InputError(
                "width", given=width, expected=f"{in_features}, as in_features", hint="or give it an input_layer"
            )
        self.input: nn.Module = nn.Linear(in_features, width) if input_layer else nn.Identity()
        self.input_activation: nn.Module = _activation(activation) if input_activation else nn.Identity()
        made = [NarrowBlock(width, skip, residual, activation, inner_affine, batch_norm) for _ in range(depth)]
        self.blocks = nn.Sequential(*made)
        self.output = nn.Linear(width, out_features)
        self.final: nn.Module = nn.Sigmoid() if final == "sigmoid" else nn.Identity()

    def hidden(self, x: Any) -> Any:
        """What the last block gives, (batch, width).

        Args:
            x: inputs, (batch, in_features).
        """
        return self.blocks(self.input_activation(self.input(x)))

    def forward(self, x: Any) -> Any:
        """Logits, values or probabilities, (batch, out_features)."""
        return self.final(self.output(self.hidden(x)))


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", str(name), ACTIVATIONS)
    return ACTIVATIONS[name]()
