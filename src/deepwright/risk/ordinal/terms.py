"""What all terms share: checked logits and labels, probabilities in float32 or wider, masks, and reductions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.tasks import ClassOrder

REDUCTIONS = ("mean", "sum", "none")


def raised(logits: Tensor) -> Tensor:
    """Logits (N, K, *positions) in float32, or as they are where wider.

    Args:
        logits: of a network.

    Raises:
        InputError: another form, whole numbers, or NaN while autograd looks for anomalies.
    """
    if logits.ndim < 2 or not logits.is_floating_point():
        given = f"{logits.dtype} of shape {tuple(logits.shape)}"
        raise InputError("logits", given=given, expected="floats (N, K, *positions)")
    if torch.is_anomaly_enabled() and bool(torch.isnan(logits.detach()).any()):
        raise InputError("logits", given="NaN", expected="numbers")
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _read_at_once(device: torch.device) -> bool:
    """Whether to look at a value there costs no wait."""
    return device.type == "cpu"


def checked_target(
    target: Tensor, logits: Tensor, ignore_index: int | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Labels that index the classes everywhere, which positions count (None for all), and a factor of the loss.

    Labels out of range are refused where they lie on a CPU. On a GPU, where looking would make each step wait, the
    factor is NaN if there is one, else 1, so that the loss and its gradients can't pass for those of true labels.

    Args:
        target: (N, *positions).
        logits: (N, K, *positions).
        ignore_index: the label of what doesn't count.
    """
    if target.is_floating_point() or target.dtype == torch.bool:
        raise InputError("target", given=str(target.dtype), expected="whole numbers, a class a position")
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        given = f"shape {tuple(target.shape)} for logits {tuple(logits.shape)}"
        raise InputError("target", given=given, expected="(N, *positions)")
    at_once = _read_at_once(target.device)
    target = target.long() if at_once else target.to(logits.device).long()
    valid = None if ignore_index is None else target != ignore_index
    if valid is not None:
        target = target.where(valid, 0)
    if not at_once:
        inside = target.clamp(0, logits.shape[1] - 1)
        factor = torch.where((inside != target).any(), torch.nan, 1.0).to(logits.dtype)
        return inside, valid, factor
    if target.numel():
        low, high = (int(v) for v in target.aminmax())
        if low < 0 or high >= logits.shape[1]:
            expected = f"0..{logits.shape[1] - 1}" + ("" if ignore_index is None else f" or {ignore_index}")
            raise InputError("target", given=f"labels {low}..{high}", expected=expected)
    return target.to(logits.device), None if valid is None else valid.to(logits.device), None


def spoiled(value: Tensor, factor: Tensor | None) -> Tensor:
    """The value, or NaN with gradients of NaN where `checked_target` met labels out of range.

    Args:
        value: of a loss.
        factor: of `checked_target`.
    """
    return value if factor is None else value * factor


def reduced(values: Tensor, valid: Tensor | None, reduction: str) -> Tensor:
    """The mean over positions that count (0 with a gradient where none does), their sum, or values with 0 elsewhere.

    Args:
        values: (N, *positions).
        valid: which count; None for all.
        reduction: "mean", "sum" or "none".
    """
    if valid is not None:
        values = values.where(valid, 0)
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if valid is None:
        return values.mean() if values.numel() else values.sum()
    return values.sum() / valid.sum().clamp_min(1)


class PixelTerm(nn.Module):
    """A term with a value at every position.

    Args:
        order: a chain; None where the classes are numbered from the outermost to the innermost.
        reduction: "mean" over the positions that count, "sum", or "none" for (N, *positions).
        ignore_index: the label of positions that don't count; None where all do.
    """

    def __init__(
        self, order: ClassOrder | None = None, *, reduction: str = "mean", ignore_index: int | None = None
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise InputError("reduction", given=repr(reduction), expected=f"one of {', '.join(REDUCTIONS)}")
        self.order, self.reduction, self.ignore_index = order, reduction, ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The term.

        Args:
            logits: (N, K, *positions).
            target: (N, *positions) of classes, or `ignore_index`.

        Raises:
            InputError: logits or labels of another form, or of other classes than the order's.
        """
        with torch.autocast(logits.device.type, enabled=False):
            z = raised(logits)
            target, valid, factor = checked_target(target, z, self.ignore_index)
            require_classes(self.order, z)
            z, target = self.in_rank(z, target)
            return spoiled(reduced(self.values(z, target), valid, self.reduction), factor)

    def in_rank(self, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and labels renumbered from the outermost class to the innermost.

        Args:
            z: (N, K, *positions).
            target: (N, *positions).
        """
        if self.order is None:
            return z, target
        ranks = self.order.ranks
        if ranks == tuple(range(len(ranks))):
            return z, target
        return z[:, list(ranks)], self.order.levels.to(target.device)[target]

    def values(self, z: Tensor, target: Tensor) -> Tensor:
        """The value at each position.

        Args:
            z: (N, K, *positions) logits in the order's ranks.
            target: (N, *positions) in the same.
        """
        raise NotImplementedError


def require_classes(order: ClassOrder | None, logits: Tensor) -> None:
    """Refuse logits of another number of classes.

    Args:
        order: of the classes.
        logits: (N, K, *positions).
    """
    if order is not None and logits.shape[1] != order.classes:
        given = f"{logits.shape[1]} columns, an order of {order.classes} classes: {order.text}"
        raise InputError("logits", given=given, expected="one column a class")
