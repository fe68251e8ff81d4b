"""One study, run and timed."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from types import ModuleType

from deepwright.core.errors import unknown_name
from deepwright.core.results import StudyResult
from deepwright.studies._settings import Settings
from deepwright.systems import SYSTEMS


def _module(name: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(f"deepwright.studies.{name}")


STUDIES: dict[str, Callable[[], ModuleType]] = {row.slug: _module(row.study) for row in SYSTEMS if row.study}


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
