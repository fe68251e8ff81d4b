"""Estimators that scikit-learn takes for its own."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from deepwright.core.errors import InputError
from deepwright.integrations.sklearn_estimators import NetworkClassifier, OutlierDetector
from deepwright.ood import BBAS, KNN, MSP


@pytest.mark.slow
def test_the_classifier_passes_the_checks_of_scikit_learn(unchecked):
    check_estimator(NetworkClassifier(epochs=20, batch_size=8))


@pytest.mark.slow
@pytest.mark.parametrize("detector", [None, KNN(5), BBAS(use="single", quantile=0.1)], ids=["MDS", "KNN", "BBAS"])
def test_outlier_detectors_pass_the_checks_of_scikit_learn(detector, unchecked):
    check_estimator(OutlierDetector(detector))


def test_it_learns_inside_a_cross_validation():
    X, y = load_breast_cancer(return_X_y=True)
    scores = cross_val_score(NetworkClassifier(epochs=4), X[:300], y[:300], cv=2)
    assert scores.mean() > 0.9


def test_the_factory_makes_the_network():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.array(["below", "above"])[(X[:, 0] > 0).astype(int)]
    model = clone(NetworkClassifier(nn.Linear, epochs=20)).fit(X, y)
    assert isinstance(model.network_, nn.Linear)
    assert model.score(X, y) > 0.9
    assert np.allclose(model.predict_proba(X).sum(1), 1)
    assert ((model.decision_function(X) > 0) == (model.predict(X) == model.classes_[1])).all()


def test_one_class_is_mahalanobis():
    X = np.random.default_rng(0).normal(size=(200, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.2], [0, 0, 2.0]])
    model = OutlierDetector(contamination=0.05).fit(X)
    assert np.allclose(-model.score_samples(X), EmpiricalCovariance().fit(X).mahalanobis(X), rtol=1e-4)
    assert (model.predict(X) == -1).sum() == 10


def test_what_needs_a_network_is_refused():
    with pytest.raises(InputError, match="MSP"):
        OutlierDetector(MSP()).fit(np.eye(5))


def test_scores_that_tell_nothing_apart_are_refused():
    with pytest.raises(InputError, match="all alike to BBAS"):
        OutlierDetector(BBAS(use="single")).fit(np.random.default_rng(0).normal(size=(50, 3)))
