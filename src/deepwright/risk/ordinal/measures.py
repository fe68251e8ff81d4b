"""How plausible maps are, counted over batches and merged across processes: contacts, unimodal pixels, containment.

Sources: arXiv 2407.20959 (contact surface and unimodal pixels).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import ClassOrder, contact_counts
from deepwright.data.imaging import component_counts, components, distance_to, euler_characteristic
from deepwright.risk.ordinal.decoding import require_probabilities
from deepwright.risk.ordinal.terms import require_classes

_AXES = 3


def labels_of(called: Tensor, order: ClassOrder) -> Tensor:
    """Label maps, from themselves or from the columns of a network.

    Args:
        called: (N, *positions) whole numbers, or floats (N, K, *positions), of which the largest is taken.
        order: of the classes.

    Raises:
        InputError: labels out of range, another number of columns, NaN, or floats that look like a map of labels.
    """
    if called.is_floating_point():
        require_classes(order, called)
        _require_columns(called)
        return called.argmax(1)
    labels = called.long()
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < order.classes:
        given = f"labels {int(labels.min())}..{int(labels.max())}"
        raise InputError("labels", given=given, expected=f"0..{order.classes - 1}, with `valid` for what doesn't count")
    return labels


def _require_columns(called: Tensor) -> None:
    """Refuse NaN, and what has the shape of columns by chance: whole numbers up to K - 1, not one 1 a position."""
    if bool(called.isnan().any()):
        raise InputError("labels", given="columns with NaN", expected="numbers")
    if not called.numel() or bool((called.sum(1) == 1).all()):
        return
    whole = (called == called.round()) & (called >= 0) & (called < called.shape[1])
    if bool(whole.all()) and bool((called > 0).any()):
        given = f"{called.dtype} of shape {tuple(called.shape)} with whole numbers up to {float(called.max()):.0f}"
        raise InputError("labels", given=given, expected="columns (N, K, *positions)", hint="a map of labels: y.long()")


def counted_labels(called: Tensor, order: ClassOrder, valid: Tensor | None) -> Tensor:
    """Label maps in which positions that don't count have the label of the nearest that does.

    Args:
        called: (N, *positions) whole numbers, or floats (N, K, *positions).
        order: of the classes.
        valid: (N, *positions) which count; None for all.
    """
    labels = known_labels(called, order, valid)
    return labels if valid is None else filled(labels, valid, order.classes)


def known_labels(called: Tensor, order: ClassOrder, valid: Tensor | None) -> Tensor:
    """Label maps that are looked at where positions count; elsewhere anything may stand in `called`.

    Args:
        called: (N, *positions) whole numbers, or floats (N, K, *positions).
        order: of the classes.
        valid: (N, *positions) which count; None for all.

    Raises:
        InputError: see `labels_of`; `valid` of another shape.
    """
    if valid is None:
        return labels_of(called, order)
    columns = called.is_floating_point()
    shape = called.shape[:1] + called.shape[2:] if columns else called.shape
    if shape != valid.shape:
        given = f"{tuple(shape)} and {tuple(valid.shape)}"
        raise InputError("label maps and `valid`", given=given, expected="one shape for both")
    return labels_of(called if columns else called.where(valid.to(called.device), 0), order)


def filled(labels: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Labels with that of the nearest position that counts where one doesn't; 0 in pictures where none does.

    Args:
        labels: (N, *positions); anything where they don't count.
        valid: (N, *positions) which count.
        classes: how many.
    """
    rows = (~valid).flatten(1).any(1).nonzero().flatten()
    if not len(rows):
        return labels
    known, counts = labels[rows], valid[rows]
    k = torch.arange(classes, device=labels.device).reshape(-1, *[1] * (labels.ndim - 1))
    apart = distance_to((known[:, None] == k) & counts[:, None], labels.ndim - 1)
    return labels.index_copy(0, rows, torch.where(counts, known, apart.argmin(1)))


