"""A base loss and weighted terms as one loss, with a warm-up, and a warning where a class vanishes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_whole
from deepwright.risk.ordinal.allowed import AllowedContactRate
from deepwright.risk.ordinal.terms import checked_target, raised, spoiled

_PATIENCE = 50  # steps


class OrdinalSegmentationLoss(nn.Module):
    """base + sum of lambda R over terms.

    Args:
        base: "ce", "dice_ce", or a module that takes logits and labels.
        terms: of each name a term and its lambda: a number, or an `AllowedContactRate` that finds one.
        ignore_index: the label of positions that don't count; terms have their own.
        class_weight: of the cross-entropy.
        warmup: training steps over which each lambda grows from 0: at once, a large one can destroy a class. 0 gives
            the published behaviour.

    A class that the labels hold and that is predicted nowhere for 50 training steps is warned of once.

    Example:
        >>> from deepwright.risk import ClassOrder, ContactNeighborLoss
        >>> loss = OrdinalSegmentationLoss(terms={"contact": (ContactNeighborLoss(ClassOrder.chain(4)), 10.0)})
        >>> loss(torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long)).shape
        torch.Size([])
    """

    steps: Tensor
    unseen: Tensor

    def __init__(
        self,
        base: str | nn.Module = "ce",
        terms: Mapping[str, tuple[nn.Module, float | AllowedContactRate]] | None = None,
        *,
        ignore_index: int | None = None,
        class_weight: Tensor | None = None,
        warmup: int = 100,
    ) -> None:
        super().__init__()
        if isinstance(base, str) and base not in ("ce", "dice_ce"):
            raise InputError("base", given=repr(base), expected="'ce', 'dice_ce' or a module")
        require_whole(0, warmup=warmup)
        given = dict(terms or {})
        found = {name: weight for name, (_, weight) in given.items() if isinstance(weight, AllowedContactRate)}
        fixed = {name: weight for name, (_, weight) in given.items() if not isinstance(weight, AllowedContactRate)}
        weights: dict[str, Any] = {f"lambda of {name}": weight for name, weight in fixed.items()}
        require_number(0, **weights)
        if isinstance(base, nn.Module) and class_weight is not None:
            raise InputError("class_weight", given="with a module", expected="'ce' or 'dice_ce'")
        self.base, self.ignore_index, self.warmup = base, ignore_index, warmup
        self.terms = nn.ModuleDict({name: term for name, (term, _) in given.items()})
        self.lambdas = {name: float(weight) for name, weight in fixed.items()}
        self.found = nn.ModuleDict(found)
        self.watched = 0  # steps on the host: to read the tensor would make a GPU wait
        self.register_buffer("class_weight", class_weight)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("unseen", torch.zeros(0, dtype=torch.long), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The sum; in training a step of the warm-up.

        Args:
            logits: (N, K, *positions).
            target: (N, *positions) of classes, or `ignore_index`.
        """
        total = self.base_loss(logits, target)
        share: Tensor | float = 1.0
        if self.training:
            self.steps += 1
            self._watch(logits.detach(), target)
            share = (self.steps.to(total) / self.warmup).clamp_max(1) if self.warmup else 1.0
        for name, term in self.terms.items():
            total = total + share * self._lambda(name, logits, target) * term(logits, target)
        return total

    def _lambda(self, name: str, logits: Tensor, target: Tensor) -> Tensor | float:
        if name in self.lambdas:
            return self.lambdas[name]
        weight: Tensor = self.found[name](logits.detach(), target, self._ignored())
        return weight.to(torch.float32)

    def _ignored(self) -> int | None:
        """The label of what doesn't count: of a base that is a module, its own."""
        if self.ignore_index is None and isinstance(self.base, nn.Module):
            return getattr(self.base, "ignore_index", None)
        return self.ignore_index

    def base_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss without terms.

        Args:
            logits: (N, K, *positions).
            target: (N, *positions).
        """
        if isinstance(self.base, nn.Module):
            value: Tensor = self.base(logits, target)
            return value
        z = raised(logits)
        target, valid, factor = checked_target(target, z, self.ignore_index)
        known = self.class_weight
        weight = known.to(z) if isinstance(known, Tensor) else None
        value = _cross_entropy(z, target, valid, weight)
        value = value if self.base == "ce" else value + _dice_loss(z, target, valid)
        return spoiled(value, factor)

    @torch.no_grad()
    def _watch(self, logits: Tensor, target: Tensor) -> None:
        classes = logits.shape[1]
        if len(self.unseen) != classes or self.unseen.device != logits.device:
            self.unseen = torch.zeros(classes, dtype=torch.long, device=logits.device)
        k = torch.arange(classes, device=logits.device)
        y = target.flatten().to(logits.device)
        counts = (y >= 0) & (y < classes)
        if self.ignore_index is not None:
            counts &= y != self.ignore_index
        called, held = (((maps[:, None] == k) & counts[:, None]).any(0) for maps in (logits.argmax(1).flatten(), y))
        self.unseen = torch.where(called, 0, self.unseen + held.long())
        self.watched += 1
        if self.watched % _PATIENCE == 0 and bool((self.unseen >= _PATIENCE).any()):
            lost = (self.unseen >= _PATIENCE).nonzero().flatten().tolist()
            warnings.warn(
                f"class {', '.join(map(str, lost))} was predicted nowhere in the last {_PATIENCE} steps, although the "
                "labels hold it: a smaller lambda or a longer warm-up may keep it",
                stacklevel=3,
            )
            self.unseen.zero_()


def _cross_entropy(z: Tensor, target: Tensor, valid: Tensor | None, weight: Tensor | None) -> Tensor:
    if valid is None:
        return F.cross_entropy(z, target, weight) if target.numel() else z.sum()
    values = F.cross_entropy(z, target, weight, reduction="none").where(valid, 0)
    count = valid.to(z) if weight is None else weight[target].where(valid, 0)
    return values.sum() / count.sum().clamp_min(torch.finfo(z.dtype).tiny)


def _dice_loss(z: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
    """1 - the mean soft Dice over the batch's classes."""
    p = z.softmax(1)
    truth = F.one_hot(target, z.shape[1]).movedim(-1, 1).to(p)
    if valid is not None:
        p, truth = p * valid[:, None], truth * valid[:, None]
    dims = [0, *range(2, z.ndim)]
    dice = (2 * (p * truth).sum(dims) + 1e-6) / (p.sum(dims) + truth.sum(dims) + 1e-6)
    return 1 - dice.mean()
