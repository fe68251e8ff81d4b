"""Calibration: does a confidence of 0.8 mean 80 % right? Errors, the reliability diagram, temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError, NotIdentified
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks import Classification
from deepwright.core.tasks.reading import looks_like_probabilities
from deepwright.core.tasks.targets import Labels, Rows, as_tensor

# log T is looked for between these: T in [0.0067, 148].
_LOG_T = (-5.0, 5.0)
_MOST_DRAWS = 20_000_000  # samples times resamples
_AT_ONCE = 4_000_000  # of these


@dataclass(frozen=True)
class Reliability:
    """Bins of confidence: how many, how confident, how often right (NaN where a bin is empty)."""

    edges: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def ece(self) -> float:
        """Expected calibration error: mean |accuracy - confidence| weighted by the bins' counts."""
        gap = (self.accuracy - self.confidence).abs().nan_to_num(0.0)
        return float((self.count / self.count.sum() * gap).sum())


def reliability(
    logits: Float[Rows, "n classes"], labels: Labels, bins: int = 15, adaptive: bool = False
) -> Reliability:
    """Bin the samples by the confidence of their prediction.

    Args:
        logits: (N, K).
        labels: (N,).
        bins: number of bins.
        adaptive: bins of equal count instead of equal width.

    Raises:
        InputError: no sample, NaN or infinity, probabilities instead of logits, labels out of range.

    Source: "On Calibration of Modern Neural Networks", arXiv 1706.04599; adaptive bins: arXiv 1904.01685.
    """
    require_whole(1, bins=bins)
    z, labels = require_logits(logits, labels)
    device = z.device
    confidence, predicted = z.softmax(1).max(1)
    right = (predicted == labels).double()
    if adaptive:
        edges = torch.quantile(confidence, torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=device))
        rank = confidence.argsort().argsort()
        index = (rank * bins) // len(confidence)
    else:
        edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=device)
        index = confidence_bins(confidence, bins)
    count = torch.bincount(index, minlength=bins).double()
    both = torch.stack([confidence, right])
    mean = both.new_zeros(2, bins).index_add_(1, index, both) / count
    return Reliability(edges, count, mean[0], mean[1])


def confidence_bins(confidence: Float[Tensor, " n"], bins: int = 15) -> Int64[Tensor, " n"]:
    """The bin of equal width of each confidence; bins are (a, b], as the source has them.

    Args:
        confidence: (N,) in [0, 1].
        bins: number of bins.
    """
    return ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)


def ece(logits: Float[Rows, "n classes"], labels: Labels, bins: int = 15, adaptive: bool = False) -> float:
    """Expected calibration error in [0, 1].

    Args:
        logits: (N, K).
        labels: (N,).
        bins: see `reliability`.
        adaptive: see `reliability`.
    """
    return reliability(logits, labels, bins, adaptive).ece


def ece_interval(
    logits: Float[Rows, "n classes"], labels: Labels, bins: int = 15, seed: int = 0, rows: int = 400
) -> Interval:
    """Expected calibration error without the part that few samples add, with its 95 % interval.

    The plain estimate sum_b w_b |g_b|, with g_b the gap between accuracy and confidence in bin b and w_b the bin's
    share, is too large: a calibrated network has gaps of either sign, and their sizes don't cancel. With s_b the
    standard error of g_b, it is reduced by sum_b w_b (E|N(g_b, s_b^2)| - |g_b|), where E|N(g, s^2)| =
    s sqrt(2 / pi) exp(-g^2 / 2 s^2) + g (1 - 2 Phi(-g / s)). The interval is made of the same estimate for accuracies
    that each bin's samples allow: draws from Beta(right + 1/2, wrong + 1/2), the posterior of a share under Jeffreys'
    prior, by which 8 of 8 right don't say that the bin is never wrong. It is widened to hold its point, and reaches
    down to 0 where the plain estimate is within what a calibrated network shows (`ece_by_chance`).

    Args:
        logits: (N, K).
        labels: (N,).
        bins: of equal width.
        seed: of the draws.
        rows: number of draws.

    Raises:
        InputError: as `reliability`.

    Source: "Verified Uncertainty Calibration", arXiv 1909.10155 (the bias of a binned estimate and its removal);
    L. D. Brown, T. T. Cai, A. DasGupta, "Interval Estimation for a Binomial Proportion", 2001 (Jeffreys' prior).
    """
    return ece_beside_chance(logits, labels, bins, seed, rows)[0]


