"""What can be known of a perturbation without driving, and how it ranks cells beside what driving found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deepwright.corruptions import get
from deepwright.corruptions.driving import Agent, Demonstrations, Outcome, agreement, by_cell
from deepwright.corruptions.driving.collecting import steering_of
from deepwright.studies.driving.pilots import CLEAN, Cell

ERROR, DRIFT, BIAS, SLOPE = "error ratio", "drift", "bias", "slope lost"
CHANGE, SEVERITY = "picture change", "severity"
PREDICTORS = (ERROR, DRIFT, BIAS, SLOPE, CHANGE, SEVERITY)


def foretold(agent: Agent, data: Demonstrations, cells: Sequence[Cell], seed: int) -> list[dict[str, Any]]:
    """One row a cell, the clean one first: errors in radians, and all predictors.

    Args:
        agent: a network or a function.
        data: recorded pictures with an expert's steering.
        cells: perturbations and severities.
        seed: of the perturbations.
    """
    truth = data.actions[:, 0].double()
    clean = steering_of(agent, data.pictures).double()
    rows = []
    for cell in (CLEAN, *cells):
        pictures = data.pictures
        if cell != CLEAN:
            ids = torch.arange(len(pictures))
            parts = zip(pictures.split(256), ids.split(256))
            pictures = torch.cat([get(cell[0])(part, cell[1], seed, ids=own) for part, own in parts])
        steering = clean if cell == CLEAN else steering_of(agent, pictures).double()
        error = float((steering - truth).abs().mean())
        rows.append(
            {
                "cell": cell,
                "error": error,
                ERROR: error / float((clean - truth).abs().mean()),
                DRIFT: float((steering - clean).abs().mean()),
                BIAS: abs(float((steering - clean).mean())),
                SLOPE: 1 - _slope(steering, truth) / _slope(clean, truth),
                CHANGE: float((pictures - data.pictures).abs().mean()),
                SEVERITY: float(cell[1]),
            }
        )
    return rows


def _slope(steering: Tensor, truth: Tensor) -> float:
    """Of the least-squares line through an agent's steering over the expert's."""
    away = truth - truth.mean()
    return float((away * (steering - steering.mean())).sum() / away.square().sum())


def ranked(rows: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """By predictor: rank correlation with failure rates and with distances, and the first's interval over roads.

    Args:
        rows: of `foretold`.
        outcomes: of the same cells, each on the same roads.
    """
    from scipy import stats

    distances = {c.cell: c.mean_max_xte for c in by_cell(outcomes)}
    cells = [row["cell"] for row in rows if row["cell"] != CLEAN]
    found: dict[str, dict[str, Any]] = {}
    for name in PREDICTORS:
        values = {tuple(row["cell"]): row[name] for row in rows}
        told = agreement(values, outcomes)
        far = float(stats.spearmanr([values[c] for c in cells], [distances[c] for c in cells]).statistic)
        rho = None if told.rho is None else (told.rho.value, told.rho.low, told.rho.high)
        found[name] = {"failures": rho, "distances": far, "discordant": told.discordant if name == ERROR else []}
    return found
