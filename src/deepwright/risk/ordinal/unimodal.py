"""Terms that ask each position's probabilities to fall away from its class.

Sources: R. Cruz, R. Cristino, J. S. Cardoso, "Learning Ordinality in Semantic Segmentation", arXiv 2407.20959 (CO2);
T. Albuquerque, R. Cruz, J. S. Cardoso, "Quasi-Unimodal Distributions for Ordinal Classification", Mathematics 2022;
C. Beckham, C. Pal, "A simple squared-error reformulation for ordinal classification", arXiv 1612.00775.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number
from deepwright.core.tasks import ClassOrder
from deepwright.risk.ordinal.slopes import of_softmax
from deepwright.risk.ordinal.terms import PixelTerm


class OrderedNeighborLoss(PixelTerm):
    """CO2: consecutive classes must fall by omega from the true class on, sum_k relu(omega + s_k (P_{k+1} - P_k)).

    s_k = 1 where k >= y, else -1. In a tree the pairs are a class and its parent, and a pair counts only where both are
    related to the true class. At a one-hot answer the flat tails still cost omega a pair.

    Args:
        order: of the classes, a chain or a tree.
        omega: the margin; 0 gives the term CO.
        pairs: "mean" over the pairs that count, as in segmentation, or "sum", as in classification.
        reduction: see `PixelTerm`.
        ignore_index: see `PixelTerm`.
    """

    signs: Tensor
    outer: Tensor
    inner: Tensor

    def __init__(
        self,
        order: ClassOrder,
        omega: float = 0.05,
        *,
        pairs: str = "mean",
        reduction: str = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(order, reduction=reduction, ignore_index=ignore_index)
        require_number(0, omega=omega)
        if pairs not in ("mean", "sum"):
            raise InputError("pairs", given=repr(pairs), expected="'mean' or 'sum'")
        self.omega, self.pairs = omega, pairs
        self.levelled = order.parents == tuple(range(-1, order.classes - 1))
        inner = [k for k, parent in enumerate(order.parents) if parent >= 0]
        outer = [order.parents[k] for k in inner]
        falls = 1.0 - 2.0 * order.inside[:, inner].float()  # of each true class: towards it where it lies inside
        counts = order.related[:, inner] & order.related[:, outer]
        self.register_buffer("signs", falls * counts, persistent=False)
        self.register_buffer("outer", torch.tensor(outer, dtype=torch.long), persistent=False)
        self.register_buffer("inner", torch.tensor(inner, dtype=torch.long), persistent=False)

    def in_rank(self, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """As they are: the pairs know the classes."""
        return z, target

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The mean or the sum over the pairs."""
        return of_softmax(z, partial(self._in_a_row if self.levelled else self._along_edges, target=target))

    def _in_a_row(self, p: Tensor, rows: slice, target: Tensor) -> tuple[Tensor, Tensor]:
        """Where each class is the parent of the next."""
        rise = p.diff(dim=1)
        halves = torch.arange(rise.shape[1], device=p.device).to(p) + 0.5
        signs = (_beside(halves, p) - target[rows, None].to(p)).sign()
        share = 1.0 if self.pairs == "sum" else 1 / rise.shape[1]
        costs = torch.addcmul(rise.new_tensor(self.omega), signs, rise).clamp_min(0)
        falls = (costs.sign() * signs).mul(share)
        slopes = torch.zeros_like(p)
        slopes.narrow(1, 1, rise.shape[1]).add_(falls)
        slopes.narrow(1, 0, rise.shape[1]).sub_(falls)
        return costs.sum(1) * share, slopes

    def _along_edges(self, p: Tensor, rows: slice, target: Tensor) -> tuple[Tensor, Tensor]:
        """Where parents and classes are pairs of a tree."""
        outer, inner = self.outer.to(p.device), self.inner.to(p.device)
        signs = self.signs.to(p)[target[rows]].movedim(-1, 1)
        counted = signs.abs()
        costs = (self.omega + signs * (p[:, inner] - p[:, outer])).clamp_min(0) * counted
        share = 1.0 if self.pairs == "sum" else 1 / counted.sum(1, keepdim=True).clamp_min(1)
        falls = costs.sign() * signs * share
        slopes = torch.zeros_like(p).index_add(1, inner, falls).index_add(1, outer, -falls)
        return (costs * share).sum(1), slopes


