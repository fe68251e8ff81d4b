"""Random graphs, and two benchmarks of graphs that are out of distribution, one where degrees tell nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_whole, require_within
from deepwright.graphs.batch import GraphBatch
from deepwright.graphs.packing import Graph, pack

Pairs = np.ndarray
"""(E, 2) undirected edges, each once."""


@dataclass(frozen=True)
class GraphBenchmark:
    """In-distribution graphs in three parts, and other graphs by name.

    Attributes:
        train: labelled.
        val: labelled, for calibration and choices.
        test: labelled.
        ood: graphs that aren't of the distribution, without labels.
    """

    train: GraphBatch
    val: GraphBatch
    test: GraphBatch
    ood: dict[str, GraphBatch]


def undirected(pairs: Pairs, nodes: int, y: int | None = None) -> Graph:
    """A graph of edges that are each given once.

    Args:
        pairs: (E, 2).
        nodes: how many.
        y: its class.
    """
    both = np.concatenate([pairs, pairs[:, ::-1]]).T
    return Graph(torch.from_numpy(np.ascontiguousarray(both, dtype=np.int64)), num_nodes=nodes, y=y)


def preferential_tree(nodes: int, rng: np.random.Generator) -> Pairs:
    """Barabasi and Albert's graph with one edge for each new node: to a node in proportion to its degree.

    Args:
        nodes: two or more.
        rng: what draws.
    """
    ends = [0, 1]
    for node in range(2, nodes):
        ends += [ends[rng.integers(len(ends))], node]
    return np.array(ends).reshape(-1, 2)


def uniform_tree(nodes: int, rng: np.random.Generator) -> Pairs:
    """A tree that is as likely as any other labelled tree, from its Prüfer sequence.

    Args:
        nodes: three or more.
        rng: what draws.
    """
    sequence = rng.integers(nodes, size=nodes - 2)
    degree = np.bincount(sequence, minlength=nodes) + 1
    pairs = []
    for node in sequence:
        leaf = int(np.argmin(degree))  # there is always one
        pairs.append((leaf, int(node)))
        degree[leaf] = nodes + 1  # used
        degree[node] -= 1
    last = np.flatnonzero(degree == 1)
    return np.array([*pairs, (int(last[0]), int(last[1]))])


def random_edges(nodes: int, edges: int, rng: np.random.Generator) -> Pairs:
    """G(n, m): so many of all pairs.

    Args:
        nodes: n.
        edges: m.
        rng: what draws.
    """
    upper = np.stack(np.triu_indices(nodes, 1), axis=1)
    return upper[rng.choice(len(upper), size=edges, replace=False)]


def blocks(sizes: Sequence[int], inside: float, between: float, rng: np.random.Generator) -> Pairs:
    """A stochastic block graph.

    Args:
        sizes: of the blocks.
        inside: probability of an edge within a block.
        between: and of one between two.
        rng: what draws.
    """
    member = np.repeat(np.arange(len(sizes)), sizes)
    a, b = np.triu_indices(len(member), 1)
    drawn = rng.random(len(a)) < np.where(member[a] == member[b], inside, between)
    return np.stack([a[drawn], b[drawn]], axis=1)


HOUSE = np.array([(0, 1), (1, 2), (2, 3), (3, 0), (2, 4), (3, 4)])
CYCLE = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])
CLIQUE = np.stack(np.triu_indices(5, 1), axis=1)
STAR = np.array([(0, 1), (0, 2), (0, 3), (0, 4)])

Base = Callable[[int, np.random.Generator], Pairs]


def _sparse_random(nodes: int, rng: np.random.Generator) -> Pairs:
    return random_edges(nodes, nodes - 1, rng)


def _with_motif(base: Base, motif: Pairs, y: int | None, rng: np.random.Generator) -> Graph:
    """A base of 15 to 25 nodes with a motif of five, joined by one random edge."""
    nodes = int(rng.integers(15, 26))
    bridge = np.array([(int(rng.integers(nodes)), nodes + int(rng.integers(5)))])
    return undirected(np.concatenate([base(nodes, rng), motif + nodes, bridge]), nodes + 5, y)


def _stream(seed: int, *name: object) -> np.random.Generator:
    return np.random.default_rng(derive_seed(*name, seed=seed))


def motif_ood(seed: int = 0, n: int = 150) -> GraphBenchmark:
    """Trees that carry a house (class 0) or a cycle of five (class 1), against four other kinds of graph.

    In distribution: preferential trees. Foreign: `tree` (uniform trees with the same motifs: near), `er` (random edges,
    as many, with the same motifs), `clique` and `star` (the same trees with other motifs; edges less nodes give both
    away). Features are constant.

    Args:
        seed: of everything.
        n: graphs a class to train on; a third of that to test on and to validate on, two thirds of it a foreign set.
    """
    require_whole(3, n=n)

    def many(part: str, count: int, base: Base, motifs: Sequence[Pairs], labelled: bool) -> GraphBatch:
        rng = _stream(seed, "motif_ood", part)
        drawn = [
            _with_motif(base, motif, y if labelled else None, rng)
            for _ in range(count)
            for y, motif in enumerate(motifs)
        ]
        return pack(drawn)

    usual = (HOUSE, CYCLE)
    third = n // 3
    return GraphBenchmark(
        train=many("train", n, preferential_tree, usual, True),
        val=many("val", third, preferential_tree, usual, True),
        test=many("test", third, preferential_tree, usual, True),
        ood={
            "tree": many("tree", third, uniform_tree, usual, False),
            "er": many("er", third, _sparse_random, usual, False),
            "clique": many("clique", 2 * third, preferential_tree, (CLIQUE,), False),
            "star": many("star", 2 * third, preferential_tree, (STAR,), False),
        },
    )


def feature_ood(seed: int = 0, n: int = 150) -> GraphBenchmark:
    """Block graphs, of two blocks (class 0) or four (class 1), against themselves with their edges swapped.

    A swap takes edges a-b and c-d and makes a-d and c-b of them: no degree changes, so that no statistic of degrees can
    tell `swapped` from the test graphs; ten swaps an edge leave nothing of the blocks.

    Args:
        seed: of everything.
        n: graphs a class to train on; a third of that to test and to validate on.
    """
    require_whole(3, n=n)

    def many(part: str, count: int) -> list[tuple[Pairs, int, int]]:
        rng = _stream(seed, "feature_ood", part)
        drawn = []
        for _ in range(count):
            for y, parts in enumerate((2, 4)):
                sizes = rng.multinomial(int(rng.integers(28, 41)) - 4 * parts, [1 / parts] * parts) + 4
                drawn.append((blocks(sizes.tolist(), 0.2 * parts, 0.02, rng), int(sizes.sum()), y))
        return drawn

    test = many("test", n // 3)
    rng = _stream(seed, "feature_ood", "swaps")
    swapped = [undirected(swap_edges(pairs, 10 * len(pairs), rng), nodes) for pairs, nodes, _ in test]
    packed = {part: pack([undirected(*g) for g in many(part, k)]) for part, k in (("train", n), ("val", n // 3))}
    return GraphBenchmark(
        packed["train"], packed["val"], pack([undirected(*g) for g in test]), {"swapped": pack(swapped)}
    )


def swap_edges(pairs: Pairs, swaps: int, rng: np.random.Generator) -> Pairs:
    """Edges after so many double swaps that keep every degree and make no loop and no double edge.

    Args:
        pairs: of a graph without loops, each edge once.
        swaps: wanted; a graph that has none (a star) is left after ten tries for each.
        rng: what draws.
    """
    edges = [tuple(sorted(pair)) for pair in pairs.tolist()]
    there, left = set(edges), swaps
    for i, j, flip in zip(*rng.integers(len(edges), size=(2, 10 * swaps)).tolist(), rng.integers(2, size=10 * swaps)):
        (a, b), (c, d) = edges[i], edges[j][:: 1 if flip else -1]
        one, other = tuple(sorted((a, d))), tuple(sorted((c, b)))
        if len({a, b, c, d}) < 4 or one in there or other in there:
            continue
        there -= {edges[i], edges[j]}
        there |= {one, other}
        edges[i], edges[j] = one, other
        left -= 1
        if left == 0:
            break
    return np.array(edges)


def rewire(graphs: GraphBatch, share: float, seed: int = 0) -> GraphBatch:
    """Graphs in which a share of the undirected edges lies elsewhere, at random within each graph.

    Each chosen edge goes to a pair of nodes that wasn't joined; features, labels and counts of edges stay.

    Args:
        graphs: without loops, each edge both ways.
        share: of each graph's edges, rounded up where above 0.
        seed: of the draw.
    """
    require_within(0.0, 1.0, share=share)
    moved = []
    for number, one in enumerate(graphs[[g]] for g in range(len(graphs))):
        rng = _stream(seed, "rewire", number)
        pairs = one.edge_index.T.cpu().numpy()
        pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
        a, b = np.triu_indices(len(one.x), 1)
        joined = np.isin(a * len(one.x) + b, pairs[:, 0] * len(one.x) + pairs[:, 1])
        free = np.stack([a[~joined], b[~joined]], axis=1)
        count = min(int(np.ceil(share * len(pairs))), len(free))
        kept = pairs[rng.permutation(len(pairs))[count:]]
        new = free[rng.choice(len(free), size=count, replace=False)]
        both = undirected(np.concatenate([kept, new]).reshape(-1, 2), len(one.x))
        moved.append(Graph(both.edge_index.to(one.device), one.x))
    packed = pack(moved)
    return packed if graphs.y is None else packed.labelled(graphs.y)
