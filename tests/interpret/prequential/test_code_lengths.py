"""Closed-form learners, the online code, and areas of curves against what is known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from deepwright.core.errors import InputError
from deepwright.interpret.prequential import (
    KTEstimator,
    LossCurve,
    NegativeAreaWarning,
    SklearnLearner,
    TableLearner,
    UniformLearner,
    doubling_blocks,
    log_sizes,
    online_code_length,
    prequential_switch,
    shortcut_bits,
    table_bits,
    table_vs_shortcut,
    two_part_switch,
)

BITS = 1 / math.log(2)


@pytest.mark.parametrize("seed", range(10))
def test_kt_online_code_is_the_beta_closed_form(seed):
    made = table_vs_shortcut(64, 0.1, 60, seed)
    code = online_code_length(
        lambda s: KTEstimator(relative_to=1), made.x, made.y, range(1, 61), classes=2, held_out=0.0
    )
    wrong = int((made.x[:, 1] != made.y).sum())
    beta = math.lgamma(wrong + 0.5) + math.lgamma(60 - wrong + 0.5) - math.lgamma(61) - 2 * math.lgamma(0.5)
    assert code.total == pytest.approx(-beta * BITS, abs=1e-9)
    assert KTEstimator(relative_to=1).code_length(made.x, made.y) == pytest.approx(-beta * BITS, abs=1e-9)
    assert code.clamped == 0


def test_the_uniform_learner_costs_log2_of_the_classes_a_label():
    y = torch.arange(90) % 3
    for unit, factor in (("bits", BITS), ("nats", 1.0)):
        code = online_code_length(lambda s: UniformLearner(3), y[:, None], y, unit=unit)
        assert code.total == pytest.approx(90 * math.log(3) * factor, abs=1e-10)
        assert code.uniform == pytest.approx(code.total)
        assert code.blocks[-1] == (64, 90)


def test_the_table_costs_its_expected_bits():
    lengths = []
    for seed in range(200):
        made = table_vs_shortcut(64, 0.1, 400, seed)
        seen = torch.zeros(64, dtype=torch.bool)
        seen[made.x[:, 0]] = True
        lengths.append(int(seen.sum()))  # a bit for each new key, none after it
    mean, error = np.mean(lengths), np.std(lengths, ddof=1) / math.sqrt(200)
    assert table_bits(64, 400) == pytest.approx(63.882, abs=1e-3)
    assert abs(mean - table_bits(64, 400)) < 3 * error
    learner = TableLearner()
    total, made = 0.0, table_vs_shortcut(64, 0.1, 400, 0)
    for i in range(400):  # the learner itself, label by label
        total -= float(learner.log_prob(made.x[i : i + 1], made.y[i : i + 1])) * BITS
        learner.update(made.x[i : i + 1], made.y[i : i + 1])
    assert total == pytest.approx(lengths[0], abs=1e-9)


def test_where_table_and_shortcut_cross():
    assert two_part_switch(64, 0.1) == pytest.approx(136.46, abs=0.01)
    assert prequential_switch(64, 0.1) == 104
    entropy = -(0.1 * math.log2(0.1) + 0.9 * math.log2(0.9))
    assert shortcut_bits(0.1, 136) - 136 * entropy == pytest.approx(3.145, abs=1e-3)
    assert prequential_switch(64, 0.0, most=1 << 12) is None
    assert two_part_switch(64, 0.0) == math.inf


def test_a_mixture_bounds_what_a_contradicted_table_costs():
    y = torch.randint(0, 2, (64,), generator=torch.Generator().manual_seed(0))
    x = torch.zeros(64, 1, dtype=torch.long)  # one key, whose label changes
    blind = online_code_length(lambda s: TableLearner(), x, y)
    careful = online_code_length(lambda s: TableLearner(), x, y, calibrate="mixture")
    assert blind.clamped > 10
    assert blind.total > 40 * blind.clamped
    assert careful.total < 1.6 * 64
    gap = blind.compare(careful)
    assert gap.value == pytest.approx((blind.total - careful.total) / 64)
    with pytest.raises(InputError, match="same blocks"):
        blind.compare(online_code_length(lambda s: UniformLearner(), x, y, [32, 64]))


def test_an_estimator_before_it_has_two_classes():
    x, y = torch.tensor([[0.0], [0.1], [2.0], [2.1]]), torch.tensor([0, 0, 1, 1])
    learner = SklearnLearner(LogisticRegression(), 2).fit(x[:2], y[:2])
    assert learner.log_prob(x, y).exp().tolist() == pytest.approx([5 / 6, 5 / 6, 1 / 6, 1 / 6])
    fitted = learner.fit(x, y).log_prob(x, y).exp()
    assert float(fitted.min()) > 0.5
    with pytest.raises(InputError, match="predict_proba"):
        SklearnLearner(object())


def test_areas_are_exact_and_constants_cost_nothing():
    curve = LossCurve.from_arrays([0, 10, 30], [3.0, 1.0, 1.0], "bits")
    assert curve.area() == pytest.approx(40.0)
    assert curve.area(5) == pytest.approx(12.5)
    assert curve.at(5) == pytest.approx(2.0)
    assert curve.model_cost(None) == pytest.approx(10.0)
    assert curve.model_cost(None, unit="nats") == pytest.approx(10.0 / BITS)
    lifted = LossCurve.from_arrays([0, 10, 30], [3.7, 1.7, 1.7], "bits")
    assert lifted.model_cost(None) == pytest.approx(10.0)
    rising = LossCurve.from_arrays([1, 2, 3], [0.5, 0.5, 0.6], "bits")
    with pytest.warns(NegativeAreaWarning, match=r"-0\.15"):
        assert rising.model_cost(None) == 0.0
    assert rising.cost(None).raw == pytest.approx(-0.15)


def test_the_table_as_a_curve_on_all_integers():
    n = np.arange(0, 2001)
    curve = LossCurve.from_arrays(n, (1 - 1 / 64) ** n, "bits")
    assert curve.model_cost(None) == pytest.approx(63.5, abs=0.01)  # half a bit below the sum
    assert curve.model_cost() == pytest.approx(61.667, abs=1e-3)
    assert curve.cost().size == 343


@pytest.mark.parametrize(("count", "bits", "whole"), [(19, 90.4, 90.4), (85, 86.07, 86.13), (290, 85.56, 86.0)])
def test_costs_of_a_smooth_curve_depend_on_the_grid(count, bits, whole):
    every = next(k for k in range(count, 4 * count) if len(log_sizes(20000, k)) >= count)
    sizes = np.array(log_sizes(20000, every))
    costs = LossCurve.from_arrays(sizes, 0.3 + 0.4 * np.exp(-sizes / 150)).costs()
    assert len(sizes) == count
    assert costs["authors"].value == pytest.approx(bits, abs=0.05)
    assert costs["none"].value == pytest.approx(whole, abs=0.05)


def test_on_all_integers_the_neighbours_rule_cuts_early():
    n = np.arange(1, 20001)
    costs = LossCurve.from_arrays(n, 0.3 + 0.4 * np.exp(-n / 150)).costs()
    assert costs["authors"].value == pytest.approx(77.94, abs=0.01)
    assert costs["none"].value == pytest.approx(85.99, abs=0.01)
    assert costs["authors"].value < costs["settled"].value < costs["none"].value


def test_a_plateau_before_learning_isnt_the_end():
    sizes = [1, 2, 4, 8, 16, 64, 256, 1024, 4096]
    loss = [math.log(2)] * 5 + [0.6, 0.3, 0.1, 0.1]
    costs = LossCurve.from_arrays(sizes, loss).costs()
    assert (costs["authors"].value, costs["authors"].size) == (0.0, 16)
    assert costs["settled"].size == 4096
    assert costs["settled"].value == costs["none"].value > 250


def test_curves_of_several_runs():
    loss = np.array([[0.9, 0.5, 0.4, 0.2, 0.2], [0.7, 0.5, 0.2, 0.2, 0.2]])
    curve = LossCurve.from_arrays([1, 2, 4, 8, 16], loss, "bits")
    interval = curve.confidence(100)
    assert interval.low < interval.value < interval.high
    assert not LossCurve.from_arrays([1, 2, 4, 8, 16], loss[0]).confidence().known
    both = LossCurve.joined([curve.resampled(np.array([0])), curve.resampled(np.array([1]))])
    assert np.array_equal(both.loss, curve.loss)
    assert curve.table().columns[:2] == ["samples", "loss (bits), test"]
    assert curve.asymptote() == pytest.approx(0.2)


def test_what_a_curve_refuses():
    for sizes in ([2, 1], [1, 1], [-1, 2]):
        with pytest.raises(InputError, match="sizes"):
            LossCurve.from_arrays(sizes, [0.1, 0.2])
    with pytest.raises(InputError, match="5 or more"):
        LossCurve.from_arrays([1, 2], [0.1, 0.2]).model_cost()
    with pytest.raises(InputError, match="infinite"):
        LossCurve.from_arrays([1, 2], [0.1, math.inf])
    with pytest.raises(InputError, match="unit"):
        LossCurve.from_arrays([1, 2], [0.1, 0.2]).area(unit="bytes")
    with pytest.raises(InputError, match="within 1 to 2"):
        LossCurve.from_arrays([1, 2], [0.1, 0.2]).at(3)


def test_what_a_code_refuses():
    y = torch.tensor([0, 1, 1, 0])
    for blocks in ([0, 4], [2, 2, 4], [2], []):
        with pytest.raises(InputError, match="blocks"):
            online_code_length(lambda s: UniformLearner(), y[:, None], y, blocks)
    with pytest.raises(InputError, match="held-out"):
        online_code_length(lambda s: UniformLearner(), y[:, None], y, calibrate="mixture", held_out=0.0)
    with pytest.raises(InputError, match="whole numbers from 0 to 1"):
        KTEstimator().fit(y[:, None], y + 1)
    assert doubling_blocks(8) == [8]
    assert doubling_blocks(100) == [8, 16, 32, 64, 100]
