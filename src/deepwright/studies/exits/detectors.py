"""The detectors and the networks in front of them: how they are built and trained, all with the same budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.compress import AdaptiveModel, BlankSkipLoss, ExitHead, attach_exits
from deepwright.core.boxes import mean_average_precision
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.inference import logits_of
from deepwright.core.randomness import local_rng
from deepwright.data import Scenes, make_scenes
from deepwright.nets import SSD, small_ssd, ssd_loss
from deepwright.nets.ssd import SSDTargets
from deepwright.ood.metrics import auroc

CUTS = ("features.stage0", "features.stage1", "features.stage2")
JOINT, ALONE, EQUAL, HALF = "with exits", "static", "static, 0.75 of the width", "static, half width"
WIDTHS = {ALONE: 1.0, EQUAL: 0.75, HALF: 0.5}
FRONT = "separate network"
RATES = (2e-3, 4e-3, 8e-3)
BATCH = 24


def _of_the_exits_shape() -> nn.Module:
    """What runs up to the second exit, with weights of its own."""
    return nn.Sequential(small_ssd().features[:2], ExitHead(16))


FRONTS: dict[str, Callable[[], nn.Module]] = {
    "8 channels": lambda: ExitHead(1, 8),
    "16 channels": lambda: ExitHead(1, 16),
    "the second exit's shape": _of_the_exits_shape,
}


def built(arm: str, seed: int) -> nn.Module:
    """A detector, or the default network in front, in its initial state.

    Args:
        arm: `JOINT`, one of `WIDTHS` or `FRONT`.
        seed: of its weights.
    """
    with local_rng(seed):
        if arm == JOINT:
            return attach_exits(small_ssd(), CUTS, torch.zeros(2, 1, 48, 64))
        return FRONTS["16 channels"]() if arm == FRONT else small_ssd(width=WIDTHS[arm])


def train(model: nn.Module, data: Scenes, steps: int, lr: float, seed: int) -> nn.Module:
    """A detector, with or without exits, or a network that tells empty frames: AdamW, one cycle.

    Args:
        model: trained in place.
        data: to train on.
        steps: of `BATCH` frames.
        lr: peak of the cycle.
        seed: of the batches.
    """
    if not isinstance(model, AdaptiveModel | SSD):
        return _fitted(model, data, _telling(data), steps, lr, seed)
    detector: SSD = model.model if isinstance(model, AdaptiveModel) else model  # type: ignore[assignment]
    targets = SSDTargets.of(detector.anchors, data.truth, detector.image_size, detector.num_classes)
    loss, occupied = BlankSkipLoss(), data.occupied.float()

    def step(network: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
        raw = network(x)
        raw, exits = raw if isinstance(model, AdaptiveModel) else (raw, None)
        own = ssd_loss(raw, detector.anchors, targets.take(rows), detector.image_size)
        return own if exits is None else loss(own, exits, occupied[rows])

    return _fitted(model, data, step, steps, lr, seed)


def _telling(data: Scenes) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    occupied = data.occupied.float()

    def step(network: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(network(x)[:, 0], occupied[rows])

    return step


def _fitted(model: nn.Module, data: Scenes, step: Any, steps: int, lr: float, seed: int) -> nn.Module:
    epochs = max(1, steps * BATCH // len(data))
    rows = torch.arange(min(len(data), steps * BATCH // epochs))
    _laid_out(model, torch.channels_last)  # quicker on a CPU
    fit(
        model,
        (data.images[rows], rows),
        epochs=epochs,
        batch_size=BATCH,
        step=step,
        optimizer=adamw(lr, 1e-4),
        scheduler=one_cycle(lr),
        clip_norm=10.0,
        seed=seed,
        drop_last=True,
        description="train",
    )
    _laid_out(model, torch.contiguous_format)
    return model.eval()


def _laid_out(model: nn.Module, memory: torch.memory_format) -> None:
    model.to(memory_format=memory)  # type: ignore[call-overload]


def tuning_trial(group: str, arm: str, lr: float, seed: int, steps: int, frames: int) -> dict[str, float]:
    """A learning rate of an arm, judged on frames that nothing else uses.

    Args:
        group: "detectors" or "networks that tell empty frames".
        arm: see `built`.
        lr: peak of the cycle.
        seed: of everything.
        steps: of the training.
        frames: to train on.
    """
    training, validation = make_scenes(frames, seed=1000 * seed), make_scenes(600, seed=1000 * seed + 5)
    model = train(built(arm, seed), training, steps, lr, seed)
    if group != "detectors":
        return {"validation": auc(logits_of(model, validation.images.split(200))[:, 0], validation.occupied)}
    detector: SSD = model.model if isinstance(model, AdaptiveModel) else model  # type: ignore[assignment]
    return {"validation": mean_average_precision(detector.detect(validation.images), validation.truth)}


def auc(score: Tensor, positive: Tensor) -> float:
    """Chance that a positive scores above a negative.

    Args:
        score: one a frame.
        positive: of which frames it should be large.
    """
    return auroc(score[~positive], score[positive])
