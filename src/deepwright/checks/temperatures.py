"""What a temperature does to confidences: fitted on samples that the network never saw, and advised where it helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.checks.held_out import REMEDY
from deepwright.core.errors import NotIdentified
from deepwright.core.statistics import Interval, weighted_bootstrap
from deepwright.risk.calibration import fit_temperature, temperature_gain

_NONE = Interval(0.0, 0.0, 0.0)
_MOST = 50_000  # decisions that a temperature is fitted on: one number needs no more


@dataclass(frozen=True)
class Scaled:
    """What a temperature does.

    Attributes:
        temperature: fitted on validation data; None where they have none.
        saved: nats of NLL that it saves a decision there, out of the fit.
        why: there is none.
        instead: what to do where there is none.
    """

    temperature: float | None
    saved: Interval
    why: str = ""
    instead: str = REMEDY

    def remedy(self, before: float, values: Mapping[str, Any], grade: str, division: str) -> str:
        """What to do, with what it changes.

        Args:
            before: the plain ECE.
            values: of the finding, with `ece_after_temperature`.
            grade: of the finding.
            division: how the temperature is applied, a sentence without its end; `{}` is the number.
        """
        if self.temperature is None:
            return f"No temperature is advised. {self.instead}"
        if self.saved.low > 0 and values["ece_after_temperature"] < before:
            return (
                f"{division.format(f'{self.temperature:.3g}')}: it changes the ECE here from {before:.3f} to "
                f"{values['ece_after_temperature']:.3f}, and no prediction."
            )
        if grade == "A":
            return "Nothing to do for calibration."
        if self.saved.low > 0:
            return f"A temperature saves {self.saved} nats a sample on validation data, but doesn't lower the ECE here."
        return f"No temperature is shown to help: on validation data one saves {self.saved} nats a sample."

    def words(self, values: Mapping[str, Any]) -> str:
        """What it changes, in a sentence.

        Args:
            values: as for `remedy`.
        """
        if self.temperature is None:
            return f"No temperature can be fitted: {self.why}."
        text = f"Temperature {self.temperature:.2f} (fitted on validation data) changes it to "
        return f"{text}{values['ece_after_temperature']:.3f}."


def scaled(
    found: tuple[Float[Tensor, "n classes"], Int64[Tensor, " n"]] | None,
    why: str,
    seed: int,
    group: Int64[Tensor, " n"] | None = None,
) -> Scaled:
    """The temperature of held-out decisions, and what it saves on those that it wasn't fitted on.

    Args:
        found: logits and labels; None where there are none.
        why: there are none.
        seed: of the folds.
        group: (N,) decisions of one sample, whose gains count as one.
    """
    if found is None:
        return Scaled(None, _NONE, why)
    logits, y = found
    if len(y) > _MOST:
        rows = torch.linspace(0, len(y) - 1, _MOST, device=y.device).long()
        logits, y, group = logits[rows], y[rows], None if group is None else group[rows]
    if len(y) == 0:
        return Scaled(None, _NONE, "the validation samples hold no decision")
    try:
        temperature = fit_temperature(logits, y)
    except NotIdentified as error:
        return Scaled(None, _NONE, str(error.given))
    gain = temperature_gain(logits, y, folds=min(5, len(y)), seed=seed) if len(y) > 1 else logits.new_zeros(1)
    if group is not None:
        place = group.unique(return_inverse=True)[1].to(gain.device)
        count = torch.bincount(place).to(gain)
        gain = gain.new_zeros(len(count)).index_add_(0, place, gain) / count
    return Scaled(temperature, mean_of(gain, seed))


def mean_of(values: Tensor, seed: int) -> Interval:
    """The mean of one value a sample, with its interval.

    Args:
        values: (N,).
        seed: of the resamples.
    """
    rows = values.double()
    if len(rows) > 1 and bool((rows == rows[0]).all()):
        return Interval(float(rows[0]), float(rows[0]), float(rows[0]))
    found = weighted_bootstrap(
        len(rows), lambda w: {"mean": (w @ rows) / w.sum(1)}, resamples=500, seed=seed, device=rows.device
    )
    return found["mean"]
