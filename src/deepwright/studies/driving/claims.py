"""What the paper, or we, say of pilots under perturbations; each claim can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, mean
from deepwright.studies.driving.campaigns import HELD_OUT, HIGH, LOW
from deepwright.studies.driving.foretelling import CHANGE, CLEAN, ERROR, SEVERITY, Cell

CELLS = "Driven and foretold"
RANKS = "What tells without driving"
REPAIR = "The repair"
PHOTOGRAPHS = "Errors on photographs"
_WORST = ("decrease_contrast", "fog_mapping", HELD_OUT)
_MOST = 0.5  # of the roads
_SURE = 0.5  # failure rate from which on a cell counts as failing


def of_cell(trial: Mapping[str, Any], cell: Cell) -> Mapping[str, Any]:
    """A cell's row.

    Args:
        trial: with rows.
        cell: perturbation and severity.
    """
    return next(row for row in trial["rows"] if tuple(row["cell"]) == cell)


def rho(trial: Mapping[str, Any], predictor: str) -> float:
    """Rank correlation of a predictor with failure rates; 0 where all cells have the same rate.

    Args:
        trial: of a pilot.
        predictor: its name.
    """
    found = trial["ranks"][predictor]["failures"]
    return 0.0 if found is None else float(found[0])


def claims_of(pilots: Runs, photographs: Runs | None) -> list[Claim]:
    """Every claim.

    Args:
        pilots: one trial a seed.
        photographs: likewise; None without their file.
    """
    return [*_driven(pilots), *_foretold(pilots), *_repaired(pilots), *_on_photographs(pilots, photographs)]


def _driven(pilots: Runs) -> list[Claim]:
    clean = [of_cell(t, CLEAN) for t in pilots]
    names = {row["cell"][0] for row in pilots[0]["rows"] if tuple(row["cell"]) != CLEAN}
    steps = [min(of_cell(t, (n, HIGH))["failures"] - of_cell(t, (n, LOW))["failures"] for n in names) for t in pilots]
    return [
        Claim.at_most(
            "no pilot fails on clean roads (failure rate, every seed)",
            [row["failures"] for row in clean],
            0.0,
            every=True,
        ).because("So little training leaves a road now and then.", CELLS),
        Claim.at_most("clean: mean of max |xte| at most 1 m", [row["max xte"] for row in clean], 1.0).because(
            "So little training leaves the middle in bends.", CELLS
        ),
        *(
            Claim.at_least(
                f"{name} at severity {HIGH} fails on more than half of the roads",
                [of_cell(t, (name, HIGH))["failures"] for t in pilots],
                _MOST,
            ).because("Pilots of some seeds read the road under it.", CELLS)
            for name in _WORST
            if name in names
        ),
        Claim.at_least(
            f"no perturbation fails less often at severity {HIGH} than at {LOW} (smallest difference, every seed)",
            steps,
            0.0,
            every=True,
        ).because(
            "A perturbation's levels aren't steps of one effect: one at which most fail may differ by a road.", CELLS
        ),
        Claim.at_least(
            "a pilot that always sees the mean picture fails on nearly all roads",
            [t["controls"]["blind"] for t in pilots],
            0.9,
        ).because("Some roads are nearly straight.", CELLS),
        Claim.at_least(
            "imitation without steering noise fails more often than with it (clean roads)",
            [t["controls"]["without steering noise"] - t["controls"]["with steering noise"] for t in pilots],
            0.0,
        ).because("On these roads the expert alone shows enough of the way back.", CELLS),
    ]


def _foretold(pilots: Runs) -> list[Claim]:
    def over(other: str) -> list[float]:
        return [rho(t, ERROR) - rho(t, other) for t in pilots]

    return [
        Claim.at_least(
            "errors without driving rank cells as failures do: Spearman's rho at least 0.5",
            [rho(t, ERROR) for t in pilots],
            0.5,
        ).because("Most cells fail never or always, which leaves few ranks to agree on.", RANKS),
        Claim.at_least("the error tells more than the severity's number: rho higher", over(SEVERITY), 0.0).because(
            "Within one perturbation both say the same.", RANKS
        ),
        Claim.at_least("the error tells more than how much pictures change: rho higher", over(CHANGE), 0.0).because(
            "What changes pictures most disturbs pilots most, too.", RANKS
        ),
        Claim.at_least(
            "one ratio parts cells that fail (half of the roads or more) from those that never do: smallest of the "
            "first minus largest of the others, every seed",
            [margin(t) for t in pilots],
            0.0,
            every=True,
        ).because("Large errors that cancel over the frames keep the lane, small ones to one side leave it.", CELLS),
    ]


def margin(trial: Mapping[str, Any]) -> float:
    """Smallest error ratio of a cell that fails on half of the roads, minus the largest of one that never does.

    Args:
        trial: of a pilot.
    """
    rows = [row for row in trial["rows"] if tuple(row["cell"]) != CLEAN]
    fails = [row[ERROR] for row in rows if row["failures"] >= _SURE]
    passes = [row[ERROR] for row in rows if row["failures"] == 0]
    return min(fails, default=0.0) - max(passes, default=0.0)


def mended(pilots: Runs, arm: str, keep: Callable[[Mapping[str, Any]], bool]) -> list[float]:
    """Seed by seed: how far the failure rate fell in cells that failed on half of the roads or more; 0 where none did.

    Args:
        pilots: one trial a seed.
        arm: "after" or "control".
        keep: which rows of the repair.
    """
    found = []
    for trial in pilots:
        rows = [r for r in trial["repair"]["rows"] if r["before"] >= _SURE and keep(r)] if trial["repair"] else []
        found.append(mean([r["before"] - r[arm] for r in rows]) if rows else 0.0)
    return found


def _repaired(pilots: Runs) -> list[Claim]:
    def trained(row: Mapping[str, Any]) -> bool:
        return row["role"] == "trained on"

    def others(row: Mapping[str, Any]) -> bool:
        return row["role"] == "held out"

    after, control = (mended(pilots, arm, trained) for arm in ("after", "control"))

    def rate(cell: Cell, arm: str) -> list[float]:
        tables = [t["repair"]["rows"] for t in pilots if t["repair"]]
        return [next(r[arm] for r in rows if tuple(r["cell"]) == cell) for rows in tables] or [float("nan")]

    still = "A shifted picture needs another steering angle, which no training on unshifted ones teaches."
    return [
        Claim.at_least(
            "the repair: failure rates of the cells that it was trained on, where half or more failed, fall by 0.5",
            after,
            0.5,
        ).because("One perturbation stays: its pictures hardly show the road.", REPAIR),
        Claim.at_least(
            "they fall by 0.3 more than under as much further training on unperturbed pictures",
            [a - b for a, b in zip(after, control)],
            0.3,
        ).because("Further training alone mends some of it.", REPAIR),
        Claim.at_least(
            "perturbations that failed and weren't trained on: their failure rates fall, too",
            mended(pilots, "after", others),
            0.0,
        ).because(still, REPAIR),
        Claim.at_most(
            "after the repair no pilot fails on clean roads (every seed)", rate(CLEAN, "after"), 0.0, every=True
        ).because("What is learned under perturbations costs clean roads.", REPAIR),
        Claim.at_least(
            f"{HELD_OUT}, which steering would have to follow, still fails on more than half of the roads",
            rate((HELD_OUT, HIGH), "after"),
            _MOST,
        ).because("The repair made pilots look elsewhere, too.", REPAIR),
    ]


def _on_photographs(pilots: Runs, photographs: Runs | None) -> list[Claim]:
    if photographs is None:
        return []
    return [
        Claim.at_most(
            "photographs: the error is at most 0.8 of a constant's",
            [of_cell(t, CLEAN)["error"] / t["constant"] for t in photographs],
            0.8,
        ).because("So few photographs don't teach so small a network more.", PHOTOGRAPHS),
        Claim.at_least(
            f"photographs and RoadSim rank perturbations at severity {HIGH} alike by their errors: rho at least 0.5",
            [_alike(a, b) for a, b in zip(pilots, photographs)],
            0.5,
        ).because(
            "On photographs a network goes by other things than border lines, and other perturbations hide these.",
            PHOTOGRAPHS,
        ),
    ]


def _alike(trial: Mapping[str, Any], photographs: Mapping[str, Any]) -> float:
    from scipy import stats

    names = [row["cell"] for row in photographs["rows"] if tuple(row["cell"]) != CLEAN]
    pairs = [(of_cell(trial, tuple(c))[ERROR], of_cell(photographs, tuple(c))[ERROR]) for c in names]
    return float(stats.spearmanr(*zip(*pairs)).statistic)
