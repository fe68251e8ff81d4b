"""Terms that ask classes two or more levels apart not to touch; they need no labels.

Source: R. Cruz, R. Cristino, J. S. Cardoso, "Learning Ordinality in Semantic Segmentation", arXiv 2407.20959.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.core.tasks import ClassOrder
from deepwright.data.imaging import distance_to
from deepwright.risk.ordinal.slopes import of_softmax
from deepwright.risk.ordinal.terms import checked_target, raised, require_classes, spoiled


class SpatialTerm(nn.Module):
    """A term of whole label maps: one number a batch, with or without labels.

    Args:
        order: of the classes; None where the term doesn't ask.
        ignore_index: the label of positions that don't count, where labels are given.
    """

    def __init__(self, order: ClassOrder | None, ignore_index: int | None) -> None:
        super().__init__()
        self.order, self.ignore_index = order, ignore_index

    def forward(self, logits: Tensor, target: Tensor | None = None) -> Tensor:
        """The term.

        Args:
            logits: (N, K, *positions), of 1 to 3 dimensions.
            target: (N, *positions); only which positions count is read from it. None where all do.

        Raises:
            InputError: logits or labels of another form, or of other classes than the order's.
        """
        with torch.autocast(logits.device.type, enabled=False):
            z = raised(logits)
            if not 3 <= z.ndim <= 5:
                raise InputError("logits", given=f"shape {tuple(z.shape)}", expected="(N, K, *positions), 1 to 3 axes")
            require_classes(self.order, z)
            if target is None:
                return self.of_logits(z, None)
            _, valid, factor = checked_target(target, z, self.ignore_index)
            return spoiled(self.of_logits(z, valid), factor)

    def of_logits(self, z: Tensor, valid: Tensor | None) -> Tensor:
        """The term of logits.

        Args:
            z: (N, K, *positions).
            valid: (N, *positions) which count; None for all.
        """
        return self.value(z.softmax(1), valid)

    def value(self, p: Tensor, valid: Tensor | None) -> Tensor:
        """The term of probabilities.

        Args:
            p: (N, K, *positions).
            valid: (N, *positions) which count; None for all.
        """
        raise NotImplementedError


def _over_axes(value: Tensor, totals: list[Tensor]) -> Tensor:
    """The mean of the axes' means; 0 with a gradient where there is no axis with neighbours."""
    return torch.stack(totals).mean() if totals else value.sum() * 0


def _neighbours(p: Tensor, valid: Tensor | None, axis: int) -> tuple[Tensor | int, Tensor | None]:
    """How many pairs of neighbours along an axis count, and which."""
    length = p.shape[axis] - 1
    if valid is None:
        return p[:, 0].narrow(axis - 1, 0, length).numel(), None
    both = valid.narrow(axis - 1, 0, length) & valid.narrow(axis - 1, 1, length)
    return both.sum().clamp_min(1).to(p), both[:, None]


class ContactNeighborLoss(SpatialTerm):
    """CSNP: the probability that neighbours are of classes too far apart, weighted by the levels between them.

    The mean over ordered pairs of related classes of distance d >= 2 of (d - 1) times the mean over the axes of the
    mean over neighbours of P_k[p] P_j[p + e]; written as P[p] . A P[p + e], one product of matrices for all pairs.

    Args:
        order: of the classes.
        max_distance: distances above it count as it does; None for no bound.
        ignore_index: see `SpatialTerm`.
    """

    table: Tensor

    def __init__(
        self, order: ClassOrder, max_distance: float | None = None, *, ignore_index: int | None = None
    ) -> None:
        super().__init__(order, ignore_index)
        if max_distance is not None and not max_distance >= 2:
            raise InputError("max_distance", given=max_distance, expected="2 or more, or None")
        distance = order.distance if max_distance is None else order.distance.clamp_max(max_distance)
        table = (distance - 1).clamp_min(0)
        self.pairs = int((table > 0).sum())
        self.register_buffer("table", table, persistent=False)

    def of_logits(self, z: Tensor, valid: Tensor | None) -> Tensor:
        """The mean over the axes, with its slopes."""
        axes = [axis for axis in range(2, z.ndim) if z.shape[axis] > 1]
        if not self.pairs or not axes or not len(z):
            return z.sum() * 0
        shares = {axis: 1 / (_neighbours(z, valid, axis)[0] * len(axes) * self.pairs) for axis in axes}
        return of_softmax(z, partial(self._sloped, valid=valid, shares=shares))

    def _sloped(
        self, p: Tensor, rows: slice, valid: Tensor | None, shares: dict[int, Tensor | float]
    ) -> tuple[None, Tensor]:
        """The slopes A (sum of neighbours' P); a pair is met from both ends, so that P . slopes is twice the term."""
        counted = None if valid is None else valid[rows, None].to(p)
        seen = p if counted is None else p * counted
        around = torch.zeros_like(seen)
        first = next(iter(shares.values()))
        for axis, share in shares.items():
            length = p.shape[axis] - 1
            alike = share is first or (isinstance(share, float) and share == first)
            weighed = seen if alike else seen * (share / first)
            around.narrow(axis, 0, length).add_(weighed.narrow(axis, 1, length))
            around.narrow(axis, 1, length).add_(weighed.narrow(axis, 0, length))
        slopes = ((self.table.to(p) * first) @ around.flatten(2)).view_as(p)
        return None, slopes if counted is None else slopes * counted