def ece_beside_chance(
    logits: Float[Rows, "n classes"], labels: Labels, bins: int = 15, seed: int = 0, rows: int = 400
) -> tuple[Interval, float]:
    """`ece_interval` and `ece_by_chance` of one set of draws.

    Args:
        logits: (N, K).
        labels: (N,).
        bins: of equal width.
        seed: of the draws.
        rows: number of draws.
    """
    z, labels = require_logits(logits, labels)
    confidence, predicted = z.softmax(1).max(1)
    return _beside_chance(confidence, predicted == labels, bins, seed, rows)


def confidence_ece(
    confidence: Float[Tensor, " n"], right: Bool[Tensor, " n"], bins: int = 15, seed: int = 0, rows: int = 400
) -> Interval:
    """The estimate of `ece_interval` for any claim with a probability: an event that happens, a label that applies.

    Args:
        confidence: (N,) probabilities that were claimed.
        right: (N,) whether what was claimed came true.
        bins: of equal width.
        seed: of the draws.
        rows: number of draws.

    Raises:
        InputError: no claim, probabilities outside [0, 1] or NaN, other lengths.
    """
    return _beside_chance(confidence, right, bins, seed, rows)[0]


def _beside_chance(confidence: Tensor, right: Tensor, bins: int, seed: int, rows: int) -> tuple[Interval, float]:
    """`confidence_ece`, and what a calibrated network would show."""
    require_whole(1, bins=bins, rows=rows)
    confidence, right = require_claims(confidence, right)
    index = confidence_bins(confidence, bins)
    count = torch.bincount(index, minlength=bins).double()
    sums = torch.stack([right.double(), confidence])
    hits, sure = sums.new_zeros(2, bins).index_add_(1, index, sums)[:, count > 0]
    count = count[count > 0]
    value = float(_less_bias(hits, sure, count))
    drawn = _less_bias(count * _allowed(hits, count, rows, seed), sure, count)
    low, high = drawn.quantile(drawn.new_tensor([0.025, 0.975])).tolist()
    plain = float((hits - sure).abs().sum() / count.sum())
    floor = _by_chance(confidence, index, bins, seed, rows)
    low = 0.0 if plain <= floor else min(value, low)
    return Interval(value, low, min(1.0, max(value, high))), floor


def require_claims(confidence: Tensor, right: Tensor) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    """Probabilities in double precision, and what came true beside them, both checked.

    Args:
        confidence: (N,) probabilities.
        right: (N,) booleans.
    """
    if confidence.ndim != 1 or len(confidence) == 0 or right.shape != confidence.shape:
        given = f"{tuple(confidence.shape)} probabilities, {tuple(right.shape)} outcomes"
        raise InputError("claims", given=given, expected="(N,) of both, one or more")
    p = confidence.detach().double()
    if not bool(((p >= 0) & (p <= 1)).all()):  # NaN is neither
        given = f"{float(p.min()):.4g}..{float(p.max()):.4g}"
        raise InputError("confidence", given=given, expected="probabilities in [0, 1]")
    return p, right.to(p.device).bool()


def _allowed(hits: Tensor, count: Tensor, rows: int, seed: int) -> Float[Tensor, "rows bins"]:
    """Accuracies that each bin's samples allow, by inverting the distribution function of Jeffreys' posterior."""
    from scipy import special

    u = torch.rand(rows, len(hits), dtype=torch.float64, generator=generator(seed, "ece")).numpy()
    right, wrong = (part.cpu().numpy() + 0.5 for part in (hits, count - hits))
    return torch.from_numpy(special.betaincinv(right, wrong, u)).to(hits.device)


