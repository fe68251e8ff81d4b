"""What the world does to images: 49 perturbations of pictures and nine of films, at five severities and between them.

All are batched, seeded per sample, and run on any device.

Example:
    >>> import torch
    >>> from deepwright.corruptions import apply
    >>> apply(torch.rand(2, 3, 64, 64), "fog_mapping", severity=3).shape
    torch.Size([2, 3, 64, 64])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepwright.corruptions.domains import CycleGAN, as_perturbation, colour_transfer, fourier_swap
from deepwright.corruptions.dynamic import FRAME_FAULTS, FaultyCamera, FrameFault, film
from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.guided import ActivationEnergy, GradCAM, Guided, InputGradient, region_of, unit_range
from deepwright.corruptions.mixing import Consistent, CorruptionMix, split_families
from deepwright.corruptions.moving import move_boxes, move_labels
from deepwright.corruptions.overlays import overlay
from deepwright.corruptions.results import CorruptionReport
from deepwright.corruptions.series import SERIES, SeriesPerturbation, series_in_units
from deepwright.corruptions.static import diamond_square, differentiable_jpeg
from deepwright.corruptions.suite import ALL, DYNAMIC, IMAGENET_C, Compose, Suite, apply, get, names
from deepwright.corruptions.tables import TABLES, TablePerturbation
from deepwright.corruptions.text import TEXTS, TextPerturbation
from deepwright.corruptions.thresholds import FailureThreshold, failing_severity, failure_threshold, severity_for_change

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
    "DYNAMIC",
    "FRAME_FAULTS",
    "IMAGENET_C",
    "SERIES",
    "TABLES",
    "TEXTS",
    "ActivationEnergy",
    "CarRacing",
    "CarlaSim",
    "Compose",
    "Consistent",
    "Context",
    "CorruptionMix",
    "CorruptionReport",
    "CycleGAN",
    "DonkeySim",
    "FailureThreshold",
    "FaultyCamera",
    "FrameFault",
    "GradCAM",
    "Guided",
    "InputGradient",
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
    "as_perturbation",
    "colour_transfer",
    "diamond_square",
    "differentiable_jpeg",
    "failing_severity",
    "failure_threshold",
    "film",
    "fourier_swap",
    "get",
    "move_boxes",
    "move_labels",
    "names",
    "overlay",
    "region_of",
    "series_in_units",
    "severity_for_change",
    "split_families",
    "unit_range",
]
