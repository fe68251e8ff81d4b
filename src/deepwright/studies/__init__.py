"""One file or folder per system: the experiment that holds the system against its baselines.

`STUDIES` maps a slug to a loader of its module, which has `run(settings) -> StudyResult`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

from deepwright.studies._settings import Settings, parse_seeds

__all__ = ["STUDIES", "Settings", "parse_seeds"]


def _module(name: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(f"deepwright.studies.{name}")


STUDIES: dict[str, Callable[[], ModuleType]] = {
    "fragility-index": _module("fragility"),
    "bbas": _module("bbas"),
    "model-surgery": _module("surgery"),
    "evolutionary-pruning": _module("search"),
    "prunefuse": _module("prunefuse"),
    "early-exit": _module("exits"),
    "sciml-core": _module("solve"),
    "spline-grid-pinn": _module("linear_grids"),
    "two-phase-pinn": _module("two_phase"),
    "kinetic-jko": _module("kinetic"),
    "unifluids": _module("unifluids"),
}
