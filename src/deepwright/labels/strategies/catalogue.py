"""Strategies by name, over one interface: what a selector says about the pool in, indices out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Task
from deepwright.labels.strategies import diversity, scores
from deepwright.labels.strategies.given import require_count


@dataclass(frozen=True)
class View:
    """What a strategy sees of the pool.

    Attributes:
        logits: (N, classes) of the whole pool, or raw outputs with their task.
        features: (N, d) before the last linear layer, or None.
        labelled: indices with a label.
        free: indices without one.
        seed: of this round's draws.
        passes: (T, N, classes) stochastic passes, where the strategy asked for them.
        truth: labels of `labelled`, in its order.
        task: how to read outputs; None where they are logits of classes.
    """

    logits: Tensor
    features: Tensor | None
    labelled: Tensor
    free: Tensor
    seed: int
    passes: Tensor | None = None
    truth: Tensor | None = None
    task: Task | None = None

    def required(self, name: str) -> Tensor:
        """What a strategy can't do without.

        Args:
            name: "features", "passes" or "truth".

        Raises:
            InputError: it isn't there.
        """
        found = getattr(self, name)
        if found is None:
            raise InputError(name, given="none", expected=f"a view with {name} for this strategy")
        return found


@dataclass(frozen=True)
class Strategy:
    """A name, what it needs, and a function.

    Attributes:
        name: shown in records.
        select: (view, k) -> k distinct indices without a label.
        needs_features: whether the view must have features.
        needs_passes: whether it must have stochastic passes.
        needs_network: whether a selector has to be trained at all.
        options: words that `select` takes besides, by name.
    """

    name: str
    select: Callable[..., Tensor]
    needs_features: bool = False
    needs_passes: bool = False
    needs_network: bool = True
    options: tuple[str, ...] = ()

    def having(self, **options: Any) -> Strategy:
        """The same strategy with other options.

        Args:
            **options: of `options`.

        Raises:
            InputError: a word that the strategy doesn't support.
        """
        for word in options:
            if not self.options:
                raise InputError(f"strategy {self.name!r}", given=f"the option {word!r}", expected="no options")
            if word not in self.options:
                raise unknown_name(f"option of strategy {self.name!r}", word, self.options)
        return replace(self, select=functools.partial(self.select, **options)) if options else self


def _by(score: scores.Score) -> Callable[[View, int], Tensor]:
    return lambda view, k: scores.top(score(view.logits, view.task), view.free, k)


def _random(view: View, k: int) -> Tensor:
    require_count(k, len(view.free))
    order = torch.randperm(len(view.free), generator=generator(view.seed))
    return view.free[order[:k].to(view.free.device)]


def _k_center(view: View, k: int) -> Tensor:
    return diversity.k_center_greedy(view.required("features"), view.labelled, k, view.free)


def _badge(view: View, k: int) -> Tensor:
    rng = generator(view.seed)
    return diversity.badge(view.logits, view.required("features"), k, view.free, rng, view.task)


def _typiclust(view: View, k: int, neighbours: int = 20, most_clusters: int = 500) -> Tensor:
    seed = view.seed % 2**31
    return diversity.typiclust(
        view.required("features"), view.labelled, k, seed, neighbours, most_clusters, candidates=view.free
    )


def _bald(view: View, k: int) -> Tensor:
    return scores.top(scores.bald(view.required("passes"), view.task), view.free, k)


STRATEGIES = {
    s.name: s
    for s in (
        Strategy("random", _random, needs_network=False),
        Strategy("least-confidence", _by(scores.least_confidence)),
        Strategy("entropy", _by(scores.entropy)),
        Strategy("margin", _by(scores.margin)),
        Strategy("k-center", _k_center, needs_features=True),
        Strategy("badge", _badge, needs_features=True),
        Strategy("typiclust", _typiclust, needs_features=True, options=("neighbours", "most_clusters")),
        Strategy("bald", _bald, needs_passes=True),
    )
}


def named(name: str | Strategy, **options: Any) -> Strategy:
    """A strategy by name.

    Args:
        name: of `STRATEGIES`, or a strategy.
        **options: that it supports, as `named("typiclust", neighbours=10)`.

    Raises:
        InputError: an unknown name, neither a name nor a strategy, or a word that the strategy doesn't support.
    """
    if isinstance(name, Strategy):
        return name.having(**options)
    if not isinstance(name, str):
        raise InputError("strategy", given=repr(name), expected=f"a Strategy, or one of {', '.join(STRATEGIES)}")
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    return STRATEGIES[name].having(**options)


def subsampled(inner: str | Strategy, most: int) -> Strategy:
    """The same strategy on a random part of the pool: less alike choices, less work.

    Args:
        inner: the strategy.
        most: samples of the part (as many as are chosen, where that is more).

    Raises:
        InputError: fewer than one, or no integer.
    """
    base = named(inner)
    require_whole(1, most=most)

    def select(view: View, k: int, **options: Any) -> Tensor:
        order = torch.randperm(len(view.free), generator=generator(derive_seed("subsample", seed=view.seed)))
        part = view.free[order[: max(k, most)].to(view.free.device)].sort().values
        return base.having(**options).select(replace(view, free=part), k)

    return replace(base, name=f"{base.name} of {most}", select=select)
