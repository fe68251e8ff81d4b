"""What stays right over rising budgets: measured batch by batch, and as a line of a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import Attack, AttackSuite, curve
from deepwright.core.devices import device_of, dtype_of, to_model
from deepwright.core.statistics import Interval, wilson


def placed(x: Tensor, model: nn.Module) -> Tensor:
    """Inputs where the model lives, in its dtype where that is finer than theirs.

    Args:
        x: (N, ...) inputs.
        model: that will get them.
    """
    return to_model(x, model) if dtype_of(model) == torch.float64 else x.to(device_of(model))


def curve_in_batches(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Any, Tensor | None]],
    attack: Attack | AttackSuite,
    eps: Sequence[float],
) -> list[Interval]:
    """Share that is right at budget 0 and at each of `eps`, over all batches.

    Args:
        model: that is attacked.
        batches: inputs, targets, and 1 where inputs may change (None: everywhere).
        attack: see `adversarial.curve`.
        eps: budgets.
    """
    hits, n = torch.zeros(len(eps) + 1), 0
    for x, y, mask in batches:
        ids = torch.arange(n, n + len(x))
        points = curve(model, placed(x, model), y.to(device_of(model)), attack, [0.0, *eps], ids=ids, mask=mask)
        hits += torch.tensor([round(p.value * len(x)) for p in points])
        n += len(x)
    return [wilson(int(h), n) for h in hits.tolist()]


def line(name: str, x: Sequence[float], points: Sequence[Interval], dashed: bool = False) -> dict[str, Any]:
    """Values with their intervals, as a series of a figure of kind "line".

    Args:
        name: in the legend.
        x: where they are.
        points: the values.
        dashed: whether the line is.
    """
    ends = {"low": [p.low for p in points], "high": [p.high for p in points]}
    return {"name": name, "x": list(x), "y": [p.value for p in points], **ends, "dashed": dashed}
