"""Losses of stacked networks, row by row: what is fitted, chosen and tested."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional


class RowLoss(ABC):
    """A loss of each row of each network.

    Args:
        outputs: numbers that the network gives a row.
    """

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    @abstractmethod
    def rows(self, out: Tensor, y: Tensor) -> Tensor:
        """(K, n) losses.

        Args:
            out: (K, n, outputs).
            y: (K, n, ...), or (1, n, ...) where all networks see the same rows.
        """

    @abstractmethod
    def constant(self, y: Tensor) -> Tensor:
        """(outputs,) the best outputs that don't look at x.

        Args:
            y: (n, ...).
        """

    def terms(self, y: Tensor) -> int:
        """Of how many numbers the mean loss is a mean: rows, times outputs where those are separate, or events.

        Args:
            y: (n, ...).
        """
        return len(y)

    def mean(self, out: Tensor, y: Tensor) -> Tensor:
        """(K,) mean losses.

        Args:
            out: (K, n, outputs).
            y: as for `rows`.
        """
        return self.rows(out, y).mean(1)


class Squared(RowLoss):
    """Squared error, its mean over several outputs; targets (K, n, outputs)."""

    def rows(self, out: Tensor, y: Tensor) -> Tensor:
        """Squared errors."""
        return (out - y).square().mean(2)

    def terms(self, y: Tensor) -> int:
        """Each output of each row."""
        return len(y) * self.outputs

    def constant(self, y: Tensor) -> Tensor:
        """The mean."""
        return y.mean(0)


class CrossEntropy(RowLoss):
    """Cross-entropy of softmax; targets (K, n) whole numbers.

    Args:
        outputs: classes.
        weights: one a class, of mean 1 over the rows; None counts each row alike.
    """

    def __init__(self, outputs: int, weights: Tensor | None = None) -> None:
        super().__init__(outputs)
        self.weights = weights

    def rows(self, out: Tensor, y: Tensor) -> Tensor:
        """Cross-entropies, weighted."""
        y = y.expand(out.shape[:2])
        losses = functional.cross_entropy(out.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
        return losses if self.weights is None else losses * self.weights.to(losses)[y]

    def constant(self, y: Tensor) -> Tensor:
        """Logarithms of the classes' (weighted) shares."""
        counts = torch.bincount(y, minlength=self.outputs).double()
        if self.weights is not None:
            counts = counts * self.weights.to(counts)
        return (counts / counts.sum()).clamp_min(1e-6).log()


class CoxPartial(RowLoss):
    """Minus the logarithm of Cox's partial likelihood (Breslow's for ties); targets (K, n, 2): time, event.

    Rows without an event have a loss of 0, those with one are divided by the share of events, so that the mean is a
    loss an event. The risk set of a row is all rows given that last as long: a batch stands for the whole.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def rows(self, out: Tensor, y: Tensor) -> Tensor:
        """An event's risk against that of all who were still there."""
        risk = out.squeeze(2)
        time, event = y[..., 0].expand_as(risk), y[..., 1].expand_as(risk)
        order = time.argsort(dim=1, descending=True, stable=True)
        ordered = time.gather(1, order)
        reached = risk.gather(1, order).logcumsumexp(1)
        last = torch.searchsorted(-ordered.contiguous(), -ordered.contiguous(), right=True) - 1  # ties: all of them
        back = order.argsort(1)
        at_risk = reached.gather(1, last).gather(1, back)
        share = event.mean(1, keepdim=True).clamp_min(1.0 / event.shape[1])
        return event * (at_risk - risk) / share

    def terms(self, y: Tensor) -> int:
        """Events: rows without one have no term in the likelihood."""
        return max(1, int(y[:, 1].sum()))

    def constant(self, y: Tensor) -> Tensor:
        """0: a common factor of all risks has no part in the likelihood."""
        return y.new_zeros(1)
