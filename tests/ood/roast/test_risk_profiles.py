"""Severities, risk and its measures, in closed form."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.ood import SeverityMatrix, min_perturbation, risk_profile, roughness

LOW, NORMAL, HIGH = 60.0, 100.0, 300.0
PUBLISHED = {
    (LOW, HIGH): 64,
    (NORMAL, HIGH): 32,
    (LOW, NORMAL): 16,
    (HIGH, LOW): 8,
    (HIGH, NORMAL): 4,
    (NORMAL, LOW): 2,
}


@pytest.mark.parametrize("meal", [False, True])
@pytest.mark.parametrize("actual", [LOW, NORMAL, HIGH])
@pytest.mark.parametrize("told", [LOW, NORMAL, HIGH])
def test_all_pairs_of_states(actual, told, meal):
    y, z = torch.tensor([[actual]]), torch.tensor([[told]])
    found = risk_profile(y, z, SeverityMatrix.glucose(), event=torch.tensor([meal]))
    assert float(found.series[0]) == PUBLISHED.get((actual, told), 0) * (told - actual) ** 2


@pytest.mark.parametrize(
    ("value", "meal", "state"),
    [(69.99, False, 0), (70, False, 1), (125, False, 1), (125.01, False, 2), (180, True, 1), (180.1, True, 2)],
)
def test_a_value_at_an_edge_is_normal(value, meal, state):
    matrix = SeverityMatrix.glucose()
    assert matrix.states(torch.tensor([[float(value)]]), torch.tensor([meal])).tolist() == [[state]]
    assert SeverityMatrix.glucose(180).states(torch.tensor([150.0])).tolist() == [1]


def test_normalised_risk_has_no_value_where_no_harm_can_be_reached():
    matrix = SeverityMatrix((10.0,), ((0.0, 1.0), (0.0, 0.0)))
    high = torch.full((4, 2), 20.0)
    assert math.isnan(risk_profile(high, high - 15, matrix, "exposure_normalized").mean)
    low = torch.zeros(4, 2)
    assert risk_profile(low, low + 15, matrix, "exposure_normalized").mean == 1.0
    half = torch.tensor([[15.0, 15.0], [5.0, 5.0], [15.0, 5.0], [0.0, 0.0]])
    found = risk_profile(low, half, matrix, "exposure_normalized")
    assert found.mean == pytest.approx(3 * 225 / (3 * 225 + 3 * 25))
    assert risk_profile(low, half, matrix, "flip_rate").mean == 0.5


def test_a_series_is_the_mean_over_the_steps_and_a_mean_is_over_windows():
    matrix = SeverityMatrix((10.0,), ((0.0, 2.0), (1.0, 0.0)))
    y, z = torch.tensor([[0.0, 20.0], [0.0, 0.0]]), torch.tensor([[12.0, 8.0], [0.0, 11.0]])
    found = risk_profile(y, z, matrix)
    assert found.series.tolist() == [(2 * 144 + 144) / 2, 2 * 121 / 2]
    assert found.mean == pytest.approx(sum(found.series.tolist()) / 2)
    assert found.mean_log == pytest.approx(float(found.series.log1p().mean()))
    assert found.flip_rate == 1.0


def test_roughness_and_smallest_budgets():
    assert roughness(torch.zeros(4, 3), torch.full((4, 3), 2.0)).mean == 2.0
    flipped = torch.tensor([[False, True, False, False], [True, False, False, False]])
    assert min_perturbation(flipped, [1.0, 2.0]) == 2.0
    assert min_perturbation(flipped[:, 2:], [1.0, 2.0]) == math.inf


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SeverityMatrix((2.0, 1.0), ((0.0,) * 3,) * 3), "rising"),
        (lambda: SeverityMatrix((1.0,), ((0.0, -1.0), (0.0, 0.0))), "negative"),
        (lambda: SeverityMatrix((1.0,), ((0.0,),)), "weights"),
        (lambda: SeverityMatrix.glucose("lunch"), "'meal'"),
        (lambda: SeverityMatrix.glucose(50), "rising"),
        (lambda: risk_profile(torch.full((4, 2), 6.5), torch.zeros(4, 2), SeverityMatrix.glucose()), "mg/dL"),
        (lambda: risk_profile(torch.zeros(0, 3), torch.zeros(0, 3), SeverityMatrix.glucose()), "shapes"),
        (lambda: risk_profile(torch.zeros(1, 1), torch.tensor([[math.nan]]), SeverityMatrix.glucose()), "y_adv"),
        (lambda: risk_profile(torch.zeros(1, 1), torch.zeros(1, 1), SeverityMatrix.glucose(), "fear"), "mode"),
    ],
)
def test_what_says_nothing_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
