"""What a temperature does to confidences: fitted on samples that the network never saw, and advised where it helps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.checks.decisions import decisions
from deepwright.checks.findings.finding import with_interval
from deepwright.checks.held_out import REMEDY, why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import NotIdentified
from deepwright.core.statistics import Interval, weighted_bootstrap
from deepwright.risk.calibration import fit_temperature, temperature_gain

_NONE = Interval(0.0, 0.0, 0.0)
_SMOOTH = "Mix a little of the classes' shares into its probabilities, so that none is 0, and measure anew."
_TRUTH = {"sample": "label", "label": "truth", "pixel": "class"}
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
            saved = f"A temperature saves {with_interval(self.saved)} nats a sample on validation data"
            return f"{saved}, but doesn't lower the ECE here."
        return (
            f"No temperature is shown to help: on validation data one saves {with_interval(self.saved)} nats a sample."
        )

    def words(self, values: Mapping[str, Any]) -> str:
        """What it changes, in a sentence.

        Args:
            values: as for `remedy`.
        """
        if self.temperature is None:
            return f"No temperature can be fitted: {self.why}."
        text = f"Temperature {self.temperature:.2f} (fitted on validation data) changes it to "
        return f"{text}{values['ece_after_temperature']:.3f}."


def advised(
    subject: Subject,
    found: tuple[Float[Tensor, "n classes"], Int64[Tensor, " n"]] | None,
    group: Int64[Tensor, " n"] | None = None,
    word: str = "sample",
) -> Scaled:
    """The temperature of a subject's held-out decisions; none where what came true had been given a probability of 0.

    Args:
        subject: of any task with confidences.
        found: logits and labels of the validation part; None where there are none.
        group: (N,) decisions of one sample, whose gains count as one.
        word: for a decision.
    """
    why = "" if found is None else ruled_out(subject, *found, word=word, part="validation")
    if why:
        return Scaled(None, _NONE, f"{why}, which no temperature changes", _SMOOTH)
    return scaled(found, why_none(subject), subject.seed, group)


def advised_of_decisions(subject: Subject) -> Scaled:
    """`advised` for tasks that decide many things a sample.

    Args:
        subject: of a multi-label task or a segmentation.
    """
    held = None if why_none(subject) else decisions(subject, "validation")
    if held is None:
        return advised(subject, None)
    return advised(subject, (held.logits, held.labels), held.sample, held.word)


def ruled_out(
    subject: Subject,
    logits: Float[Tensor, "n classes"],
    labels: Int64[Tensor, " n"],
    word: str = "sample",
    part: str = "test",
) -> str:
    """How often what is true got a probability of 0, in words; empty where it never did.

    Such a probability is kept as the smallest number that there is, whose logarithm says nothing.

    Args:
        subject: of any task.
        logits: (N, K).
        labels: (N,) true classes.
        word: for a decision.
        part: of the data.
    """
    if getattr(subject.task, "outputs", "") != "probabilities":
        return ""
    own = logits.double().log_softmax(1).gather(1, labels[:, None])
    count = int((own < math.log(torch.finfo(subject.outputs(part).dtype).tiny) + 0.01).sum())
    return f"the {_TRUTH[word]} of {count:,} of {len(labels):,} {part} {word}s got a probability of 0" * (count > 0)


def endless(values: dict[str, Any], why: str) -> str:
    """The negative log likelihood set to infinity where something ruled out came true, and that in a sentence.

    Args:
        values: of the finding; changed.
        why: see `ruled_out`.
    """
    if not why:
        return ""
    values["nll"] = math.inf
    return f"{why.capitalize()}, so that the negative log likelihood is infinite. "


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
