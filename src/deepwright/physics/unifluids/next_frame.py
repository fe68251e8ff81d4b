"""Training of operators that go frame by frame, on true contexts and on their own first forecast.

Source of the latter: arXiv 2202.03376.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.fit import FitResult, adamw, fit, one_cycle
from deepwright.physics.pde_data import PDEBatch
from deepwright.physics.unifluids.baselines import NextFrame


def train_next_frame(
    model: NextFrame,
    data: PDEBatch,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    lr: float = 2e-3,
    push: bool = False,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    compute: Compute = Compute(),  # noqa: B008 - frozen
) -> FitResult:
    """Teach the next frame from true contexts (all windows of every trajectory).

    Args:
        model: trained in place, where it lives (see `compute`).
        data: trajectories, wherever they are.
        epochs: of AdamW on one cycle.
        batch_size: windows in a step.
        lr: the cycle's peak.
        push: also from contexts that end with the model's own forecast, through which no gradient goes.
        seed: of the order.
        checkpoint: a file to resume from: see `core.fit.fit`.
        compute: device, number of processes, strategy and precision.

    Raises:
        InputError: no epochs; too few frames; a checkpoint of another training.
    """
    if epochs < 1:
        raise InputError("epochs", given=epochs, expected="1 or more")
    return fit(
        model,
        model.windows(data, 2 if push else 1),
        epochs=epochs,
        batch_size=batch_size,
        step=_Step(model.channels, push),
        optimizer=adamw(lr),
        scheduler=one_cycle(lr),
        seed=seed,
        checkpoint=checkpoint,
        compute=compute,
        description=type(model).__name__,
    )


@dataclass(frozen=True)
class _Step:
    """(network, contexts, frames that follow) -> mean relative squared error."""

    channels: int
    push: bool

    def __call__(self, network: nn.Module, before: Tensor, after: Tensor) -> Float[Tensor, ""]:
        first = network(before)
        loss = _gap(first, after[:, : self.channels]).mean()
        if not self.push:
            return loss
        again = network(torch.cat([before[:, self.channels :], first.detach()], 1))
        return (loss + _gap(again, after[:, self.channels :]).mean()) / 2


def _gap(found: Tensor, truth: Tensor) -> Float[Tensor, " n"]:
    return (found - truth).flatten(1).square().mean(1) / truth.flatten(1).square().mean(1).clamp_min(1e-8)
