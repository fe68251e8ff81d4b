"""Everything that one asks of a classifier's confident mistakes, in one report."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError, NotIdentified
from deepwright.core.files import jsonable, write_json
from deepwright.core.randomness import generator
from deepwright.core.requirements import numbers, require_finite, require_number, require_whole
from deepwright.core.results import Figure
from deepwright.core.statistics import Interval, clopper_pearson
from deepwright.core.tasks import Classification
from deepwright.core.tasks.ranking import auroc
from deepwright.core.tasks.targets import Labels, Rows, as_tensor, one_a_sample, whole_labels
from deepwright.risk.calibration import ece, fit_temperature, nll
from deepwright.risk.fragility.index import kl_roots, normalised
from deepwright.risk.fragility.misjudgment_scores import Score, misjudgment, require_probabilities, require_scores
from deepwright.risk.fragility.worst_case import fragility_curve, worst_case_weights

FEW = 5  # errors: with fewer, resamples say nothing of those that weren't met
_LARGEST = {"prob_margin": 1.0, "true_prob": 1.0, "brier": 2.0}  # score of a sample; others have no end
_AT_ONCE = 4_000_000  # scores of resamples


@dataclass
class FragilityReport:
    """FI and its companions. Infinite FI means that the mean score misses tau.

    Attributes:
        n: number of samples.
        tau: target.
        score: the misjudgment score.
        fi: index, with its 95 % interval: of resamples, and where fewer than five scores miss the target, up to as
            many of the largest score as their number allows (Clopper and Pearson).
        nfi: normalised index, with its interval.
        accuracy: share of right predictions.
        auc: area under the ROC curve (one against the rest, averaged over the classes).
        ece: expected calibration error.
        cross_entropy: mean loss in nats.
        curve: FI over 33 targets between the mean and the largest score.
        confident_errors: share of samples with xi > 0.8.
        cvar: mean of the worst 5 % of xi.
        cost: expected cost under the cost matrix (error rate when none is given), with the reject option if it has a
            price.
        rejected: share of cases handed on.
        per_class: FI of each class.
        per_group: FI of each group.
        worst: indices of the 24 largest scores, which have the most worst-case weight, and that weight (relative to
            1 / n); where the index is infinite all weigh alike.
        temperature: fitted on held-out data; None where there are none, or where they don't identify it.
        matched: this report at that temperature.
        unmatched: why there is no temperature, in words.
    """

    n: int
    tau: float
    score: str
    fi: Interval
    nfi: Interval
    accuracy: float
    auc: float
    ece: float
    cross_entropy: float
    cvar: float
    confident_errors: float
    cost: float
    rejected: float
    curve: dict[str, list[float]]
    per_class: dict[str, float]
    per_group: dict[str, float]
    worst: list[tuple[int, float]]
    temperature: float | None = None
    matched: FragilityReport | None = field(default=None)
    unmatched: str = "no held-out data were given"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return jsonable(asdict(self))

    def to_json(self, path: Path | str) -> Path:
        """Write JSON."""
        return write_json(path, self.to_dict())

    def plot(self) -> Figure:
        """FI over the target."""
        series: list[dict[str, Any]] = [{"name": "FI", "x": self.curve["tau"], "y": self.curve["fi"]}]
        if self.matched is not None:
            series.append(
                {
                    "name": "FI at matched temperature",
                    "x": self.matched.curve["tau"],
                    "y": self.matched.curve["fi"],
                    "dashed": True,
                }
            )
        return Figure(
            "line",
            "Fragility over the target",
            series,
            "target tau (acceptable mean score)",
            "FI (lower is better)",
            log_y=True,
        )


def fragility_report(
    scores: Float[Rows, "n classes"],
    target: Labels,
    *,
    tau: float = 0.0,
    score: Score = "prob_margin",
    groups: Tensor | None = None,
    held_out: tuple[Rows, Labels] | None = None,
    cost_matrix: Tensor | None = None,
    reject_cost: float | None = None,
    class_names: tuple[str, ...] | None = None,
    bootstrap_rows: int = 500,
    seed: int = 0,
) -> FragilityReport:
    """Report on logits and labels.

    Args:
        scores: (N, K) logits (for probabilities pass their logarithm).
        target: (N,) labels.
        tau: as in `fragility_index`.
        score: as in `fragility_index`.
        groups: (N,) integer group ids.
        held_out: (logits, labels) on which the temperature of the matched copy is fitted.
        cost_matrix: (K, K) cost of predicting column j when the truth is row i; 0/1 by default.
        reject_cost: price of handing a case to a person; None = no such option.
        class_names: for `per_class`.
        bootstrap_rows: of the intervals.
        seed: of the bootstrap.
    """
    scores = as_tensor(scores, "scores")
    target = whole_labels(target, "target").to(scores.device)
    report = _report(scores, target, tau, score, groups, cost_matrix, reject_cost, class_names, bootstrap_rows, seed)
    if held_out is None:
        return report
    try:
        report.temperature = fit_temperature(*held_out)
    except NotIdentified as error:
        report.unmatched = str(error)
        return report
    matched = scores / report.temperature
    report.unmatched = ""
    report.matched = _report(
        matched, target, tau, score, groups, cost_matrix, reject_cost, class_names, bootstrap_rows, seed
    )
    return report


def _report(
    logits: Tensor,
    y: Tensor,
    tau: float,
    score: Score,
    groups: Tensor | None,
    cost_matrix: Tensor | None,
    reject_cost: float | None,
    names: tuple[str, ...] | None,
    rows: int,
    seed: int,
) -> FragilityReport:
    xi = misjudgment(logits, y, score)
    n, classes = logits.shape
    names = names or tuple(str(i) for i in range(classes))
    fi, nfi = bootstrap_index(xi, tau, rows, seed)
    if int((xi > tau).sum()) < FEW:
        fi, nfi = _for_few(xi, tau, fi, nfi, _LARGEST.get(score, math.inf) if isinstance(score, str) else math.inf)
    weights = worst_case_weights(xi, tau)
    top = xi.argsort(descending=True, stable=True)[:24]  # as weights rise, but where these tie: an index of 0 or inf
    taus = torch.linspace(float(xi.mean()), float(xi.max()), 33, dtype=torch.float64, device=xi.device)
    worst_5 = xi.sort(descending=True).values[: max(1, round(0.05 * n))]
    cost, rejected = expected_cost(logits.double().softmax(1), y, cost_matrix, reject_cost)
    per_class = {names[int(k)]: _index(xi[y == k], tau) for k in y.unique()}
    ids = None if groups is None else _groups(groups, xi)
    per_group = {} if ids is None else {str(g): _index(xi[ids == g], tau) for g in ids.unique().tolist()}
    return FragilityReport(
        n=n,
        tau=tau,
        score=score if isinstance(score, str) else getattr(score, "__name__", "custom"),
        fi=fi,
        nfi=nfi,
        accuracy=float((logits.argmax(1) == y).double().mean()),
        auc=_auc(logits, y),
        ece=ece(logits, y),
        cross_entropy=float(nll(logits, y).mean()),
        cvar=float(worst_5.mean()),
        confident_errors=float((xi > 0.8).double().mean()),
        cost=cost,
        rejected=rejected,
        curve={"tau": taus[1:-1].tolist(), "fi": fragility_curve(xi, taus[1:-1]).tolist()},
        per_class=per_class,
        per_group=per_group,
        worst=[(i, float(weights[i]) * n) for i in top.tolist()],
    )


def bootstrap_index(
    xi: Float[Tensor, " n"], tau: float = 0.0, rows: int = 500, seed: int = 0, *, group: Tensor | None = None
) -> tuple[Interval, Interval]:
    """FI and normalised FI with bias-corrected intervals; all resamples are solved by one batched Newton iteration.

    The percentiles are moved by what share of the resampled values lies below the point, so each interval holds its
    point, and infinite values, which have ranks too, need no case of their own.

    Args:
        xi: (N,) misjudgment scores.
        tau: target.
        rows: number of resamples.
        seed: of the draws, which are the same on every device.
        group: (N,) whole numbers: scores of one group (the pixels of an image) are drawn together.

    Raises:
        InputError: scores that are NaN, groups of another length.

    Source: B. Efron, "Nonparametric standard errors and confidence intervals", 1981 (the correction).
    """
    xi = require_scores(xi)
    require_whole(1, rows=rows)
    if group is not None:
        return _grouped_index(xi, tau, rows, seed, group)
    source, block = generator(seed, "bootstrap-fi"), max(1, _AT_ONCE // len(xi))
    parts = []
    for start in range(0, rows, block):
        index = torch.randint(0, len(xi), (min(block, rows - start), len(xi)), generator=source).to(xi.device)
        parts.append(_index_and_normalised(xi[index], tau))
    draws = torch.cat(parts, 1)
    centre = _index_and_normalised(xi[None], tau)[:, 0]
    return _corrected(float(centre[0]), draws[0]), _corrected(float(centre[1]), draws[1])


def _for_few(xi: Tensor, tau: float, fi: Interval, nfi: Interval, largest: float) -> tuple[Interval, Interval]:
    """Intervals that reach up to what so few scores above the target leave open.

    Resamples of one error hold it once or a few times, and nothing but it. As many errors as Clopper and Pearson's
    interval of their share allows may be there, each with the largest score that there is.

    Args:
        xi: the scores.
        tau: the target.
        fi: the index with its interval by resamples.
        nfi: likewise, normalised.
        largest: score.
    """
    if not math.isfinite(largest):
        ends: list[float] = [math.inf, math.inf]
    else:
        below = xi[xi <= tau]
        most = clopper_pearson(len(xi) - len(below), len(xi)).high if len(below) else 1.0
        rows = torch.cat([below, below.new_tensor([largest])]).double()
        weights = rows.new_full((len(rows),), (1 - most) / max(1, len(below)))
        weights[-1] = most
        k = kl_roots(rows[None], rows.new_tensor([tau]), weights.log()[None])[0]
        ends = [float(k), float(normalised(k, tau - (weights * rows).sum()))]
    first, second = (Interval(i.value, i.low, max(i.high, end)) for i, end in zip((fi, nfi), ends))
    return first, second


def _grouped_index(xi: Tensor, tau: float, rows: int, seed: int, group: Tensor) -> tuple[Interval, Interval]:
    """The intervals by resamples of whole groups, as weights of their scores."""
    if group.shape != xi.shape:
        raise InputError("group", given=f"shape {tuple(group.shape)}", expected=f"{tuple(xi.shape)}, one a score")
    place = group.to(xi.device).unique(return_inverse=True)[1]
    groups = int(place.max()) + 1
    index = torch.randint(0, groups, (rows, groups), generator=generator(seed, "bootstrap-fi")).to(xi.device)
    counts = xi.new_zeros(rows, groups).scatter_add_(1, index, xi.new_ones(rows, groups))
    found = []
    for part in counts.split(max(1, _AT_ONCE // len(xi))):
        weights = part[:, place]
        p = weights / weights.sum(1, keepdim=True)
        everyone = xi.expand(len(p), -1)
        k = kl_roots(everyone, xi.new_full((len(p),), tau), p.log())
        found.append(torch.stack([k, normalised(k, tau - (p * xi).sum(1))]))
    draws = torch.cat(found, 1)
    centre = _index_and_normalised(xi[None], tau)[:, 0]
    return _corrected(float(centre[0]), draws[0]), _corrected(float(centre[1]), draws[1])


def _corrected(point: float, draws: Tensor) -> Interval:
    """Efron's bias-corrected percentile interval of resampled values, some of which may be infinite."""
    draws = draws.sort().values
    below = ((draws < point).double() + (draws == point).double() / 2).mean()
    limit = 0.5 / len(draws)
    shift = torch.special.ndtri(below.clamp(limit, 1 - limit))
    tails = torch.special.ndtr(2 * shift + shift.new_tensor([-1.959964, 1.959964]))
    # nearest, because infinity has no in-between
    low, high = torch.quantile(draws, tails, interpolation="nearest").tolist()
    return Interval(point, min(point, low), max(point, high))


