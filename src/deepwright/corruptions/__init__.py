"""What the world does to images: 43 perturbations at five severities, batched, seeded per sample, on any device.

Example:
    >>> import torch
    >>> from deepwright.corruptions import apply
    >>> apply(torch.rand(2, 3, 64, 64), "fog_mapping", severity=3).shape
    torch.Size([2, 3, 64, 64])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.moving import move_boxes, move_labels
from deepwright.corruptions.results import CorruptionReport
from deepwright.corruptions.series import SERIES, SeriesPerturbation, series_in_units
from deepwright.corruptions.static import diamond_square, differentiable_jpeg
from deepwright.corruptions.suite import ALL, IMAGENET_C, Compose, Suite, apply, get, names
from deepwright.corruptions.tables import TABLES, TablePerturbation
from deepwright.corruptions.text import TEXTS, TextPerturbation

if TYPE_CHECKING:
    from deepwright.corruptions.driving import CarlaSim, CarRacing, DonkeySim, Road, RoadSim, Scenario, UdacitySim

_DRIVING = ("CarRacing", "CarlaSim", "DonkeySim", "Road", "RoadSim", "Scenario", "UdacitySim")


def __getattr__(name: str) -> Any:
    """A name of `driving`, when it is asked for: simulators import what perturbed pictures don't need."""
    if name == "driving":
        return import_module(f"{__name__}.driving")
    if name not in _DRIVING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.driving"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "ALL",
    "IMAGENET_C",
    "SERIES",
    "TABLES",
    "TEXTS",
    "CarRacing",
    "CarlaSim",
    "Compose",
    "Context",
    "CorruptionReport",
    "DonkeySim",
    "Perturbation",
    "Road",
    "RoadSim",
    "Scenario",
    "SeriesPerturbation",
    "Suite",
    "TablePerturbation",
    "TextPerturbation",
    "UdacitySim",
    "apply",
    "diamond_square",
    "differentiable_jpeg",
    "get",
    "move_boxes",
    "move_labels",
    "names",
    "series_in_units",
]
