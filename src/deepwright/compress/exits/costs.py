"""What a network with exits costs: of each way through it, and expected over samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.compress.counting import TargetProfile, expected_macs, layers
from deepwright.compress.exits.adaptive import AdaptiveModel
from deepwright.compress.exits.segments import Segments


@dataclass(frozen=True)
class ExitCost:
    """Expected cost of one sample.

    Attributes:
        shares: of samples that leave at each cut, and that run to the end.
        paths: MACs of each way, heads included.
        macs: expected.
        worst: MACs of a sample that runs to the end.
        static: MACs of the network without exits.
        seconds: the same on a target, *estimated*: (expected, static), or None.
    """

    shares: tuple[float, ...]
    paths: tuple[int, ...]
    macs: float
    worst: int
    static: int
    seconds: tuple[float, float] | None = None

    @property
    def speedup(self) -> float:
        """Static over expected MACs."""
        return self.static / self.macs

    @property
    def worth(self) -> bool:
        """Whether the network is cheaper with its exits than without."""
        return self.macs < self.static

    def __str__(self) -> str:
        verdict = f"{self.speedup:.2f}x fewer MACs on average" if self.worth else "exits do not pay here"
        return f"{verdict} ({self.macs / 1e6:.2f} of {self.static / 1e6:.2f} million, worst {self.worst / 1e6:.2f})"


def path_macs(model: AdaptiveModel) -> tuple[int, ...]:
    """MACs of leaving at each cut and of running to the end, with every head that is asked on the way.

    Args:
        model: the network.
    """
    segments, edges = model.segments, _edges(model)
    total, paths = 0, []
    for k, head in enumerate(model.heads):
        total += sum(x.macs for x in segments.between(edges[k], edges[k + 1]))
        total += sum(x.macs for x in layers(head, _map_like(segments, edges[k + 1])))
        paths.append(total)
    paths.append(total + sum(x.macs for x in segments.between(edges[-2], edges[-1])))
    return tuple(paths)


def _edges(model: AdaptiveModel) -> list[int]:
    """Where the pieces begin and end, in nodes."""
    segments = model.segments
    return [0, *(segments.position(c) for c in model.cuts), len(segments.nodes)]


def _map_like(segments: Segments, position: int) -> Tensor:
    value = segments.nodes[position - 1].meta["val"]
    return torch.zeros(2, *(int(s) for s in value.shape[1:]), device=value.device, dtype=value.dtype)


def expected_cost(
    model: AdaptiveModel, left: Tensor, target: TargetProfile | None = None, harmful: Tensor | None = None
) -> ExitCost:
    """From where samples left (`return_exit=True`): E[C] = sum over ways w of MACs_w * share_w.

    Args:
        model: the network.
        left: (N,) index of the cut of each sample.
        target: also estimate seconds on it.
        harmful: (N,) samples that shouldn't have left: they count as if they had run to the end (a miss is no saving).
    """
    paths = path_macs(model)
    if harmful is not None:
        left = torch.where(harmful.to(left.device), len(model.cuts), left)
    shares = torch.bincount(left.cpu(), minlength=len(paths)).double() / max(len(left), 1)
    macs = expected_macs(paths, shares.tolist())
    seconds = None
    if target is not None:
        seconds = _seconds(model, shares.tolist(), target)
    return ExitCost(tuple(shares.tolist()), paths, macs, paths[-1], model.segments.macs, seconds)


def _seconds(model: AdaptiveModel, shares: list[float], target: TargetProfile) -> tuple[float, float]:
    segments, edges = model.segments, _edges(model)
    whole = segments.between(0, edges[-1])
    timed = dict(zip((id(x) for x in whole), (t for _, t, _ in target.estimate(whole).by_layer)))
    total, expected = target.fixed_s, 0.0
    for k, head in enumerate(model.heads):
        total += sum(timed[id(x)] for x in segments.between(edges[k], edges[k + 1]))
        total += target.estimate(layers(head, _map_like(segments, edges[k + 1]))).seconds - target.fixed_s
        expected += shares[k] * total
    total += sum(timed[id(x)] for x in segments.between(edges[-2], edges[-1]))
    return expected + shares[-1] * total, target.estimate(whole).seconds
