"""What stays right over rising budgets: measured batch by batch, and as a line of a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import Attack, AttackSuite, curve
from deepwright.core.devices import device_of, dtype_of, to_model
from deepwright.core.spreading import spread_map
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
    hits = spread_map(partial(_attacked, model, attack, (0.0, *eps)), numbered(batches))
    return [wilson(h, sum(n for n, _ in hits)) for h in (sum(points) for points in zip(*(each for _, each in hits)))]


def numbered(batches: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Batches with the numbers of their samples before them.

    Args:
        batches: inputs and what goes with them.
    """
    n = 0
    for batch in batches:
        yield torch.arange(n, n + len(batch[0])), *batch
        n += len(batch[0])


@contextmanager
def _attacked(
    model: nn.Module, attack: Attack | AttackSuite, eps: Sequence[float]
) -> Iterator[Callable[[int, Any], tuple[int, list[int]]]]:
    """Of a batch: how many samples there are, and are right at each budget."""

    def one(number: int, batch: Any) -> tuple[int, list[int]]:
        ids, x, y, mask = batch
        points = curve(model, placed(x, model), y.to(device_of(model)), attack, eps, ids=ids, mask=mask)
        return len(x), [round(p.value * len(x)) for p in points]

    yield one


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
