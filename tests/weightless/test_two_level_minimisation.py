"""Sums of products against closed forms and against the fewest there are; the report of a network by hand."""

import itertools

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.weightless import BinaryWNN, compression
from deepwright.weightless.two_level import minimise


def ones(n):
    return np.array([bin(a).count("1") for a in range(1 << n)])


@pytest.mark.parametrize("n", range(1, 7))
def test_parity_has_a_product_for_each_one(n):
    found = minimise((ones(n)[None] % 2).astype(np.uint8))
    assert found.count.tolist() == [1 << (n - 1)]
    assert found.literals.tolist() == [n << (n - 1)]


@pytest.mark.parametrize(("n", "products"), [(3, 3), (5, 10)])
def test_majority_has_a_product_for_each_smallest_majority(n, products):
    found = minimise((ones(n)[None] > n // 2).astype(np.uint8))
    assert found.count.tolist() == [products]
    assert found.literals.tolist() == [products * (n // 2 + 1)]


def test_constants_and_single_inputs():
    tables = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1], [1, 0, 1, 0]])
    found = minimise(tables)
    assert found.count.tolist() == [0, 1, 1, 1]
    assert found.literals.tolist() == [0, 0, 1, 1]
    assert found.cubes[found.chosen[2]].tolist() == [[1, 2]]  # the first input is the highest bit


@pytest.mark.parametrize("n", [4, 6])
def test_products_make_the_table_where_it_matters_and_none_can_go(n):
    rng = np.random.default_rng(n)
    tables, care = rng.integers(0, 2, (60, 1 << n)).astype(np.uint8), rng.random((60, 1 << n)) < 0.6
    whole, free = minimise(tables), minimise(tables, care)
    assert np.array_equal(whole.evaluate(), tables)
    assert np.array_equal(free.evaluate()[care], tables[care])
    assert free.count.sum() < whole.count.sum()
    row, cube = np.argwhere(whole.chosen)[:: max(1, whole.chosen.sum() // 40)].T
    for i, k in zip(row, cube, strict=True):
        less = whole.chosen[i : i + 1].copy()
        less[0, k] = False
        assert not np.array_equal(type(whole)(whole.cubes, less).evaluate()[0], tables[i])


def test_all_functions_of_three_inputs_are_near_the_fewest():
    """The fewest by trying all sets of products: at most one too many, and rarely."""
    tables = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.uint8)
    found = minimise(tables)
    bits = np.array(list(itertools.product((0, 1), repeat=3)))
    cubes = [np.array(c) for c in itertools.product((0, 1, 2), repeat=3)]
    masks = [int((((c == 2) | (c == bits)).all(axis=1) << np.arange(8)).sum()) for c in cubes]
    fewest = {0: 0}
    frontier = {0}
    while len(fewest) < 256:
        frontier = {a | m for a in frontier for m in masks} - set(fewest)
        fewest |= dict.fromkeys(frontier, max(fewest.values()) + 1)
    excess = found.count - np.array([fewest[f] for f in range(256)])
    assert excess.min() == 0
    assert excess.max() <= 1
    assert (excess > 0).mean() < 0.05


def test_a_report_counts_by_hand():
    tables = np.zeros((3, 4, 2), dtype=int)
    tables[0] = [[0, 0], [1, 1], [1, 1], [0, 0]]  # the same for both classes
    tables[1, :, 1] = 1
    tables[2, 3] = [1, 0]
    net = BinaryWNN(tables, np.array([[0, 1], [1, 2], [2, 3]]), 4, np.arange(2), engine="numpy")
    found = compression(net, np.array([[0, 0, 1, 1], [0, 1, 1, 1]]))
    assert (found.tables, found.constant, found.duplicate, found.common) == (6, 3, 1, 1)
    assert (found.entries, found.unseen, found.ones) == (12, 12 - 2 - 2 - 1, 9)
    assert (found.products, found.literals) == (2 + 2 + 1 + 1, 4 + 4 + 0 + 2)
    assert (found.products_seen, found.literals_seen) == (1 + 1 + 1 + 1, 1 + 1)
    assert "never seen" in str(found)
    assert compression(net).unseen is None


def test_more_than_six_inputs_are_refused():
    with pytest.raises(InputError, match="tables"):
        minimise(np.zeros((1, 128)))
