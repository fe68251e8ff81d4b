"""Graphs around nodes: what networkx finds, whatever the order of edges."""

import networkx as nx
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.graphs import Graph, ego_graphs, motif_ood, pack
from deepwright.ood import SSD, WeightedGIN


def drawn(seed=0, n=30, m=45):
    graph = nx.gnm_random_graph(n, m, seed=seed)
    pairs = torch.tensor(list(graph.edges)).T
    edges = torch.cat([pairs, pairs.flip(0)], dim=1)
    edges = edges[:, torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(seed))]
    return graph, Graph(edges, torch.arange(float(n))[:, None])


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_they_are_networkxs(radius):
    graph, given = drawn()
    found = ego_graphs(given, radius=radius)
    assert len(found) == 30
    for node in range(30):
        one, want = found[node], nx.ego_graph(graph, node, radius)
        names = one.x[:, 0].long()
        assert names.tolist() == sorted(want.nodes)
        edges = {tuple(sorted(pair)) for pair in names[one.edge_index].T.tolist()}
        assert edges == {tuple(sorted(pair)) for pair in want.edges}
        assert one.edge_index.shape[1] == 2 * want.number_of_edges()


def test_chosen_nodes_come_in_their_order_with_labels_and_marks():
    _, given = drawn(1)
    found = ego_graphs(given, [7, 2, 7], radius=1, y=[1, 0, 1], mark=True)
    assert found.y.tolist() == [1, 0, 1]
    for place, node in enumerate((7, 2, 7)):
        one = found[place]
        assert one.x[one.x[:, 1] == 1, 0].tolist() == [node]


def test_directed_edges_stay_directed_and_loops_stay():
    given = Graph(torch.tensor([[0, 1, 1], [1, 2, 1]]), num_nodes=4)
    with pytest.warns(UserWarning, match="reverse|one way|both"):
        packed = pack(given)
    found = ego_graphs(packed, [1, 3], radius=1)
    assert found.nodes.tolist() == [3, 1]
    assert sorted(map(tuple, found[0].edge_index.T.tolist())) == [(0, 1), (1, 1), (1, 2)]
    assert found[1].edge_index.shape[1] == 0


def test_detectors_of_graphs_judge_nodes():
    graphs = motif_ood(0, 12)
    torch.manual_seed(0)
    encoder = WeightedGIN(1, 4, 2).eval()
    guard = SSD(encoder, 1e-1).fit(ego_graphs(graphs.train, torch.arange(100), radius=2))
    scores = guard.score(ego_graphs(graphs.ood["clique"], torch.arange(50), radius=2))
    assert scores.shape == (50,)
    assert bool(torch.isfinite(scores).all())


def test_what_is_refused():
    _, given = drawn()
    with pytest.raises(InputError, match="nodes"):
        ego_graphs(given, [30])
    with pytest.raises(InputError, match="nodes"):
        ego_graphs(given, [])
    with pytest.raises(InputError, match="labels"):
        ego_graphs(given, [1, 2], y=[0])
    with pytest.raises(InputError, match="radius"):
        ego_graphs(given, radius=-1)


def test_a_mask_names_nodes_and_fractions_do_not():
    _, given = drawn()
    mask = torch.zeros(30, dtype=torch.bool)
    mask[[3, 8]] = True
    chosen, masked = (ego_graphs(given, nodes, radius=1) for nodes in ([3, 8], mask))
    assert torch.equal(chosen.x, masked.x)
    assert torch.equal(chosen.edge_index, masked.edge_index)
    for wrong in (mask[:5], [0.7, 2.0]):
        with pytest.raises(InputError, match="nodes"):
            ego_graphs(given, wrong)
