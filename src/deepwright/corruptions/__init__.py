"""What the world does to images: 43 perturbations at five severities, batched, seeded per sample, on any device.

Example:
    >>> import torch
    >>> from deepwright.corruptions import apply
    >>> apply(torch.rand(2, 3, 64, 64), "fog_mapping", severity=3).shape
    torch.Size([2, 3, 64, 64])
"""

from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.static import diamond_square, differentiable_jpeg
from deepwright.corruptions.suite import ALL, IMAGENET_C, Compose, CorruptionReport, Suite, apply, get, names

__all__ = [
    "ALL",
    "IMAGENET_C",
    "Compose",
    "Context",
    "CorruptionReport",
    "Perturbation",
    "Suite",
    "apply",
    "diamond_square",
    "differentiable_jpeg",
    "get",
    "names",
]
