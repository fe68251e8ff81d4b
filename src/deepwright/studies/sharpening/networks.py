"""The small networks of the study: what reads published waves, and what attackers and publishers have in its place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepwright.core.fit import adamw, fit
from deepwright.core.randomness import local_rng

CLASSES = 8  # of texture waves


def surrogate_network(seed: int, channels: int = 1, classes: int = CLASSES, width: int = 12) -> nn.Module:
    """What an attacker has: three convolutions with ReLU, the first of 5 x 5.

    Args:
        seed: of its weights.
        channels: of its pictures.
        classes: of its answers.
        width: of the first convolution; the others have twice as many.
    """
    return _network(seed, nn.ReLU, 5, (width, 2 * width, 2 * width), channels, classes)


def target_network(seed: int) -> nn.Module:
    """What reads the waves that are published: another family, with GELU and a first convolution of 7 x 7.

    Args:
        seed: of its weights.
    """
    return _network(seed, nn.GELU, 7, (8, 16, 16), 1, CLASSES)


def _network(
    seed: int, bend: type[nn.Module], first: int, widths: tuple[int, ...], channels: int, classes: int
) -> nn.Module:
    layers: list[nn.Module] = []
    with local_rng(seed):
        for before, after, kernel in zip((channels, *widths), widths, (first, 3, 3)):
            layers += [nn.Conv2d(before, after, kernel, 2, kernel // 2), nn.BatchNorm2d(after), bend()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))


def annealed(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A cosine from the first rate to 0.

    Args:
        optimizer: whose rate it is.
        steps: of the whole training.
    """
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))


def fitted(network: nn.Module, data: tuple[Tensor, Tensor], epochs: int, seed: int) -> nn.Module:
    """The network, trained: AdamW at 3e-3, annealed, in batches of 100.

    Args:
        network: trained in place.
        data: pictures and labels.
        epochs: of training.
        seed: of the order.
    """
    options = {"optimizer": adamw(3e-3), "scheduler": annealed, "batch_size": 100}
    fit(network, data, epochs=epochs, seed=seed, description="networks", **options)  # type: ignore[arg-type]
    return network.eval()
