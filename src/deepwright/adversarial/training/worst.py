"""The worst input near each sample, as a training step looks for it: a fixed number of steps, and no waits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.training.ball import Ball
from deepwright.core.fit import unwrapped
from deepwright.core.inference import evaluating


def climbed(
    model: nn.Module,
    loss: Callable[[Any], Tensor],
    x: Float[Tensor, "n ..."],
    start: Float[Tensor, "n ..."],
    ball: Ball,
    alpha: float,
    steps: int,
    still: bool,
) -> Float[Tensor, "n ..."]:
    """The last of so many steps up a loss, from a start.

    The network's parameters get no gradients of it.

    Args:
        model: in training, as `core.fit` gives it to a step.
        loss: raw outputs -> one number a sample, to raise.
        x: centres of the balls.
        start: where the climb begins, in the balls.
        ball: around each sample.
        alpha: length of a step.
        steps: how many.
        still: look in evaluation mode: no dropout, and batch norms neither use nor learn the statistics of worst inputs
            while they are being found.
    """
    point = start
    with unwrapped(model) as network, evaluating(network) if still else nullcontext():
        for _ in range(steps):
            point = point.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(loss(network(point)).sum(), point)
            point = ball.stepped(point.detach(), torch.nan_to_num(gradient, 0.0, 0.0, 0.0), x, alpha)
    return point.detach()


def said(model: nn.Module, x: Float[Tensor, "n ..."], still: bool) -> Any:
    """Raw outputs without gradients, in the mode of the search.

    Args:
        model: in training, as `core.fit` gives it to a step.
        x: inputs.
        still: in evaluation mode.
    """
    with unwrapped(model) as network, evaluating(network) if still else nullcontext(), torch.no_grad():
        return network(x)
