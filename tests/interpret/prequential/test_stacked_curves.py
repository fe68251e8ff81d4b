"""Stacked training against each network alone, curves that resume, reliance by permutation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from torch import nn

from deepwright.core.errors import InputError
from deepwright.interpret.prequential import (
    BayesPredictor,
    ColumnAttributes,
    FitConfig,
    KTEstimator,
    SwitchStudy,
    TorchLearner,
    View,
    isolated_columns,
    loss_curve,
    online_code_length,
    permutation_reliance,
    reliance_plan,
    shuffle_columns,
    table_vs_shortcut,
    tabulated,
    train_stack,
)
from deepwright.interpret.prequential.stacks import fitted_heat, make_networks
from deepwright.nets import mlp

CONFIG = FitConfig(max_steps=60, lr=1e-2, batch_size=16)


def small(seed: int) -> nn.Module:
    return mlp(6, 2, (12,))


def rows(n, seed=0, agreement=0.9):
    """Two columns say the label alone (one of them mostly), two are noise."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=draw)
    x = torch.randn(n, 6, generator=draw)
    right = torch.rand(n, generator=draw) < agreement
    x[:, 0] = 2.0 * torch.where(right, y, 1 - y) - 1
    x[:, 1] += 2.0 * (2 * y - 1)
    return x, y


def test_a_stack_trains_each_network_as_it_would_alone():
    train, held = rows(100), rows(60, 1)
    prefixes = [torch.arange(n) for n in (1, 3, 20, 60, 100)]
    networks = make_networks(small, range(5))
    config = FitConfig(max_steps=120, lr=3e-2, batch_size=16, patience=1, calibrate=True)
    together = train_stack(networks, train, prefixes, held, config, list(range(5)))
    assert len({*together.steps.tolist()}) > 1  # some stop earlier, and leave the stack
    for i in range(5):
        alone = train_stack([networks[i]], train, [prefixes[i]], held, config, [i])
        assert torch.allclose(alone.logits(held[0])[0], together.logits(held[0])[i], atol=1e-5)
        assert float(alone.heat) == pytest.approx(float(together.heat[i]), abs=1e-4)
        assert int(alone.steps) == int(together.steps[i])


def test_a_stack_of_whole_batches_is_a_plain_loop():
    train = rows(16)
    network = make_networks(small, [3])[0]
    config = FitConfig(max_steps=20, lr=1e-2, batch_size=16, weight_decay=0.0)
    stack = train_stack([network], train, [torch.arange(16)], None, config)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2, weight_decay=0.0)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(train[0]), train[1]).backward()
        optimizer.step()
    assert torch.allclose(stack.logits(train[0])[0], network(train[0]), atol=1e-5)


def test_the_best_weights_are_kept():
    train, held = rows(6), rows(200, 1, agreement=0.2)
    networks = make_networks(small, [0])
    config = FitConfig(max_steps=200, lr=3e-2, patience=3)
    best = train_stack(networks, train, [torch.arange(6)], held, config)
    last = train_stack(networks, train, [torch.arange(6)], held, FitConfig(**vars(config) | {"restore_best": False}))
    assert float(best.log_probs(*held).mean()) > float(last.log_probs(*held).mean())
    assert int(best.steps) == int(last.steps) < 200


def test_heat_is_the_factor_under_which_labels_cost_least():
    draw = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(3, 400, 4, generator=draw)
    y = torch.randint(0, 4, (400,), generator=draw)
    z[0, torch.arange(400), y] += 2
    heat = fitted_heat(z, y)

    def cost(k, factor):
        return float(nn.functional.cross_entropy(factor * z[k], y))

    for k in range(3):
        grid = torch.linspace(0, 8, 801)
        assert float(heat[k]) == pytest.approx(float(grid[np.argmin([cost(k, g) for g in grid])]), abs=0.011)


def test_a_curve_resumes_and_depends_on_its_seed_alone(tmp_path):
    train, held, test = rows(60), rows(40, 1), rows(50, 2)
    arguments = (small, train, held, {"own": test}, [1, 2, 8, 30, 60])
    first = loss_curve(*arguments, runs=2, seed=5, fit=CONFIG, cache_dir=tmp_path)
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    again = loss_curve(*arguments, runs=2, seed=5, fit=CONFIG, cache_dir=tmp_path)
    assert files
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == files
    bare = loss_curve(*arguments, runs=2, seed=5, fit=FitConfig(**vars(CONFIG) | {"together": 1}))
    assert np.array_equal(first.loss, again.loss)
    assert np.allclose(first.loss, bare.loss, atol=1e-5)
    assert not np.allclose(first.loss, loss_curve(*arguments, runs=2, seed=6, fit=CONFIG).loss)
    assert first.mean()[-1] < 0.6 * math.log(2)


