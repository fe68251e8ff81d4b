"""Which groups a network's own code doesn't let go: widths that it writes down, or takes from somewhere else."""

from __future__ import annotations

from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.groups import Group
from deepwright.compress.errors import SurgeryError
from deepwright.compress.surgery.cutting import shrink
from deepwright.compress.surgery.plans import Plan


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


def freeze_unsafe(graph: ShrinkGraph) -> tuple[ShrinkGraph, dict[Group, str]]:
    """The graph again with its unsafe groups frozen, and which those were.

    Args:
        graph: units and groups.

    Raises:
        SurgeryError: nothing is left, or every group is safe alone and the network fails all the same.
    """
    unsafe = unsafe_groups(graph)
    # one axis a group is enough: its ties freeze the rest
    axes = [g.producers[0] if g.producers else (g.members[0].fqn, g.members[0].axis) for g in unsafe]
    names = [f"{fqn}[{axis}]" for fqn, axis in axes]
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
