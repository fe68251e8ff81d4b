"""What a network with exits costs: of each way through it, and expected over samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.compress.counting import TargetProfile, expected_macs, layers
from deepwright.compress.exits.adaptive import AdaptiveModel
from deepwright.compress.exits.inputs import read_flags
from deepwright.compress.exits.segments import Segments
from deepwright.core.errors import InputError


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
        misses: share of samples that left in harm, which save nothing and are counted to the end; None where nobody
            said which those are: the saving is then an upper end.
    """

    shares: tuple[float, ...]
    paths: tuple[int, ...]
    macs: float
    worst: int
    static: int
    seconds: tuple[float, float] | None = None
    misses: float | None = None

    @property
    def speedup(self) -> float:
        """Static over expected MACs."""
        return self.static / self.macs

    @property
    def worth(self) -> bool:
        """Whether the network is cheaper with its exits than without (at best, where `misses` isn't known)."""
        return self.macs < self.static

    def __str__(self) -> str:
        verdict = "exits do not pay here"
        if self.worth:
            verdict = f"{'at most ' * (self.misses is None)}{self.speedup:.2f}x fewer MACs on average"
        if self.misses is None:
            verdict += ", if no exit was wrong" * self.worth
        elif self.misses > 0:
            verdict += f", {self.misses:.1%} left in harm and count as run to the end"
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
        harmful: (N,) samples that shouldn't leave: they count as if they had run to the end (a miss is no saving).
            Without it a wrong exit counts as a saving, and the result says "at most".

    Raises:
        InputError: no sample, or an index that isn't one of the cuts or the end.
    """
    paths = path_macs(model)
    end = len(model.cuts)
    if left.ndim != 1 or len(left) == 0 or left.is_floating_point() or not bool(((left >= 0) & (left <= end)).all()):
        given = f"{left.dtype} of shape {tuple(left.shape)}"
        raise InputError("left", given=given, expected=f"(N,) whole numbers in 0..{end}, of at least one sample")
    misses = None
    if harmful is not None:
        wrong = read_flags("harmful", harmful, len(left))[0].to(left.device) & (left < end)
        misses, left = float(wrong.double().mean()), torch.where(wrong, end, left)
    shares = torch.bincount(left.cpu(), minlength=len(paths)).double() / len(left)
    macs = expected_macs(paths, shares.tolist())
    seconds = None
    if target is not None:
        seconds = _seconds(model, shares.tolist(), target)
    return ExitCost(tuple(shares.tolist()), paths, macs, paths[-1], model.segments.macs, seconds, misses)


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
