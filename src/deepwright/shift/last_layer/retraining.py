"""Heads trained anew on validation rows: balanced by class, by group, or weighted by how wrong the network is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_number, require_whole
from deepwright.shift.convex import fit_l1, fit_l2
from deepwright.shift.methods import Head, HeadMethod, LabelUse, chosen_on_halves, erm_head, zeros
from deepwright.shift.problems import Problem


class ERM(HeadMethod):
    """The head as it is: the one that is given, or that of least cross-entropy on the training rows.

    Args:
        l2: pull to 0 of a head that is fitted.
    """

    def __init__(self, *, l2: float = 1e-6) -> None:
        require_number(0, l2=l2)
        self.l2 = l2

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""
        return erm_head(problem, self.l2)


class LastLayerRetrain(HeadMethod):
    """A logistic head on the validation rows, every class weighing the same; no group label but perhaps in selection.

    Where validation is balanced within each class, as that of Waterbirds is, this alone does what methods with group
    labels do.

    Args:
        l2: strengths to choose from, each half of the rows fitted and the other looked at.
        select: by "worst_class" (no group label), or "worst_group".
        seed: of the halves.
    """

    def __init__(self, *, l2: Sequence[float] = (1e-3, 1e-2, 1e-1), select: str = "worst_class", seed: int = 0) -> None:
        self.l2, self.select, self.seed = strengths("l2", l2), by(select), seed

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""

        def fitted(rows: Tensor, l2: float) -> Head:
            y = problem.val_y[rows]
            weights = 1 / torch.bincount(y, minlength=problem.classes)[y].to(problem.x)
            return fit_l2(problem.val_x[rows], y, zeros(problem), weights=weights, l2=l2)

        l2 = chosen_on_halves(problem, self.l2, fitted, self.select, self.seed)
        self.chosen_ = {"l2": l2}
        return fitted(everything(problem), l2)


class AFR(HeadMethod):
    """The head trained on validation rows that weigh the more, the less the old head believes in their class.

    Weights are exp(-gamma p) with p the old head's probability of the true class, evened out over the classes; the new
    head is pulled to the old one.

    Args:
        gamma: to choose from.
        pull: strengths of the pull to choose from.
        select: by "worst_group", or "worst_class" (no group label).
        seed: of the halves on which the choice is made.

    Source: S. Qiu et al., "Simple and fast group robustness by automatic feature reweighting", arXiv 2306.11074.
    """

    def __init__(
        self,
        *,
        gamma: Sequence[float] = (0.0, 1.0, 4.0, 8.0, 20.0, 60.0),
        pull: Sequence[float] = (0.0, 1e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0),
        select: str = "worst_group",
        seed: int = 0,
    ) -> None:
        self.gamma, self.pull = strengths("gamma", gamma), strengths("pull", pull)
        self.select, self.seed = by(select), seed

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""
        old = erm_head(problem)
        p = torch.softmax(problem.val_x @ old[0].T + old[1], 1).gather(1, problem.val_y[:, None])[:, 0]

        def fitted(rows: Tensor, setting: tuple[float, float]) -> Head:
            gamma, pull = setting
            y = problem.val_y[rows]
            even = 1 / torch.bincount(y, minlength=problem.classes)[y].to(problem.x)
            weights = even * torch.exp(-gamma * p[rows])
            return fit_l2(problem.val_x[rows], y, old, weights=weights, l2=pull, towards=old)

        tried = [(gamma, pull) for gamma in self.gamma for pull in self.pull]
        best = chosen_on_halves(problem, tried, fitted, self.select, self.seed)
        self.chosen_ = {"gamma": best[0], "pull": best[1]}
        return fitted(everything(problem), best)


class DFR(HeadMethod):
    """Deep feature reweighting: L1 logistic heads on group-balanced draws of the validation rows, averaged.

    Args:
        l1: strengths to choose from, on halves; scikit-learn's `C` is 1 / (rows of a draw * l1).
        draws: heads to average; each cuts every group to the smallest one.
        seed: of draws and halves.

    Source: P. Kirichenko, P. Izmailov, A. G. Wilson, "Last layer re-training is sufficient for robustness to spurious
    correlations", arXiv 2204.02937.
    """

    needs_groups = True
    select = "worst_group"

    def __init__(self, *, l1: Sequence[float] = (5e-4, 2e-3, 6e-3, 2e-2, 6e-2), draws: int = 10, seed: int = 0) -> None:
        require_whole(1, draws=draws)
        self.l1, self.draws, self.seed = strengths("l1", l1), draws, seed

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""

        def several(rows: Tensor, l1: float, draws: int) -> Head:
            kept = torch.stack([balanced(problem, rows, self.seed, draw) for draw in range(draws)])
            x, y = problem.val_x[kept], problem.val_y[kept]
            weight, bias = fit_l1(x, y, problem.classes, l1, steps=1000, tolerance=1e-5)
            return weight.mean(0), bias.mean(0)

        def fitted(rows: Tensor, l1: float) -> Head:
            return several(rows, l1, 1)

        l1 = chosen_on_halves(problem, self.l1, fitted, "worst_group", self.seed)
        self.chosen_ = {"l1": l1}
        return several(everything(problem), l1, self.draws)

    def require_groups(self, val_groups: object, train_groups: object) -> None:
        """See `HeadMethod`: groups of the validation rows, on which it trains."""
        super().require_groups(val_groups, None)

    def label_use(self, problem: Problem) -> LabelUse:
        """See `HeadMethod`."""
        return LabelUse(True, len(self.l1) > 1)


def balanced(problem: Problem, rows: Tensor, seed: int, draw: int) -> Tensor:
    """Some validation rows of which every group has as many as the smallest.

    Args:
        problem: with groups.
        rows: to draw from.
        seed: of the draws.
        draw: its number.
    """
    assert problem.val_groups is not None
    groups = problem.val_groups[rows]
    order = torch.randperm(len(rows), generator=generator(seed, "draw", draw)).to(rows.device)
    order = order[groups[order].argsort(stable=True)]
    counts = torch.bincount(groups, minlength=problem.groups)
    rank = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[groups[order]]
    return rows[order[rank < counts[counts > 0].min()]]


def everything(problem: Problem) -> Tensor:
    """All validation rows.

    Args:
        problem: that has them.
    """
    return torch.arange(len(problem.val_y), device=problem.val_y.device)


def strengths(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Numbers of 0 or more to choose from.

    Args:
        name: of the argument.
        values: a sequence of them.

    Raises:
        InputError: none, or something else.
    """
    if isinstance(values, int | float | str) or not len(values):
        raise InputError(name, given=repr(values), expected="a sequence of numbers to choose from, as (0.01, 0.1)")
    for value in values:
        number: dict[str, Any] = {name: value}
        require_number(0, **number)
    return tuple(float(value) for value in values)


def by(select: str) -> str:
    """How a setting is chosen.

    Args:
        select: "worst_group" or "worst_class".

    Raises:
        InputError: anything else.
    """
    if select not in ("worst_group", "worst_class"):
        raise InputError("select", given=repr(select), expected="'worst_group' or 'worst_class'")
    return select


def cross_entropies(problem: Problem, head: Head, x: Tensor, y: Tensor) -> Tensor:
    """(n,) losses of a head.

    Args:
        problem: that the rows are of.
        head: weight and bias.
        x: (n, d) rows.
        y: (n,) classes.
    """
    return F.cross_entropy(x @ head[0].T + head[1], y, reduction="none")
