"""What a code length, a curve or a reliance can't be read from is refused, and intervals are those that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.checks.attribute_cost import _coded
from deepwright.checks.findings.finding import NotApplicableError
from deepwright.core.errors import InputError
from deepwright.data import WatermarkedColouredDigits
from deepwright.interpret.prequential import (
    ColumnAttributes,
    FitConfig,
    KTEstimator,
    LossCurve,
    SwitchReport,
    TableLearner,
    TorchLearner,
    UniformLearner,
    View,
    by_accuracy,
    by_crossing,
    forecast_switch,
    isolated_columns,
    loss_curve,
    observed_switch,
    online_code_length,
    permutation_reliance,
    tabulated,
    train_stack,
)
from deepwright.interpret.prequential.forecasts import ratio

SIZES = [1, 2, 4, 8, 16, 32]
CONFIG = FitConfig(max_steps=40, lr=1e-2)


class Says:
    """A learner that always gives the same."""

    def __init__(self, given):
        self.given = given

    def fit(self, x, y, validation=None):
        return self

    def log_prob(self, x, y):
        return self.given(len(y))


def rows(n=60):
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (n,), generator=draw)
    x = torch.randn(n, 4, generator=draw)
    x[:, 1] += 3 * (2 * y - 1)
    return x, y


def network(seed):
    return nn.Linear(4, 2)


def reads_one(x):
    return torch.stack([-x[:, 1], x[:, 1]], 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda n: torch.full((n, 2), -0.7), "one a label"),
        (lambda n: torch.full((n, 1), -0.7), "one a label"),
        (lambda n: torch.tensor([-0.7]), "one a label"),
        (lambda n: np.full(n, -0.7), "one a label"),
        (lambda n: torch.full((n,), 0.9), "0 at most"),
    ],
)
def test_what_isnt_a_logarithm_a_label_is_no_length(given, said):
    x, y = rows()
    with pytest.raises(InputError, match=said):
        online_code_length(lambda s: Says(given), x, y)
    with pytest.raises(InputError, match=said):
        loss_curve(lambda s: Says(given), (x, y), None, {"own": (x, y)}, [5, 20], 1)


def test_nan_costs_what_a_probability_of_0_costs_and_is_counted():
    x, y = rows()
    for value in (math.nan, -math.inf):
        learner = Says(lambda n, value=value: torch.full((n,), value))
        code = online_code_length(lambda s, learner=learner: learner, x, y, [8, 60])
        assert (code.total, code.clamped) == (pytest.approx(8 + 52 * 40), 52)
        curve = loss_curve(lambda s, learner=learner: learner, (x, y), None, {"own": (x, y)}, [5], 2)
        assert curve.loss.shape == (1, 2, 1)
        assert curve.clamped == 120


def test_labels_of_a_code_are_classes_that_its_learner_knows():
    x, y = rows()
    for labels in (y - 1, 3 * y):
        with pytest.raises(InputError, match="labels"):
            online_code_length(lambda s: UniformLearner(2), x, labels, classes=2)
    with pytest.raises(InputError, match="labels"):
        online_code_length(lambda s: UniformLearner(2), x, 3 * y)
    with pytest.raises(InputError, match="TorchLearner"):
        online_code_length(network, x, y)
    for learner in (TableLearner(), KTEstimator(relative_to=0)):
        for value in (0.5, math.nan):
            with pytest.raises(InputError, match="whole numbers"):
                learner.fit(torch.full((4, 1), value), torch.zeros(4, dtype=torch.long))
    with pytest.raises(InputError, match="labels"):
        TableLearner().log_prob(torch.zeros(1, 1), torch.tensor([5]))


def test_a_small_share_still_holds_a_sample_out():
    x, y = rows(200)
    few, some = (
        online_code_length(lambda s: TorchLearner(network, CONFIG, s), x, y, [30, 200], held_out=share)
        for share in (0.01, 0.2)
    )
    assert few.per_block[1] < 1.5 * some.per_block[1]  # none held out left the network as it was made
    online_code_length(lambda s: TorchLearner(network, CONFIG, s), x, y, [30, 200], held_out=0.999)


def test_what_networks_cant_be_trained_or_stopped_by():
    x, y = rows()
    nan = x.clone()
    nan[3, 0] = math.nan

    def trained(train=(x, y), validation=(x, y), prefix=(0, 1), made=None):
        return train_stack([made or network(0)], train, [torch.tensor(prefix)], validation, FitConfig(max_steps=2))

    refused = [
        ({"validation": (x[:0], y[:0])}, "validation samples"),
        ({"validation": (x, torch.full_like(y, -100))}, "labels"),  # which cross-entropy leaves out without a word
        ({"validation": (x, y[:5])}, "one length"),
        ({"validation": (nan, y)}, "validation inputs"),
        ({"train": (nan, y)}, "training inputs"),
        ({"prefix": (0, 60)}, "prefixes"),
        ({"prefix": (-1,)}, "prefixes"),
        ({"made": nn.Sequential(network(0), nn.Softmax(1))}, "probabilities"),
    ]
    for given, said in refused:
        with pytest.raises(InputError, match=said):
            trained(**given)
    torch.manual_seed(0)
    start = network(0)
    wanted = trained(made=start).log_probs(x, y)
    for kind in (torch.int32, torch.uint8):
        labels = y.to(kind)
        assert torch.equal(trained((x, labels), (x, labels), made=start).log_probs(x, y), wanted)
    with pytest.raises(InputError, match="test 'own'"):
        loss_curve(network, (x, y), None, {"own": (nan, y)}, [5], 1, fit=CONFIG)
    with pytest.raises(InputError, match="test 'own'"):
        loss_curve(network, (x, y), None, {"own": (x[:0], y[:0])}, [5], 1, fit=CONFIG)


def test_columns_that_are_left_are_an_attribute_of_their_own():
    x, y = rows()
    with pytest.raises(InputError, match="another name"):  # the codes of columns 2 and 3 stood for those of column 1
        ColumnAttributes(x, y, {"cue": [0], "rest": [1]})
    named = permutation_reliance(reads_one, ColumnAttributes(x, y, {"a": [0], "rest": [1, 2, 3]}), "rest", 20)
    left = permutation_reliance(reads_one, ColumnAttributes(x, y, {"a": [0]}), "rest", 20)
    assert named == left
    assert left.drop > 0.3
    view = View((x, y), (x, y), (x, y))
    for columns in ([-1], [4], []):
        with pytest.raises(InputError, match="column"):
            isolated_columns(view, columns)


def test_reliance_is_read_from_labels_that_outputs_are_for():
    x, y = rows()
    view = ColumnAttributes(x, y, {"a": [1]})
    for labels in (y + 1, y[:, None], y.float()):
        with pytest.raises(InputError, match="labels"):
            permutation_reliance(reads_one, ColumnAttributes(x, labels, {"a": [1]}), "a", 5)
    for model in (lambda v: reads_one(v) * math.nan, lambda v: (reads_one(v),), lambda v: reads_one(v)[:1]):
        with pytest.raises(InputError, match="outputs"):
            permutation_reliance(model, view, "a", 5)


def test_parts_give_log_probabilities():
    y = torch.arange(20) % 2
    with pytest.raises(InputError, match="log-probabilities"):
        tabulated([y], y, [2], 2).log_prob([torch.full((20, 2), 3.0)], y)


def falling(end, runs=3):
    return np.array([0.7, 0.6, 0.5, 0.4, 0.35, end]) + 0.01 * np.arange(runs)[:, None]


def test_one_run_of_a_size_has_no_interval_and_curves_may_lack_others():
    cheap, dear = falling(0.3), falling(0.1) + np.array([0, 0.1, 0.2, 0.2, 0.2, 0])
    single = dear.copy()
    single[1:, -1] = math.nan
    found = forecast_switch(*(LossCurve.from_arrays(SIZES, v) for v in (cheap, single)), ("a", "b"), cut=None)
    assert not found.samples.known
    assert not LossCurve.from_arrays(SIZES, single).confidence(cut=None).known
    first, second = cheap.copy(), dear.copy()
    first[0, 2], second[2, 3] = math.nan, math.nan  # a resample may leave a size of either without a run
    found = forecast_switch(*(LossCurve.from_arrays(SIZES, v) for v in (first, second)), ("a", "b"), cut=None)
    assert found.samples.known


def test_rules_compare_what_was_measured_alike():
    one, other = LossCurve.from_arrays(SIZES, falling(0.3)), LossCurve.from_arrays([10 * n for n in SIZES], falling(0))
    with pytest.raises(InputError, match="sizes of two curves"):
        by_crossing(one, other)
    with pytest.raises(InputError, match="accuracies"):
        by_accuracy(one, one)
    with pytest.raises(InputError, match="join"):
        LossCurve.joined([])


def test_no_forecast_has_no_ratio():
    rng = np.random.default_rng(0)
    noise = 0.2 * rng.random((6, 1))
    cheap = LossCurve.from_arrays(SIZES, np.tile([0.7, 0.3, 0.3, 0.3, 0.3, 0.3], (6, 1)) + noise)
    dear = LossCurve.from_arrays(SIZES, np.tile([0.7, 0.7, 0.7, 0.7, 0.6, 0.29], (6, 1)) + noise[::-1])
    told = forecast_switch(cheap, dear, ("a", "b"), cut=None)
    assert told.verdict == "no forecast"
    assert math.isfinite(told.samples.value)
    seen = observed_switch(np.array(SIZES), np.full((6, 6), 0.1), np.tile(np.arange(6) / 10 - 0.2, (6, 1)))
    assert math.isnan(ratio(told, seen))


def test_memorising_pays_for_the_classes_that_there_are():
    curve = LossCurve.from_arrays(SIZES, falling(0.3), test="isolated")
    both = LossCurve(curve.sizes, ("isolated", "original"), *2 * [np.repeat(curve.loss, 2, 0)])
    assert SwitchReport({"a": both}, both, classes=8).envelope().lines[0].slope_bits == 3.0
    assert SwitchReport({"a": both}, both, classes=8).envelope(classes=4).lines[0].slope_bits == 2.0


def test_pictures_of_digits_are_bytes():
    images = (255 * torch.rand(4, 8, 8)).to(torch.uint8)
    made = WatermarkedColouredDigits(images, torch.arange(4))
    for wrong in (images / 255, images[:, None]):
        object.__setattr__(made, "images", wrong)  # the constructor's hints are checked in tests alone
        with pytest.raises(InputError, match="bytes"):
            made.__post_init__()


def test_attributes_of_many_equal_or_unknown_values():
    low = np.concatenate([np.zeros(90), np.linspace(1, 2, 20)])
    for column in (low, -low):  # all were one quarter, of which nothing is read
        assert sorted(torch.bincount(_coded([column])[0]).tolist()) == [20, 90]
    assert _coded([np.array(["a", None, "b", math.nan], dtype=object)])[0].tolist() == [0, -1, 1, -1]
    for column in (np.full(9, math.nan), np.array([None] * 9, dtype=object)):
        with pytest.raises(NotApplicableError, match="no training sample"):
            _coded([column])