def ece_by_chance(logits: Float[Rows, "n classes"], bins: int = 15, seed: int = 0, rows: int = 400) -> float:
    """The 95th percentile of the ECE that a perfectly calibrated network with these confidences would show.

    Args:
        logits: (N, K).
        bins: of equal width.
        seed: of the draws.
        rows: number of draws.

    Raises:
        InputError: as `reliability`.
    """
    z, _ = require_logits(logits, torch.zeros(len(logits), dtype=torch.long))
    require_whole(1, bins=bins, rows=rows)
    confidence = z.softmax(1).amax(1)
    return _by_chance(confidence, confidence_bins(confidence, bins), bins, seed, rows)


def _by_chance(confidence: Tensor, index: Tensor, bins: int, seed: int, rows: int) -> float:
    rows = max(50, min(rows, _MOST_DRAWS // len(confidence)))
    source, block = generator(seed, "calibration-floor"), max(1, _AT_ONCE // len(confidence))
    found = []
    for start in range(0, rows, block):
        size = (min(block, rows - start), len(confidence))
        draws = torch.rand(*size, dtype=torch.float64, generator=source).to(confidence.device)
        found.append(_eces((draws < confidence).double() - confidence, index.expand(size), bins))
    return float(torch.cat(found).quantile(0.95))


def _eces(gaps: Tensor, index: Tensor, bins: int) -> Tensor:
    """ECE of each row, sum over bins of |sum of (right - confidence)| / N.

    Args:
        gaps: (rows, N) right - confidence.
        index: (rows, N) bins of the confidences.
        bins: how many.
    """
    sums = gaps.new_zeros(len(gaps), bins).scatter_add_(1, index, gaps)
    return sums.abs().sum(1) / gaps.shape[1]


def _less_bias(hits: Tensor, sure: Tensor, count: Tensor) -> Tensor:
    """The plain estimate less what the noise of each bin's accuracy adds to it, at least 0.

    Args:
        hits: (..., bins) right samples.
        sure: (bins,) sum of the confidences.
        count: (bins,) samples, 1 or more.
    """
    gap = (hits - sure).abs() / count
    share = (hits + 1) / (count + 2)  # never 0 or 1, so that a bin of one sample has noise too
    noise = (share * (1 - share) / count).sqrt()
    return (less_noise(gap, noise) * count / count.sum()).sum(-1).clamp_min(0)


def less_noise(gap: Float[Tensor, "..."], noise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """A measured gap less what its noise adds to sizes: 2 g - E|N(g, s^2)|, below 0 for gaps of noise alone.

    Args:
        gap: g >= 0.
        noise: s > 0, its standard error.
    """
    folded = noise * (2 / torch.pi) ** 0.5 * (-((gap / noise) ** 2) / 2).exp() + gap * torch.erf(gap / noise / 2**0.5)
    return 2 * gap - folded


def brier(logits: Float[Rows, "n classes"], labels: Labels) -> Float[Tensor, " n"]:
    """Per-sample Brier score sum_k (p_k - 1[k = y])^2 in [0, 2].

    Args:
        logits: (N, K).
        labels: (N,).

    Raises:
        InputError: as `reliability`.
    """
    z, labels = require_logits(logits, labels)
    p = z.softmax(1)
    return (p**2).sum(1) - 2 * p.gather(1, labels[:, None])[:, 0] + 1


def nll(logits: Float[Rows, "n classes"], labels: Labels) -> Float[Tensor, " n"]:
    """Per-sample negative log likelihood in nats.

    Args:
        logits: (N, K).
        labels: (N,).

    Raises:
        InputError: as `reliability`.
    """
    z, labels = require_logits(logits, labels)
    return F.cross_entropy(z, labels, reduction="none")


def fit_temperature(logits: Float[Rows, "n classes"], labels: Labels) -> float:
    """The T > 0 that minimises the likelihood loss of logits / T on held-out data.

    The loss is convex in 1 / T; the root of its derivative is bracketed and bisected on log T in [-5, 5].

    Args:
        logits: (N, K).
        labels: (N,).

    Raises:
        NotIdentified: the loss has no minimum inside the bracket: it falls for ever as T falls (all samples are right)
            or as T grows (the logits say less than nothing about the labels).
        InputError: as `reliability`.
    """
    z, labels = require_logits(logits, labels)
    return _temperature(z, labels)


def temperature_gain(
    logits: Float[Rows, "n classes"], labels: Labels, folds: int = 5, seed: int = 0
) -> Float[Tensor, " n"]:
    """By how much a temperature lowers each sample's likelihood loss, in nats, when it was fitted without that sample.

    A mean that isn't clearly above 0 says that these data don't support a temperature, however it was fitted. A fold
    without a minimum (see `fit_temperature`) is left at T = 1 and gains nothing.

    Args:
        logits: (N, K) on held-out data.
        labels: (N,).
        folds: parts, each of which is judged by the temperature of the others.
        seed: of the partition.

    Raises:
        InputError: fewer samples than folds; otherwise as `reliability`.
    """
    z, labels = require_logits(logits, labels)
    if not 2 <= folds <= len(z):
        raise InputError("folds", given=folds, expected=f"2..{len(z)} for {len(z)} samples")
    order = torch.randperm(len(z), generator=generator(seed, "temperature-folds")).to(z.device)
    gain = z.new_zeros(len(z))
    for part in order.chunk(folds):
        others = torch.ones(len(z), dtype=torch.bool, device=z.device).index_fill_(0, part, False)
        try:
            temperature = _temperature(z[others], labels[others])
        except NotIdentified:
            continue
        before, after = (F.cross_entropy(z[part] / t, labels[part], reduction="none") for t in (1.0, temperature))
        gain[part] = before - after
    return gain


def _temperature(z: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]) -> float:
    true = z.gather(1, labels[:, None])[:, 0]

    def slope(log_temperature: float) -> float:
        p = (z * float(torch.tensor(-log_temperature).exp())).softmax(1)
        return float(((p * z).sum(1) - true).mean())  # d loss / d (1/T): positive when T should grow

    low, high = _LOG_T
    if slope(low) <= 0 or slope(high) >= 0:
        right = int((z.argmax(1) == labels).sum())
        falls = slope(low) <= 0
        raise NotIdentified(
            "the temperature",
            given=f"{right} of {len(z)} held-out samples right: the loss still falls at "
            f"T = {float(torch.tensor(low if falls else high).exp()):.3g}",
            expected="a minimum inside the bracket",
            hint="fit on more held-out samples, with some that the network gets wrong"
            if falls
            else "the logits don't speak for the labels: check the order of the classes",
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(torch.tensor((low + high) / 2).exp())


def require_logits(logits: Rows, labels: Labels) -> tuple[Float[Tensor, "n classes"], Int64[Tensor, " n"]]:
    """Logits in double precision and labels beside them, both checked.

    Args:
        logits: (N, K).
        labels: (N,).

    Raises:
        InputError: as `reliability`.
    """
    logits = as_tensor(logits, "logits")
    if logits.ndim != 2 or len(logits) == 0 or logits.shape[1] < 2:
        raise InputError(
            "logits", given=f"shape {tuple(logits.shape)}", expected="(N, K): one sample or more, two classes or more"
        )
    if looks_like_probabilities(logits):
        raise InputError(
            "logits",
            given="rows that are 0 or more and sum to 1: these look like probabilities",
            expected="logits",
            hint="pass probabilities.log()",
        )
    task = Classification(logits.shape[1])
    z = task.read(logits).double()
    return z, task.check_targets(labels, len(z)).to(z.device)
