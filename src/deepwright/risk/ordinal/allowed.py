"""A term's weight found from the contact rate that is allowed, by a multiplier that grows while there are more."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from deepwright.core.requirements import require_positive, require_within
from deepwright.core.tasks import ClassOrder, contact_counts
from deepwright.risk.ordinal.terms import require_classes

_KEPT = 0.9  # of the counts, from one batch to the next
_PATIENCE = 50  # steps


class AllowedContactRate(nn.Module):
    """lambda for `OrdinalSegmentationLoss`, in place of a number: the Lagrange multiplier of "contact rate <= allowed".

    In each training step log lambda moves by step (rate - allowed) / (rate + allowed), with the rate of forbidden among
    all contacts in the network's own label maps, pooled over the last ten batches or so: up while there are too many,
    down where there are fewer, by at most `step`, whatever the term's scale. It is a buffer, so that it is stored with
    the loss. It is the rate of the maps that are trained on: on other pictures it is higher, several times so where
    training pictures are few. A rate of 0 is also that of a network that has lost a class: the loss warns.

    Args:
        order: of the classes.
        allowed: share of contacts, in (0, 1).
        start: lambda at the beginning.
        step: largest change of log lambda in a step.
        largest: bound of lambda; standing at it for 50 steps with too many contacts is warned of.

    Example:
        >>> from deepwright.risk import ClassOrder, ContactNeighborLoss, OrdinalSegmentationLoss
        >>> order = ClassOrder.chain(4)
        >>> weight = AllowedContactRate(order, 0.002)
        >>> loss = OrdinalSegmentationLoss(terms={"contact": (ContactNeighborLoss(order), weight)})
        >>> float(weight.value)
        1.0
    """

    log_weight: Tensor
    counts: Tensor
    stuck: Tensor

    def __init__(
        self, order: ClassOrder, allowed: float, *, start: float = 1.0, step: float = 0.05, largest: float = 100.0
    ) -> None:
        super().__init__()
        require_within(0.0, 1.0, ends="()", allowed=allowed)
        require_positive(start=start, step=step, largest=largest)
        require_within(0.0, largest, start=start)
        self.order, self.allowed, self.step, self.largest = order, allowed, step, largest
        self.seen = 0  # steps on the host
        self.register_buffer("log_weight", torch.tensor(math.log(start), dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("stuck", torch.zeros((), dtype=torch.long))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """To another device, but in double precision whatever the network's: in half the counts would overflow."""
        kept = {name: getattr(self, name) for name in ("log_weight", "counts")}
        super()._apply(fn, recurse)
        for name, before in kept.items():
            after = getattr(self, name)
            if after.dtype != before.dtype:
                setattr(self, name, before.to(after.device))
        return self

    @property
    def value(self) -> Tensor:
        """lambda."""
        return self.log_weight.exp()

    @property
    def rate(self) -> Tensor:
        """The pooled contact rate that it was last moved by; NaN before there was a contact."""
        return self.counts[0] / self.counts[1]

    @torch.no_grad()
    def forward(self, logits: Tensor, target: Tensor, ignore_index: int | None = None) -> Tensor:
        """lambda, after a step in training mode.

        Args:
            logits: (N, K, *positions) of the network.
            target: (N, *positions); only which positions count is read from it.
            ignore_index: the label of those that don't.
        """
        require_classes(self.order, logits)
        if self.training:
            valid = None if ignore_index is None else (target != ignore_index).to(logits.device)
            found = contact_counts(logits.argmax(1), self.order, valid).sum((0, 1))
            self._move(found.to(self.counts))
        return self.value

    def _move(self, found: Tensor) -> None:
        self.counts.mul_(_KEPT).add_(found)
        rate = (self.counts[0] / self.counts[1].clamp_min(1e-300)).where(self.counts[1] > 0, self.allowed)
        change = self.step * (rate - self.allowed) / (rate + self.allowed)
        high = math.log(self.largest)
        self.log_weight.copy_((self.log_weight + change).clamp_max(high))
        held = (self.log_weight >= high) & (rate > self.allowed)
        self.stuck.copy_(torch.where(held, self.stuck + 1, 0))
        self.seen += 1
        if self.seen % _PATIENCE == 0 and int(self.stuck) >= _PATIENCE:
            warnings.warn(
                f"lambda has stood at its bound of {self.largest:g} for {int(self.stuck)} steps, and the contact rate "
                f"is {float(rate):.3g}: the allowed {self.allowed:g} isn't reached by this term",
                stacklevel=5,
            )
            self.stuck.zero_()
