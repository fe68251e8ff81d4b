"""How well a detector tells attacked inputs from clean ones, with intervals, and how often it cries wolf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.adversarial.semantic.detector import InputDetector, Inputs
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, most_conformal_alarms, newcombe, wilson
from deepwright.ood.metrics import auroc, detection_error


@dataclass(frozen=True)
class DetectionRow:
    """Of one kind of attack.

    Attributes:
        auroc: P(attacked score > clean score), with Newcombe's interval.
        alarmed: share of attacked inputs that alarm.
        best_accuracy: right decisions at the best threshold, which nobody knows beforehand.
        accuracy: right decisions at the calibrated one, attacked and clean counting alike.
    """

    auroc: Interval
    alarmed: Interval
    best_accuracy: float
    accuracy: float


@dataclass(frozen=True)
class DetectionReport:
    """What a detector says of clean and attacked inputs.

    Attributes:
        name: of the detector.
        rate: of false alarms that it was calibrated for.
        false_alarms: the share of clean inputs that alarmed.
        most: of so many clean inputs, more alarms than this come in one of a hundred calibrations.
        n: clean inputs.
        rows: by attack.
    """

    name: str
    rate: float
    false_alarms: Interval
    most: int
    n: int
    rows: dict[str, DetectionRow]

    @property
    def as_promised(self) -> bool:
        """Whether false alarms are as few as the calibration allows for."""
        return round(self.false_alarms.value * self.n) <= self.most

    def table(self) -> Table:
        """One row an attack."""
        columns = ["inputs", "AUROC", "low", "high", "alarm", "low ", "high ", "right at the best threshold", "right"]
        clean = self.false_alarms
        rows: list[list[Any]] = [["clean", 0.5, None, None, clean.value, clean.low, clean.high, None, None]]
        for name, r in self.rows.items():
            area = [r.auroc.value, r.auroc.low, r.auroc.high]
            shares = [r.alarmed.value, r.alarmed.low, r.alarmed.high, r.best_accuracy, r.accuracy]
            rows.append([name, *area, *shares])
        caption = (
            f"{self.name}, calibrated for {self.rate:.3g} false alarms; of {self.n} clean inputs at most {self.most} "
            "may alarm by chance (99 %)"
        )
        return Table(columns, rows, caption)


def measure_detection(detector: InputDetector, clean: Inputs, attacked: Mapping[str, Inputs]) -> DetectionReport:
    """Score clean inputs and attacked ones, which the detector was neither fitted nor calibrated on.

    Args:
        detector: bound, fitted and calibrated.
        clean: inputs (N, ...), or batches of them.
        attacked: by the attack's name, the same.

    Raises:
        NotCalibratedError: it isn't calibrated.
    """
    found = {name: (detector.score(x), detector.predict(x)) for name, x in (("", clean), *attacked.items())}
    inside, alarms = found.pop("")
    return report_of(detector, inside, alarms, found)


def report_of(
    detector: InputDetector,
    inside: Float[Tensor, " n"],
    alarms: Bool[Tensor, " n"],
    attacked: Mapping[str, tuple[Tensor, Tensor]],
) -> DetectionReport:
    """The report of scores and alarms that were computed before.

    Args:
        detector: calibrated.
        inside: scores of clean inputs.
        alarms: which of them alarmed.
        attacked: by name, scores of attacked inputs and which alarmed.
    """
    n = len(inside)
    alpha = float(detector.alpha_)
    silent = 1 - float(alarms.double().mean())
    rows = {}
    for name, (scores, loud) in attacked.items():
        caught = wilson(int(loud.sum()), len(loud))
        rows[name] = DetectionRow(
            newcombe(auroc(inside, scores), len(scores), n),
            caught,
            1 - detection_error(inside, scores),
            (caught.value + silent) / 2,
        )
    most = most_conformal_alarms(len(detector.calibration_), n, alpha)
    return DetectionReport(detector.name, alpha, wilson(int(alarms.sum()), n), most, n, rows)