def test_runs_may_differ_by_size_and_learners_be_of_any_kind():
    made = table_vs_shortcut(16, 0.1, 200)
    test = table_vs_shortcut(16, 0.1, 100)
    curve = loss_curve(
        lambda s: KTEstimator(relative_to=1), (made.x, made.y), None, {"own": (test.x, test.y)}, [1, 5, 50], [3, 2, 1]
    )
    assert np.isnan(curve.loss[0]).sum() == 3
    assert 0.3 < curve.mean()[2] < 0.5
    assert curve.mean_accuracy()[2] == pytest.approx(float((test.x[:, 1] == test.y).double().mean()))


def test_what_a_curve_of_data_refuses():
    train = rows(20)
    given = {"train": train, "validation": None, "tests": {"own": train}}
    with pytest.raises(InputError, match="training samples"):
        loss_curve(small, sizes=[5, 21], **given)
    with pytest.raises(InputError, match="rising"):
        loss_curve(small, sizes=[5, 5], **given)
    with pytest.raises(InputError, match=r"nn\.Module, or an object"):
        loss_curve(lambda s: 3, sizes=[5], **given)
    with pytest.raises(InputError, match="tests"):
        loss_curve(small, train, None, {}, [5])
    with pytest.raises(InputError, match="batch norm"):
        train_stack([nn.Sequential(nn.BatchNorm1d(6), small(0))], train, [torch.arange(5)], None)
    with pytest.raises(InputError, match="no validation"):
        train_stack([small(0)], train, [torch.arange(5)], None, FitConfig(calibrate=True))
    with pytest.raises(InputError, match="empty"):
        train_stack([small(0)], train, [torch.arange(0)], None)
    with pytest.raises(InputError, match="lr"):
        FitConfig(lr=0.0)


def test_a_network_as_an_online_code():
    x, y = rows(120, agreement=1.0)
    code = online_code_length(
        lambda s: TorchLearner(small, FitConfig(max_steps=60, lr=1e-2, calibrate=True), s), x, y, [8, 30, 120]
    )
    assert code.total < 0.5 * code.uniform
    assert code.per_block[0] == pytest.approx(8.0)
    assert code.per_sample == pytest.approx(code.total / 120)


def reads(column):
    def model(x):
        return torch.stack([-x[:, column], x[:, column]], 1)

    return model


def test_what_a_model_reads_is_what_it_relies_on():
    x, y = rows(300)
    view = ColumnAttributes(x, y, {"cheap": [0], "noise": [3, 4]})
    found = permutation_reliance(reads(0), view, "cheap", 100)
    assert found.accuracy == pytest.approx(float(((x[:, 0] > 0).long() == y).double().mean()))
    assert found.drop == pytest.approx(found.accuracy - 0.5, abs=0.02)
    assert found.p_value == pytest.approx(1 / 101)
    ignored = permutation_reliance(reads(0), view, "noise", 50)
    assert (ignored.drop, ignored.p_value) == (0.0, 1.0)
    assert permutation_reliance(reads(0), ColumnAttributes(x * 0, y, {"flat": [0]}), "flat", 20).p_value == 1.0


def test_the_fall_is_that_of_scikit_learn():
    x, y = rows(200)
    model = LogisticRegression().fit(x.numpy(), y.numpy())
    theirs = permutation_importance(model, x.numpy(), y.numpy(), n_repeats=200, random_state=0)
    view = ColumnAttributes(x, y, {str(c): [c] for c in range(6)})
    for c in (0, 1, 4):
        ours = permutation_reliance(lambda v: torch.from_numpy(model.predict_proba(v.numpy())), view, str(c), 200)
        error = theirs.importances_std[c] / math.sqrt(100)
        assert ours.drop == pytest.approx(float(theirs.importances_mean[c]), abs=5 * error + 1e-9)


@pytest.mark.parametrize(("tests", "count"), [(40, 39), pytest.param(200, 99, marks=pytest.mark.slow)])
def test_p_values_are_uniform_where_the_attribute_says_nothing(tests, count):
    draw = torch.Generator().manual_seed(1)
    found = []
    for seed in range(tests):
        x, y = torch.randn(2000, 1, generator=draw).sign(), torch.randint(0, 2, (2000,), generator=draw)
        view = ColumnAttributes(x, y, {"a": [0]})
        found.append(permutation_reliance(reads(0), view, "a", count, seed).p_value)
    assert min(found) >= 1 / (1 + count)
    assert kstest(found, "uniform").pvalue > 1e-3  # steps of 1 / (1 + count), and ties, make them a little larger


