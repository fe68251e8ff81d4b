"""From probabilities to labels: which class of each position, and the nearest map that the order allows."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.tasks import ClassOrder
from deepwright.risk.ordinal.terms import require_classes

METHODS = ("argmax", "median", "mean")
_TINY = 1e-12


def decode(p: Tensor, order: ClassOrder, method: str = "argmax") -> Tensor:
    """(N, *positions): the class of each position.

    Args:
        p: (N, K, *positions) probabilities.
        order: of the classes; a chain for anything but "argmax".
        method: "argmax"; "median", the outermost class at which half of the probability is reached; or "mean", the
            class nearest to the expected number. The last two take a position that is either background or pupil for
            the iris between, which is a repair where the order is true and an invention where it isn't.

    Raises:
        InputError: numbers that aren't probabilities, NaN among them, another method, or a tree with "median" or
            "mean".
    """
    require_probabilities(p)
    require_classes(order, p)
    if method not in METHODS:
        raise InputError("method", given=repr(method), expected=f"one of {', '.join(METHODS)}")
    if method == "argmax":
        return p.argmax(1)
    ranks = torch.tensor(order.ranks, device=p.device)
    p = _wide(p)[:, ranks]
    if method == "median":
        level = (p.cumsum(1) < 0.5).sum(1).clamp_max(p.shape[1] - 1)
    else:
        numbers = torch.arange(p.shape[1], device=p.device, dtype=p.dtype)
        level = torch.tensordot(p, numbers, dims=([1], [0])).round().long().clamp(0, p.shape[1] - 1)
    return ranks[level]


def require_probabilities(p: Tensor) -> None:
    """Refuse what doesn't sum to 1 or is negative: logits given for probabilities.

    Args:
        p: (N, K, *positions).
    """
    if p.ndim < 2 or not p.is_floating_point():
        raise InputError("p", given=f"{p.dtype} of shape {tuple(p.shape)}", expected="floats (N, K, *positions)")
    loose = 2e-2 if p.dtype in (torch.float16, torch.bfloat16) else 1e-3
    if p.numel() and not (float(p.min()) >= -loose and float((p.sum(1) - 1).abs().max()) <= loose):  # NaN too
        given = f"from {float(p.min()):.3g}, sums of {float(p.sum(1).min()):.3g} to {float(p.sum(1).max()):.3g}"
        raise InputError("p", given=given, expected="probabilities that sum to 1 over the classes", hint="z.softmax(1)")


def repair_labels(p: Tensor, order: ClassOrder, method: str = "icm", iters: int = 5, *, weight: float = 2.0) -> Tensor:
    """(N, *positions): labels near the most probable ones with fewer forbidden contacts, or none.

    Args:
        p: (N, K, *positions) probabilities.
        order: of the classes.
        method: "icm" lowers sum -log P + weight (d - 1)+ over neighbours, each half of a chequerboard in turn, and may
            leave contacts; "path" takes, for a chain, the likelier of two maps whose neighbours differ by a level at
            most (the largest below the labels, the smallest above them), and leaves none.
        iters: sweeps of "icm".
        weight: of a forbidden contact.

    Raises:
        InputError: numbers that aren't probabilities, another method, or a tree with "path".
    """
    require_probabilities(p)
    require_classes(order, p)
    require_whole(0, iters=iters)
    require_positive(weight=weight)
    if method not in ("icm", "path"):
        raise InputError("method", given=repr(method), expected="'icm' or 'path'")
    costs = -_wide(p).clamp_min(_TINY).log()
    return _icm(costs, order, iters, weight) if method == "icm" else _nearest_chain(costs, order)


def _wide(p: Tensor) -> Tensor:
    """In float32 where narrower: sums over many classes are rounded there, and half precision has no 1e-12."""
    return p.to(torch.promote_types(p.dtype, torch.float32))


def _icm(costs: Tensor, order: ClassOrder, iters: int, weight: float) -> Tensor:
    table = weight * (order.distance - 1).clamp_min(0).to(costs)
    labels, dims = costs.argmin(1), costs.ndim - 2
    places = torch.meshgrid(*(torch.arange(side, device=costs.device) for side in costs.shape[2:]), indexing="ij")
    odd = torch.stack(places).sum(0) % 2 == 1
    for _ in range(iters):
        before = labels
        for half in (odd, ~odd):
            contact = table[labels].movedim(-1, 1)  # what a neighbour of this label makes each class cost
            total = costs.clone()
            for axis in range(2, dims + 2):
                length = total.shape[axis] - 1
                total.narrow(axis, 0, length).add_(contact.narrow(axis, 1, length))
                total.narrow(axis, 1, length).add_(contact.narrow(axis, 0, length))
            labels = torch.where(half, total.argmin(1), labels)
        if torch.equal(before, labels):
            break
    return labels


def _nearest_chain(costs: Tensor, order: ClassOrder) -> Tensor:
    ranks = torch.tensor(order.ranks, device=costs.device)
    costs = costs[:, ranks]
    level = costs.argmin(1)
    top = costs.shape[1] - 1
    covered = _lipschitz(level)
    covering = top - _lipschitz(top - level)
    spent = [costs.gather(1, m[:, None]).flatten(1).sum(1) for m in (covered, covering)]
    first = (spent[0] <= spent[1]).reshape(-1, *[1] * (level.ndim - 1))
    return ranks[torch.where(first, covered, covering)]


def _lipschitz(level: Tensor) -> Tensor:
    """The largest map below this one whose neighbours differ by 1 at most: min over q of level(q) + |p - q|_1."""
    for axis in range(1, level.ndim):
        shape = [-1 if i == axis else 1 for i in range(level.ndim)]
        at = torch.arange(level.shape[axis], device=level.device).reshape(shape)
        ahead = (level - at).cummin(axis).values + at
        behind = (level + at).flip(axis).cummin(axis).values.flip(axis) - at
        level = torch.minimum(ahead, behind)
    return level
