"""How far walks go: farther as more of them are solved, and less far when learning runs away."""

from __future__ import annotations

from typing import Any

from deepwright.core.requirements import require_whole

_WATCHED = 5  # checks in a row


class Curriculum:
    """The longest walk, doubled whenever at least half of the test instances are solved.

    A collapse is when five checks in a row have larger mean targets and fewer instances solved, each than the one
    before: the network chases its own estimates. Then the longest walk is halved.

    Args:
        k_max: the longest that it comes to.
        balance: begin with one step; else all the walks from the beginning.

    Attributes:
        k: the longest now.
        collapses: how many there were.
    """

    def __init__(self, k_max: int, balance: bool) -> None:
        require_whole(1, k_max=k_max)
        self.k_max, self.k = k_max, 1 if balance else k_max
        self.collapses = 0
        self._seen: list[tuple[float, float]] = []

    def update(self, target: float, solved: float) -> str:
        """What a check says: "collapsed", "longer", or nothing.

        Args:
            target: mean of the targets since the last check.
            solved: share of the test instances that were solved.
        """
        self._seen = [*self._seen, (target, solved)][-_WATCHED - 1 :]
        pairs = list(zip(self._seen, self._seen[1:]))
        if len(pairs) == _WATCHED and all(b[0] > a[0] and b[1] < a[1] for a, b in pairs):
            self._seen, self.k = [], max(self.k // 2, 1)
            self.collapses += 1
            return "collapsed"
        if solved >= 0.5 and self.k < self.k_max:
            self._seen, self.k = [], min(2 * self.k, self.k_max)  # longer walks have larger targets: no sign of trouble
            return "longer"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"k": self.k, "collapses": self.collapses, "seen": [list(pair) for pair in self._seen]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it up again.

        Args:
            state: of `state_dict`.
        """
        self.k, self.collapses = state["k"], state["collapses"]
        self._seen = [(a, b) for a, b in state["seen"]]
