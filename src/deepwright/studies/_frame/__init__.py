"""The frame of a study: a grid of trials is run, read by arm and seed, and what it says becomes one result.

A study that stands in it has left to write: its trials, its grid, its claims and its sentence.
"""

from deepwright.studies._frame.numbers import (
    banded,
    barred,
    columns,
    curve,
    gaps,
    geometric,
    geometric_mean,
    ratios,
    training_curve,
)
from deepwright.studies._frame.runs import Measure, Runs, cells, cross, inside, mean, over_trials, run_grid
from deepwright.studies._frame.selection import Selection, select
from deepwright.studies._frame.whole import study_result

__all__ = [
    "Measure",
    "Runs",
    "Selection",
    "banded",
    "barred",
    "cells",
    "columns",
    "cross",
    "curve",
    "gaps",
    "geometric",
    "geometric_mean",
    "inside",
    "mean",
    "over_trials",
    "ratios",
    "run_grid",
    "select",
    "study_result",
    "training_curve",
]
