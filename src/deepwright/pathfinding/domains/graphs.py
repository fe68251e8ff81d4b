"""Any graph with costs as a domain."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.pathfinding.domains.domain import Children, Domain


class GraphDomain(Domain):
    """Nodes 0..n-1 of a directed graph; action k takes the k-th edge that leaves a node.

    Args:
        edges: (E, 2) from and to.
        costs: (E,) above zero; 1 each where not given.
        nodes: how many there are, as many as the edges name where not given.
        goal: a node.

    Raises:
        InputError: edges of another shape, nodes out of range, costs that aren't above zero and finite.
    """

    state_shape = (1,)
    state_dtype = torch.int32

    def __init__(self, edges: Tensor, costs: Tensor | None = None, nodes: int | None = None, goal: int = 0) -> None:
        if edges.ndim != 2 or edges.shape[1:] != (2,) or edges.is_floating_point():
            raise InputError("edges", given=f"{tuple(edges.shape)} of {edges.dtype}", expected="(E, 2) whole numbers")
        named = int(edges.max()) + 1 if edges.numel() else 0
        n = max(named, goal + 1) if nodes is None else nodes
        if (edges.numel() and int(edges.min()) < 0) or named > n or not 0 <= goal < n:
            raise InputError("edges and goal", given=f"nodes up to {max(named - 1, goal)}", expected=f"0..{n - 1}")
        paid = torch.ones(len(edges)) if costs is None else costs.float()
        if paid.shape != (len(edges),) or not bool(((paid > 0) & paid.isfinite()).all()):
            raise InputError(
                "costs", given="none for an edge, or one that isn't above zero", expected="one above zero each"
            )
        self.name, self.num_values = f"graph.{n}", n
        self.unit_cost = costs is None
        self.goal = torch.tensor([goal], dtype=torch.int32)
        degree = torch.bincount(edges[:, 0], minlength=n) if edges.numel() else torch.zeros(n, dtype=torch.long)
        self.num_actions = max(int(degree.max()), 1)
        order = edges[:, 0].argsort(stable=True)
        first = degree.cumsum(0) - degree
        slot = torch.arange(len(edges)) - first[edges[order, 0]]
        self.to = torch.zeros(n, self.num_actions, dtype=torch.int32)
        self.costs, self.there = torch.ones(n, self.num_actions), torch.zeros(n, self.num_actions, dtype=torch.bool)
        at = edges[order, 0], slot
        self.to[at], self.costs[at], self.there[at] = edges[order, 1].int(), paid[order], True

    @classmethod
    def from_networkx(cls, graph: Any, goal: Hashable, weight: str | None = "weight") -> tuple[GraphDomain, list[Any]]:
        """A graph of networkx, directed or not, and its nodes in the order of their numbers.

        Args:
            graph: with one edge between two nodes at most, or several.
            goal: a node of it.
            weight: the attribute of an edge that is its cost; an edge without it costs 1. None: every edge costs 1.

        Raises:
            InputError: a goal that is no node, costs that aren't above zero and finite.
        """
        nodes = list(graph.nodes)
        number = {node: i for i, node in enumerate(nodes)}
        if goal not in number:
            raise InputError("goal", given=repr(goal), expected=f"one of the graph's {len(nodes)} nodes")
        found = [
            (number[u], number[v], 1.0 if weight is None else d.get(weight, 1.0)) for u, v, d in graph.edges(data=True)
        ]
        if not graph.is_directed():
            found += [(v, u, cost) for u, v, cost in found if u != v]
        edges = torch.tensor([f[:2] for f in found], dtype=torch.long).view(-1, 2)
        costs = None if weight is None else torch.tensor([f[2] for f in found], dtype=torch.float64)
        return cls(edges, costs, len(nodes), number[goal]), nodes

    def fingerprint(self) -> str:
        """See `Domain.fingerprint`: of all edges."""
        return str(digest({"to": self.to.cpu(), "costs": self.costs.cpu(), "there": self.there.cpu()}))

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`.

        Args:
            states: (B, 1).
        """
        if self.to.device != states.device:
            self.to, self.costs, self.there = (t.to(states.device) for t in (self.to, self.costs, self.there))
        node = states[:, 0].long()
        return Children(self.to[node][..., None], self.costs[node], self.there[node])
