"""Strategies by name, over one interface: what a selector says about the pool in, indices out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deepwright.core.errors import unknown_name
from deepwright.core.randomness import derive_seed, generator
from deepwright.labels.strategies import diversity, scores


@dataclass(frozen=True)
class View:
    """What a strategy sees of the pool.

    Attributes:
        logits: (N, classes) of the whole pool; features: (N, d) before the last linear layer, or None.
        labelled: indices with a label; free: indices without one.
        seed: of this round's draws.
        passes: (T, N, classes) stochastic passes, where the strategy asked for them.
        truth: labels of `labelled`, in its order.
    """

    logits: Tensor
    features: Tensor | None
    labelled: Tensor
    free: Tensor
    seed: int
    passes: Tensor | None = None
    truth: Tensor | None = None


@dataclass(frozen=True)
class Strategy:
    """A name, what it needs, and a function (view, k) -> k distinct indices without a label."""

    name: str
    select: Callable[[View, int], Tensor]
    needs_features: bool = False
    needs_passes: bool = False
    needs_network: bool = True


def _by(score: scores.Score) -> Callable[[View, int], Tensor]:
    return lambda view, k: scores.top(score(view.logits), view.free, k)


def _random(view: View, k: int) -> Tensor:
    return view.free[torch.randperm(len(view.free), generator=generator(view.seed))[:k]]


def _features(view: View) -> Tensor:
    assert view.features is not None
    return view.features


def _k_center(view: View, k: int) -> Tensor:
    return diversity.k_center_greedy(_features(view), view.labelled, k, view.free)


def _badge(view: View, k: int) -> Tensor:
    return diversity.badge(view.logits, _features(view), k, view.free, generator(view.seed))


def _typiclust(view: View, k: int) -> Tensor:
    return diversity.typiclust(_features(view), view.labelled, k, view.seed % 2**31, candidates=view.free)


def _bald(view: View, k: int) -> Tensor:
    assert view.passes is not None
    return scores.top(scores.bald(view.passes), view.free, k)


STRATEGIES = {
    s.name: s
    for s in (
        Strategy("random", _random, needs_network=False),
        Strategy("least-confidence", _by(scores.least_confidence)),
        Strategy("entropy", _by(scores.entropy)),
        Strategy("margin", _by(scores.margin)),
        Strategy("k-center", _k_center, needs_features=True),
        Strategy("badge", _badge, needs_features=True),
        Strategy("typiclust", _typiclust, needs_features=True),
        Strategy("bald", _bald, needs_passes=True),
    )
}


def named(name: str | Strategy) -> Strategy:
    """A strategy by name."""
    if isinstance(name, Strategy):
        return name
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def subsampled(inner: str | Strategy, most: int) -> Strategy:
    """The same strategy on a random part of the pool: less alike choices, less work."""
    base = named(inner)

    def select(view: View, k: int) -> Tensor:
        order = torch.randperm(len(view.free), generator=generator(derive_seed("subsample", seed=view.seed)))
        part = view.free[order[: max(k, most)]].sort().values
        return base.select(replace(view, free=part), k)

    return Strategy(f"{base.name} of {most}", select, base.needs_features, base.needs_passes, base.needs_network)
