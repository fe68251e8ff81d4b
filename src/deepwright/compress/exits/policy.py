"""When to stop early: thresholds with a guarantee, chosen on data that nobody trained on.

P(a harmful exit | a relevant sample) is bounded by Clopper and Pearson; thresholds are tried from the safest on, and
the last one that passes before the first failure is taken (fixed-sequence testing), so that the error over all that
were tried stays at most delta. Several exits share delta.

Source: "BlankSkip: Early-exit Object Detection onboard Nano-drones", arXiv 2603.28149; the threshold rule is ours.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from deepwright.compress.exits.inputs import read_flags, require_scores
from deepwright.core.errors import InputError
from deepwright.core.files import reading, write_json
from deepwright.core.requirements import require_whole, require_within


class CalibrationError(InputError):
    """The calibration data can't support what was asked."""


def upper_bound(events: int, n: int, delta: float) -> float:
    """Clopper-Pearson's upper bound of a share with confidence 1 - delta; 1 when all are events.

    Args:
        events: counted.
        n: samples.
        delta: the probability that the bound fails.
    """
    return 1.0 if events >= n else float(stats.beta.ppf(1 - delta, events + 1, n - events))


def samples_needed(alpha: float, delta: float, cuts: int = 1) -> int:
    """How many relevant samples without a single harmful exit certify alpha: ln delta / ln (1 - alpha).

    Args:
        alpha: the share of harmful exits to certify.
        delta: the probability that the certificate fails.
        cuts: that share both, in equal parts.

    Raises:
        InputError: shares outside (0, 1), or no cut.
    """
    require_within(0, 1, ends="()", alpha=alpha, delta=delta)
    require_whole(1, cuts=cuts)
    return math.ceil(math.log(delta / cuts) / math.log(1 - alpha / cuts))


@dataclass(frozen=True)
class ExitPolicy:
    """Thresholds per cut, and what they were certified on.

    Attributes:
        cuts: names of modules.
        thresholds: a sample leaves at the first cut whose score is at least its threshold (inf: never).
        max_harm: alpha, the largest share of relevant samples that may leave in harm, over all cuts together.
        confidence: 1 - delta.
        relevant: calibration samples that count.
        harmful: of those, how many left in harm, per cut.
        bounds: upper bounds per cut; they hold together, so their sum is one for the whole (`bound`).
        model_hash: of the network and its heads.
        goal: what the thresholds were chosen for; only for "max_false_skip" was `max_harm` fixed beforehand.
        largest: magnitude of the inputs that it was calibrated on, which tells another scale; 0 where it isn't known.
    """

    cuts: tuple[str, ...]
    thresholds: tuple[float, ...]
    max_harm: float
    confidence: float
    relevant: int
    harmful: tuple[int, ...]
    bounds: tuple[float, ...]
    model_hash: str = ""
    goal: str = "max_false_skip"
    largest: float = 0.0

    @property
    def bound(self) -> float:
        """Upper bound of the share of relevant samples that leave in harm, at whichever cut."""
        return min(1.0, sum(self.bounds))

    def save(self, path: Path | str) -> Path:
        """Write JSON.

        Args:
            path: the file.
        """
        return write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path | str, model_hash: str | None = None) -> ExitPolicy:
        """Read a policy.

        Args:
            path: the file.
            model_hash: of the network that it must belong to (`AdaptiveModel.fingerprint`); None to take any.

        Raises:
            InputError: not a policy, or calibrated on other weights.
        """
        with reading(f"cannot read {path}", "a policy written by ExitPolicy.save", path):
            row: Any = json.loads(Path(path).read_text())
            for name in ("thresholds", "bounds"):  # infinities are words in JSON
                row[name] = [float(v) for v in row[name]]
            values: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
            policy = cls(**values)
            _require_policy(policy)
        if model_hash is not None and policy.model_hash != model_hash:
            raise InputError(
                f"policy {path}", given="calibrated on other weights", expected="this network", hint="calibrate again"
            )
        return policy


def _require_policy(policy: ExitPolicy) -> None:
    parts = (policy.thresholds, policy.harmful, policy.bounds)
    shares = (policy.max_harm, policy.confidence)
    if not (math.isfinite(policy.largest) and policy.largest >= 0):
        raise ValueError("largest must be a number, 0 or more")
    whole = not any(math.isnan(value) for value in (*policy.thresholds, *policy.bounds))
    if not policy.cuts or any(len(part) != len(policy.cuts) for part in parts):
        raise ValueError("thresholds, harmful and bounds must have one entry a cut")
    if not whole or not all(0 < share < 1 for share in shares) or not all(0 <= b <= 1 for b in policy.bounds):
        raise ValueError("thresholds and bounds must be numbers, max_harm and confidence shares in (0, 1)")


