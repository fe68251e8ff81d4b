"""Detectors of windows against scikit-learn, their thresholds, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import fbeta_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.ood import KNNDetector, MADGANDetector, MeanRank, OCSVMDetector, wrap_pyod


def windows(n, shift=0.0, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, 2, generator=draws, dtype=torch.float64) + shift


def test_neighbours_are_scikit_learns_and_never_oneself():
    x, new = windows(300), windows(50, 0.5, 1)
    found = KNNDetector(7).fit(x)
    near = NearestNeighbors(n_neighbors=8).fit(x.flatten(1))
    np.testing.assert_allclose(found.training_scores_, near.kneighbors()[0][:, 6], rtol=1e-10)
    np.testing.assert_allclose(found.score(new), near.kneighbors(new.flatten(1))[0][:, 6], rtol=1e-10)


def test_one_class_machine_is_scikit_learns():
    x, new = windows(200), windows(50, 1.0, 1)
    machine = OneClassSVM(nu=0.5, tol=1e-3).fit(x.flatten(1))
    np.testing.assert_allclose(OCSVMDetector().fit(x).score(new), -machine.score_samples(new.flatten(1)), rtol=1e-9)


class Factor:
    """What pyod's detectors are like."""

    def fit(self, rows):
        self.inner = LocalOutlierFactor(novelty=True).fit(rows)
        self.decision_scores_ = -self.inner.negative_outlier_factor_

    def decision_function(self, rows):
        return -self.inner.score_samples(rows)


@pytest.mark.parametrize("make", [KNNDetector, OCSVMDetector, lambda: wrap_pyod(Factor())])
def test_what_lies_far_away_is_stranger(make):
    detector = make().fit(windows(300))
    assert float(detector.score(windows(50, 4.0, 1)).min()) > float(detector.score(windows(50, 0.0, 2)).median())
    both = MeanRank([make(), KNNDetector(3)]).fit(windows(300))
    assert float(both.score(windows(50, 4.0, 1)).min()) == 1.0


def test_thresholds_are_what_a_search_over_all_cuts_finds():
    detector = KNNDetector(3).fit(windows(300))
    x = torch.cat([windows(200, 0.0, 1), windows(100, 0.7, 2)])
    y = torch.arange(300) >= 200
    scores = detector.score(x)
    for beta in (0.5, 1.0, 2.0):
        cut = detector.set_threshold("fbeta", beta, x, y)
        mine = fbeta_score(y, scores > cut, beta=beta)
        assert mine == pytest.approx(max(fbeta_score(y, scores >= s, beta=beta) for s in scores))
    cut = detector.set_threshold("precision", 0.9, x, y)
    alarms = scores > cut
    assert float(y[alarms].double().mean()) >= 0.9
    detector.set_threshold("quantile", 0.95)
    assert float((detector.training_scores_ > detector.threshold_).double().mean()) == pytest.approx(0.05, abs=1 / 300)
    assert detector.set_threshold(lambda s, y: float(s.median())) == float(detector.training_scores_.median())


def test_labelled_rows_are_not_what_is_normal():
    x = torch.cat([windows(300), windows(30, 5.0, 1)])
    detector = KNNDetector(3).fit(x, torch.arange(330) >= 300)
    assert len(detector.training_scores_) == 300
    assert float(detector.score(windows(20, 5.0, 2)).min()) > float(detector.training_scores_.max())


def test_gan_learns_a_window_and_repeats():
    t = torch.arange(12) / 2
    draws = torch.Generator().manual_seed(0)
    x = torch.sin(t + 6 * torch.rand(200, 1, generator=draws))[..., None]
    strange = 2 * torch.rand(60, 12, 1, generator=draws) - 1
    labels = torch.arange(260) >= 200
    options = {"epochs": 8, "hidden": 16, "latent": 3, "batch_size": 50, "inversion_steps": 3}
    found = MADGANDetector(**options).fit(torch.cat([x, strange]), labels)
    assert 1 <= found.best_epoch_ <= 8
    assert torch.equal(
        found.score(strange), MADGANDetector(**options).fit(torch.cat([x, strange]), labels).score(strange)
    )
    plain = MADGANDetector(**options, score="dr").fit(x)
    assert plain.best_epoch_ == 8
    assert bool(torch.isfinite(plain.score(strange)).all())


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: KNNDetector(7).fit(windows(7)), InputError, "8 or more"),
        (lambda: KNNDetector().fit(torch.ones(50, 2, 2)), InputError, "all the same"),
        (lambda: KNNDetector().fit(torch.full((50, 2, 2), math.nan)), InputError, "finite"),
        (lambda: KNNDetector().score(windows(3)), NotFittedError, None),
        (lambda: KNNDetector().fit(windows(50)).predict(windows(3)), NotCalibratedError, None),
        (lambda: KNNDetector().fit(windows(50)).score(torch.zeros(3, 5, 2)), InputError, "windows of"),
        (lambda: KNNDetector().fit(windows(50)).set_threshold("fbeta", 1.0), InputError, "attacked and benign"),
        (lambda: KNNDetector().fit(windows(50)).set_threshold("mode"), InputError, "method"),
        (lambda: wrap_pyod(object()), InputError, "decision_function"),
    ],
)
def test_what_cant_be_learned_from_is_refused(act, error, words):
    with pytest.raises(error, match=words):
        act()
