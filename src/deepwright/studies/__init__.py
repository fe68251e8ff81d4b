"""One file per system: the experiment that holds the system against its baselines.

`STUDIES` maps a name to a loader of its module, which has `run(settings) -> StudyResult`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Settings:
    """How to run a study.

    Attributes:
        quick: fewer seeds and samples, to see that it runs.
        data_root: of the real data sets.
        jobs, backend, store: see `core.trials.run`.
    """

    quick: bool = False
    data_root: Path | None = None
    jobs: int = 1
    backend: str = "local"
    store: Path | None = None


def _module(name: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(f"deepwright.studies.{name}")


STUDIES: dict[str, Callable[[], ModuleType]] = {
    "fragility-index": _module("fragility_index"),
    "bbas": _module("bbas"),
    "model-surgery": _module("model_surgery"),
    "evolutionary-pruning": _module("evolutionary_pruning"),
    "prunefuse": _module("prunefuse"),
    "early-exit": _module("early_exit"),
    "sciml-core": _module("sciml_core"),
    "spline-grid-pinn": _module("spline_grid"),
    "two-phase-pinn": _module("two_phase"),
    "kinetic-jko": _module("kinetic_jko"),
    "unifluids": _module("unifluids"),
}
