"""Whether an order is the data's: refused where its own labels break it, or found from what touches what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.tasks import ClassOrder, contact_counts, touching

_LIMIT = 0.05


def forbidden_pairs(labels: Tensor, order: ClassOrder, valid: Tensor | None = None) -> tuple[tuple[int, int, int], ...]:
    """(class, class, contacts) of the pairs that touch and may not, the commonest first.

    Args:
        labels: (N, *positions).
        order: of the classes.
        valid: which positions count; None for all.
    """
    labels = _whole_labels(labels, order.classes, valid)
    counts = touching(labels, valid, order.classes).sum((0, 1))
    counts = ((counts + counts.T) * (order.distance.to(counts) > 1)).triu()
    rows = [(k, j, int(counts[k, j])) for k, j in counts.nonzero().tolist()]
    return tuple(sorted(rows, key=lambda row: -row[2]))


def require_order(labels: Tensor, order: ClassOrder, valid: Tensor | None = None, *, limit: float = _LIMIT) -> float:
    """The true labels' own pooled contact rate, refused above a limit: an order that isn't theirs harms.

    Args:
        labels: (N, *positions) of the ground truth.
        order: of the classes.
        valid: which positions count; None for all.
        limit: of the rate.

    Raises:
        InputError: a larger rate, with the pairs that touch.
    """
    require_within(0.0, 1.0, limit=limit)
    labels = _whole_labels(labels, order.classes, valid)
    forbidden, total = contact_counts(labels, order, valid).sum((0, 1)).tolist()
    rate = forbidden / total if total else 0.0
    if rate > limit:
        named = order.names or tuple(map(str, range(order.classes)))
        pairs = ", ".join(f"{named[k]} and {named[j]} ({n:,})" for k, j, n in forbidden_pairs(labels, order, valid)[:4])
        raise InputError(
            "order",
            given=f"{order.text}, which {rate:.1%} of the labels' own contacts break: {pairs}",
            expected=f"at most {limit:.0%}",
            hint="check which number means which class, or leave classes that touch freely unrelated",
        )
    return rate


@dataclass(frozen=True)
class FoundOrder:
    """An order read from labels.

    Attributes:
        order: of the classes.
        contact_rate: of the labels under it; NaN where no related classes touch.
        exceptions: (class, class, contacts) that touch in the labels and aren't parent and child: wrong labels, or an
            order that isn't a tree.
    """

    order: ClassOrder
    contact_rate: float
    exceptions: tuple[tuple[int, int, int], ...]


def find_order(
    labels: Tensor, classes: int, *, names: Sequence[str] = (), valid: Tensor | None = None, root: int | None = None
) -> FoundOrder:
    """The tree of containment along which most of the labels' contacts run.

    The edges are a maximum spanning tree of how often classes touch, hung up at the root. Contacts of siblings aren't
    forbidden by it, so that a low rate alone doesn't say that the order is true: see `exceptions`.

    Args:
        labels: (N, *positions).
        classes: how many.
        names: of the classes, or none.
        valid: which positions count; None for all.
        root: the outermost class; by default the one that lies most along the edges of the pictures.

    Raises:
        InputError: labels that aren't classes, or a root that isn't one.
    """
    require_whole(2, classes=classes)
    if root is not None:
        require_whole(0, root=root)
        if root >= classes:
            raise InputError("root", given=root, expected=f"a class, 0..{classes - 1}, or None")
    labels = _whole_labels(labels, classes, valid)
    counts = touching(labels, valid, classes).sum((0, 1)).cpu()
    counts = counts + counts.T
    start = _at_edges(labels, valid, classes) if root is None else root
    parents, reached = [-1] * classes, [start]
    while True:
        frontier = counts[reached].clone()
        frontier[:, reached] = 0
        if not bool(frontier.any()):
            break
        row, k = divmod(int(frontier.argmax()), classes)
        parents[k] = reached[row]
        reached.append(k)
    order = ClassOrder(tuple(parents), tuple(names))
    forbidden, total = contact_counts(labels, order, valid).sum((0, 1)).tolist()
    edges = {frozenset((k, p)) for k, p in enumerate(parents)}
    rows = [(k, j, int(counts[k, j])) for k in range(classes) for j in range(k + 1, classes) if counts[k, j] > 0]
    odd = tuple(sorted((r for r in rows if frozenset(r[:2]) not in edges), key=lambda r: -r[2]))
    return FoundOrder(order, forbidden / total if total else float("nan"), odd)


def _whole_labels(labels: Tensor, classes: int, valid: Tensor | None) -> Tensor:
    """Labels as int64, refused where one that counts isn't a class; narrower whole numbers would overflow in pairs."""
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError("labels", given=str(labels.dtype), expected="whole numbers, a class a position")
    labels = labels.long()
    if valid is not None and valid.shape != labels.shape:
        given = f"{tuple(labels.shape)} and {tuple(valid.shape)}"
        raise InputError("labels and `valid`", given=given, expected="one shape for both")
    shown = labels if valid is None else labels[valid]
    if shown.numel() and not 0 <= int(shown.min()) <= int(shown.max()) < classes:
        given = f"labels {int(shown.min())}..{int(shown.max())}"
        expected = f"0..{classes - 1}, with `valid` for what doesn't count"
        raise InputError("labels", given=given, expected=expected)
    return labels


def _at_edges(labels: Tensor, valid: Tensor | None, classes: int) -> int:
    found = torch.zeros(classes, dtype=torch.long)
    for axis in range(1, labels.ndim):
        for end in (0, labels.shape[axis] - 1):
            edge = labels.select(axis, end)
            edge = edge if valid is None else edge[valid.select(axis, end)]
            found += torch.bincount(edge.flatten().cpu(), minlength=classes)
    return int(found.argmax())