class InvalidContactRate(Metric):
    """Of neighbours of different related classes, the share that lie more than one level apart.

    `compute()` pools all axes and images (NaN where nothing touches); `published()` is the papers' mean of the axes'
    rates, in which an axis without contacts has rate 0. A map in which a class has vanished may have rate 0: `absent()`
    names the classes that occur nowhere, and belongs beside the rate.

    Args:
        order: of the classes.
    """

    counts: Tensor
    seen: Tensor
    full_state_update = False
    higher_is_better = False

    def __init__(self, order: ClassOrder, **options: Any) -> None:
        super().__init__(**options)
        self.order = order
        self.add_state("counts", default=torch.zeros(_AXES, 2, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("seen", default=torch.zeros(order.classes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("axes", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="max")

    axes: Tensor

    def update(self, called: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            called: (N, *positions) labels, or (N, K, *positions) columns of a network.
            valid: (N, *positions) which positions count; None for all.
        """
        labels = known_labels(called, self.order, valid)
        found = contact_counts(labels, self.order, valid).sum(0)
        self.counts[: len(found)] += found.to(self.counts.device)
        shown = labels if valid is None else labels[valid]
        self.seen += torch.bincount(shown.flatten(), minlength=self.order.classes).to(self.seen.device)
        self.axes = torch.maximum(self.axes, torch.tensor(labels.ndim - 1, device=self.axes.device))

    def compute(self) -> Tensor:
        """Forbidden contacts over all contacts."""
        forbidden, total = self.counts.sum(0)
        return forbidden / total

    def published(self) -> Tensor:
        """The mean over the axes of each one's rate, 0 where it has no contacts."""
        counts = self.counts[: int(self.axes)]
        return (counts[:, 0] / counts[:, 1].clamp_min(1)).mean()

    def absent(self) -> tuple[int, ...]:
        """Classes that occur nowhere in what was added."""
        return tuple((self.seen == 0).nonzero().flatten().tolist())


class UnimodalPixelRate(Metric):
    """The share of positions whose probabilities rise to one peak and fall from it.

    The differences of (0, P, 0) along the order are rounded; the published rule asks for exactly one change of sign and
    counts a plateau as a change, so that sharp answers with flat tails fail it.

    Args:
        decimals: of the rounding.
        ignore_zeros: leave differences of 0 out, and allow one change of sign at most: the sound rule.
        order: a chain; None where the classes are numbered along it.
    """

    unimodal: Tensor
    total: Tensor
    full_state_update = False
    higher_is_better = True

    def __init__(
        self, decimals: int = 2, ignore_zeros: bool = False, order: ClassOrder | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        require_whole(0, decimals=decimals)
        self.decimals, self.ignore_zeros, self.order = decimals, ignore_zeros, order
        self.add_state("unimodal", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, p: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            p: (N, K, *positions) probabilities.
            valid: (N, *positions) which positions count; None for all.
        """
        require_probabilities(p)
        if self.order is not None:
            require_classes(self.order, p)
            p = p[:, list(self.order.ranks)]
        once = self._once(p)
        if valid is not None:
            once = once[valid]
        self.unimodal += once.sum().to(self.unimodal)
        self.total += once.numel()

    def _once(self, p: Tensor) -> Tensor:
        edge = torch.zeros_like(p[:, :1])
        signs = torch.cat([edge, p, edge], 1).diff(dim=1).round(decimals=self.decimals).sign()
        if not self.ignore_zeros:
            return (signs.diff(dim=1) != 0).sum(1) == 1
        columns, last = [], torch.zeros_like(signs[:, 0])
        for sign in signs.unbind(1):
            last = torch.where(sign == 0, last, sign)
            columns.append(last)
        filled = torch.stack(columns, 1)
        return ((filled.diff(dim=1) != 0) & (filled[:, :-1] != 0)).sum(1) <= 1

    def compute(self) -> Tensor:
        """The share; NaN where nothing was added."""
        return self.unimodal / self.total


class ContainmentViolation(Metric):
    """Of the connected parts of each region "class k and all inside it", the share that touch what they may not.

    A part violates where it touches a related class two or more levels outside of k, or the edge of the picture. Parts
    and neighbours touch by their faces.

    Args:
        order: of the classes.
        border: whether touching the edge of the picture is a violation.
    """

    counts: Tensor
    topology: Tensor
    full_state_update = False
    higher_is_better = False

    def __init__(self, order: ClassOrder, border: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.order, self.border = order, border
        self.inner = tuple(k for k, parent in enumerate(order.parents) if parent >= 0)
        self.add_state("counts", default=torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")
        empty = torch.zeros(len(self.inner), 3, dtype=torch.float64)
        self.add_state("topology", default=empty, dist_reduce_fx="sum")

    def update(self, called: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            called: (N, *positions) labels, or (N, K, *positions) columns of a network.
            valid: (N, *positions) which positions count; the others take the label of the nearest that does, so that
                they make no holes or parts. None for all.
        """
        labels = counted_labels(called, self.order, valid)
        for row, k in enumerate(self.inner):
            region = self.order.inside[:, k].to(labels.device)[labels]
            numbered, count = components(region)
            bad = self._touched(labels, numbered, k, count)
            self.counts += torch.tensor([float(bad), float(count)], dtype=torch.float64, device=self.counts.device)
            parts = component_counts(region)
            holes = parts - euler_characteristic(region)
            found = torch.stack([(parts - 1).clamp_min(0).sum(), holes.sum(), (parts > 0).sum()])
            self.topology[row] += found.to(self.topology)

    def _touched(self, labels: Tensor, numbered: Tensor, k: int, count: int) -> int:
        outer = self.order.inside[k] & (self.order.levels <= self.order.levels[k] - 2)
        outside = outer.to(labels.device)[labels]
        hit = torch.zeros(count + 1, dtype=torch.bool, device=labels.device)
        for axis in range(1, labels.ndim):
            length = labels.shape[axis] - 1
            for near, far in ((0, 1), (1, 0)):
                part, other = numbered.narrow(axis, near, length), outside.narrow(axis, far, length)
                hit[part[other]] = True
            if self.border:
                for end in (0, length):
                    hit[numbered.select(axis, end)] = True
        return int(hit[1:].sum())

    def compute(self) -> Tensor:
        """Parts that violate over all parts; NaN where there is none."""
        return self.counts[0] / self.counts[1]

    def regions(self) -> dict[int, dict[str, float]]:
        """Of each class but the outermost, parts beyond the first and holes of its region, a picture that holds it.

        In three dimensions `holes` are tunnels less cavities.
        """
        extra, holes, pictures = self.topology.unbind(1)
        return {
            k: {"extra": float(extra[i] / pictures[i]), "holes": float(holes[i] / pictures[i])}
            for i, k in enumerate(self.inner)
        }


class OrdinalScores(Metric):
    """Dice, IoU, mean absolute error in levels, and quadratic weighted kappa, from one table of confusions.

    A class that is neither there nor predicted has a Dice of NaN and is left out of the mean. Errors between unrelated
    classes of a tree count as the levels to their last common ancestor and down again.

    Args:
        order: of the classes.
        ignore_index: the label of positions that don't count; None where all do.
    """

    confusion: Tensor
    full_state_update = False
    higher_is_better = None

    def __init__(self, order: ClassOrder, ignore_index: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.order, self.ignore_index = order, ignore_index
        zeros = torch.zeros(order.classes, order.classes, dtype=torch.float64)
        self.add_state("confusion", default=zeros, dist_reduce_fx="sum")

    def update(self, called: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            called: (N, *positions) labels, or (N, K, *positions) columns of a network.
            target: (N, *positions) of classes, or `ignore_index`.
        """
        labels = labels_of(called, self.order)
        if labels.shape != target.shape:
            given = f"{tuple(labels.shape)} and {tuple(target.shape)}"
            raise InputError("label maps", given=given, expected="one shape for both")
        target = target.to(labels.device)
        if self.ignore_index is not None:
            counts = target != self.ignore_index
            labels, target = labels[counts], target[counts]
        classes = self.order.classes
        pairs = labels_of(target, self.order).flatten() * classes + labels.flatten()
        found = torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        self.confusion += found.to(self.confusion)

    def compute(self) -> dict[str, Tensor]:
        """`macro_dice`, `micro_dice`, `macro_iou`, `mae`, `kappa`, and `dice` of each class."""
        table = self.confusion
        hits, true, called = table.diagonal(), table.sum(1), table.sum(0)
        dice, iou = 2 * hits / (true + called), hits / (true + called - hits)
        apart = self._apart().to(table)
        by_chance = true[:, None] * called / table.sum()
        return {
            "macro_dice": dice.nanmean(),
            "micro_dice": hits.sum() / table.sum(),
            "macro_iou": iou.nanmean(),
            "mae": (table * apart).sum() / table.sum(),
            "kappa": 1 - (table * apart**2).sum() / (by_chance * apart**2).sum(),
            "dice": dice,
        }

    def _apart(self) -> Tensor:
        inside = self.order.inside.double()
        common = inside @ inside.T  # ancestors that two classes share, themselves among them
        depth = self.order.levels.double() + 1
        return depth[:, None] + depth - 2 * common
