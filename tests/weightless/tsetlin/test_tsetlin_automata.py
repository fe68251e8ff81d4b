"""TsetlinWiSARD: the published rule bit for bit, conservation, capacity, streams; NumPy and compiled alike."""

import functools
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from deepwright.core.errors import InputError
from deepwright.weightless import Booleanizer, TsetlinWiSARD
from deepwright.weightless.kernels import Rule, train

sys.path.insert(0, str(Path(__file__).parent.parent))
from authors_digits import TRAIN, L, authors_rows, authors_states, digits

ENGINES = ("numpy", "auto")
Small = functools.partial(TsetlinWiSARD, n_inputs=4, n_luts=12, epochs=2, random_state=0)


@functools.cache
def sample(n=80, features=24, classes=3):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (n, features)).astype(np.uint8)
    return bits, (bits[:, :6].sum(axis=1) * classes // 7)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_the_authors_rule_bit_for_bit(engine):
    states, rows, (_, y) = authors_states(), authors_rows(), digits()
    assert int(states.sum(dtype=np.int64)) == 2_692_580
    rule = Rule(128, 255, np.full(10, 256), 0, random_ties=False)
    right = [train(rows[:TRAIN], y[:TRAIN], states, rule, e * TRAIN, engine)[0] for e in range(2)]
    assert right == [1150, 1324]
    assert (states.min(), states.max()) == (114, 142)
    flat = states.transpose(2, 0, 1).ravel().astype(np.int64)
    assert int((flat * np.arange(1, flat.size + 1)).sum()) == 28_436_656_974
    votes = (states[np.arange(L), rows[TRAIN:]] >= 128).sum(axis=1)
    assert int((votes.argmax(axis=1) == y[TRAIN:]).sum()) == 318


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p_update": 1.0},
        {"p_update": 0.1, "tie": "first"},
        {"update": "margin"},
        {"update": "always", "only_wrong_votes": True},
        {"class_weight": "balanced"},
        {"n_states": 1000},
        {"n_states": 2},
        {"init": "independent"},
    ],
)
def test_both_engines_have_the_same_states(options):
    X, y = sample()
    a, b = (Small(engine=e, **options).fit(X, y) for e in ENGINES)
    assert np.array_equal(a.states_, b.states_)
    assert a.history_ == b.history_
    assert np.array_equal(a.decision_function(X), b.decision_function(X))


