"""What the world does to images: 43 perturbations at five severities, batched, seeded per sample, on any device.

Example:
    >>> import torch
    >>> from deepwright.corruptions import apply
    >>> apply(torch.rand(2, 3, 64, 64), "fog_mapping", severity=3).shape
    torch.Size([2, 3, 64, 64])
"""

from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.moving import move_boxes, move_labels
from deepwright.corruptions.results import CorruptionReport
from deepwright.corruptions.series import SERIES, SeriesPerturbation, series_in_units
from deepwright.corruptions.static import diamond_square, differentiable_jpeg
from deepwright.corruptions.suite import ALL, IMAGENET_C, Compose, Suite, apply, get, names
from deepwright.corruptions.tables import TABLES, TablePerturbation
from deepwright.corruptions.text import TEXTS, TextPerturbation

__all__ = [
    "ALL",
    "IMAGENET_C",
    "SERIES",
    "TABLES",
    "TEXTS",
    "Compose",
    "Context",
    "CorruptionReport",
    "Perturbation",
    "SeriesPerturbation",
    "Suite",
    "TablePerturbation",
    "TextPerturbation",
    "apply",
    "diamond_square",
    "differentiable_jpeg",
    "get",
    "move_boxes",
    "move_labels",
    "names",
    "series_in_units",
]
