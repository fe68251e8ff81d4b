"""What a search found, what it cost, and what is known about how good it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deepwright.core.requirements import require_positive, require_whole


@dataclass(frozen=True)
class Limits:
    """Where a search gives up.

    Attributes:
        nodes: that are generated.
        seconds: by the clock.
        bytes: of nodes and queue.
    """

    nodes: int | None = None
    seconds: float | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        require_whole(1, **{f"max_{n}": getattr(self, n) for n in ("nodes", "bytes") if getattr(self, n) is not None})
        if self.seconds is not None:
            require_positive(max_seconds=self.seconds)

    def reached(self, nodes: int, seconds: float, size: int) -> str | None:
        """Which limit is reached.

        Args:
            nodes: generated so far.
            seconds: gone by.
            size: in bytes.
        """
        if self.nodes is not None and nodes >= self.nodes:
            return "limit:nodes"
        if self.seconds is not None and seconds >= self.seconds:
            return "limit:time"
        if self.bytes is not None and size >= self.bytes:
            return "limit:memory"
        return None


@dataclass(frozen=True)
class Result:
    """The end of a search.

    Attributes:
        status: "solved"; "exhausted": there is no way; "limit:nodes", "limit:time" or "limit:memory": it gave up, with
            or without a path; "missed": a beam or a greedy walk ended without one, which says nothing.
        actions: of the path, replayed and checked; None where none was found.
        cost: of the path, infinity where none was found.
        lower_bound: no path costs less; None where the heuristic isn't known to be admissible.
        nodes_generated: children, those that were met before among them.
        nodes_expanded: nodes whose children were generated.
        evaluations: states that the heuristic was asked for.
        seconds: by the clock.
        trace: one row an iteration, where it was asked for: nodes, best f, best cost.
    """

    status: str
    actions: list[int] | None
    cost: float
    lower_bound: float | None
    nodes_generated: int
    nodes_expanded: int
    evaluations: int
    seconds: float
    trace: list[dict[str, float]] = field(default_factory=list)

    @property
    def bound(self) -> float | None:
        """How many times the least cost the path costs at most; None where nothing is known."""
        if self.actions is None or self.lower_bound is None:
            return None
        low = min(self.lower_bound, self.cost)
        if self.cost == 0:
            return 1.0
        return self.cost / low if low > 0 else None

    @property
    def optimal(self) -> bool:
        """Whether the path is proved to be a cheapest one."""
        return self.bound is not None and self.bound <= 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        kept = (
            "status",
            "actions",
            "cost",
            "lower_bound",
            "nodes_generated",
            "nodes_expanded",
            "evaluations",
            "seconds",
        )
        return {name: getattr(self, name) for name in kept} | {"bound": self.bound}
