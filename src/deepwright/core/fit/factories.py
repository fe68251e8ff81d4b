"""What makes an optimiser or a schedule, for `fit(optimizer=..., scheduler=...)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def adamw(lr: float = 1e-3, weight_decay: float = 1e-4) -> Callable[[Any], torch.optim.Optimizer]:
    """A factory of AdamW for `fit(optimizer=...)`.

    Args:
        lr: learning rate.
        weight_decay: decoupled from the gradient.
    """
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)


def sgd(lr: float = 0.1, momentum: float = 0.9, weight_decay: float = 5e-4) -> Callable[[Any], torch.optim.Optimizer]:
    """A factory of SGD with Nesterov's momentum for `fit(optimizer=...)`.

    Args:
        lr: learning rate.
        momentum: share of the last step that is kept.
        weight_decay: added to the gradient.
    """
    return lambda parameters: torch.optim.SGD(
        parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=True
    )


def one_cycle(peak: float, warmup: float = 0.25) -> Callable[[torch.optim.Optimizer, int], Any]:
    """A one-cycle schedule over the whole fit, stepped every batch; constant where there are too few steps for one.

    Args:
        peak: the largest learning rate.
        warmup: share of the steps in which it rises.
    """

    def schedule(optimizer: torch.optim.Optimizer, steps: int) -> Any:
        if steps < 4:
            return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        rise = max(warmup, 2 / steps)  # a rise of one step would divide by zero
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps, pct_start=rise)

    return schedule
