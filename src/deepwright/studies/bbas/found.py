"""What the trials found, read by detector and set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deepwright.core.statistics import Interval
from deepwright.studies._frame import Runs, mean
from deepwright.studies.bbas.choosing import Choices
from deepwright.studies.bbas.detectors import GRIDS, OURS
from deepwright.studies.bbas.digits import PAIRS
from deepwright.studies.bbas.measures import DIGITS, by_digits


@dataclass
class Found:
    """All trials of a run.

    Attributes:
        pairs: one a pair of unknown digits.
        lengths: by epochs of training, networks of some of the pairs (of all, at the main length).
        main: the main length.
        boxes: of the synthetic data.
        photographs: one a draw of images; None without their files.
        chosen: each detector's setting.
    """

    pairs: Runs
    lengths: dict[int, Runs]
    main: int
    boxes: Runs
    photographs: Runs | None
    chosen: Choices

    @property
    def units(self) -> int:
        """Over how many independent ones an interval over the pairs is: digits, or the few pairs of a quick run."""
        return DIGITS if len(self.pairs) == len(PAIRS) else len(self.pairs)

    def at_length(self, epochs: int) -> Runs:
        """The networks of one length of training, of the pairs that every length has.

        Args:
            epochs: of training.
        """
        some = [spec["unknown"] for n, runs in self.lengths.items() if n != self.main for spec in runs.specs]
        runs = self.lengths[epochs]
        return runs.only([i for i, spec in enumerate(runs.specs) if spec["unknown"] in some])


def area(detector: str, name: str, of: str = "areas", measure: str = "auroc") -> Callable[[Any], float]:
    """Reads a measure of a detector on a set from a trial.

    Args:
        detector: in the settings' grids, or one of the ablations.
        name: of the set.
        of: "areas" or "ablations".
        measure: "auroc", "flagged" or "at_rate"; see `measures.areas`.
    """
    return lambda row: row[of][detector][0][measure][name]


def shared(runs: Runs) -> list[str]:
    """Detectors that could be fitted in every trial.

    Args:
        runs: of digits or photographs.
    """
    return [d for d in GRIDS if all(row["areas"][d][0] is not None for row in runs)]


def gaps_to(runs: Runs, detector: str, name: str, of: str = "areas", ours: str = OURS) -> list[float]:
    """AUROC of AggBBAS minus a detector's, trial by trial.

    Args:
        runs: of digits or photographs.
        detector: the other.
        name: of the set.
        of: "areas" or "ablations".
        ours: what stands on the left.
    """
    left, right = area(ours, name, of), area(detector, name, of)
    return [left(row) - right(row) for row in runs]


def over_pairs(runs: Runs, values: list[float]) -> Interval:
    """The mean over pairs of digits; see `measures.by_digits`.

    Args:
        runs: of digits.
        values: one a trial.
    """
    return by_digits([spec["unknown"] for spec in runs.specs], values)


def mean_area(runs: Runs, detector: str, name: str, of: str = "areas", measure: str = "auroc") -> float:
    """Mean over the trials.

    Args:
        runs: of digits or photographs.
        detector: whose.
        name: of the set.
        of: "areas" or "ablations".
        measure: which; see `area`.
    """
    return mean(runs.values(area(detector, name, of, measure)))
