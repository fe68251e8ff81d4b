"""A monitor beside a network: several scores of one pass, fused at one rate of false alarms, and where it alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.adversarial.semantic.detector import InputDetector, Inputs, conformal, scaled
from deepwright.adversarial.semantic.features import require_statistics
from deepwright.adversarial.semantic.gaussians import DenseFeatures, ImageFeatures, upsampled
from deepwright.adversarial.semantic.rivals import logistic
from deepwright.adversarial.semantic.squeezing import FeatureSqueezing
from deepwright.adversarial.semantic.uncertainty import Uncertainty
from deepwright.adversarial.semantic.watching import Seen
from deepwright.core.devices import back_to
from deepwright.core.errors import InputError, NotCalibratedError
from deepwright.core.requirements import require_within
from deepwright.core.statistics import Interval, conformal_alarm_rate

SCORES = ("image", "dense", "top", "entropy", "variation", "margin", "squeezing")
"""What can be fused: whole images, all positions, the 5 % of positions that are farthest, the three uncertainties, and
squeezing, which needs two passes more."""
_TOP = 0.05
_POSITIONS = 500  # of each clean frame that the heat map's threshold is found on


class DenseFeatureDetector(InputDetector):
    """The house's monitor: `ImageFeatures` and mean entropy by default, from one pass, nothing of the network changed.

    m scores need ceil(m / (1 - tpr)) - 1 clean frames to be calibrated on: with six at 5 % these are 119, and with
    fewer the monitor could never alarm, which is refused. `score` is -log p of the fused scores, so it must be
    calibrated first; `part_scores` needs a fit alone.

    Args:
        scores: which are fused, some of `SCORES`.
        stats: of "image"; see `ImageFeatures`.
        fuse: "min" takes the smallest p-value times m, under any dependence. "fisher" sums -log p, and "logistic"
            weighs scores as attacked examples say (`examples`); both are calibrated once more, on the second half of
            the clean frames, since scores depend on each other.

    Source of the problem: Z. Sharawy, M.-M. Nakshbandi, S. M. Grigorescu, "Detection of Adversarial Attacks in Robotic
    Perception", arXiv 2603.28594, of which only the abstract could be read: the equations are the house's own.
    """

    fused_: Tensor
    fused_threshold_: Tensor
    weights_: Tensor
    heat_: Tensor

    def __init__(
        self,
        scores: Sequence[str] = ("image", "entropy"),
        stats: Sequence[str] = ("mean", "std"),
        fuse: str = "min",
    ) -> None:
        super().__init__()
        chosen = (scores,) if isinstance(scores, str) else tuple(scores)
        if not chosen or set(chosen) - set(SCORES) or len(set(chosen)) < len(chosen):
            raise InputError("scores", given=repr(scores), expected=f"some of {', '.join(SCORES)}, each once")
        if fuse not in ("min", "fisher", "logistic"):
            raise InputError("fuse", given=repr(fuse), expected="'min', 'fisher' or 'logistic'")
        self.scores, self.stats, self.fuse = chosen, require_statistics(stats), fuse
        self.detectors = nn.ModuleDict({name: self._made(name) for name in chosen})
        self._examples: Tensor | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The scores."""
        return self.scores

    def bind(self, model: nn.Module, layers: Any = "auto", task: Any = None) -> Self:
        """See `InputDetector.bind`.

        Args:
            model: the network.
            layers: see `Watch`.
            task: see `Watch`.
        """
        super().bind(model, layers, task)
        for each in self._each():
            each.stand_beside(self)
        return self

    def examples(self, x: Inputs) -> Self:
        """Attacked inputs, of which fuse="logistic" learns weights; after `fit`, before `calibrate`.

        Args:
            x: inputs (N, ...), or batches of them.
        """
        if self.fuse != "logistic":
            raise InputError("examples", given=f"fuse={self.fuse!r}", expected="fuse='logistic'")
        self._examples = self.part_scores(x)
        return self

    def pvalues(self, x: Inputs) -> Float[Tensor, " n"]:
        """See `InputDetector.pvalues`; of fused scores, their own.

        Args:
            x: inputs (N, ...), or batches of them.
        """
        self._require_calibrated()
        return self._p(self.part_scores(x))

    def alarms(self, parts: Float[Tensor, "n m"]) -> Bool[Tensor, " n"]:
        """See `InputDetector.alarms`.

        Args:
            parts: as `part_scores` or `graph_parts` gives them.
        """
        if self.fuse == "min":
            return super().alarms(parts)
        return ~(self._fused(parts.detach()) <= self.fused_threshold_.to(parts.device))

    def nearness(self, parts: Float[Tensor, "n m"]) -> Float[Tensor, " n"]:
        """See `InputDetector.nearness`; of fused scores, their own. Ranks have no slope: there it is the scores' sum's.

        Args:
            parts: as `part_scores` or `graph_parts` gives them.
        """
        if self.fuse == "min":
            return super().nearness(parts)
        fused = self._fused(parts if self.fuse == "logistic" else parts.detach())
        middle, threshold = self.fused_[len(self.fused_) // 2].to(fused), self.fused_threshold_.to(fused)
        near = (fused - middle) / (threshold - middle).clamp_min(1e-12)
        if self.fuse == "logistic":
            return near
        slope = self._scaled(parts).sum(1)
        return near + (slope - slope.detach())

    @property
    def false_alarms(self) -> Interval:
        """See `InputDetector.false_alarms`."""
        if self.fuse == "min":
            return super().false_alarms
        self._require_calibrated()
        return conformal_alarm_rate(len(self.fused_), float(self.alpha_))

    def heatmap(self, x: Float[Tensor, "n c *size"]) -> Float[Tensor, "n ..."]:
        """How far each position's features are from those of its class, at the size of the images.

        Args:
            x: images.

        Raises:
            InputError: neither "dense" nor "top" is among the scores.
        """
        self._require_ready()
        dense = self._dense()
        found = []
        for seen, batch in self._passes(x, alike=True):
            found.append(back_to(upsampled(dense.field(seen), batch.shape[2:]), batch))
        return torch.cat(found)

    def attacked_positions(self, x: Float[Tensor, "n c *size"]) -> Bool[Tensor, "n ..."]:
        """Where the heat map is above what 1 - tpr of the positions of clean frames exceed: a rate of positions, which
        says nothing about whole frames.

        Args:
            x: images.
        """
        self._require_calibrated()
        return self.heatmap(x) > self.heat_.to(x.device)

    def calibrate(self, id_scores: Any, tpr: float = 0.95) -> Self:
        """See `InputDetector.calibrate`; the heat map's threshold is set with it.

        Args:
            id_scores: clean inputs that were not fitted on.
            tpr: the share of them that must not alarm.
        """
        require_within(0.0, 1.0, ends="()", tpr=tpr)
        batches = id_scores if isinstance(id_scores, Tensor) else list(id_scores)
        super().calibrate(batches, tpr)
        if "dense" in self.scores or "top" in self.scores:
            fields = [self._dense().field(seen).flatten(1) for seen, _ in self._passes(batches)]
            some = torch.cat([f[:, :: max(1, f.shape[1] // _POSITIONS)].flatten() for f in fields])
            self.remember(heat_=some.sort().values[min(len(some) - 1, int(tpr * len(some)))])
        return self

    def _made(self, name: str) -> InputDetector:
        if name == "image":
            return ImageFeatures(self.stats)
        if name in ("dense", "top"):
            return DenseFeatures(1.0 if name == "dense" else _TOP)
        return FeatureSqueezing() if name == "squeezing" else Uncertainty(name)

    def _each(self) -> list[InputDetector]:
        return [each for each in self.detectors.values() if isinstance(each, InputDetector)]

    def _dense(self) -> DenseFeatures:
        for each in self._each():
            if isinstance(each, DenseFeatures):
                return each
        raise InputError("heat map", given=f"scores {self.scores}", expected="'dense' or 'top' among them")

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        for each in self._each():
            each.begin_fit()

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        for each in self._each():
            each.learn(seen)

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        for each in self._each():
            each.end_fit()

    def _parts(self, seen: Seen) -> Float[Tensor, "n m"]:
        return torch.cat([each.graph_parts(seen) for each in self._each()], 1)

    def _single(self, parts: Tensor) -> Tensor:
        if len(self.scores) == 1:
            return parts[:, 0]
        if not self._has("thresholds_"):
            raise NotCalibratedError(f"{self.name}, whose score fuses {len(self.scores)},")
        return -self._p(parts).log()

    def _p(self, parts: Tensor) -> Tensor:
        if self.fuse == "min":
            return conformal(self.calibration_, parts)
        return conformal(self.fused_[:, None], self._fused(parts)[:, None])

    def _learn_thresholds(self, parts: Float[Tensor, "n m"], alpha: float) -> None:
        if self.fuse == "min":
            super()._learn_thresholds(parts, alpha)
            return
        half = len(parts) // 2
        super()._learn_thresholds(parts[:half], alpha)
        if self.fuse == "logistic":
            if self._examples is None:
                hint = "detector.examples(attacked).calibrate(clean)"
                raise InputError("fuse='logistic'", given="no attacked examples", expected="some", hint=hint)
            examples = self._examples.to(parts.device)
            rows = torch.cat([self._scaled(parts[:half]), self._scaled(examples)])
            truth = torch.arange(len(rows), device=rows.device) >= half
            self.remember(weights_=logistic(rows, truth))
        fused = self._fused(parts[half:])
        allowed = int(alpha * (len(fused) + 1) + 1e-9) - 1
        ordered = fused.sort().values
        self.remember(fused_=ordered, fused_threshold_=ordered[len(fused) - 1 - allowed])

    def _scaled(self, parts: Tensor) -> Tensor:
        """Scores between the clean median (0) and their threshold (1)."""
        return scaled(parts, self.calibration_, self.thresholds_).nan_to_num(0.0, 1e3, -1e3)

    def _fused(self, parts: Tensor) -> Float[Tensor, " n"]:
        """One number of several; infinite where one of them is infinite or no number."""
        odd = parts.isnan().any(1) | parts.isposinf().any(1)
        if self.fuse == "logistic":
            w = self.weights_.to(parts.device)
            return (self._scaled(parts) @ w[:-1] + w[-1]).masked_fill(odd, torch.inf)
        n = len(self.calibration_)
        at_least = n - torch.searchsorted(
            self.calibration_.to(parts.device).T.contiguous(), parts.double().T.contiguous(), right=False
        )
        return (-((1 + at_least).double() / (n + 1)).log().sum(0)).masked_fill(odd, torch.inf)
