"""Numbers that can't be trusted aren't given: temperatures without a minimum, indices of degenerate scores, bad input."""

from __future__ import annotations

import math

import pytest
import torch

from deepwright.core.errors import InputError, NotIdentified
from deepwright.risk import brier, ece, fit_temperature, fragility_index, fragility_report, nll, reliability
from deepwright.risk.calibration import temperature_gain
from deepwright.risk.fragility import FragilityLoss, FragilityTargetSearch

WORSE = torch.tensor([[4.0, 0, 0]]).repeat(6, 1), torch.tensor([1, 2, 1, 2, 1, 0])


def noisy(n: int, temperature: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels drawn from softmax(z), and the logits z * temperature: their best temperature is `temperature`."""
    g = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(n, 4, generator=g)
    y = torch.multinomial(z.softmax(1), 1, generator=g)[:, 0]
    return z * temperature, y


def test_the_normalised_index_of_a_network_worse_than_its_target_is_plus_infinity():
    assert float(fragility_index(*WORSE, normalize=True)) == math.inf


def test_the_normalised_index_of_scores_that_all_meet_the_target_is_zero():
    assert float(fragility_index(torch.tensor([-0.5, 0.0]), input="xi", tau=0.0, normalize=True)) == 0.0


def test_where_every_score_equals_the_target_nothing_can_exceed_it():
    assert float(fragility_index(torch.zeros(3), input="xi", tau=0.0, normalize=True)) == 0.0


def test_the_normalised_index_keeps_its_gradient():
    xi = torch.tensor([-0.9, -0.5, 0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: fragility_index(s, input="xi", normalize=True), xi)


def test_a_report_of_a_network_worse_than_its_target_has_no_negative_infinity():
    report = fragility_report(*WORSE, held_out=noisy(200, 1.0))
    assert report.nfi.value == math.inf


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    assert fit_temperature(*noisy(40_000, temperature)) == pytest.approx(temperature, rel=0.03)


def test_no_temperature_where_every_held_out_sample_is_right():
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(NotIdentified, match="60 of 60 held-out samples right"):
        fit_temperature(z, z.argmax(1))


def test_no_temperature_where_the_logits_speak_against_the_labels():
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(NotIdentified, match="order of the classes"):
        fit_temperature(z, z.argmin(1))


def test_a_report_without_a_temperature_says_why():
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    report = fragility_report(*noisy(100, 1.0), held_out=(z, z.argmax(1)))
    assert (report.temperature, report.matched) == (None, None)
    assert "60 of 60 held-out samples right" in report.unmatched


def test_the_gain_of_a_temperature_is_what_it_saves_out_of_sample():
    z, y = noisy(20_000, 3.0)
    truth = float((nll(z, y) - nll(z / 3.0, y)).mean())
    assert float(temperature_gain(z, y).mean()) == pytest.approx(truth, rel=0.01)


def test_a_temperature_gains_nothing_where_the_logits_are_calibrated():
    assert abs(float(temperature_gain(*noisy(20_000, 1.0)).mean())) < 1e-3


def test_a_temperature_gains_nothing_where_none_can_be_fitted():
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    assert float(temperature_gain(z, z.argmax(1)).abs().max()) == 0.0


MEASURES = [ece, reliability, brier, nll, fit_temperature, temperature_gain]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_is_named(measure, bad):
    z, y = noisy(50, 1.0)
    z[7] = bad
    with pytest.raises(InputError, match=r"samples \[7\]"):
        measure(z, y)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda f: f.__name__)
def test_probabilities_are_not_taken_for_logits(measure):
    z, y = noisy(50, 1.0)
    with pytest.raises(InputError, match=r"probabilities.log\(\)"):
        measure(z.softmax(1), y)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda f: f.__name__)
def test_the_remedy_for_probabilities_gives_the_value_of_the_logits(measure):
    z, y = noisy(50, 2.0)
    z = z.double()
    given, expected = measure(z.softmax(1).log(), y), measure(z, y)
    value = lambda v: torch.as_tensor(getattr(v, "ece", v))  # noqa: E731
    torch.testing.assert_close(value(given), value(expected))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("measure", MEASURES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("labels", [torch.full((50,), 4), torch.full((50,), -1), torch.zeros(49, dtype=torch.long)])
def test_labels_that_no_column_has_are_refused(measure, labels):
    with pytest.raises(InputError, match="labels"):
        measure(noisy(50, 1.0)[0], labels)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda f: f.__name__)
def test_no_sample_has_no_calibration(measure):
    with pytest.raises(InputError, match=r"\(0, 4\)"):
        measure(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))


def test_probabilities_are_not_taken_for_logits_by_the_index():
    z, y = noisy(50, 1.0)
    with pytest.raises(InputError, match='input="probs"'):
        fragility_index(z.softmax(1), y)


def test_infinity_is_not_a_score():
    with pytest.raises(InputError, match=r"\+infinity"):
        fragility_index(torch.tensor([[math.inf, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))


def test_evaluation_moves_no_running_value():
    loss = FragilityLoss(target=2.0)
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        loss(torch.rand(32, generator=g))
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.eval()
    for _ in range(5):
        loss(3 * torch.rand(32, generator=g))
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_the_value_in_evaluation_is_the_batch_s_own_index():
    loss = FragilityLoss(target=2.0).eval()
    losses = 3 * torch.rand(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(loss(losses), fragility_index(losses, input="xi", tau=2.0))


def train(target: float | None) -> torch.nn.Module:
    """A network whose only weight is 1 for plain training and -1, so wrong everywhere, for a target."""
    model = torch.nn.Linear(1, 2)
    with torch.no_grad():
        sign = 1.0 if target is None else -1.0
        model.weight.copy_(torch.tensor([[-sign], [sign]]))
        model.bias.zero_()
    return model


def evaluate(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Fifty points, five of them with the wrong label."""
    x = torch.linspace(-2, 2, 50)[:, None]
    y = (x[:, 0] > 0).long()
    y[::10] = 1 - y[::10]
    return model(x).detach(), y


def test_a_search_never_picks_a_network_that_is_confidently_wrong():
    search = FragilityTargetSearch(train, evaluate, max_accuracy_drop=1.0)
    assert search.run(2, [0.5]).target == math.inf
