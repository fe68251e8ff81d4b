"""Effects within items: their size, interval, p-value, and what they say beside people."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from scipy.special import stdtr
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite
from deepwright.core.statistics import Interval, bootstrap, holm, paired_permutation

HUMAN_LIKE, OPPOSITE, ABSENT, INCONCLUSIVE = "human-like", "opposite", "absent", "inconclusive"
LEAST_PAIRS = 8
SMALL = 0.2
"""Cohen's d_z of which people say that an effect is small: within it an effect is called absent."""


@dataclass(frozen=True)
class Effect:
    """An effect over items; above 0 it goes where it goes in people.

    Attributes:
        mean: in the units of what was measured, with its interval.
        d: Cohen's d_z, the mean over the deviation across items, with its interval.
        p: two-sided, of random signs (of a decoder: of its refits).
        n: items.
        adjusted: p after Holm's correction over the experiments that were run together; p itself where alone.
        reason: why it can't be measured, "" where it can.
    """

    mean: Interval
    d: Interval
    p: float
    n: int
    adjusted: float
    reason: str = ""

    @property
    def verdict(self) -> str:
        """human-like, opposite, absent (the interval of d lies within 0.2 of 0), or inconclusive."""
        if self.reason:
            return INCONCLUSIVE
        if self.adjusted < 0.05 and self.mean.low > 0:
            return HUMAN_LIKE
        if self.adjusted < 0.05 and self.mean.high < 0:
            return OPPOSITE
        return ABSENT if self.d.low >= -SMALL and self.d.high <= SMALL else INCONCLUSIVE


def effect_of(items: Float[Tensor, " n"], seed: int = 0, rows: int = 1000) -> Effect:
    """The effect of one value an item, against 0.

    Args:
        items: differences, above 0 where the item goes as in people.
        seed: of the resamples and signs.
        rows: resamples.
    """
    items = require_finite(items.double().cpu(), "effects of items")
    n = len(items)
    if n == 0:
        raise InputError("effects of items", given="none", expected="at least one")
    mean = float(items.mean())
    if n < LEAST_PAIRS:
        return unmeasured(f"{n} pairs, and an interval needs {LEAST_PAIRS}", n, mean)
    if float(items.std()) <= 1e-12 * max(1.0, float(items.abs().max())):
        if abs(mean) < 1e-12:
            return unmeasured("no item shows any difference", n, mean)
        return unmeasured("every item shows the same difference, so that its spread isn't known", n, mean)
    interval = bootstrap(items, seed=seed, rows=rows)
    d = bootstrap(items, cohens_d, seed=seed, rows=rows)
    p = paired_permutation(items, torch.zeros(n), seed=seed)
    return Effect(interval, d, p, n, p)


def cohens_d(items: Float[Tensor, "rows n"]) -> Float[Tensor, " rows"]:
    """d_z of each row.

    Args:
        items: differences.
    """
    return items.mean(1) / items.std(1)


def refitted_effect(items: Float[Tensor, " n"], refits: Float[Tensor, "r n"], seed: int = 0) -> Effect:
    """The effect of a decoder: its interval is over refits on resampled pictures, each with resampled items.

    p is twice the share of refits on the other side of 0. Where none is, that share only says that p is at most
    2 / (r + 1), which Holm's correction over a battery may never get below 0.05: Student's tail of the mean over the
    refits' deviation is taken where it is smaller.

    Args:
        items: bias of each item under the decoder itself.
        refits: under r refits.
        seed: of the items' resamples.
    """
    from deepwright.core.statistics import resamples

    items, refits = (require_finite(t.double().cpu(), "biases of items") for t in (items, refits))
    n, mean = len(items), float(items.mean())
    if n < LEAST_PAIRS:
        return unmeasured(f"{n} pairs, and an interval needs {LEAST_PAIRS}", n, mean)
    drawn = refits.gather(1, resamples(n, len(refits), seed))
    means, spread = drawn.mean(1), float(items.std())
    if spread <= 0:
        return unmeasured("every item shows the same bias, so that its spread isn't known", n, mean)
    other = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(1.0, 2 * (other + 1) / (len(means) + 1))
    deviation = float(means.std()) if len(means) > 1 else 0.0
    if other == 0 and deviation > 0:
        p = min(p, 2 * float(stdtr(len(means) - 1, -abs(mean) / deviation)))
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    interval = Interval(mean, min(low, mean), max(high, mean))
    d = Interval(mean / spread, interval.low / spread, interval.high / spread)
    return Effect(interval, d, p, n, p)


def unmeasured(reason: str, n: int, mean: float = math.nan) -> Effect:
    """An effect that can't be told.

    Args:
        reason: why.
        n: items.
        mean: over them, where there is one.
    """
    nothing = Interval(mean, -math.inf, math.inf)
    return Effect(nothing, Interval(math.nan, -math.inf, math.inf), 1.0, n, 1.0, reason)


def corrected(effects: dict[str, Effect]) -> dict[str, Effect]:
    """Holm's correction over the effects that could be measured.

    Args:
        effects: by name.
    """
    tested = [name for name, effect in effects.items() if not effect.reason]
    if not tested:
        return effects
    adjusted = dict(zip(tested, holm([effects[name].p for name in tested])))
    return {name: replace(e, adjusted=adjusted.get(name, 1.0)) for name, e in effects.items()}


def index(further: Float[Tensor, " n"], nearer: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """(a - b) / (a + b) of each item's two distances, in [-1, 1]; 0 where both are.

    Args:
        further: what people see as less alike.
        nearer: the other.
    """
    total = further + nearer
    return torch.where(total > 0, (further - nearer) / total.clamp_min(1e-30), torch.zeros_like(total))


def effect_beyond(items: Float[Tensor, " n"], control: Float[Tensor, " n"], seed: int = 0) -> Effect:
    """The effect at a control of 0: what a straight line through items' controls leaves there.

    Args:
        items: effects.
        control: the same effects of a trivial observer, as of pixel distances.
        seed: of the resamples.
    """
    items, control = items.double().cpu(), control.double().cpu()
    if float(control.min()) > 0 or float(control.max()) < 0:
        reason = "the trivial observer shows the effect's sign in all items, so that none shows it at an equal change"
        return unmeasured(reason, len(items))
    centred = control - control.mean()
    spread = centred.square().sum()
    slope = (centred * items).sum() / spread if float(spread) > 1e-12 else torch.zeros_like(spread)
    left = items - slope * control
    return effect_of(torch.where(left.abs() < 1e-6 * items.abs().max(), 0.0, left), seed)
