"""Trees: orders, distances, morphisms, wavelets."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.nets.padic import Tree, TreeIndex, code_paths, padic_tree


def test_the_distance_is_an_ultrametric_and_the_digits_definition():
    tree = Tree(3, 3)
    t = torch.arange(27)
    d = tree.distance(t[:, None], t[None])
    assert bool((d[:, None, :] <= torch.maximum(d[:, :, None], d[None])).all())  # over all triples
    digits = tree.digits(t)
    for a in (0, 5, 26):
        for b in range(27):
            same = next((s for s in range(3) if digits[a, s] != digits[b, s]), None)
            assert d[a, b] == (0 if same is None else 3.0**-same)


@pytest.mark.parametrize(("q", "depth"), [(2, 5), (3, 3), (4, 2), (5, 1), (7, 0)])
def test_orders_are_inverse_and_one_in_ring_order_walks_through_every_leaf(q, depth):
    tree = Tree(q, depth)
    t = torch.arange(tree.leaves)
    assert torch.equal(tree.to_tree(tree.to_ring(t)), t)
    assert torch.equal(tree.to_ring(t), sum((tree.digits(t)[:, s] * q**s for s in range(depth)), torch.zeros_like(t)))
    at, seen = torch.tensor(0), set()
    for _ in range(tree.leaves):
        seen.add(int(at))
        at = tree.to_tree((tree.to_ring(at) + 1) % tree.leaves)
    assert len(seen) == tree.leaves


def test_restrict_undoes_lift_and_keeps_the_integral():
    coarse, x = Tree(3, 2), torch.randn(4, 9, dtype=torch.float64)
    fine = coarse.lift(x, 4)
    assert torch.allclose(Tree(3, 4).restrict(fine, 2), x, atol=1e-14)
    y = torch.randn(81, dtype=torch.float64)
    assert float(Tree(3, 4).restrict(y, 0)[0]) == pytest.approx(float(y.mean()), abs=1e-14)


@pytest.mark.parametrize(("q", "depth"), [(2, 6), (3, 4), (5, 2), (4, 0)])
def test_wavelets_are_orthonormal_and_inverse(q, depth):
    tree = Tree(q, depth)
    basis = tree.inverse_wavelets(torch.eye(tree.leaves, dtype=torch.float64))
    gram = basis @ basis.T / tree.leaves
    assert torch.allclose(gram, torch.eye(tree.leaves, dtype=torch.float64), atol=1e-12)
    x = torch.randn(3, tree.leaves, dtype=torch.float64)
    assert torch.allclose(tree.inverse_wavelets(tree.wavelets(x)), x, atol=1e-12)
    assert torch.allclose(tree.wavelets(x).square().sum(-1), x.square().mean(-1), atol=1e-12)


def test_wavelets_of_two_are_haars():
    """Haar's matrix by its recursion, up to order and sign."""
    haar = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(4):
        n = len(haar)
        top = torch.kron(haar, torch.tensor([1.0, 1.0], dtype=torch.float64)) / math.sqrt(2)
        low = torch.kron(torch.eye(n, dtype=torch.float64), torch.tensor([1.0, -1.0], dtype=torch.float64)) / math.sqrt(
            2
        )
        haar = torch.cat([top, low])
    ours = Tree(2, 4).wavelets(torch.eye(16, dtype=torch.float64)).T * math.sqrt(16)
    agree = (ours @ haar.T).abs()
    assert torch.allclose(agree, agree.round(), atol=1e-12)
    assert torch.equal(agree.round().sum(0), torch.ones(16).double())


def test_a_quadtree_keeps_squares_together():
    tree = Tree(4, 2)
    order = tree.morton(4, 4)
    picture = torch.arange(16).reshape(4, 4)
    assert sorted(picture.flatten()[order][:4].tolist()) == [0, 1, 4, 5]
    assert torch.equal(order.sort().values, torch.arange(16))
    assert sorted(Tree(2, 3).morton(4, 2).tolist()) == list(range(8))
    with pytest.raises(InputError, match="4 x 4"):
        tree.morton(4, 8)


def test_what_is_no_tree_or_no_leaf_is_refused(unchecked):
    for bad in ({"q": 1, "depth": 2}, {"q": 2, "depth": -1}, {"q": 2, "depth": 27}, {"q": 10**6, "depth": 11}):
        with pytest.raises(InputError):
            Tree(**bad)
    with pytest.raises(InputError, match=r"0\.\.26"):
        Tree(3, 3).digits(torch.tensor([27]))
    with pytest.raises(InputError, match="whole numbers"):
        Tree(3, 3).digits(torch.tensor([1.0]))
    with pytest.raises(InputError, match="27"):
        Tree(3, 3).restrict(torch.zeros(26), 1)


def test_ragged_paths_have_a_leaf_each():
    index = TreeIndex.from_paths([("a",), ("a", "b", "c"), ("a", "d"), ("e", "f", "g")])
    assert (index.depth, index.leaves, index.q) == (3, 4, 3)
    rows = index.ancestors(torch.arange(4))
    assert len({tuple(r) for r in rows.tolist()}) == 4
    assert rows.max() == index.nodes - 1
    assert rows[0, 1] == rows[1, 1] == rows[2, 1] != rows[3, 1]
    full = index.positions_in_tree()
    prefix = Tree(3, 3).common_prefix(full[:, None], full[None])
    assert torch.equal(prefix, (rows[:, None, 1:] == rows[None, :, 1:]).long().cumprod(-1).sum(-1))
    assert int(index.mask().sum()) == 4
    assert index.wasted() == pytest.approx(1 - 4 / 27)
    assert torch.equal(Tree(2, 2).ancestors(torch.arange(4))[:, 0], torch.zeros(4, dtype=torch.int64))


def test_codes_are_cut_at_prefixes_and_numbers_are_refused(unchecked):
    assert code_paths(["A00.1", "B"], [1, 3]) == [("A", "A00", "A00.1"), ("B",)]
    with pytest.raises(InputError, match="leading zeros"):
        code_paths([12], [1])  # type: ignore[list-item]
    with pytest.raises(InputError, match="twice"):
        TreeIndex.from_codes(["A1", "A1"], [1])


def test_a_network_becomes_paths_of_layers_and_neurons():
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    index = padic_tree(network)
    assert (index.leaves, index.depth) == (5, 2)
    assert index.leaf((1, 0)) == 3
    with pytest.raises(InputError, match="linear"):
        padic_tree(torch.nn.ReLU())
