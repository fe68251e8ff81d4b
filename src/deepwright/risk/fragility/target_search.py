"""The search for the target of a `FragilityLoss` on validation data."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core import trials
from deepwright.core.errors import InputError, NotIdentified
from deepwright.core.requirements import require_whole
from deepwright.core.tasks.targets import Labels, Rows, as_tensor, whole_labels
from deepwright.risk.calibration import fit_temperature
from deepwright.risk.fragility.index import fragility_index

Train = Callable[[float | None], nn.Module]
Evaluate = Callable[[nn.Module], tuple[Rows, Labels]]


@dataclass(frozen=True)
class TargetTrial:
    """One target of the search.

    Attributes:
        target: tau; infinite for plain training.
        accuracy: on the validation data.
        nfi: temperature-matched normalised FI there; 0 where every validation sample is right (at any temperature),
            infinite where the network is no better than its target or has no temperature.
        state: the trained network's state dict.
    """

    target: float
    accuracy: float
    nfi: float
    state: dict[str, Any]


class FragilityTargetSearch:
    """Choose the target of a `FragilityLoss` on validation data.

    Trains at each tau of the grid {0.3, 0.4, 0.5, 0.6, 0.65} * log K / log 2 and takes the lowest temperature-matched
    normalised FI among those whose accuracy is within `max_accuracy_drop` of the plain training's.

    Args:
        train: target (None: plain cross-entropy) -> trained network.
        evaluate: network -> validation logits and labels.
        folder: where each finished trial is kept, under a key computed from the target and from both functions with
            all that they use (see `core.trials.run`): an interrupted search resumes there, and takes no other's trial.
        max_accuracy_drop: in shares of 1.
    """

    GRID = (0.3, 0.4, 0.5, 0.6, 0.65)

    def __init__(
        self, train: Train, evaluate: Evaluate, *, folder: Path | str | None = None, max_accuracy_drop: float = 0.01
    ) -> None:
        if not 0 <= max_accuracy_drop <= 1:
            raise InputError("max_accuracy_drop", given=max_accuracy_drop, expected="in [0, 1]")
        self.train, self.evaluate = train, evaluate
        self.folder = None if folder is None else Path(folder)
        self.max_accuracy_drop = max_accuracy_drop

    def run(self, classes: int, grid: Sequence[float] | None = None) -> TargetTrial:
        """The best trial; `trials` and `plain` hold the others.

        Args:
            classes: number of classes K.
            grid: targets in units of log K / log 2; the house's when None.

        Raises:
            InputError: fewer than two classes, targets that aren't above 0; with a folder, functions that can't be
                identified.
        """
        require_whole(2, classes=classes)
        grid = self.GRID if grid is None else grid
        if not grid or not all(math.isfinite(tau) and tau > 0 for tau in grid):
            raise InputError("grid", given=list(grid), expected="targets above 0, one or more")
        scale = math.log(classes) / math.log(2)
        targets = [None, *(tau * scale for tau in grid)]
        plain, *others = trials.run(
            functools.partial(_trial, train=self.train, evaluate=self.evaluate),
            [{"target": target} for target in targets],
            store=self.folder,
            threads=torch.get_num_threads(),
            description="targets",
        )
        self.plain, self.trials = TargetTrial(**plain), [TargetTrial(**t) for t in others]
        allowed = [t for t in self.trials if t.accuracy >= self.plain.accuracy - self.max_accuracy_drop]
        return min([*allowed, self.plain], key=lambda t: t.nfi)


def _trial(target: float | None, train: Train, evaluate: Evaluate) -> dict[str, Any]:
    """Train at one target, and measure."""
    model = train(target)
    logits, labels = evaluate(model)
    logits = as_tensor(logits, "logits")
    labels = whole_labels(labels, "labels").to(logits.device)
    return {
        "target": math.inf if target is None else target,
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
        "nfi": _matched_nfi(logits, labels),
        "state": dict(model.state_dict()),
    }


def _matched_nfi(logits: Tensor, labels: Tensor) -> float:
    """Normalised FI at the temperature fitted on the same data."""
    try:
        temperature = fit_temperature(logits, labels)
    except NotIdentified:
        return 0.0 if bool((logits.argmax(1) == labels).all()) else math.inf
    return float(fragility_index(logits / temperature, labels, normalize=True))
