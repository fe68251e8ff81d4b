"""Batches of graphs: packing, cutting, message passing, and what is refused."""

import types

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.graphs import Graph, from_union, join, pack, pass_messages, scatter_mean, scatter_sum


def ring(n, y=None, width=2, seed=0):
    a = torch.arange(n)
    edges = torch.cat([torch.stack([a, (a + 1) % n]), torch.stack([(a + 1) % n, a])], dim=1)
    return Graph(edges, torch.randn(n, width, generator=torch.Generator().manual_seed(seed + n)), y=y)


@pytest.fixture
def graphs():
    return [ring(3, 0), Graph(torch.zeros(2, 0, dtype=torch.long), torch.ones(2, 2), y=1), ring(5, 1), ring(4, 0)]


def dense(graph):
    adjacency = torch.zeros(len(graph.x), len(graph.x))
    adjacency.index_put_(
        (graph.edge_index[1], graph.edge_index[0]), torch.ones(graph.edge_index.shape[1]), accumulate=True
    )
    return adjacency


def test_messages_are_products_with_the_adjacency(graphs):
    packed = pack(graphs)
    expected = torch.cat([dense(g) @ g.x for g in graphs])
    torch.testing.assert_close(pass_messages(packed.x, packed.edge_index), expected)


def test_messages_carry_weights_and_gradients(graphs):
    packed = pack(graphs)
    weight = torch.rand(packed.edge_index.shape[1], dtype=torch.float64, requires_grad=True)
    x = packed.x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: pass_messages(x, packed.edge_index, w), (x, weight))


def test_segments_equal_additions():
    index = torch.tensor([2, 0, 2, 2, 4])
    values = torch.arange(10.0).view(5, 2)
    ordered, order = index.sort(stable=True)
    ends = torch.searchsorted(ordered, torch.arange(6))
    by_segments = torch.segment_reduce(values[order], "sum", offsets=ends, axis=0, initial=0)
    torch.testing.assert_close(scatter_sum(values, index, 5), by_segments)
    torch.testing.assert_close(scatter_mean(values, index, 5)[2], values[[0, 2, 3]].mean(0))
    assert scatter_mean(values, index, 5)[1].eq(0).all()


def test_cut_graphs_equal_packed_alone(graphs):
    packed = pack(graphs)
    for rows in ([2, 0], [1], [3, 3, 1], []):
        cut = packed[rows]
        assert len(cut) == len(rows)
        if not rows:
            continue
        alone = pack([graphs[r] for r in rows])
        for name in ("x", "edge_index", "node_ptr", "edge_ptr", "edge_order", "y"):
            assert torch.equal(getattr(cut, name), getattr(alone, name)), name
    assert torch.equal(packed[packed.y == 0].y, torch.tensor([0, 0]))
    assert torch.equal(packed[-1].x, graphs[-1].x)
    assert torch.equal(packed[1:3].nodes, torch.tensor([2, 5]))


def test_values_of_edges_go_back_to_where_they_were_given(graphs):
    packed = pack(graphs)[[2, 3]]
    given = torch.cat([graphs[2].edge_index, graphs[3].edge_index + 5], dim=1)
    back = packed.as_given(packed.edge_index[0].double() * 100 + packed.edge_index[1])
    assert torch.equal(back, given[0].double() * 100 + given[1])


def test_unions_in_any_order_of_nodes(graphs):
    packed = pack(graphs)
    shuffle = torch.randperm(len(packed.x), generator=torch.Generator().manual_seed(0))
    place = shuffle.argsort()
    x, batch, edges = packed.x[shuffle], packed.batch[shuffle], place[packed.edge_index]
    again = from_union(x, edges, batch, 6)
    assert again.nodes.tolist() == [3, 2, 5, 4, 0, 0]
    sums = again.pooled(pass_messages(again.x, again.edge_index))
    torch.testing.assert_close(sums[:4], packed.pooled(pass_messages(packed.x, packed.edge_index)))


def test_joined_batches_equal_packed_together(graphs):
    together, parts = pack(graphs), join([pack(graphs[:2]), pack(graphs[2:])])
    for name in ("x", "edge_index", "node_ptr", "edge_ptr", "edge_order", "y"):
        assert torch.equal(getattr(parts, name), getattr(together, name)), name


def test_objects_of_others_are_taken(graphs):
    packed = pack(graphs)
    data = [
        types.SimpleNamespace(x=g.x, edge_index=g.edge_index, y=torch.tensor([g.y]), num_nodes=len(g.x)) for g in graphs
    ]
    assert torch.equal(pack(data).edge_index, packed.edge_index)
    assert torch.equal(pack(data).y, packed.y)
    union = types.SimpleNamespace(
        x=packed.x, edge_index=packed.edge_index, batch=packed.batch, num_graphs=4, y=packed.y, num_nodes=len(packed.x)
    )
    assert torch.equal(pack([union, union]).y, packed.y.repeat(2))
    assert torch.equal(pack([(g.x, g.edge_index) for g in graphs]).x, packed.x)


def test_networkx_graphs_are_taken():
    networkx = pytest.importorskip("networkx")
    house = networkx.house_graph()
    packed = pack([house, networkx.DiGraph([("a", "b"), ("b", "a")])])
    assert packed.nodes.tolist() == [5, 2]
    assert packed.edges.tolist() == [12, 2]
    dense_house = networkx.to_numpy_array(house)
    np.testing.assert_array_equal(pass_messages(packed.x, packed.edge_index)[:5, 0].numpy(), dense_house.sum(0))


def edges(*pairs):
    return torch.tensor(pairs).T


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "none"),
        ("graphs", "str"),
        ([Graph(torch.zeros(5, 2, dtype=torch.long))], r"\(5, 2\).*T.contiguous"),
        ([Graph(edges((0, 1), (1, 0))), Graph(edges((0, 7)), torch.ones(3, 1))], "graph 1.*node 7.*0 to 2"),
        ([Graph(edges((0, -1)), torch.ones(3, 1))], "node -1"),
        ([Graph(edges((0, 1)), torch.tensor([0, 3]))], "one-hot"),
        ([Graph(edges((0, 1)), torch.tensor([[0.0], [float("nan")]]))], "NaN|finite"),
        ([ring(3), ring(3, width=4)], "widths"),
        ([ring(3, 1), ring(3)], "none for graph 1"),
        ([Graph(edges((0.0, 1.0)))], "float32"),
        ([ring(3), pack([ring(3)])], "mixed"),
        ([3], "int"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        pack(given)


def test_labels_are_whole_numbers_one_a_graph(graphs):
    for y in ([0, 1], [0.5, 1, 0, 0], [-1, 1, 1, 1]):
        with pytest.raises(InputError, match="labels of graphs"):
            pack(graphs, torch.tensor(y))
    assert pack(graphs, torch.tensor([1, 1, 0, 0])).y.tolist() == [1, 1, 0, 0]


def test_edges_stored_once_are_warned_of():
    one_way = Graph(edges((0, 1), (1, 2)))
    with pytest.warns(UserWarning, match="1 of 2 graphs"):
        pack([one_way, ring(3, width=1)])
    assert len(pack([one_way], directed=True)) == 1


def test_unions_are_checked():
    with pytest.raises(InputError, match="two graphs"):
        from_union(None, edges((0, 1)), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="graph 1"):
        from_union(None, edges((0, 1)), torch.tensor([1, 1]), 1)
    with pytest.raises(InputError, match="node 2"):
        from_union(None, edges((0, 2)), torch.tensor([0, 0]))
