"""Which groups a network's own code doesn't let go: widths that it writes down, or takes from somewhere else."""

from __future__ import annotations

from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.groups import Group
from deepwright.compress.errors import SurgeryError
from deepwright.compress.surgery.cutting import shrink
from deepwright.compress.surgery.plans import Plan

_BASES = 4  # widths that others are tied to, the narrowest first


def unsafe_groups(graph: ShrinkGraph) -> dict[Group, str]:
    """Cut each group alone to half its units; those whose proof fails, with the reason.

    A network whose forward pass computes a size from another width (`C // heads`) is right as it stands and wrong as
    soon as one of the two changes. The graph can't see that; the proof does.

    Args:
        graph: units and groups.
    """
    found = {}
    for group in graph.groups:
        if group.size < 2:
            continue
        try:
            shrink(graph.model, Plan.of(graph, {group: range(max(1, group.size // 2))}))
        except SurgeryError as error:
            found[group] = str(error.given)
    return found


def freeze_unsafe(graph: ShrinkGraph, *, couple: bool = True) -> tuple[ShrinkGraph, dict[Group, str]]:
    """The graph again with its unsafe groups coupled where that makes them safe, else frozen, and which were frozen.

    Attention that reads the width of a head off its input (`reshape(b, n, 3, heads, c // heads)`) loses whole heads
    together with the same share of its input's channels.

    Args:
        graph: units and groups.
        couple: try whether unsafe groups are safe together.

    Raises:
        SurgeryError: nothing is left, or every group is safe alone and the network fails all the same.
    """
    unsafe = unsafe_groups(graph)
    coupled = _coupled(graph, unsafe) if couple else None
    if coupled is not None:
        graph, unsafe = coupled
        if not unsafe:
            return graph, unsafe
    # one axis a group is enough: its ties freeze the rest
    names = [_axis(g) for g in unsafe]
    options = {**graph.options, "frozen": tuple(dict.fromkeys((*graph.options["frozen"], *names)))}
    again = ShrinkGraph.from_module(graph.model, graph.example, kwargs=graph.kwargs, **options) if unsafe else None
    if again is None or not again.groups:
        raise SurgeryError(
            "the network",
            given=f"{len(unsafe)} of {len(graph.groups)} groups fail alone" if graph.groups else "everything is frozen",
            expected="groups that can be cut",
            hint="pass attributes={YourModule: fix}; see the reasons: " + "; ".join(sorted(set(unsafe.values())))[:500],
        )
    return again, unsafe


def _axis(group: Group) -> str:
    """One axis of a group, as its name."""
    fqn, axis = group.producers[0] if group.producers else (group.members[0].fqn, group.members[0].axis)
    return f"{fqn}[{axis}]"


def _coupled(graph: ShrinkGraph, unsafe: dict[Group, str]) -> tuple[ShrinkGraph, dict[Group, str]] | None:
    """The graph with unsafe groups tied to one of them, and what is unsafe then; None where no tie makes any safe."""
    births = {f"{b.fqn}[{b.axis}]": b.size for b in graph.space.births}
    sizes = {_axis(g): births[_axis(g)] for g in unsafe}
    for base in sorted(sizes, key=lambda name: sizes[name])[:_BASES]:
        others = [name for name in sizes if name != base and sizes[name] % sizes[base] == 0]
        if not others:
            continue
        pairs = (*graph.options["together"], *((base, name) for name in others))
        tied = ShrinkGraph.from_module(
            graph.model, graph.example, kwargs=graph.kwargs, **{**graph.options, "together": pairs}
        )
        still = unsafe_groups(tied)
        if len(tied.groups) - len(still) > len(graph.groups) - len(unsafe):
            return tied, still
    return None