def certify(
    scores: Tensor,
    relevant: Tensor,
    harmful: Tensor,
    *,
    max_harm: float,
    confidence: float = 0.95,
    grid: Tensor | None = None,
) -> tuple[float, int, float]:
    """(threshold, harmful exits, upper bound) of one exit.

    Args:
        scores: (N,) larger = readier to leave.
        relevant: (N,) samples that the guarantee is about (frames with an object); -1 where that isn't defined.
        harmful: (N,) whether leaving harms that sample; only relevant ones count.
        max_harm: alpha.
        confidence: 1 - delta.
        grid: thresholds fixed before these data were seen, falling (safest first); quantiles of the scores of
            irrelevant samples would peek, so without a grid the finest valid one is used: every threshold above the
            relevant scores in falling order, which tests the same hypotheses in the same sequence.

    Raises:
        CalibrationError: no relevant or no irrelevant sample; too few to certify alpha at all (the number is told).
        InputError: shares outside (0, 1); scores or thresholds that are NaN; flags of another length or other values.
    """
    require_within(0, 1, ends="()", max_harm=max_harm, confidence=confidence)
    if not isinstance(scores, Tensor) or scores.ndim != 1:
        raise InputError("scores", given=_shape(scores), expected="(N,), one a sample")
    require_scores(scores)
    relevant, defined = read_flags("relevant", relevant, len(scores))
    harmful, told = read_flags("harmful", harmful, len(scores))
    scores, relevant, harmful = scores.cpu()[defined & told], relevant[defined & told], harmful[defined & told]
    n, delta = int(relevant.sum()), 1 - confidence
    if n == 0 or bool((relevant & harmful).all()):
        raise CalibrationError(
            "calibration data",
            given=f"{n} of {len(relevant)} samples that count, {len(relevant) - n} that may leave",
            expected="some of both kinds",
            hint="a sample that may leave is one that isn't relevant, or that leaving doesn't harm",
        )
    needed = samples_needed(max_harm, delta)
    if n < needed:
        raise CalibrationError(
            "calibration data",
            given=f"{n} relevant samples",
            expected=f"at least {needed} to certify {max_harm:g} at {confidence:.0%}",
            hint="more data, a larger max_harm, or a lower confidence",
        )
    risky = scores[relevant & harmful].double().sort(descending=True).values.numpy()
    if grid is not None:
        require_scores(grid, "grid")
    if grid is None:
        return _finest(risky, n, max_harm, delta)
    threshold, events, bound = math.inf, 0, upper_bound(0, n, delta)
    for value in grid.cpu().double().sort(descending=True).values.tolist():
        count = int((risky >= value).sum())
        limit = upper_bound(count, n, delta)
        if limit > max_harm:
            break
        threshold, events, bound = value, count, limit
    return threshold, events, bound


def _shape(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _finest(risky: np.ndarray, n: int, alpha: float, delta: float) -> tuple[float, int, float]:
    """Just above the (j+1)-th riskiest sample, for the largest j whose bound passes.

    The j-th hypothesis "P(score >= t_j) > alpha" has a fixed order that doesn't depend on the outcome: j = 0, 1, 2, ...
    An order statistic stands in for a grid value; the count below it is binomial all the same.
    """
    allowed = -1
    while allowed + 1 < n and upper_bound(allowed + 1, n, delta) <= alpha:
        allowed += 1
    if allowed < 0:
        return math.inf, 0, upper_bound(0, n, delta)
    if allowed >= len(risky):
        return -math.inf, len(risky), upper_bound(len(risky), n, delta)
    threshold = just_above(risky[allowed])
    return threshold, int((risky >= threshold).sum()), upper_bound(int((risky >= threshold).sum()), n, delta)


def just_above(score: float) -> float:
    """The next float32: networks and ONNX files compare in single precision, where a double's next is the same."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))


class TemporalGate:
    """Frames in sequence: leave early only after `quiet` that would have, and run in full every `refresh` frames.

    The longest that an object can stay unseen is then `refresh` frames.

    Args:
        quiet: frames that would have left before one may.
        refresh: one frame of so many is run in full.
    """

    def __init__(self, quiet: int = 2, refresh: int = 10) -> None:
        if quiet < 1 or refresh < 1:
            raise InputError("TemporalGate", given=f"quiet={quiet}, refresh={refresh}", expected="at least 1 each")
        self.quiet, self.refresh = quiet, refresh
        self.reset()

    def reset(self) -> None:
        """A new film."""
        self._calm, self._since = 0, 0

    def __call__(self, would_leave: bool) -> bool:
        """Whether this frame may leave early.

        Args:
            would_leave: whether its score says so.
        """
        self._calm = self._calm + 1 if would_leave else 0
        if would_leave and self._calm > self.quiet and self._since + 1 < self.refresh:
            self._since += 1
            return True
        self._since = 0
        return False


def through(gate: TemporalGate, would_leave: Tensor) -> Tensor:
    """(N,) which frames of a film leave early.

    Args:
        gate: reset first.
        would_leave: (N,) whether each frame's score says so.
    """
    gate.reset()
    return torch.tensor([gate(bool(w)) for w in would_leave.tolist()], dtype=torch.bool, device=would_leave.device)