def _index(xi: Tensor, tau: float) -> float:
    """FI of a part, silent where it is legitimately 0 or infinite."""
    rows = xi[None].double()
    return float(kl_roots(rows, rows.new_tensor([tau]))[0])


def _index_and_normalised(xi: Tensor, tau: float) -> Tensor:
    k = kl_roots(xi, xi.new_full((len(xi),), tau))
    return torch.stack([k, normalised(k, tau - xi.mean(1))])


def group_gap_pvalue(
    xi: Float[Tensor, " n"], groups: Tensor, tau: float = 0.0, rows: int = 1000, seed: int = 0
) -> float:
    """Permutation p-value that the largest gap in FI between groups is chance.

    Args:
        xi: (N,) misjudgment scores.
        groups: (N,) integer group ids.
        tau: target.
        rows: number of permutations.
        seed: of the permutations, which are the same on every device.

    Raises:
        InputError: no score, scores or groups that are NaN, groups of another length, no permutation.
    """
    xi = require_scores(xi)
    groups = _groups(groups, xi)
    require_whole(1, rows=rows)
    require_number(infinite=True, tau=tau)
    sizes = groups.unique(return_counts=True)[1].tolist()

    def gaps(assignments: Tensor) -> Tensor:  # (B, N) -> (B,)
        order = assignments.argsort(stable=True, dim=1)
        parts = xi[order].split(sizes, 1)
        values = torch.stack([kl_roots(p.contiguous(), p.new_full((len(p),), tau)) for p in parts])
        return (values.amax(0) - values.amin(0)).nan_to_num(0.0, posinf=torch.inf)  # infinity everywhere is no gap

    observed = gaps(groups[None])
    rng = generator(seed, "group-gap")
    block, hits = max(1, _AT_ONCE // len(xi)), 0
    for start in range(0, rows, block):
        count = min(block, rows - start)
        orders = torch.stack([torch.randperm(len(groups), generator=rng) for _ in range(count)]).to(groups.device)
        hits += int((gaps(groups[orders]) >= observed).sum())
    return (hits + 1) / (rows + 1)


def _groups(groups: Tensor, xi: Tensor) -> Int64[Tensor, " n"]:
    """Group ids beside the scores, one a score."""
    return one_a_sample(whole_labels(groups, "groups"), len(xi), "groups").to(xi.device)


def selective_curve(xi: Tensor, confidence: Tensor, tau: float = 0.0, points: int = 20) -> dict[str, list[float]]:
    """FI of the most confident share of cases, for shares from 1 / points up to all.

    Args:
        xi: (N,) misjudgment scores.
        confidence: (N,) larger = kept longer.
        tau: target.
        points: number of shares.

    Raises:
        InputError: other lengths, no point, scores or confidences that are NaN.
    """
    xi = require_scores(xi)
    require_whole(1, points=points)
    if confidence.shape != xi.shape:
        raise InputError("confidence", given=f"{tuple(confidence.shape)} for {len(xi)} scores", expected="one a score")
    require_number(infinite=True, tau=tau)
    confidence = numbers(confidence, "confidence")
    order = confidence.to(xi.device).argsort(descending=True)
    shares = [(i + 1) / points for i in range(points)]
    kept = [xi[order[: max(1, round(s * len(xi)))]] for s in shares]
    return {"coverage": shares, "fi": [_index(x, tau) for x in kept]}


def expected_cost(
    probabilities: Tensor, y: Labels, matrix: Tensor | None = None, reject_cost: float | None = None
) -> tuple[float, float]:
    """Mean cost of the decisions that look cheapest to the model, and the share that it hands on.

    Args:
        probabilities: (N, K).
        y: (N,) labels.
        matrix: (K, K) cost of predicting column j when the truth is row i; 0/1 when None.
        reject_cost: price of handing a case to a person; None = no such option.

    Raises:
        InputError: no probabilities, labels out of range, a cost matrix of the wrong shape or that isn't finite.
    """
    p = require_probabilities(probabilities, "probabilities", hint="logits.softmax(1)")
    classes = p.shape[1]
    y = Classification(classes).check_targets(y, len(p))
    costs = 1 - torch.eye(classes) if matrix is None else matrix
    costs = costs.to(p)
    if costs.shape != (classes, classes):
        raise InputError("cost_matrix", given=f"shape {tuple(costs.shape)}", expected=f"({classes}, {classes})")
    require_finite(costs, "cost_matrix")
    expected = p @ costs
    best, decision = expected.min(1)
    real = costs[y.to(costs.device), decision]
    if reject_cost is None:
        return float(real.mean()), 0.0
    require_number(infinite=True, reject_cost=reject_cost)
    handed = best > reject_cost
    return float(torch.where(handed, float(reject_cost), real).mean()), float(handed.double().mean())


def _auc(logits: Tensor, y: Tensor) -> float:
    """AUROC for two classes; for more, the mean of one-against-rest over the classes that occur."""
    p = logits.double().softmax(1)
    present = y.unique().tolist()
    if len(present) < 2:
        return float("nan")
    if logits.shape[1] == 2:
        return auroc(p[:, 1], y == 1)
    return sum(auroc(p[:, k], y == k) for k in present) / len(present)
