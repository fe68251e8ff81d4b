"""Tests of variables, dimension and directions: their parts by hand, and the whole where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from deepwright.core.errors import InputError
from deepwright.interpret import (
    DeepInRegressor,
    adaptive_lasso,
    cauchy_combination,
    deletion_curve,
    forest_selection,
    integrated_gradients,
    permutation_shap,
    plain_mlp,
    principal_angles,
    sliced_directions,
)
from deepwright.interpret import test_dimension as dimension_test
from deepwright.interpret import test_representation as representation_test
from deepwright.interpret import test_variables as variable_test
from deepwright.interpret.deepin.evidence import blocks, one_split, require_permutations, twice_median, two_split

SMALL = {"max_dim": 3, "hidden": (16,), "epochs": 20, "lambdas": (0.2, 0.6)}


def _table(n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    made = torch.Generator().manual_seed(1)
    x = torch.randn(n, 5, generator=made, dtype=torch.float64)
    y = (1.5 * x[:, 0]).sin() + 0.7 * x[:, 1] ** 2 + 0.3 * torch.randn(n, generator=made)
    return x.numpy(), y.numpy()


def test_statistics_by_hand() -> None:
    made = torch.Generator().manual_seed(0)
    full, without = torch.rand(1, 400, generator=made), torch.rand(1, 400, generator=made) + 0.1
    t, p = one_split(without, full, 0.0, 0)
    delta = (without - full).double()[0].numpy()
    assert float(t) == pytest.approx(math.sqrt(400) * delta.mean() / delta.std(ddof=1))
    assert float(p) == pytest.approx(float(stats.norm.sf(float(t))))
    t, _ = two_split(without, full)
    expected = stats.ttest_ind(without[0, ::2], full[0, 1::2], equal_var=False).statistic
    assert float(t) == pytest.approx(float(expected), rel=1e-4)
    same, p = one_split(full, full, 0.0, 0)
    assert float(same) == 0.0
    assert float(p) == 0.5


def test_combinations() -> None:
    p = np.array([0.02, 0.3, 0.6])
    expected = stats.cauchy.sf(np.tan((0.5 - p) * np.pi).mean())
    assert float(cauchy_combination(p)) == pytest.approx(float(expected))
    assert float(cauchy_combination(np.array([1.0, 1e-4]))) < 0.01  # one p of 1 doesn't hide it
    assert float(cauchy_combination(np.array([1e-300]))) == pytest.approx(1e-15, rel=0.1)
    assert float(twice_median(np.array([0.01, 0.04, 0.9]))) == pytest.approx(0.08)


def test_permutations_that_could_reject_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="at least 399"):
        require_permutations(199, 20, 0.05)
    require_permutations(399, 20, 0.05)


def test_blocks_hold_neighbours() -> None:
    z = np.linspace(0, 1, 80)[:, None]
    label = blocks(z, 10)
    counts = np.bincount(label)
    assert counts.min() >= 10
    assert counts.max() < 20
    assert (np.diff(label[np.argsort(z[:, 0])]) != 0).sum() == len(counts) - 1


@pytest.mark.parametrize("method", ["one_split", "two_split", "permutation"])
def test_strong_variables_are_found_and_noise_is_not(method: str) -> None:
    x, y = _table(800)
    found = variable_test(DeepInRegressor(**SMALL), x, y, method, n_splits=2, select=False).set_index("variable")
    assert found.loc[[0, 1], "p"].max() < found.loc[[2, 3, 4], "p"].min()
    assert (found.loc[[2, 3, 4], "p_adj"] > 0.05).all()
    assert method == "two_split" or (found.loc[[0, 1], "p_adj"] < 0.05).all()  # it has less power
    assert (found.loc[[0, 1], "effect"] > 0.3).all()
    assert (found["low"] <= found["effect"]).all()


@pytest.mark.slow
def test_selection_happens_within_each_split() -> None:
    x, y = _table()
    found = variable_test(DeepInRegressor(**SMALL), x, y, n_splits=2)
    assert {0, 1} <= set(found["variable"])
    assert found["selected"].between(0.5, 1).all()
    assert (found.set_index("variable").loc[[0, 1], "p_adj"] < 0.05).all()
    with pytest.raises(InputError, match="no split selected"):
        variable_test(DeepInRegressor(**{**SMALL, "lambdas": (50.0,)}), x, y, n_splits=1, variables=[0])


def test_rows_that_selected_are_refused() -> None:
    x, y = _table()
    est = DeepInRegressor(**SMALL).fit(x[:250], y[:250])
    with pytest.raises(InputError, match="50 rows that the estimator was fitted on"):
        variable_test(est, x[200:], y[200:])
    found = variable_test(est, x[250:], y[250:], n_splits=2)
    assert list(found["variable"]) == est.selected_
    directions = representation_test(est, x[250:], y[250:], n_splits=2)
    assert list(directions["variable"]) == [f"z{k}" for k in range(est.dim_)]
    assert float(directions["p"].iloc[0]) < 0.05


@pytest.mark.slow
def test_dimensions_are_tested_upwards() -> None:
    x, y = _table(900)
    found = dimension_test(DeepInRegressor(**SMALL), x, y, n_splits=2, select=False)
    assert list(found["dimension"]) == [1, 2]
    assert list(found["rejected"]) == [True, False]


def test_the_same_seed_gives_the_same_numbers() -> None:
    x, y = _table()
    one, two = (variable_test(DeepInRegressor(**SMALL), x, y, n_splits=1, select=False, seed=3) for _ in range(2))
    assert one.equals(two)


@pytest.mark.parametrize("bad", [{"method": "t"}, {"correction": "none"}, {"combine": "fisher"}, {"n_splits": 0}])
def test_unknown_words(bad: dict[str, object]) -> None:
    x, y = _table(100)
    with pytest.raises(InputError):
        variable_test(DeepInRegressor(**SMALL), x, y, **bad)
    with pytest.raises(InputError, match="at least 50"):
        variable_test(DeepInRegressor(**SMALL), x[:40], y[:40])


def test_sliced_directions() -> None:
    x = np.random.default_rng(0).standard_normal((4000, 6))
    e = np.eye(6)[:, :1]
    for method, y in (("sir", x[:, 0] ** 3), ("save", x[:, 0] ** 2)):
        found, values = sliced_directions(x, y, 1, method)
        assert float(principal_angles(torch.from_numpy(found), torch.from_numpy(e))[0]) < 8
        assert len(values) == 6
    blind, _ = sliced_directions(x, x[:, 0] ** 2, 1, "sir")  # symmetric dependence has no means of slices
    assert float(principal_angles(torch.from_numpy(blind), torch.from_numpy(e))[0]) > 20


@pytest.mark.slow
def test_lasso_and_forest() -> None:
    x, _ = _table(400)
    y = 2 * x[:, 0] - x[:, 1] + 0.1 * x[:, 2] ** 2
    coef = adaptive_lasso(x, y)
    assert np.flatnonzero(np.abs(coef) > 0.1).tolist() == [0, 1]
    assert forest_selection(x, y, trees=20, repeats=2)[:2].all()


def test_attributions_add_up() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
    x = torch.randn(20, 4, dtype=torch.float64)
    found = integrated_gradients(net, x, steps=256)
    zero = net(torch.zeros(1, 4, dtype=torch.float64))
    torch.testing.assert_close(found.sum(1), (net(x) - zero).detach()[:, 0], atol=1e-4, rtol=1e-4)
    weight = torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=torch.float64)
    background = torch.zeros(1, 4, dtype=torch.float64)
    torch.testing.assert_close(permutation_shap(lambda z: z @ weight, x, background), x * weight)
    shap = permutation_shap(net, x, background, 2)
    torch.testing.assert_close(shap.sum(1), (net(x) - net(background)).detach()[:, 0])
    y = x @ weight
    curve = deletion_curve(lambda z: z @ weight, x, y, weight.abs())
    assert float(curve[0]) == 0
    assert float(curve[1]) > 0.3 * float(curve[-1])
    back = deletion_curve(lambda z: z @ weight, x, y, weight.abs(), insert=True)
    assert float(back[0]) == pytest.approx(float(curve[-1]))
    assert float(back[3]) == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="model"):
        integrated_gradients(torch.nn.Linear(4, 2).double(), x)


@pytest.mark.slow
def test_the_plain_network_learns() -> None:
    x, y = (torch.as_tensor(v, dtype=torch.float32) for v in _table(400))
    fit = plain_mlp((x[:300], y[:300]), (x[300:], y[300:]), hidden=(16,), epochs=30, lr=0.02, batch_size=50)
    assert fit.validation < 0.5 * float(y.var())
    assert 1 <= fit.epoch <= 30
    narrow = plain_mlp((x[:300], y[:300]), (x[300:], y[300:]), hidden=(16,), bottleneck=2, epochs=1)
    assert narrow.network[0].out_features == 2