class QuasiUnimodalLoss(PixelTerm):
    """QUL: the true class above its neighbours by omega, and these above all that lies beyond them.

    Args:
        omega: the margin.
        order: see `PixelTerm`.
        reduction: see `PixelTerm`.
        ignore_index: see `PixelTerm`.
    """

    def __init__(
        self,
        omega: float = 0.05,
        order: ClassOrder | None = None,
        *,
        reduction: str = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(order, reduction=reduction, ignore_index=ignore_index)
        require_number(0, omega=omega)
        self.omega = omega

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The sum over the other classes."""
        return of_softmax(z, partial(self._sloped, target=target))

    def _sloped(self, p: Tensor, rows: slice, target: Tensor) -> tuple[Tensor, Tensor]:
        """Each class against its anchor: the true class beside it, that one's neighbour farther out."""
        at = target[rows, None]
        under, over = (at - 1).clamp_min(0), (at + 1).clamp_max(p.shape[1] - 1)
        here, below, above = p.gather(1, at), p.gather(1, under), p.gather(1, over)
        apart = _beside(torch.arange(p.shape[1], device=p.device).to(p), p) - at.to(p)
        outer, inner = (-1 - apart).clamp(0, 1), (apart - 1).clamp(0, 1)  # 1 where the anchor is a neighbour
        anchor = torch.addcmul(torch.addcmul(here, outer, below - here), inner, above - here)
        costs = (p + self.omega - anchor).clamp_min(0) * apart.abs().clamp_max(1)
        slopes = costs.sign()
        by_under, by_over = (slopes * outer).sum(1, keepdim=True), (slopes * inner).sum(1, keepdim=True)
        by_here = slopes.sum(1, keepdim=True) - by_under - by_over
        for index, owed in ((at, by_here), (under, by_under), (over, by_over)):
            slopes = slopes.scatter_add(1, index, -owed)
        return costs.sum(1), slopes


def _beside(columns: Tensor, p: Tensor) -> Tensor:
    """A number a class, (K,), in the form that goes with (N, K, *positions)."""
    return columns.reshape(1, -1, *[1] * (p.ndim - 2))


def steps_apart(p: Tensor, target: Tensor) -> Tensor:
    """(N, K, *positions): k - y.

    Args:
        p: (N, K, *positions).
        target: (N, *positions) of levels.
    """
    return _beside(torch.arange(p.shape[1], device=p.device), p) - target[:, None]


class ExpectedSquaredErrorLoss(PixelTerm):
    """(mu - y)^2 + a Var of the class's number under P; at a = 1, sum_k P_k (k - y)^2, 0 at the one-hot answer only.

    This is our reading of the term that the 2026 paper (arXiv 2603.26736) names EXP_MSE without a formula that we could
    read; a = 0 is the squared error of the expectation, which two far classes of one half each satisfy.

    Args:
        variance_weight: a.
        order: see `PixelTerm`.
        reduction: see `PixelTerm`.
        ignore_index: see `PixelTerm`.
    """

    def __init__(
        self,
        variance_weight: float = 1.0,
        order: ClassOrder | None = None,
        *,
        reduction: str = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(order, reduction=reduction, ignore_index=ignore_index)
        require_number(0, variance_weight=variance_weight)
        self.variance_weight = variance_weight

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The squared error and the weighted variance."""
        p = z.softmax(1)
        apart = steps_apart(p, target).to(p)
        mean = (p * apart).sum(1)
        second = (p * apart.square()).sum(1)
        return mean.square() + self.variance_weight * (second - mean.square())


class EntropyTerm(PixelTerm):
    """-sum_k P_k log P_k, which takes the cross-entropy's place in HO2 and QUL_HO; the labels aren't used."""

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The entropy."""
        logs = z.log_softmax(1)
        return -(logs.exp() * logs).sum(1)
