"""Flips at their rate, majority of three, curves that are paired."""

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.weightless import BinaryWNN, TsetlinWiSARD, bit_flips, flip_bits
from deepwright.weightless.mapping import random_mapping
from deepwright.weightless.robustness import most_voted

RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, (300, 24)).astype(np.uint8)
Y = X[:, :12].sum(axis=1) > X[:, 12:].sum(axis=1)


def machine():
    return TsetlinWiSARD(4, 60, epochs=3, random_state=0, engine="numpy").fit(X, Y)


def test_each_bit_flips_at_the_rate_and_three_copies_at_theirs():
    net = BinaryWNN(np.zeros((400, 64, 4), int), random_mapping(60, 6, 400), 60, np.arange(4), engine="numpy")
    rate, half = 0.1, np.arange(0, 400, 2)
    wrong = flip_bits(net, rate, 3, half).tables
    n = wrong[half].size
    assert abs(wrong[1::2].mean() - rate) < 5 * (rate * (1 - rate) / n) ** 0.5
    majority = 3 * rate**2 - 2 * rate**3
    assert abs(wrong[half].mean() - majority) < 5 * (majority * (1 - majority) / n) ** 0.5
    assert np.array_equal(flip_bits(net, rate, 3).tables[1::2], wrong[1::2])
    assert not net.tables.any()


def test_no_flips_and_all_flips():
    net = machine().to_binary()
    assert np.array_equal(flip_bits(net, 0.0).tables, net.tables)
    assert np.array_equal(flip_bits(net, 1.0, 0, np.arange(60)).tables, 1 - net.tables)
    curve = bit_flips(net, X, Y, (0.0,), repeats=2)
    assert (curve.accuracy == curve.clean).all()


def test_the_most_voted_come_first():
    tables = np.zeros((3, 2, 2), int)
    tables[1, :, 0] = 1
    tables[2, 1, 0] = 1
    net = BinaryWNN(tables, np.array([[0], [1], [2]]), 3, np.arange(2), engine="numpy")
    assert most_voted(net, np.array([[1, 1, 1], [0, 0, 0]])).tolist() == [1, 2, 0]


def test_copies_of_all_tables_help_and_cost_three_times():
    net = machine().to_binary()
    bare = bit_flips(net, X, Y, (0.15,), repeats=8)
    kept = bit_flips(net, X, Y, (0.15,), protect=1.0, repeats=8, calibration=X)
    assert kept.accuracy.mean() > bare.accuracy.mean()
    assert (kept.nbytes, kept.protected) == (3 * net.nbytes, 60)
    assert "stored three times" in str(kept)


@pytest.mark.parametrize("n_states", [6, 256])
def test_states_flip_within_their_bits_and_learning_goes_on(n_states):
    net = TsetlinWiSARD(4, 60, n_states, epochs=3, random_state=0, engine="numpy").fit(X, Y)
    before, score = net.states_.copy(), net.score(X, Y)
    assert np.array_equal(net.flip(0.0).states_, before)
    net.flip(0.3, 1)
    assert net.states_.max() <= n_states - 1
    assert (net.states_ != before).mean() > 0.5
    hurt = net.score(X, Y)
    for _ in range(4):
        net.partial_fit(X, Y)
    assert hurt < score
    assert net.score(X, Y) > hurt


@pytest.mark.parametrize(
    ("given", "said"),
    [({"rates": (1.5,)}, "rate"), ({"rates": ()}, "rates"), ({"protect": 2.0}, "protect"), ({"protect": 0.5}, "calib")],
)
def test_bad_input_is_told(given, said):
    with pytest.raises(InputError, match=said):
        bit_flips(machine().to_binary(), X, Y, **given)
