"""Statistics, colours, encodings and generators, against closed forms and networkx."""

import numpy as np
import pytest
import torch

from deepwright.graphs import (
    Graph,
    blocks,
    feature_ood,
    motif_ood,
    pack,
    preferential_tree,
    random_edges,
    refine,
    rewire,
    statistics,
    structural_encoding,
    swap_edges,
    undirected,
    uniform_tree,
)


@pytest.fixture(scope="module")
def motifs():
    return motif_ood(0, 30)


def complete(n):
    return undirected(np.stack(np.triu_indices(n, 1), axis=1), n)


def cycle(n):
    return undirected(np.array([(i, (i + 1) % n) for i in range(n)]), n)


def test_statistics_in_closed_form():
    found = statistics(pack([complete(5), cycle(6), Graph(torch.zeros(2, 0), num_nodes=3)]))
    assert found.tolist() == [[5, 10, 4, 4, 10], [6, 6, 2, 2, 0], [3, 0, 0, 0, 0]]


def test_triangles_are_those_of_networkx():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(0)
    pairs = random_edges(20, 60, rng)
    expected = sum(networkx.triangles(networkx.Graph(pairs.tolist())).values()) / 3
    assert float(statistics(pack([undirected(pairs, 20)]))[0, 4]) == expected


def test_colours_tell_what_the_refinement_tells():
    two_triangles = undirected(np.array([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]), 6)
    path = undirected(np.array([(0, 1), (1, 2), (2, 3)]), 4)
    packed = pack([two_triangles, cycle(6), path])
    colours = refine(packed, 3)
    assert torch.equal(colours[:, :6], colours[:, 6:12])  # regular graphs of one degree look alike
    assert len(colours[0].unique()) == 1
    assert [len(row[12:].unique()) for row in colours] == [1, 2, 2, 2]
    alone = refine(pack([path]), 3)
    assert torch.equal(alone, colours[:, 12:])  # whatever other graphs there are


def test_colours_follow_a_reference(motifs):
    """Against refinement by dictionaries of tuples."""
    packed = motifs.test[:6]
    sources, targets = packed.edge_index.tolist()
    around = [[] for _ in range(len(packed.x))]
    for a, b in zip(sources, targets):
        around[b].append(a)
    colours = refine(packed, 3)
    current = [0] * len(around)
    for row in colours[1:]:
        current = [hash((current[i], tuple(sorted(current[j] for j in around[i])))) for i in range(len(around))]
        pairs = set(zip(current, row.tolist()))
        assert len(pairs) == len(set(current)) == len(row.unique())


def test_return_probabilities_of_a_cycle_and_of_an_edge():
    graphs = pack([cycle(4), undirected(np.array([(0, 1)]), 2), Graph(torch.zeros(2, 0), num_nodes=1)])
    found = structural_encoding(graphs.edge_index, 7, 4, 4)
    assert found[:4, :4].tolist() == [[0, 0.5, 0, 0.5]] * 4
    assert found[4, :4].tolist() == [0, 1, 0, 1]
    assert found[6].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert found[0, 4:].tolist() == [0, 0, 1, 0]


def test_dense_powers_give_the_same_encoding(motifs):
    one = motifs.test[[0]]
    n = len(one.x)
    adjacency = torch.zeros(n, n, dtype=torch.float64)
    adjacency[one.edge_index[0], one.edge_index[1]] = 1
    step = adjacency / adjacency.sum(1, keepdim=True)
    expected = torch.stack([torch.linalg.matrix_power(step, k).diagonal() for k in range(1, 9)], dim=1)
    torch.testing.assert_close(structural_encoding(one.edge_index, n, 8).double()[:, :8], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [preferential_tree, uniform_tree])
def test_trees_have_one_edge_less_than_nodes_and_are_connected(make):
    for seed in range(5):
        pairs = make(12, np.random.default_rng(seed))
        reached = {0}
        for _ in range(12):
            reached |= {int(b) for a, b in np.concatenate([pairs, pairs[:, ::-1]]) if int(a) in reached}
        assert (len(pairs), len(reached)) == (11, 12)


def test_uniform_trees_are_uniform():
    rng = np.random.default_rng(0)
    count = {}
    for _ in range(1600):
        key = tuple(sorted(tuple(sorted(p)) for p in uniform_tree(4, rng).tolist()))
        count[key] = count.get(key, 0) + 1
    assert len(count) == 16  # Cayley: 4^2
    assert min(count.values()) > 60  # 100 +- 9.7 each
    assert max(count.values()) < 145


def test_blocks_have_the_shares_that_are_asked_for():
    pairs = blocks([60, 60], 0.5, 0.1, np.random.default_rng(0))
    inside = (pairs[:, 0] < 60) == (pairs[:, 1] < 60)
    assert abs(inside.sum() / (2 * 60 * 59 / 2) - 0.5) < 0.03
    assert abs((~inside).sum() / 3600 - 0.1) < 0.03


def test_swaps_keep_degrees_and_simple_graphs():
    rng = np.random.default_rng(0)
    pairs = random_edges(20, 60, rng)
    after = swap_edges(pairs, 600, rng)
    np.testing.assert_array_equal(np.bincount(after.ravel(), minlength=20), np.bincount(pairs.ravel(), minlength=20))
    assert len({tuple(sorted(p)) for p in after.tolist()}) == 60
    assert (after[:, 0] != after[:, 1]).all()
    old = {tuple(sorted(p)) for p in pairs.tolist()}
    assert len(old & {tuple(p) for p in after.tolist()}) < 40
    star = np.array([(0, 1), (0, 2), (0, 3)])
    np.testing.assert_array_equal(swap_edges(star, 5, rng), star)


def test_motif_benchmark(motifs):
    assert [len(motifs.train), len(motifs.val), len(motifs.test)] == [60, 20, 20]
    assert {name: len(g) for name, g in motifs.ood.items()} == {"tree": 20, "er": 20, "clique": 20, "star": 20}
    found = statistics(motifs.train)
    assert torch.equal(found[:, 1] - found[:, 0], 1.0 - motifs.train.y.double())  # house: E = V + 1, cycle: E = V
    assert torch.equal(found[:, 4], (motifs.train.y == 0).double())
    excess = {name: (statistics(g)[:, 1] - statistics(g)[:, 0]).unique().tolist() for name, g in motifs.ood.items()}
    assert excess == {"tree": [0, 1], "er": [0, 1], "clique": [5], "star": [-1]}
    assert torch.equal(motif_ood(0, 30).test.edge_index, motifs.test.edge_index)
    assert not torch.equal(motif_ood(1, 30).test.nodes, motifs.test.nodes)


def test_degrees_cannot_tell_swapped_graphs():
    found = feature_ood(0, 9)
    test, swapped = statistics(found.test), statistics(found.ood["swapped"])
    assert torch.equal(test[:, :4], swapped[:, :4])
    assert (test[:, 4] > swapped[:, 4]).double().mean() > 0.8


def test_rewired_graphs_keep_their_counts(motifs):
    for share in (0.0, 0.3, 1.0):
        after = rewire(motifs.test, share, seed=1)
        assert torch.equal(after.edges, motifs.test.edges)
        assert torch.equal(after.y, motifs.test.y)
        keys = [set((g.edge_index[0] * 100 + g.edge_index[1]).tolist()) for b in (motifs.test, after) for g in [b[[0]]]]
        kept = len(keys[0] & keys[1]) / len(keys[0])
        assert abs(kept - (1 - share)) < 0.05
