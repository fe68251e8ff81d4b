"""One study, run and timed."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from types import ModuleType

from deepwright.core.errors import unknown_name
from deepwright.core.results import StudyResult
from deepwright.studies._settings import Settings


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
    "perturbation-drive": _module("driving"),
}


def run_study(name: str, settings: Settings) -> StudyResult:
    """Run a study; its seconds are what its trials took when they ran and what else was done now.

    Args:
        name: a study's slug.
        settings: its size, seeds, store and workers.

    Raises:
        InputError: a study that isn't known.
    """
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    begin = time.perf_counter()
    result: StudyResult = STUDIES[name]().run(settings)
    result.seconds = max(0.0, result.seconds + time.perf_counter() - begin)
    return result
