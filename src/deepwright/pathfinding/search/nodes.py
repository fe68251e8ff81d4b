"""The nodes of a search: arrays that grow, and a table that finds a state's node by its key."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain, DomainError

_LOAD = 0.5  # of the table
_FIRST = 1024


class Nodes:
    """What is known of each state that was met. Everything is on one device, and no node is an object.

    Attributes:
        count: how many.
        states: (capacity, *state_shape); the first `count` rows count, as in all that follow.
        g: float64, the least cost of a path from the start that was found.
        h: float32, of the heuristic.
        parent: the node before, -1 for a start.
        action: that led here.
        version: how often g was lowered: an older entry of a queue is stale.

    Args:
        domain: whose states.
        device: where they live.
    """

    def __init__(self, domain: Domain, device: torch.device) -> None:
        self.domain, self.device, self.count = domain, device, 0
        self.states = torch.empty(_FIRST, *domain.state_shape, dtype=domain.state_dtype, device=device)
        self.g = torch.empty(_FIRST, dtype=torch.float64, device=device)
        self.h = torch.empty(_FIRST, device=device)
        self.parent = torch.empty(_FIRST, dtype=torch.int32, device=device)
        self.action = torch.empty(_FIRST, dtype=torch.int16, device=device)
        self.version = torch.zeros(_FIRST, dtype=torch.int32, device=device)
        self._key = torch.empty(_FIRST, dtype=torch.int64, device=device)
        self._table = torch.full((4 * _FIRST,), -1, dtype=torch.int32, device=device)

    @property
    def bytes_a_node(self) -> int:
        """What a node takes, its share of the table included."""
        arrays = (self.states, self.g, self.h, self.parent, self.action, self.version, self._key)
        return sum(t[0].nbytes for t in arrays) + round(self._table.element_size() / _LOAD)

    def find(self, states: Tensor, keys: Tensor) -> Tensor:
        """The node of each state, -1 where there is none.

        Args:
            states: (B, *state_shape).
            keys: (B,) of the states.
        """
        found = torch.full_like(keys, -1)
        rows = torch.arange(len(keys), device=self.device)
        slot = self._slots(keys)
        while len(rows):
            node = self._table[slot].long()
            there = node >= 0
            hit = there & (self._key[node] == keys[rows])
            hit &= (self.states[node] == states[rows]).flatten(1).all(1)
            found[rows[hit]] = node[hit]
            on = there & ~hit
            rows, slot = rows[on], (slot[on] + 1) & (len(self._table) - 1)
        return found

    def add(self, states: Tensor, keys: Tensor, g: Tensor, h: Tensor, parent: Tensor, action: Tensor) -> Tensor:
        """New nodes, of states that all differ and have none yet; their numbers.

        Args:
            states: (B, *state_shape).
            keys: (B,) of the states.
            g: (B,) costs from the start.
            h: (B,) of the heuristic.
            parent: (B,) nodes.
            action: (B,) that led from these.
        """
        first, self.count = self.count, self.count + len(states)
        if self.count > len(self.g):
            self._grow()
        new = slice(first, self.count)
        self.states[new], self.g[new], self.h[new], self._key[new] = states, g, h, keys
        self.parent[new], self.action[new] = parent.int(), action.short()
        self.version[new] = 0
        numbers = torch.arange(first, self.count, device=self.device)
        if self.count > _LOAD * len(self._table):
            self._rehash()
        else:
            self._enter(numbers)
        return numbers

    def path(self, node: int) -> list[int]:
        """The actions from the start to a node.

        Args:
            node: its number.
        """
        actions: list[int] = []
        while int(self.parent[node]) >= 0:
            actions.append(int(self.action[node]))
            node = int(self.parent[node])
        return actions[::-1]

    def _slots(self, keys: Tensor) -> Tensor:
        return keys & (len(self._table) - 1)

    def _enter(self, nodes: Tensor) -> None:
        """Each into the first free slot from its own on; who loses a race for one goes on to the next."""
        slot = self._slots(self._key[nodes])
        while len(nodes):
            free = self._table[slot] < 0
            self._table[slot[free]] = nodes[free].int()
            lost = self._table[slot] != nodes
            nodes, slot = nodes[lost], (slot[lost] + 1) & (len(self._table) - 1)

    def _grow(self) -> None:
        size = 2 * max(self.count, len(self.g))
        for name in ("states", "g", "h", "parent", "action", "version", "_key"):
            old = getattr(self, name)
            new = torch.zeros(size, *old.shape[1:], dtype=old.dtype, device=self.device)
            new[: len(old)] = old
            setattr(self, name, new)

    def _rehash(self) -> None:
        size = len(self._table)
        while self.count > _LOAD * size / 2:
            size *= 2
        self._table = torch.full((size,), -1, dtype=torch.int32, device=self.device)
        self._enter(torch.arange(self.count, device=self.device))


def first_of_each(states: Tensor, keys: Tensor, cost: Tensor) -> Tensor:
    """Which rows stay when of equal states only the cheapest does, the first of these where several are.

    Args:
        states: (B, *state_shape).
        keys: (B,) of the states.
        cost: (B,).

    Raises:
        DomainError: two states share a key.
    """
    order = cost.argsort(stable=True)
    order = order[keys[order].argsort(stable=True)]
    alike = keys[order[1:]] == keys[order[:-1]]
    if bool((alike & (states[order[1:]] != states[order[:-1]]).flatten(1).any(1)).any()):
        raise DomainError("two different states share a 64-bit key", expected="about never: is `keys` your own?")
    first = torch.ones(len(order), dtype=torch.bool, device=keys.device)
    first[1:] = ~alike
    return order[first].sort().values
