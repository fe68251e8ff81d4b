"""Losses that weigh each wrong class by how far it lies from the true one; they stand alone or beside cross-entropy.

Sources: F. Castagnos, M. Mihelich, C. Dognin, "A Simple Log-based Loss Function for Ordinal Text Classification",
COLING 2022; L. Hou, C.-P. Yu, D. Samaras, "Squared Earth Mover's Distance-based Loss for Training Deep Neural
Networks", arXiv 1611.05916; R. Diaz, A. Marathe, "Soft Labels for Ordinal Regression", CVPR 2019; V. M. Vargas, P. A.
Gutierrez, J. Barbero-Gomez, C. Hervas-Martinez, "Soft labelling based on triangular distributions for ordinal
classification", 2023.
"""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_within
from deepwright.core.tasks import ClassOrder
from deepwright.risk.ordinal.terms import PixelTerm
from deepwright.risk.ordinal.unimodal import steps_apart

_FLOOR = 1e-6


class OrdinalLogLoss(PixelTerm):
    """-sum_k |k - y|^alpha log(1 - P_k + 1e-6): 1.5 is the ordinal log loss, 5 the class-distance-weighted entropy.

    1 - P_k is summed from the other classes, so that a sure answer keeps its gradient.

    Args:
        alpha: above 0.
        order: see `PixelTerm`.
        reduction: see `PixelTerm`.
        ignore_index: see `PixelTerm`.
    """

    def __init__(
        self,
        alpha: float = 1.5,
        order: ClassOrder | None = None,
        *,
        reduction: str = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(order, reduction=reduction, ignore_index=ignore_index)
        require_positive(alpha=alpha)
        self.alpha = alpha

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The sum over the classes."""
        p = z.softmax(1)
        none = torch.zeros_like(p[:, :1])
        before = torch.cat([none, p[:, :-1].cumsum(1)], 1)
        after = torch.cat([p[:, 1:].flip(1).cumsum(1).flip(1), none], 1)
        weight = steps_apart(p, target).abs().to(p) ** self.alpha
        return -(weight * (before + after + _FLOOR).log()).sum(1)


class SquaredEMDLoss(PixelTerm):
    """Sum over k of the squared difference of the cumulative probabilities, predicted and true."""

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The sum over the classes but the last."""
        reached = (steps_apart(z, target) >= 0).to(z)
        return (z.softmax(1).cumsum(1) - reached)[:, :-1].square().sum(1)


class SoftLabelLoss(PixelTerm):
    """Cross-entropy against labels that give part of their weight to the classes beside the true one.

    Args:
        kind: "exponential", weights exp(-alpha |k - y|); "binomial", those of K - 1 draws with chance (2y + 1) / 2K;
            "triangular", alpha shared by the neighbours and 1 - alpha at the class.
        alpha: of the exponential (above 0) or the triangular kind (below 1).
        order: see `PixelTerm`.
        reduction: see `PixelTerm`.
        ignore_index: see `PixelTerm`.
    """

    def __init__(
        self,
        kind: str = "exponential",
        alpha: float | None = None,
        order: ClassOrder | None = None,
        *,
        reduction: str = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(order, reduction=reduction, ignore_index=ignore_index)
        if kind not in ("exponential", "binomial", "triangular"):
            raise InputError("kind", given=repr(kind), expected="'exponential', 'binomial' or 'triangular'")
        if kind == "exponential":
            alpha = 1.5 if alpha is None else alpha
            require_positive(alpha=alpha)
        elif kind == "triangular":
            alpha = 0.1 if alpha is None else alpha
            require_within(0.0, 1.0, ends="[)", alpha=alpha)
        elif alpha is not None:
            raise InputError("alpha", given=alpha, expected="none for the binomial kind")
        self.kind, self.alpha = kind, alpha or 0.0

    def labels(self, classes: int) -> Tensor:
        """(K, K): a row of weights, which sum to 1, for each true class.

        Args:
            classes: K.
        """
        k = torch.arange(classes, dtype=torch.float64)
        apart = (k[:, None] - k).abs()
        if self.kind == "exponential":
            return (-self.alpha * apart).softmax(1)
        if self.kind == "binomial":
            chance = ((2 * k + 1) / (2 * classes))[:, None]
            ways = torch.tensor([comb(classes - 1, i) for i in range(classes)], dtype=torch.float64)
            return ways * chance**k * (1 - chance) ** (classes - 1 - k)
        beside = (apart == 1).double()
        return (1 - self.alpha) * (apart == 0) + self.alpha * beside / beside.sum(1, keepdim=True)

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The cross-entropy."""
        soft = self.labels(z.shape[1]).to(z)[target].movedim(-1, 1)
        return -(soft * z.log_softmax(1)).sum(1)


class CumulativeLinkLoss(PixelTerm):
    """Binary cross-entropy of each "is the class above k?", on K - 1 columns: the ordinal encoding.

    Args:
        order: see `PixelTerm`.
        reduction: see `PixelTerm`.
        ignore_index: see `PixelTerm`.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss.

        Args:
            logits: (N, K - 1, *positions), as a network before `OrdinalEncodingHead` gives them.
            target: (N, *positions) of 0..K-1, or `ignore_index`.
        """
        column = torch.zeros_like(logits[:, :1])
        return super().forward(torch.cat([logits, column], 1), target)

    def in_rank(self, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Labels as levels; the columns are thresholds already."""
        return z, target if self.order is None else self.order.levels.to(target.device)[target]

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The mean over the thresholds."""
        above = (steps_apart(z, target) < 0).to(z)
        return F.binary_cross_entropy_with_logits(z, above, reduction="none")[:, :-1].mean(1)
