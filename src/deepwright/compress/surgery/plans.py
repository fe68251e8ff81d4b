"""Which units stay: a plan over a graph, made by hand or from scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.compress.arguments import require_type
from deepwright.compress.counting import CostPolynomial
from deepwright.compress.coupling import Group, ShrinkGraph
from deepwright.compress.errors import OverPruneError
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within

TARGETS = ("params", "macs", "bytes")


@dataclass(frozen=True)
class Plan:
    """The units that stay.

    Attributes:
        graph: units and groups.
        keep: (units,) bool, group after group.
    """

    graph: ShrinkGraph
    keep: np.ndarray

    def __post_init__(self) -> None:
        require_type("plan", self.graph, ShrinkGraph, "a ShrinkGraph, as ShrinkGraph.from_module makes it")
        require_type("plan", self.keep, np.ndarray, f"a NumPy array of {self.graph.units} booleans")
        if self.keep.shape != (self.graph.units,) or self.keep.dtype != bool:
            raise InputError(
                "plan",
                given=f"{self.keep.dtype} of shape {self.keep.shape}",
                expected=f"bool of shape ({self.graph.units},)",
            )

    @classmethod
    def of(cls, graph: ShrinkGraph, kept: Mapping[Group | str, Sequence[int] | Tensor | np.ndarray]) -> Plan:
        """From the kept unit indices of some groups; the others stay whole.

        Args:
            graph: units and groups.
            kept: group (or its name) -> indices of the units that stay.

        Raises:
            InputError: an unknown group or an index out of range.
            OverPruneError: a group left without units.
        """
        keep = np.ones(graph.units, bool)
        for key, indices in kept.items():
            group = graph[key if isinstance(key, str) else key.name]
            chosen = _indices(group, indices)
            if len(chosen) == 0:
                raise OverPruneError(
                    f"group {group.name!r}", given="no unit kept", expected="at least one", hint="min_keep=1"
                )
            if chosen[0] < 0 or chosen[-1] >= group.size:
                raise InputError(
                    f"units of group {group.name!r}", given=chosen[[0, -1]].tolist(), expected=f"0..{group.size - 1}"
                )
            start = graph.offsets[group.name]
            keep[start : start + group.size] = False
            keep[start + chosen] = True
        return cls(graph, keep)

    def kept(self, group: Group | str) -> np.ndarray:
        """The kept unit indices of a group.

        Args:
            group: or its name.
        """
        found = self.graph[group if isinstance(group, str) else group.name]
        start = self.graph.offsets[found.name]
        return np.flatnonzero(self.keep[start : start + found.size])

    def removes(self, units: np.ndarray) -> np.ndarray:
        """True where a unit goes.

        Args:
            units: numbers over all groups, of any shape; -1 for what is frozen.
        """
        return np.append(~self.keep, False)[units]

    def widths(self) -> dict[str, tuple[int, int]]:
        """(kept, all) units of every group."""
        return {g.name: (len(self.kept(g)), g.size) for g in self.graph.groups}

    def cost(self) -> dict[str, int]:
        """Parameters, bytes and MACs of the shrunk network, from the cost polynomial."""
        polynomial = CostPolynomial.of(self.graph)
        values = polynomial.evaluate(self.keep[None])
        return {name: int(value[0]) for name, value in values.items()}


def _indices(group: Group, given: Any) -> np.ndarray:
    """Sorted, distinct unit indices; a mask or fractions in their place would keep other units than was meant."""
    array = np.asarray(given.cpu() if isinstance(given, Tensor) else given)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        hint = "np.flatnonzero(mask)" if array.dtype == bool else None
        what = f"units of group {group.name!r}"
        raise InputError(what, given=f"{array.dtype} {array.ravel()[:3].tolist()}", expected="whole numbers", hint=hint)
    return np.unique(array.astype(int).ravel())


def kept_indices(plan: Plan) -> dict[str, dict[int, np.ndarray]]:
    """Parameter -> axis -> sorted kept indices, for axes that change.

    Args:
        plan: what stays.
    """
    graph = plan.graph
    found: dict[str, dict[int, np.ndarray]] = {}
    for b in graph.space.births:
        units = graph.unit_of[b.start : b.start + b.size]
        keep = ~plan.removes(units)
        if not keep.all():
            if not keep.any():
                raise OverPruneError(f"{b.fqn}, axis {b.axis}", given="nothing kept", expected="at least one entry")
            found.setdefault(b.fqn, {})[b.axis] = np.flatnonzero(keep)
    return found


def plan(
    graph: ShrinkGraph,
    scores: Mapping[Any, Tensor],
    *,
    ratio: float | Mapping[str, float] | None = None,
    global_: bool = True,
    target: Mapping[str, float] | None = None,
    min_keep: int = 1,
    round_to: int = 1,
    per_group_max: float = 0.95,
) -> Plan:
    """Keep the best-scored units.

    Args:
        graph: units and groups.
        scores: group (or its name) -> (size,), higher = keep; see `importance`.
        ratio: share to remove, over all units (`global_`) or of each group; a mapping gives each named group its own.
        global_: compare units across groups (scores divided by their group's mean); else the same share of each.
        target: {"macs" | "params" | "bytes": share of the dense network's that is left, or an absolute number above 1}.
            Milliseconds are a goal of `plan_for_latency`.
        min_keep: units that every group keeps.
        round_to: kept widths are multiples of this (or the whole group): of axes, so that a head of 64 channels goes
            alone with `round_to=8`.
        per_group_max: largest share removed from one group.

    Raises:
        InputError: scores missing, NaN or of a wrong length (the group is named); both or neither of ratio and target.
        OverPruneError: a target that can't be reached within min_keep and per_group_max.
    """
    require_type("graph", graph, ShrinkGraph, "a ShrinkGraph, as ShrinkGraph.from_module makes it")
    if not graph.groups:
        raise OverPruneError("graph", given="everything is frozen", expected="a group", hint="see graph.describe()")
    ordered = _ordered_scores(graph, scores, global_)
    if (ratio is None) == (target is None):
        raise InputError("plan", given=f"ratio={ratio}, target={target}", expected="one of the two")
    limits = _Limits(graph, min_keep, round_to, per_group_max)
    if isinstance(ratio, Mapping):
        for name in ratio:
            graph[name]
        shares = {g.name: _share(ratio.get(g.name, 0.0)) for g in graph.groups}
        return Plan(graph, limits.per_group(ordered, shares))
    if ratio is not None:
        share = _share(ratio)
        if not global_:
            return Plan(graph, limits.per_group(ordered, {g.name: share for g in graph.groups}))
        return Plan(graph, limits.cut(ordered, round(share * graph.units)))
    assert target is not None
    return Plan(graph, _reach(graph, ordered, limits, target, global_))


def _share(ratio: float) -> float:
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio < 1:
        hint = "a group keeps a unit at least: ratio=0.95 leaves one in twenty" if ratio == 1 else None
        raise InputError("ratio", given=repr(ratio), expected="a share in [0, 1)", hint=hint)
    return float(ratio)


def _ordered_scores(graph: ShrinkGraph, scores: Mapping[Any, Tensor], global_: bool) -> np.ndarray:
    """(units,) scores in the graph's order, normalised per group by their mean where groups compete."""
    require_type("scores", scores, Mapping, "group -> one score a unit, as importance(graph) gives them")
    named = {k if isinstance(k, str) else k.name: v for k, v in scores.items()}
    parts = []
    for group in graph.groups:
        if group.name not in named:
            raise InputError("scores", given=f"none for group {group.name!r}", expected="one a unit of every group")
        try:
            given = torch.as_tensor(named[group.name]).detach().cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            said = repr(named[group.name])[:60]
            raise InputError(f"scores of group {group.name!r}", given=said, expected=f"{group.size} numbers") from error
        if given.is_complex():
            raise InputError(f"scores of group {group.name!r}", given="complex numbers", expected="real ones")
        values = given.double().reshape(-1).numpy()
        if len(values) != group.size or not np.isfinite(values).all():
            raise InputError(
                f"scores of group {group.name!r}",
                given=f"{len(values)} values, finite: {bool(np.isfinite(values).all())}",
                expected=f"{group.size} finite numbers",
            )
        mean = np.abs(values).mean()
        parts.append(values / mean if global_ and mean > 0 else values)
    return np.concatenate(parts) if parts else np.zeros(0)


class _Limits:
    """What every group keeps at least, and how widths are rounded."""

    def __init__(self, graph: ShrinkGraph, min_keep: int, round_to: int, per_group_max: float) -> None:
        require_whole(1, min_keep=min_keep, round_to=round_to)
        require_within(0, 1, ends="()", per_group_max=per_group_max)
        self.graph = graph
        self.step = np.array([_step(g, round_to) for g in graph.groups], int)
        self.sizes = np.array([g.size for g in graph.groups], int)
        self.group = np.repeat(np.arange(len(self.sizes)), self.sizes)
        least = np.ceil(self.sizes * (1 - per_group_max)).astype(int)
        self.least = np.minimum(self.sizes, self._rounded(np.maximum(least, min_keep)))

    def _rounded(self, widths: np.ndarray) -> np.ndarray:
        return np.minimum(self.sizes, -(-widths // self.step) * self.step)

    def widest(self, scores: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """The best `widths[g]` units of every group."""
        order = np.lexsort((np.arange(len(scores)), -scores, self.group))
        starts = np.cumsum([0, *self.sizes[:-1]])
        rank = np.empty(len(scores), int)
        rank[order] = np.arange(len(scores)) - starts[self.group[order]]
        return rank < widths[self.group]

    def per_group(self, scores: np.ndarray, shares: Mapping[str, float]) -> np.ndarray:
        """The same kind of cut in every group, each by its own share."""
        widths = np.array([round((1 - shares[g.name]) * g.size) for g in self.graph.groups], int)
        return self.widest(scores, self._rounded(np.maximum(widths, self.least)))

    def cut(self, scores: np.ndarray, removed: int) -> np.ndarray:
        """Remove the lowest-scored units over all groups, within the limits."""
        order = np.argsort(scores, kind="stable")
        keep = np.ones(len(scores), bool)
        keep[order[:removed]] = False
        widths = np.bincount(self.group[keep], minlength=len(self.sizes))
        return self.widest(scores, self._rounded(np.maximum(widths, self.least)))


def _step(group: Group, round_to: int) -> int:
    """Kept units come in multiples of this, so that each of a group's axes is a multiple of `round_to` wide."""
    axes = {*group.producers, *group.consumers}
    entries = {len(m.indices) // group.size for m in group.members if (m.fqn, m.axis) in axes}
    return math.lcm(*(round_to // math.gcd(round_to, n) for n in entries))


def _reach(
    graph: ShrinkGraph, scores: np.ndarray, limits: _Limits, target: Mapping[str, float], global_: bool
) -> np.ndarray:
    """Bisection on the number of removed units (or the share of each group) with the cost polynomial."""
    require_type("target", target, Mapping, "a goal such as {'macs': 0.5}")
    if len(target) != 1 or next(iter(target)) not in TARGETS:
        hint = "plan_for_latency(graph, scores, milliseconds)" if "latency_ms" in target else None
        expected = f"one of {', '.join(TARGETS)} with a number"
        raise InputError("target", given=dict(target), expected=expected, hint=hint)
    ((name, wanted),) = target.items()
    require_positive(target=wanted)
    polynomial = CostPolynomial.of(graph)
    dense = float(polynomial.evaluate(np.ones((1, graph.units), bool))[name][0])
    goal = wanted * dense if wanted <= 1 else float(wanted)

    def make(step: int) -> np.ndarray:
        if global_:
            return limits.cut(scores, step)
        return limits.per_group(scores, {g.name: step / max(graph.units, 1) for g in graph.groups})

    def cost(step: int) -> float:
        return float(polynomial.evaluate(make(step)[None])[name][0])

    low, high = 0, graph.units
    if cost(high) > goal:
        raise OverPruneError(
            f"target {name}",
            given=f"{goal:.6g} of {dense:.6g}",
            expected=f"at least {cost(high):.6g}",
            hint="raise per_group_max or lower min_keep, or unfreeze what graph.describe() lists",
        )
    while low < high:  # the fewest removals that meet the goal
        middle = (low + high) // 2
        low, high = (low, middle) if cost(middle) <= goal else (middle + 1, high)
    return make(low)