def test_equal_samples_are_rendered_once():
    y = torch.arange(40) % 2
    x = torch.stack([y, torch.arange(40) % 3], 1).float()
    plan = reliance_plan(ColumnAttributes(x, y, {"a": [0], "b": [1]}), "a", 30)
    assert len(plan.inputs) == 6
    assert torch.equal(plan.inputs[plan.own], x)
    assert torch.equal(plan.inputs[plan.places][..., 1], x[:, 1].expand(30, -1))
    with pytest.raises(InputError, match="attribute"):
        reliance_plan(ColumnAttributes(x, y, {"a": [0]}), "c")
    with pytest.raises(InputError, match="each in one"):
        ColumnAttributes(x, y, {"a": [0], "b": [0]})


def test_isolated_columns_keep_their_values_and_lose_the_rest():
    train, held, test = rows(80), rows(40, 1), rows(40, 2)
    view = isolated_columns(View(train, held, test), [1])
    assert torch.equal(view.train[0][:, 1], train[0][:, 1])
    assert torch.equal(view.train[0][:, 0].sort().values, train[0][:, 0].sort().values)
    assert not torch.equal(view.train[0][:, 0], train[0][:, 0])
    both = shuffle_columns(train[0], [2, 3], 1)
    pairs = {tuple(r) for r in both[:, 2:4].tolist()}
    assert pairs == {tuple(r) for r in train[0][:, 2:4].tolist()}


def test_a_study_of_a_table_end_to_end(tmp_path):
    parts = rows(160), rows(80, 1), rows(100, 2)
    original = View(*parts)
    study = SwitchStudy(
        {"cheap": isolated_columns(original, [0]), "dear": isolated_columns(original, [1], 9)},
        original,
        ColumnAttributes(*parts[2], {"cheap": [0], "dear": [1]}),
        small,
        [1, 4, 16, 60, 160],
        runs=2,
        fit=FitConfig(max_steps=60, lr=1e-2, calibrate=True),
        n_permutations=20,
    )
    report = study.run(cache_dir=tmp_path)
    again = study.run(cache_dir=tmp_path)
    assert np.array_equal(report.learned.loss, again.learned.loss)
    table = report.table()
    assert len(table.rows) == 1
    assert {table.rows[0][0], table.rows[0][3]} == {"cheap", "dear"}
    assert report.envelope(stopped=5, calibrated=True).value(0) == 0.0
    assert len(report.figure().series) == 2
    assert report.learned.reliance["dear"][:, -1].mean() > 0.05
    with pytest.raises(InputError, match="features"):
        SwitchStudy({"other": original}, original, study.samples, small, [1])


def test_a_predictor_of_parts():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 2, (2, 500), generator=draw)
    y = a ^ b
    table = tabulated([a, b], y, [2, 2], 2)
    sure = [nn.functional.one_hot(z, 2).double().clamp_min(1e-12).log() for z in (a, b)]
    assert float(table.log_prob(sure, y).exp().min()) > 0.99
    blind = [sure[0], torch.full((500, 2), math.log(0.5))]
    assert float(table.log_prob(blind, y).exp().mean()) == pytest.approx(0.5, abs=0.01)
    line = table.line("xor", [3.0, 4.0], blind, y)
    assert (line.cost_bits, line.slope_bits) == (7.0, pytest.approx(1.0, abs=0.02))
    with pytest.raises(InputError, match="attributes"):
        BayesPredictor(table.table).log_prob(sure[:1], y)
    with pytest.raises(InputError, match="values of an attribute"):
        tabulated([a, b + 2], y, [2, 2], 2)


def test_labels_and_logits_must_fit():
    x, y = rows(20)
    with pytest.raises(InputError, match="labels"):
        train_stack([small(0)], (x, y + 1), [torch.arange(20)], None)
    with pytest.raises(InputError, match="two classes or more"):
        train_stack([nn.Linear(6, 1)], (x, y), [torch.arange(20)], None)
    stack = train_stack([small(0)], (x, y), [torch.arange(20)], None, FitConfig(max_steps=2))
    with pytest.raises(InputError, match="labels"):
        stack.log_probs(x, y + 1)
