"""What the estimators find where it is known, what they refuse, and what is the same whatever the form of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from deepwright.core.errors import InputError
from deepwright.core.resume import OtherWorkError
from deepwright.interpret import (
    DeepInClassifier,
    DeepInCox,
    DeepInRegressor,
    DeepInWarning,
    deepin_report,
    partial_surface,
)
from deepwright.interpret.deepin import tables
from deepwright.interpret.deepin.concordance import concordance
from deepwright.interpret.deepin.losses import CoxPartial

SMALL = {"max_dim": 3, "hidden": (16,), "epochs": 20, "lambdas": (0.2, 0.6)}


def _table(n: int = 300, p: int = 6) -> tuple[np.ndarray, np.ndarray]:
    x = torch.randn(n, p, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    return x, np.sin(x[:, 0] + x[:, 1])


@pytest.fixture(scope="module")
def fitted() -> DeepInRegressor:
    x, y = _table()
    return DeepInRegressor(**SMALL).fit(pd.DataFrame(x, columns=list("abcdef")), y)


def test_variables_and_direction_are_found(fitted: DeepInRegressor) -> None:
    x, y = _table()
    assert fitted.selected_ == ["a", "b"]
    assert fitted.dim_ == 1
    assert not fitted.at_cap_
    assert fitted.B_.shape == (6, 1)
    assert not fitted.B_[2:].any()
    assert fitted.B_[0, 0] == pytest.approx(fitted.B_[1, 0], rel=0.1)
    assert fitted.score(pd.DataFrame(x, columns=list("abcdef")), y) > 0.97
    assert fitted.n_params_ == sum(p.numel() for p in fitted.module_.parameters())
    assert (fitted.feature_importances_ > 0).sum() == 2


def test_columns_are_matched_by_name_and_the_module_takes_them_as_they_are(fitted: DeepInRegressor) -> None:
    x, _ = _table()
    frame = pd.DataFrame(x, columns=list("abcdef"))
    other = fitted.predict(frame[list("fedcba")])
    np.testing.assert_array_equal(other, fitted.predict(frame))
    np.testing.assert_array_equal(fitted.module_(torch.from_numpy(x)).detach().numpy()[:, 0], other)
    assert fitted.transform(frame).shape == (300, 1)


def test_the_report_says_what_was_found(fitted: DeepInRegressor) -> None:
    found = deepin_report(fitted)
    assert found.selected == ["a", "b"]
    assert list(found.importances) in (["a", "b"], ["b", "a"])
    assert found.parameters < found.parameters_before == 6 * 3 + 4 * 16 + 17
    assert "2 variables (a, b) in 1 directions" in found.sentence()
    assert found.path.column("chosen").count(True) == 1
    assert "<table>" in found._repr_html_()
    assert found.to_dict()["dimension"] == 1
    with pytest.raises(InputError, match="directions"):
        partial_surface(fitted)


@pytest.mark.slow
def test_units_of_columns_and_target_do_not_matter() -> None:
    x, y = _table()
    plain = DeepInRegressor(**SMALL).fit(x, y)
    odd = x * np.array([1e6, 1e-6, 1, 1, 1, 1]) + np.array([1e9, 0, 0, 0, 0, 0])
    other = DeepInRegressor(**SMALL).fit(odd, 1e4 * y + 1e6)
    assert other.selected_ == plain.selected_
    np.testing.assert_allclose(other.predict(odd), 1e4 * plain.predict(x) + 1e6, rtol=1e-3)


def test_a_large_lambda_leaves_the_training_mean() -> None:
    x, y = _table()
    est = DeepInRegressor(**{**SMALL, "lambdas": (50.0,)}).fit(x, y + 3)
    assert est.selected_ == []
    assert est.dim_ == 0
    assert est.n_params_ == 1
    np.testing.assert_allclose(est.predict(x[:5]), (y + 3).mean(), rtol=1e-6)
    assert est.transform(x[:5]).shape == (5, 0)
    assert deepin_report(est).sentence().startswith("Nothing was selected")


@pytest.mark.slow
def test_zeros_are_exact_after_a_cosine_schedule() -> None:
    x, y = _table()
    est = DeepInRegressor(**{**SMALL, "one_se": False}).fit(x, y, x[:60], y[:60])
    assert est.path_["variables"].min() < 6


@pytest.mark.slow
def test_groups_are_selected_together() -> None:
    x, y = _table()
    est = DeepInRegressor(**SMALL, groups=[[0, 1, 2], [3, 4, 5]]).fit(x, y)
    assert est.selected_ == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["val", "cv", "ebic"])
def test_criteria(criterion: str) -> None:
    x, y = _table()
    est = DeepInRegressor(**SMALL, criterion=criterion).fit(x, y)
    assert set(est.selected_) >= {0, 1}
    assert est.criterion_ == criterion


@pytest.mark.slow
def test_classes_are_words_and_weights_count() -> None:
    x, _ = _table()
    y = np.where(x[:, 0] + x[:, 1] > 0.8, "ill", "well")
    est = DeepInClassifier(**SMALL).fit(x, y)
    assert est.selected_ == [0, 1]
    assert est.dim_ == 1
    assert list(est.classes_) == ["ill", "well"]
    assert est.score(x, y) > 0.93
    np.testing.assert_allclose(est.predict_proba(x).sum(1), 1.0)
    heavy = DeepInClassifier(**SMALL, class_weight={"ill": 20.0}).fit(x, y)
    assert (heavy.predict(x) == "ill").sum() > (est.predict(x) == "ill").sum()


@pytest.mark.slow
def test_survival() -> None:
    x, _ = _table(400)
    rng = np.random.default_rng(0)
    time, end = rng.exponential(np.exp(-1.5 * (x[:, 0] - x[:, 1]))), rng.exponential(2.0, 400)
    y = np.array(list(zip(time <= end, np.minimum(time, end))), dtype=[("event", bool), ("time", float)])
    est = DeepInCox(**SMALL).fit(x, y)
    assert est.selected_ == [0, 1]
    assert est.dim_ == 1
    assert est.score(x, y) > 0.8
    assert est.B_[0, 0] * est.B_[1, 0] < 0
    twice = DeepInCox(**SMALL).fit(x, np.column_stack([y["time"] ** 3, y["event"]]))
    np.testing.assert_allclose(twice.predict(x), est.predict(x))  # only the order of times has a say
    with pytest.raises(InputError, match="no event"):
        DeepInCox(**SMALL).fit(x, np.column_stack([y["time"], np.zeros(400)]))


@pytest.mark.parametrize("share", [0.1, 0.425, 0.5, 0.9])
def test_strata_are_spread_over_folds_and_rows_for_stopping(share: float) -> None:
    y = (np.arange(400) < 400 * share).astype(int)
    order = tables.balanced_order(400, 0, y)
    assert sorted(order) == list(range(400))
    folds = tables.cross_folds(order, 5)
    for parts in (folds.held, folds.stop, folds.fit, folds.pilot):
        assert np.abs(y[parts.numpy()].mean(1) - share).max() < 0.03
    assert not set(folds.held[0].tolist()) & set(folds.fit[0].tolist())
    assert not set(folds.stop[0].tolist()) & set(folds.pilot[0].tolist())


def test_cox_losses_are_breslow_s() -> None:
    risk = torch.tensor([0.3, -0.2, 0.5, 0.1])
    time, event = torch.tensor([2.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    expected = [0.0] * 4
    for i in range(4):
        at_risk = risk[time >= time[i]].exp().sum().log()
        expected[i] = float(event[i] * (at_risk - risk[i]) / 0.75)
    got = CoxPartial().rows(risk[None, :, None], torch.stack([time, event], 1)[None])
    torch.testing.assert_close(got[0], torch.tensor(expected))


def test_concordance_by_hand() -> None:
    time, event = np.array([1.0, 2.0, 3.0, 3.0]), np.array([1, 0, 1, 0])
    # pairs: (0,1) (0,2) (0,3), and (2,3): the event at 3 comes before the end of observation at 3
    assert concordance(np.array([3.0, 0, 2, 2]), time, event) == pytest.approx(3.5 / 4)


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_to_the_same_network(tmp_path) -> None:
    x, y = _table()

    class Stop(Exception):
        pass

    def stop(stage: str, place: int) -> None:
        if (stage, place) == ("path", 0):
            raise Stop

    whole = DeepInRegressor(**SMALL).fit(x, y)
    with pytest.raises(Stop):
        DeepInRegressor(**SMALL, callbacks=[stop]).fit(x, y, checkpoint=tmp_path / "fit")
    stages: list[str] = []
    again = DeepInRegressor(**SMALL, callbacks=[lambda stage, place: stages.append(stage)])
    again.fit(x, y, checkpoint=tmp_path / "fit")
    assert "pilot" not in stages
    assert stages[0] == "path"
    np.testing.assert_array_equal(again.predict(x), whole.predict(x))
    with pytest.raises(OtherWorkError):
        clone(again).set_params(gamma=2.0).fit(x, y, checkpoint=tmp_path / "fit")


def test_what_a_reader_must_know_is_said() -> None:
    x, y = _table(200)
    x[:, 5] = 2.0
    x[:, 4] = x[:, 0]
    with pytest.warns(DeepInWarning, match="constant"):
        est = DeepInRegressor(**SMALL).fit(x, y)
    assert est.dropped_ == [5]
    assert est.correlation_groups_ == [[0, 4]]
    with pytest.warns(DeepInWarning, match="10 validation rows"):
        DeepInRegressor(**SMALL).fit(x[:, :4], y, x[:10, :4], y[:10])


def test_bad_tables_and_options_are_refused_by_name() -> None:
    x, y = _table(100)
    frame = pd.DataFrame(x, columns=list("abcdef"))
    with pytest.raises(InputError, match="NaN in c"):
        DeepInRegressor(**SMALL).fit(frame.assign(c=np.nan), y)
    with pytest.raises(InputError, match="no numbers in b"):
        DeepInRegressor(**SMALL).fit(frame.assign(b="word"), y)
    for bad in ({"criterion": "aic"}, {"lambdas": (0.3, 0.1)}, {"hidden": ()}, {"max_dim": 0}, {"lr": 0.0}):
        with pytest.raises(InputError):
            DeepInRegressor(**{**SMALL, **bad}).fit(x, y)
    with pytest.raises(InputError, match="X_val"):
        DeepInRegressor(**SMALL).fit(x, y, X_val=x)
    with pytest.raises(InputError, match="groups"):
        DeepInRegressor(**SMALL, groups=[[0, 1], [1, 2]]).fit(x, y)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [DeepInRegressor, DeepInClassifier, DeepInCox])
def test_scikit_learn_s_checks(kind: type, unchecked: None) -> None:
    check_estimator(kind(max_dim=3, hidden=(8,), epochs=10, lambdas=(0.1, 0.4), lr=0.03))
