"""What is read from the trials: cells, ranks, cuts, thresholds, repairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepwright.core.statistics import Interval, wilson
from deepwright.studies._frame import Runs, gaps, mean
from deepwright.studies.driving.choosing import Repairs
from deepwright.studies.driving.foretelling import ERROR
from deepwright.studies.driving.pilots import CLEAN, HIGH, Cell
from deepwright.studies.driving.repairs import BEFORE, role

FAILING = 0.5  # failure rate from which on a cell counts as failing
Keep = Callable[[str], bool]


@dataclass(frozen=True)
class Found:
    """All trials.

    Attributes:
        campaigns: one a seed.
        moving: likewise.
        guided: likewise.
        searches: one a seed and way.
        repairs: by arm, one a seed in which something failed that can be trained on.
        photographs: one a seed; None without their file.
    """

    campaigns: Runs
    moving: Runs
    guided: Runs
    searches: Runs
    repairs: Repairs
    photographs: Runs | None


def cells_of(runs: Runs) -> list[Cell]:
    """Of a campaign or of photographs, the clean one first.

    Args:
        runs: one trial a seed.
    """
    return [tuple(row["cell"]) for row in runs[0]["rows"]]


def of_cell(trial: Mapping[str, Any], cell: Cell) -> Mapping[str, Any]:
    """A cell's row.

    Args:
        trial: with rows.
        cell: perturbation and severity.
    """
    return next(row for row in trial["rows"] if tuple(row["cell"]) == cell)


def over(runs: Runs, cell: Cell, key: str) -> list[float]:
    """One number of a cell, a seed each.

    Args:
        runs: one trial a seed.
        cell: perturbation and severity.
        key: of its row.
    """
    return [float(of_cell(trial, cell)[key]) for trial in runs]


def pooled(runs: Runs, cell: Cell, key: str = "failures") -> Interval:
    """A share of the roads of all seeds, with Wilson's interval.

    Args:
        runs: campaigns.
        cell: perturbation and severity.
        key: "failures" or "closer".
    """
    rows = [of_cell(trial, cell) for trial in runs]
    return wilson(round(sum(row[key] * row["n"] for row in rows)), sum(row["n"] for row in rows))


def rho(trial: Mapping[str, Any], predictor: str) -> float:
    """Rank correlation of a predictor with failure rates; 0 where all cells have the same rate.

    Args:
        trial: a campaign.
        predictor: its name.
    """
    found = trial["ranks"][predictor]["failures"]
    return 0.0 if found is None else float(found[0])


def foretold_right(campaigns: Runs, predictor: str) -> list[float]:
    """Seed by seed: how well one limit on a predictor, set on the other seeds' pilots, parts failing cells from others.

    Balanced accuracy: the mean of the share of failing cells that are above it and of the others that are below.

    Args:
        campaigns: one a seed; a single one is judged by its own limit.
        predictor: its name.
    """
    found = []
    for i, trial in enumerate(campaigns):
        others = [t for j, t in enumerate(campaigns) if j != i] or [trial]
        limit = _limit([pair for t in others for pair in _pairs(t, predictor)])
        found.append(_balanced(_pairs(trial, predictor), limit))
    return found


def _pairs(trial: Mapping[str, Any], predictor: str) -> list[tuple[float, bool]]:
    rows = [row for row in trial["rows"] if tuple(row["cell"]) != CLEAN]
    return [(float(row[predictor]), row["failures"] >= FAILING) for row in rows]


def _limit(pairs: Sequence[tuple[float, bool]]) -> float:
    """The middle of two neighbours that parts best."""
    values = sorted({value for value, _ in pairs})
    middles = [(a + b) / 2 for a, b in itertools.pairwise(values)] or values
    return max(middles, key=lambda limit: _balanced(pairs, limit))


def _balanced(pairs: Sequence[tuple[float, bool]], limit: float) -> float:
    parts = [[(value > limit) == fails for value, fails in pairs if fails is kind] for kind in (True, False)]
    return mean([mean(part) for part in parts if part])


def threshold(trial: Mapping[str, Any], name: str) -> int | None:
    """The smallest severity under which more than half of the roads fail; None where there is none.

    Args:
        trial: a campaign.
        name: of a perturbation.
    """
    rows = sorted((row for row in trial["rows"] if row["cell"][0] == name), key=lambda row: row["cell"][1])
    return next((int(row["cell"][1]) for row in rows if row["failures"] > FAILING), None)


def ratios_at_thresholds(trial: Mapping[str, Any]) -> dict[str, float]:
    """By perturbation that has a threshold, the error ratio there.

    Args:
        trial: a campaign.
    """
    names = dict.fromkeys(row["cell"][0] for row in trial["rows"] if tuple(row["cell"]) != CLEAN)
    at = {name: threshold(trial, name) for name in names}
    return {name: float(of_cell(trial, (name, s))[ERROR]) for name, s in at.items() if s is not None}


def spread_at_thresholds(trial: Mapping[str, Any]) -> float:
    """The largest of those ratios over the smallest; 1 where there are less than two.

    Args:
        trial: a campaign.
    """
    found = list(ratios_at_thresholds(trial).values())
    return max(found) / min(found) if found else 1.0


def moved(moving: Runs, measure: str, kinds: Sequence[str], still: str, moves: str) -> list[float]:
    """Seed by seed: held still less moving, mean over kinds.

    Args:
        moving: weather trials.
        measure: "max xte" or "failures".
        kinds: of weather.
        still: the name of one.
        moves: the name of the other.
    """
    return [mean([trial[kind][still][measure] - trial[kind][moves][measure] for kind in kinds]) for trial in moving]


def aimed(guided: Runs, name: str, measure: str, region: str, other: str) -> list[float]:
    """Seed by seed: perturbed in one region, less in another of the same size.

    Args:
        guided: guided trials.
        name: of the perturbation.
        measure: "drift", "max xte" or "failures".
        region: one.
        other: the other.
    """
    return [trial[name][region][measure] - trial[name][other][measure] for trial in guided]


def found_more(searches: Runs, measure: str, way: str, other: str) -> list[float]:
    """Seed by seed: what one way of searching finds, less another.

    Args:
        searches: one a seed and way.
        measure: "failures" or "distinct".
        way: one.
        other: the other.
    """
    by_way = searches.by("way")
    return gaps(by_way[way], by_way[other], measure)


def mended(repairs: Repairs, arm: str, keep: Keep) -> list[float]:
    """Seed by seed: how far the failure rate fell in the cells that failed on half of the roads or more before.

    Args:
        repairs: chosen.
        arm: the kind of further training.
        keep: which cells, by what they are to the pilot that is trained on what it failed under.

    Returns:
        without the seeds that have no such cell.
    """
    found = []
    for spec, before, after in zip(repairs.by_arm[BEFORE].specs, repairs.by_arm[BEFORE], repairs.by_arm[arm]):
        pairs = [
            row["failures"] - of_cell(after, tuple(row["cell"]))["failures"]
            for row in before["rows"]
            if row["failures"] >= FAILING and keep(role(tuple(row["cell"]), spec["worst"]))
        ]
        if pairs:
            found.append(mean(pairs))
    return found


def worst_step(trial: Mapping[str, Any], low: int, high: int = HIGH) -> float:
    """The smallest difference of a perturbation's failure rates at two severities.

    Args:
        trial: a campaign.
        low: one severity.
        high: the other.
    """
    names = dict.fromkeys(row["cell"][0] for row in trial["rows"] if tuple(row["cell"]) != CLEAN)
    return min(of_cell(trial, (n, high))["failures"] - of_cell(trial, (n, low))["failures"] for n in names)
