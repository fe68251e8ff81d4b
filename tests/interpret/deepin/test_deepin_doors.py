"""What comes through the doors of DeepIn: names, units, types, options, and rows that a test may use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.interpret import (
    DeepInClassifier,
    DeepInCox,
    DeepInPenalty,
    DeepInRegressor,
    DeepInWarning,
    group_prox_,
)
from deepwright.interpret import test_representation as representation_test
from deepwright.interpret import test_variables as variable_test
from deepwright.interpret.deepin import significance, tables
from deepwright.interpret.deepin.losses import CoxPartial, CrossEntropy, Squared
from deepwright.interpret.deepin.refits import split
from deepwright.interpret.deepin.tables import Scale
from deepwright.interpret.deepin.training import Rows, _shuffled

SMALL: dict[str, Any] = {"max_dim": 2, "hidden": (8,), "epochs": 5, "lambdas": (0.6,)}


def _table(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    return x, 2 * x[:, 0] + x[:, 1]


@pytest.fixture(scope="module")
def numbered() -> DeepInRegressor:
    x, y = _table()
    return DeepInRegressor(**{**SMALL, "epochs": 20}).fit(pd.DataFrame(x[:120], columns=[3, 1, 7, 5]), y[:120])


def test_columns_named_by_numbers_are_matched_by_name(numbered: DeepInRegressor) -> None:
    x, _ = _table()
    frame = pd.DataFrame(x, columns=[3, 1, 7, 5])
    assert set(numbered.selected_) >= {3, 1}
    np.testing.assert_array_equal(numbered.predict(frame[[5, 7, 1, 3]]), numbered.predict(frame))
    np.testing.assert_array_equal(numbered.predict(x[::-1]), numbered.predict(x)[::-1])
    with pytest.raises(InputError, match="9 in one table alone"):
        numbered.predict(frame.rename(columns={7: 9}))
    with pytest.raises(InputError, match="3 2 times"):
        DeepInRegressor(**SMALL).fit(pd.DataFrame(x, columns=[3, 3, 7, 5]), x[:, 0])


def test_a_test_asks_for_the_columns_of_the_fit(numbered: DeepInRegressor) -> None:
    x, y = _table()
    fresh = pd.DataFrame(x[120:], columns=[3, 1, 7, 5])
    by_name = variable_test(numbered, fresh[[5, 7, 1, 3]], y[120:], n_splits=1)
    assert by_name.equals(variable_test(numbered, x[120:], y[120:], n_splits=1))
    assert list(by_name["variable"]) == numbered.selected_
    for other in (fresh.rename(columns={7: 9}), x[120:, :3]):
        with pytest.raises(ValueError, match=r"columns|features"):
            variable_test(numbered, other, y[120:], n_splits=1)


def test_rows_are_known_again_in_another_precision() -> None:
    x, y = _table(100)
    single = DeepInRegressor(**SMALL).fit(torch.as_tensor(x).float(), y)
    double = DeepInRegressor(**SMALL).fit(x, y)
    for est, rows in ((single, x), (double, torch.as_tensor(x).float())):
        with pytest.raises(InputError, match="100 rows that the estimator was fitted on"):
            variable_test(est, rows, y, n_splits=1)


def test_scales_hold_in_all_units() -> None:
    x = np.random.default_rng(0).standard_normal((50, 2))
    for unit in (1e-200, 1e-13, 1e13, 1e200):
        scale = Scale.of(x * unit)
        assert scale.varies.tolist() == [0, 1]
        np.testing.assert_allclose(scale.apply(x * unit), Scale.of(x).apply(x), rtol=1e-9, atol=1e-12)
    constant = Scale.of(np.column_stack([np.full(50, 0.1), np.zeros(50), np.full(50, 1e6)]))
    assert not len(constant.varies)
    assert constant.deviation.tolist() == [1, 1, 1]


@pytest.mark.parametrize("wrong", ["short", "long", "wide", "gone"])
def test_targets_of_validation_rows_fit_them(wrong: str) -> None:
    x, y = _table()
    held = {"short": y[150:160], "long": y[100:], "wide": np.column_stack([y, y])[150:], "gone": y[150:] * np.nan}
    with pytest.raises(InputError, match="y_val"):
        DeepInRegressor(**SMALL).fit(x[:150], y[:150], x[150:], held[wrong])


@pytest.mark.parametrize(
    "bad",
    [{"lambdas": (np.nan,)}, {"ebic_gamma": np.nan}, {"weight_decay": np.nan}, {"weight_decay": -1.0}, {"hidden": 16}],
)
def test_options_that_are_no_numbers(bad: dict[str, Any]) -> None:
    x, y = _table(60)
    with pytest.raises(InputError, match=next(iter(bad))):
        DeepInRegressor(**SMALL).set_params(**bad).fit(x, y)


@pytest.mark.parametrize("weights", [{"0": 5.0}, {0: -1.0}, {0: 0.0, 1: 0.0}])
def test_weights_of_classes_that_there_are(weights: dict[Any, float]) -> None:
    x, y = _table(60)
    with pytest.raises(InputError, match="class_weight"):
        DeepInClassifier(**SMALL, class_weight=weights).fit(x, (y > 0).astype(int))


def test_a_risk_set_of_one_row_teaches_nothing() -> None:
    x, y = _table(60)
    with pytest.raises(InputError, match="batch_size"):
        DeepInCox(**SMALL, batch_size=1).fit(x, np.exp(y))


def test_types_that_numpy_has_not() -> None:
    x, y = (torch.as_tensor(v).bfloat16() for v in _table(60))
    assert DeepInRegressor(**SMALL).fit(x, y).predict(x).shape == (60,)
    assert tables.survival_target(y.exp()).shape == (60, 2)


def test_half_precision_zeros_stay_zero() -> None:
    matrix = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).half()
    assert group_prox_(matrix.clone(), 0, 0.0).equal(matrix)
    layer = nn.Linear(2, 2).half()
    with torch.no_grad():
        layer.weight[:, 0] = 0.0
    before = layer.weight.detach().clone()
    DeepInPenalty(layer, dimensions=0.0).prox_(0.1)
    assert layer.weight.equal(before)


def test_the_likelihood_of_ebic_has_a_term_an_event_and_an_output() -> None:
    y = torch.zeros(10, 2)
    y[:3, 1] = 1.0
    loss, out = CoxPartial(), torch.randn(1, 10, 1, generator=torch.Generator().manual_seed(0))
    y[:, 0] = torch.arange(10.0)
    risk = out[0, :, 0]
    by_hand = sum(float(risk[i:].logsumexp(0) - risk[i]) for i in range(3))
    assert loss.terms(y) * float(loss.mean(out, y[None])) == pytest.approx(by_hand, rel=1e-5)
    assert Squared(2).terms(y) == 20
    assert CrossEntropy(3).terms(torch.zeros(7)) == 7


def test_a_group_is_left_out_as_a_whole() -> None:
    made = np.random.default_rng(0)
    word = made.integers(0, 3, 240)
    x = np.column_stack([np.eye(3)[word], made.standard_normal((240, 2))])
    y = np.array([-1.0, 0.0, 2.0])[word] + 0.3 * made.standard_normal(240)
    est = DeepInRegressor(**{**SMALL, "epochs": 20}, groups=[[0, 1, 2]])
    for method in ("one_split", "permutation"):
        found = variable_test(est, x, y, method, n_splits=1, select=False)
        assert list(found["variable"]) == ["0 + 1 + 2", 3, 4]
        assert found["p_adj"][0] < 0.05
        assert found["effect"][0] > 1
    asked = variable_test(est, x, y, n_splits=1, select=False, variables=[2, 0, 4, 4])
    assert list(asked["variable"]) == ["0 + 1 + 2", 4]


def test_several_equal_targets_have_directions() -> None:
    x, y = _table()
    one = significance._leading(split(DeepInRegressor(**SMALL), x, y, 1, False, 0), 2).b.detach()
    two = significance._leading(split(DeepInRegressor(**SMALL), x, np.column_stack([y, y]), 1, False, 0), 2).b.detach()
    assert float(two.abs().max()) > 0.5 * float(one.abs().max())  # centred over outputs, nothing would be left


def test_directions_are_tested_on_the_batches_of_the_whole(
    numbered: DeepInRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(torch.stack([torch.arange(9), torch.arange(9) + 9]), draws=torch.tensor([0, 0]))
    first, second = _shuffled(rows, 0, 0)
    assert second.equal(first + 9)
    seen = []
    monkeypatch.setattr(significance, "compare", lambda many, *_: seen.append(many.draws.tolist()) or 1 / 0)
    x, y = _table()
    with pytest.raises(ZeroDivisionError):
        representation_test(numbered, x[120:], y[120:], n_splits=3)
    assert seen == [[0, 1, 2] * (numbered.dim_ + 1)]


def test_few_events_are_said() -> None:
    x, y = _table(60)
    events = (np.arange(60) < 3).astype(float)
    with pytest.warns(DeepInWarning, match="3 events"):
        DeepInCox(**SMALL).fit(x, np.column_stack([np.exp(y), events]))


def test_all_columns_are_no_cap() -> None:
    x, y = _table(60)
    options = {**SMALL, "max_dim": 1, "epochs": 20}
    alone = DeepInRegressor(**options).fit(x[:, :1], y)
    assert alone.dim_ == 1
    assert not alone.at_cap_
    more = DeepInRegressor(**options).fit(x, y)
    assert more.dim_ == 1
    assert more.at_cap_
