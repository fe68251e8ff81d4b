"""Targets, data and trainings: the parabola, and a disc inside a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from deepwright.core.fit import Selection, fit
from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.nets import NarrowResNet

LINE = {
    "perceptron (0, 1)": (0.0, 1.0, None),
    "near the flow (1, 0.3)": (1.0, 0.3, 3.0),
    "residual (1, 1)": (1.0, 1.0, None),
    "residual (1, 10)": (1.0, 10.0, None),
}
"""Arm -> skip, residual, cap of a block's spectral norm."""
FLOW, PERCEPTRON, RESIDUAL, WIDE = (
    "near the flow (1, 0.2), 10 blocks",
    "perceptron (0, 1), 6 blocks",
    "residual (1, 1), 10 blocks",
    "perceptron of width 3, 1 block",
)
PLANE = {
    FLOW: (2, 10, 1.0, 0.2, 4.5),
    PERCEPTRON: (2, 6, 0.0, 1.0, None),
    RESIDUAL: (2, 10, 1.0, 1.0, None),
    WIDE: (3, 1, 0.0, 1.0, None),
}
"""Arm -> width, blocks, skip, residual, cap; all with the activation on the input layer, as the authors have it."""


class Capped(nn.Module):
    """A matrix whose spectral norm is at most `cap`.

    Args:
        cap: the largest norm.
    """

    def __init__(self, cap: float) -> None:
        super().__init__()
        self.cap = cap

    def forward(self, weight: Tensor) -> Tensor:
        """The matrix, scaled down where it is too large."""
        return weight * (self.cap / torch.linalg.matrix_norm(weight, 2)).clamp_max(1.0)


def parabola(arm: str, seed: int, epochs: int) -> tuple[NarrowResNet, float]:
    """A network of width 1 and two blocks on x^2, and its mean-square error on 512 even points.

    Args:
        arm: of `LINE`.
        seed: of weights and batches.
        epochs: of ten batches.
    """
    skip, residual, cap = LINE[arm]
    with local_rng(derive_seed("parabola", arm, seed=seed)):
        net = NarrowResNet(1, 1, 2, skip=skip, residual=residual, input_layer=False)
    x = torch.rand(300, 1, generator=generator(seed, "parabola")) * 2 - 1
    held = torch.rand(100, 1, generator=generator(seed, "parabola, validation")) * 2 - 1
    _trained(net, (x, x.square()), (held, held.square()), F.mse_loss, epochs, 30, seed, cap)
    at = torch.linspace(-1, 1, 512)[:, None]
    with torch.no_grad():
        return net, float(F.mse_loss(net(at), at.square()))


def disc_in_ring(count: int, seed: int, part: str) -> tuple[Tensor, Tensor]:
    """Half of the points in a disc of radius 0.4 (class 1), half in the ring from 0.5 to 1 (class 0).

    Args:
        count: of points.
        seed: of the draw.
        part: of the data: every part is drawn by itself.
    """
    drawn = torch.rand(count, 2, generator=generator(seed, "disc in ring", part))
    inside = torch.arange(count) < count // 2
    radius = torch.where(inside, 0.4 * drawn[:, 0].sqrt(), (0.25 + 0.75 * drawn[:, 0]).sqrt())
    angle = 2 * torch.pi * drawn[:, 1]
    return torch.stack((radius * angle.cos(), radius * angle.sin()), 1), inside.long()


def classifier(arm: str, seed: int, epochs: int) -> NarrowResNet:
    """A network on 1,000 points of disc and ring, its weights those of the best validation loss.

    Args:
        arm: of `PLANE`.
        seed: of weights, points and batches.
        epochs: of eight batches.
    """
    width, depth, skip, residual, cap = PLANE[arm]
    with local_rng(derive_seed("disc in ring", arm, seed=seed)):
        net = NarrowResNet(2, width, depth, skip=skip, residual=residual, input_activation=True)
    train, held = ((x, y[:, None].float()) for x, y in (disc_in_ring(n, seed, p) for n, p in _PARTS))
    _trained(net, train, held, F.binary_cross_entropy_with_logits, epochs, 128, seed, cap)
    return net


_PARTS = ((1000, "train"), (400, "validation"))


def _trained(
    net: NarrowResNet,
    train: tuple[Tensor, Tensor],
    held: tuple[Tensor, Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    epochs: int,
    batch_size: int,
    seed: int,
    cap: float | None,
) -> None:
    """Adam at 0.01; the weights of the epoch with the lowest validation loss."""
    layers = [cast(nn.Sequential, block.f)[0] for block in net.blocks]
    if cap is not None:
        for layer in layers:
            parametrize.register_parametrization(layer, "weight", Capped(cap))

    def judged(model: nn.Module) -> dict[str, float]:
        return {"loss": float(loss(model(held[0]), held[1]))}

    fit(
        net,
        train,
        epochs=epochs,
        batch_size=batch_size,
        loss=loss,
        optimizer=_adam,
        selection=Selection(judged, "loss", "min"),
        seed=seed,
        description="tunnel",
    )
    if cap is not None:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight")
    net.eval()


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)
