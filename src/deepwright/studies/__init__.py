"""One file or folder per system: the experiment that holds the system against its baselines.

`STUDIES` maps a slug to a loader of its module, which has `run(settings) -> StudyResult`; `run_study` runs and times
one.
"""

from __future__ import annotations

from deepwright.studies._check import Agreement, agreement, committed_result
from deepwright.studies._evidence import evidence_faults, unsupported_numbers
from deepwright.studies._running import STUDIES, run_study
from deepwright.studies._settings import Settings, parse_seeds

__all__ = [
    "STUDIES",
    "Agreement",
    "Settings",
    "agreement",
    "committed_result",
    "evidence_faults",
    "parse_seeds",
    "run_study",
    "unsupported_numbers",
]