class TotalVariationLoss(SpatialTerm):
    """The baseline that knows no order: the mean absolute difference of neighbours' probabilities, summed over classes.

    Args:
        ignore_index: see `SpatialTerm`.
    """

    def __init__(self, *, ignore_index: int | None = None) -> None:
        super().__init__(None, ignore_index)

    def value(self, p: Tensor, valid: Tensor | None) -> Tensor:
        """The mean over the axes."""
        totals = []
        for axis in range(2, p.ndim):
            if p.shape[axis] < 2:
                continue
            count, both = _neighbours(p, valid, axis)
            change = p.diff(dim=axis).abs()
            totals.append((change if both is None else change.where(both, 0)).sum() / count)
        return _over_axes(p, totals)


class ContactDistanceLoss(SpatialTerm):
    """CSDT: the probability of a class near where another one is predicted that it may not touch.

    A_k is where P_k exceeds the threshold, and W_k falls from 1 on it to 0 at the radius. The term is the mean over
    pairs of classes of distance d >= 2 of (d - 1) times the mean of P_k W_j + P_j W_k over the positions where W_k or
    W_j isn't 0; a pair with none is left out. A batch is one pool. Gradients go through P only. Distances are exact;
    the authors' code approximates them, and its values differ by some 4 %.

    With `signed`, W grows to 1 + inside_gain in the depth of A_k, so that a class far inside of another one costs more
    than at its rim. This is our reading of the term that the 2026 paper (arXiv 2603.26736) names CSSDF without a
    formula that we could read; at inside_gain = 0 it is CSDT.

    Args:
        order: of the classes.
        radius: in positions, or in the unit of `spacing`.
        signed: whether depth counts.
        inside_gain: of the signed form.
        threshold: of A_k.
        spacing: of neighbours along each axis.
        update_every: in training the term is computed in each so-manieth call with that weight, and is 0 in the others.
        ignore_index: see `SpatialTerm`.

    Raises:
        InputError: a radius that isn't above 0, or another number out of range.
    """

    levels_between: Tensor

    def __init__(
        self,
        order: ClassOrder,
        radius: float = 10.0,
        *,
        signed: bool = False,
        inside_gain: float = 1.0,
        threshold: float = 0.5,
        spacing: Sequence[float] | None = None,
        update_every: int = 1,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(order, ignore_index)
        require_positive(radius=radius)
        require_within(0.0, 1.0, ends="()", threshold=threshold)
        require_within(0.0, 1e6, inside_gain=inside_gain)
        require_whole(1, update_every=update_every)
        self.radius, self.threshold, self.update_every = radius, threshold, update_every
        self.gain = inside_gain if signed else 0.0
        self.spacing = None if spacing is None else tuple(spacing)
        self.calls = 0
        between = (order.distance - 1).clamp_min(0).triu()
        self.empty = not bool((between > 0).any())
        self.register_buffer("levels_between", between, persistent=False)

    def value(self, p: Tensor, valid: Tensor | None) -> Tensor:
        """The mean over the pairs."""
        self.calls += self.training
        if self.empty or (self.training and (self.calls - 1) % self.update_every):
            return p.sum() * 0
        w = self.nearness(p.detach(), valid)
        flat_p, flat_w = (t.movedim(1, 0).flatten(1) for t in (p, w))
        both = flat_p @ flat_w.T
        near = (flat_w > 0).to(p)
        alone = near.sum(1)
        support = alone[:, None] + alone - near @ near.T
        between = self.levels_between.to(p)
        counts = (between > 0) & (support > 0)
        values = between * (both + both.T) / support.clamp_min(1)
        found = values.where(counts, 0).sum() / counts.sum().clamp_min(1)
        return found * self.update_every if self.training else found

    def nearness(self, p: Tensor, valid: Tensor | None = None) -> Tensor:
        """W (N, K, *positions): 1 on A_k, falling to 0 at the radius; 0 where A_k is empty or positions don't count.

        Args:
            p: (N, K, *positions) probabilities.
            valid: which positions count; None for all.
        """
        on = p > self.threshold
        if valid is not None:
            on = on & valid[:, None]
        dims = p.ndim - 2
        outside = distance_to(on, dims, spacing=self.spacing, limit=self.radius)
        signed = outside
        if self.gain > 0:
            depth = distance_to(~on, dims, spacing=self.spacing, limit=self.radius * self.gain)
            signed = torch.where(on, -depth, outside)
        w = ((self.radius - signed) / self.radius).clamp(0, 1 + self.gain).to(p)
        return w if valid is None else w * valid[:, None]