def test_steps_up_and_down_are_the_change_of_the_sum():
    X, y = sample()
    for options in ({}, {"n_states": 4, "epochs": 5, "update": "always"}):
        net = Small(init="zeros", engine="numpy", **options).fit(X, y)
        start = (net.n_states // 2 - 1) * net.states_.size
        moved = sum(h["raised"] - h["lowered"] for h in net.history_)
        assert int(net.states_.sum(dtype=np.int64)) - start == moved


def test_without_saturation_and_with_certain_steps_the_sum_never_changes():
    X, y = sample()
    net = Small(init="ones", p_update=1.0).fit(X, y)
    assert int(net.states_.sum(dtype=np.int64)) == 128 * net.states_.size


def test_one_table_that_sees_all_bits_learns_every_sample():
    rng = np.random.default_rng(2)
    X = (rng.permutation(256)[:100, None] >> np.arange(8)) & 1
    y = rng.integers(0, 4, 100)
    net = TsetlinWiSARD(n_inputs=8, n_luts=1, p_update=1.0, tie="first", epochs=4, random_state=0).fit(X, y)
    assert net.score(X, y) == 1.0


@pytest.mark.parametrize("cuts", [(1,) * 80, (30, 50), (79, 1)])
def test_any_cut_of_a_stream_gives_the_same_states(cuts):
    X, y = sample()
    whole, parts = Small(shuffle=False, epochs=1).fit(X, y), Small()
    at = np.cumsum((0, *cuts))
    for a, b in itertools.pairwise(at):
        parts.partial_fit(X[a:b], y[a:b], classes=[0, 1, 2])
    assert np.array_equal(whole.states_, parts.states_)


def test_rewards_and_penalties_are_drawn_apart_and_as_often_as_asked():
    rows, labels = np.zeros((400, 50), np.uint16), np.zeros(400, np.int64)
    states = np.full((50, 2, 2), 30_000, np.uint16)
    states[:, :, 1] = 60_000  # so that class 1 always wins
    rule = Rule(40_000, 65_535, np.array([64, 64]), 5)
    _, up, down = train(rows, labels, states, rule, 0, "numpy")
    assert abs(up / 20_000 - 0.25) < 0.015  # five standard deviations
    assert abs(down / 20_000 - 0.25) < 0.015
    assert up != down


def test_random_ties_are_even():
    rows, labels = np.zeros((3000, 2), np.uint16), np.zeros(3000, np.int64)
    right, *_ = train(rows, labels, np.zeros((2, 2, 3), np.uint8), Rule(128, 255, np.array([1] * 3), 9), 0)
    assert abs(right / 3000 - 1 / 3) < 0.045


def test_labels_are_what_comes_out():
    X, y = sample()
    names = np.array(["x", "yy", "z"])[y]
    net = Small().fit(X, names)
    assert set(net.predict(X)) <= {"x", "yy", "z"}
    assert Small().fit(torch.tensor(X), torch.tensor(y * 4 + 3)).classes_.tolist() == [3, 7, 11]
    assert np.allclose(net.predict_proba(X).sum(axis=1), 1)
    assert np.array_equal(net.to_binary().votes(X), net.decision_function(X))


def test_early_stopping_keeps_the_best():
    X, y = sample()
    net = Small(early_stopping=True, epochs=40, patience=3).fit(X, y)
    found = [h["validation"] for h in net.history_]
    assert len(found) < 40
    assert found.index(max(found)) == len(found) - 4


def test_relax_pulls_towards_the_middle():
    X, y = sample()
    net = Small(epochs=20).fit(X, y)
    away = np.abs(net.states_.astype(int) - 128)
    side = net.states_ >= 128
    net.relax(2)
    assert np.array_equal(np.abs(net.states_.astype(int) - 128), away - away // 2)
    assert np.array_equal(net.states_ >= 128, side | (net.states_ == 128))
    assert (Small().fit(X, y).relax(1).states_ == 128).all()


def test_a_pipeline_of_scikit_learn_takes_it():
    X, y = digits()
    pipe = make_pipeline(Booleanizer("thermometer", bits=3), Small(epochs=1))
    assert cross_val_score(clone(pipe), X[:200].astype(float), y[:200], cv=2).shape == (2,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_inputs": 17}, "n_inputs"),
        ({"n_luts": 0}, "n_luts"),
        ({"n_luts": 65_536}, "n_luts"),
        ({"n_states": 3}, "even"),
        ({"n_states": 65_538}, "n_states"),
        ({"p_update": 0}, "p_update"),
        ({"p_update": 1.1}, "p_update"),
        ({"p_update": 0.001}, "256ths"),
        ({"p_update": float("nan")}, "p_update"),
        ({"epochs": 0}, "epochs"),
        ({"update": "x"}, "unknown update"),
        ({"tie": "margin"}, "unknown tie"),
        ({"init": "x"}, "unknown init"),
        ({"margin": 0}, "margin"),
        ({"class_weight": "even"}, "class_weight"),
        ({"max_memory": 100}, "at most 100"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        Small(**options).fit(*sample())


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        (np.full((4, 8), 3), [0, 1, 0, 1], "Booleanizer"),
        (np.full((4, 8), np.nan), [0, 1, 0, 1], "NaN"),
        (np.eye(4) * 2 - 1, [0, 1, 0, 1], "0 and 1"),
        (np.zeros((4, 8)), [0, 1, 0, 1], "constant"),
        (np.zeros(4), [0] * 4, "2-D"),
        (np.eye(4), np.eye(4), "one-hot"),
        (np.eye(4), [[0], [1], [0], [1]], "ravel"),
        (np.eye(4), [0, 1, 0], "3 labels"),
        (np.eye(4), [0.5, 1, 0, 1], "fractions"),
        (np.eye(4), [np.nan, 1, 0, 1], "NaN"),
        (np.eye(4), [1, 1, 1, 1], "1 class"),
        (np.eye(4), None, "None"),
    ],
)
def test_bad_data_are_refused(X, y, said):
    with pytest.raises(InputError, match=said):
        TsetlinWiSARD(n_inputs=2, n_luts=4).fit(X, y)


def test_misuse_is_refused():
    X, y = sample()
    with pytest.raises(InputError, match="not fitted"):
        Small().predict(X)
    with pytest.raises(InputError, match="first call"):
        Small().partial_fit(X, y)
    with pytest.raises(InputError, match="outside"):
        Small().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(InputError, match="23 features"):
        Small().fit(X, y).predict(X[:, 1:])
    with pytest.raises(InputError, match="early_stopping"):
        Small(early_stopping=True).fit(X[:8], y[:8])
    with pytest.raises(InputError, match="temperature"):
        Small(temperature=0.0).fit(X, y).predict_proba(X)
    with pytest.warns(UserWarning, match="no samples"):
        Small().fit(X, y, classes=[0, 1, 2, 3])
