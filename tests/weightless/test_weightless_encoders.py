"""Encoders: the published codes bit by bit, quantiles of the training split, refusals."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.weightless import Booleanizer

X = np.random.default_rng(0).normal(size=(200, 3))
THERMOMETERS = ("thermometer", "gaussian_thermometer", "linear_thermometer")


def test_one_hot_sets_the_bit_of_its_quantile_counted_from_the_last():
    coder = Booleanizer("quantile_onehot", bits=4).fit(X)
    assert np.array_equal(coder.thresholds_, np.quantile(X, [0.25, 0.5, 0.75], axis=0))
    bits = coder.transform(X).reshape(200, 3, 4)
    assert (bits.sum(axis=2) == 1).all()
    below = (X[:, :, None] > coder.thresholds_.T[None]).sum(axis=2)
    assert np.array_equal(3 - bits.argmax(axis=2), below)


def test_one_hot_of_two_bits_is_one():
    assert Booleanizer("quantile_onehot", bits=2).fit_transform(X).shape == (200, 3)


def test_a_thermometer_of_quantiles_has_a_constant_last_bit_that_compact_leaves_out():
    whole = Booleanizer("thermometer", bits=5).fit_transform(X).reshape(200, 3, 5)
    short = Booleanizer("thermometer", bits=5, compact=True).fit_transform(X).reshape(200, 3, 4)
    assert whole[:, :, 4].all()
    assert np.array_equal(whole[:, :, :4], short)


@pytest.mark.parametrize("method", THERMOMETERS)
def test_thermometers_are_monotone(method):
    coder = Booleanizer(method, bits=6).fit(X)
    line = np.repeat(np.linspace(-9, 9, 50)[:, None], 3, axis=1)
    bits = coder.transform(line).reshape(50, 3, 6).astype(int)
    assert (np.diff(bits, axis=2) >= 0).all()
    assert (np.diff(bits.sum(axis=2), axis=0) >= 0).all()
    assert (bits[-1] == 1).all()


def test_a_gaussian_thermometer_halves_at_the_mean():
    assert np.allclose(Booleanizer("gaussian_thermometer", bits=3).fit(X).thresholds_[1], X.mean(0))


def test_one_threshold_a_feature():
    assert Booleanizer("threshold", thresholds=[0.0, 5.0, -5.0]).fit_transform([[1, 1, 1], [-1, 6, -9]]).tolist() == [
        [1, 0, 1],
        [0, 1, 0],
    ]


@pytest.mark.parametrize(
    "coder",
    [Booleanizer(m, bits=4) for m in (*THERMOMETERS, "quantile_onehot")] + [Booleanizer("threshold", thresholds=0)],
)
def test_it_comes_back_from_json(coder):
    stored = json.loads(json.dumps(coder.fit(X).to_dict()))
    assert np.array_equal(Booleanizer.from_dict(stored).transform(X), coder.transform(X))


def test_binary_comes_back_from_json_and_keeps_bits():
    bits = (X > 0).astype(int)
    coder = Booleanizer("binary").fit(bits)
    assert np.array_equal(Booleanizer.from_dict(coder.to_dict()).transform(torch.tensor(bits)), bits)


@pytest.mark.parametrize(
    "change", [{"thresholds": []}, {"features": 4}, {"method": "x"}, {"bits": 9}, {"features": None}]
)
def test_a_foreign_description_is_refused(change):
    with pytest.raises(InputError):
        Booleanizer.from_dict(Booleanizer("thermometer", bits=4).fit(X).to_dict() | change)


@pytest.mark.parametrize(
    ("coder", "x", "said"),
    [
        (Booleanizer("threshold", thresholds=75), X, "features from"),
        (Booleanizer("threshold"), X, "thresholds"),
        (Booleanizer("thermometer", bits=1), X, "bits"),
        (Booleanizer("thermometer", thresholds=1.0), X, "found by fit"),
        (Booleanizer("threshold", bits=3, thresholds=0), X, "one bit"),
        (Booleanizer("linear_thermometer", compact=True), X, "compact"),
        (Booleanizer("nothing"), X, "unknown method"),
        (Booleanizer(), [[np.nan], [1.0]], "NaN"),
        (Booleanizer(), [[np.inf], [1.0]], "infinity"),
        (Booleanizer(), [1.0, 2.0], "2-D"),
        (Booleanizer(), np.zeros((0, 3)), "0 sample"),
        (Booleanizer("binary"), [[0, 2]], "0 and 1"),
    ],
)
def test_bad_input_is_refused(coder, x, said):
    with pytest.raises(InputError, match=said):
        coder.fit(x)


def test_transform_asks_for_fit_and_for_as_many_features():
    with pytest.raises(InputError, match="not fitted"):
        Booleanizer().transform(X)
    with pytest.raises(InputError, match="expecting 3 features"):
        Booleanizer().fit(X).transform(X[:, :2])


@pytest.mark.slow
def test_scikit_learn_takes_it_for_an_estimator():
    """In a process of its own: scikit-learn gives options of other types, which the tests' checker refuses first."""
    code = "from sklearn.utils.estimator_checks import check_estimator as c; import deepwright.weightless as w; "
    done = subprocess.run(
        [sys.executable, "-c", code + "c(w.Booleanizer())"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
