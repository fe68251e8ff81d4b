"""Plans for a measured time: cut, timed here, cut again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from deepwright.compress.arguments import require_type
from deepwright.compress.counting import measure_latency
from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.errors import OverPruneError
from deepwright.compress.surgery.cutting import shrink
from deepwright.compress.surgery.plans import Plan, plan
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_positive

STEPS = 6
CONFIRMED = 5  # measurements of the best that may be too slow before none is taken
LEAST_SHARE = 0.02


def plan_for_latency(
    graph: ShrinkGraph,
    scores: Mapping[Any, Tensor],
    milliseconds: float,
    *,
    global_: bool = True,
    min_keep: int = 1,
    round_to: int = 1,
    per_group_max: float = 0.95,
    min_run_time: float = 0.3,
    measure: Callable[[nn.Module], float] | None = None,
) -> Plan:
    """The most MACs whose network is fast enough: bisection on their share, each step cut and timed, the best twice.

    Time isn't monotone in MACs to the last digit (caches, vector widths, noise), so a few steps are all that is worth
    it.

    Args:
        graph: units and groups.
        scores: group (or its name) -> (size,), higher = keep; see `importance`.
        milliseconds: of one sample of the graph's example, where the network lives (or of what `measure` says).
        global_: compare units across groups; else the same share of each.
        min_keep: units that every group keeps.
        round_to: kept widths are multiples of this (or the whole group).
        per_group_max: largest share removed from one group.
        min_run_time: seconds of each measurement at least.
        measure: a network -> its milliseconds, in place of a measurement here: on another machine, by a model of one.

    Raises:
        InputError: not below the network's own time; scores missing, NaN or of a wrong length.
        OverPruneError: a time that surgery can't reach.
    """
    require_type("graph", graph, ShrinkGraph, "a ShrinkGraph, as ShrinkGraph.from_module makes it")
    require_positive(milliseconds=milliseconds)

    def time_of(model: nn.Module) -> float:
        if measure is None:
            return _milliseconds(graph, model, min_run_time)
        found = measure(model)
        answer: dict[str, Any] = {"measure's answer": found}
        require_positive(**answer)
        return found

    dense = time_of(graph.model)
    if not 0 < milliseconds < dense:
        raise InputError(
            "milliseconds", given=milliseconds, expected=f"above 0, below the network's own {dense:.3g} ms"
        )
    options: dict[str, Any] = {
        "global_": global_,
        "min_keep": min_keep,
        "round_to": round_to,
        "per_group_max": per_group_max,
    }

    def fast_at(share: float) -> tuple[bool, tuple[Plan, nn.Module] | None]:
        """Whether a share of the MACs is fast enough, and its plan; none where surgery can't reach the share."""
        try:
            chosen = plan(graph, scores, target={"macs": share}, **options)
        except OverPruneError:
            return False, None
        small = shrink(graph.model, chosen, skip_verification=True).model
        return time_of(small) <= milliseconds, (chosen, small)

    low, high, best, share = LEAST_SHARE, 1.0, None, 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        fast, found = fast_at(middle)
        if fast:
            best, share = found, middle
        low, high = (middle, high) if fast or found is None else (low, middle)
    for _ in range(CONFIRMED):  # a lucky first measurement isn't taken for an answer
        if best is None or time_of(best[1]) <= milliseconds:
            break
        share *= 0.9
        best = fast_at(share)[1]
    else:
        best = None
    if best is None:
        raise OverPruneError(
            "milliseconds",
            given=milliseconds,
            expected=f"what surgery can reach from {dense:.3g} ms",
            hint="small networks are bound by overhead, not by MACs; a busy machine needs a longer min_run_time",
        )
    return best[0]


def _milliseconds(graph: ShrinkGraph, model: nn.Module, min_run_time: float) -> float:
    """Median time of one sample of the graph's example."""
    first, *rest = (e[:1] if isinstance(e, Tensor) else e for e in graph.example)
    with evaluating(model):
        return 1e3 * measure_latency(lambda x: model(x, *rest, **graph.kwargs), first, min_run_time=min_run_time).median
