"""How forecasts are measured, against closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from uf_cases import REGISTRY, awake, scaled

from deepwright.core.errors import InputError
from deepwright.physics.unifluids import (
    UniFluids,
    evaluate_forecasts,
    forecast_errors,
    interleaved,
    persistence,
    relative_error,
    spread_skill,
)


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def noise(corpus):
    """Trajectories of white noise."""
    data = corpus["advection"][0]
    return replace(data, u=torch.randn(40, *data.u.shape[1:], generator=seeded()), params=torch.zeros(40, 1))


@pytest.mark.parametrize("count", [2, 8])
def test_an_honest_ensemble_has_a_spread_that_is_its_error(count, noise):
    """Truth and members drawn from one distribution: the ratio is 1, at any size of the ensemble."""
    members = torch.randn(count, *noise.u.shape, generator=torch.Generator().manual_seed(1))
    assert spread_skill(members, noise)[1] == pytest.approx(1.0, abs=0.03)


def test_an_ensemble_that_is_too_sure_has_too_small_a_spread(noise):
    members = 0.1 * torch.randn(4, *noise.u.shape, generator=torch.Generator().manual_seed(1))
    assert spread_skill(members, noise)[1] < 0.2


def test_one_member_has_no_spread(noise):
    with pytest.raises(InputError, match="2 or more"):
        spread_skill(noise.u[None], noise)


@pytest.fixture(scope="module")
def water(corpus):
    """(a model that says something, test data)."""
    _, data = corpus["shallow-water"]
    return scaled(awake(UniFluids(REGISTRY, ["shallow-water"], "tiny")), [data]), data


def test_the_table_of_an_evaluation_counts_what_the_sampler_asks(water):
    table = evaluate_forecasts(*water, [1, 3], solver="heun", members=2)
    assert [row[table.columns.index("evaluations")] for row in table.rows] == [1, 5]


def test_the_table_of_an_evaluation_holds_the_errors_of_forecasts(water):
    model, data = water
    table = evaluate_forecasts(model, data, [1], members=1)
    one = model.predict(data, generator=seeded())
    assert table.rows[0][table.columns.index("rel_l2")] == relative_error(one, data)


def test_nothing_to_evaluate_is_refused(water):
    with pytest.raises(InputError, match="steps"):
        evaluate_forecasts(*water, [])


def test_the_truth_has_no_error(water):
    _, data = water
    assert relative_error(data.u, data) == 0
    assert forecast_errors(data.u, data)["spectrum"] == 0


def test_silent_modes_do_not_count_in_the_spectrum(water):
    """Half the amplitude of the one mode that there is, with weak noise in all others."""
    wave = torch.sin(2 * torch.pi * 3 * torch.arange(16) / 16).reshape(1, 1, 1, 16, 1, 1).expand(2, 1, 8, 16, 16, 1)
    noisy = wave + 1e-4 * torch.randn(wave.shape, generator=seeded())
    found = forecast_errors(0.5 * noisy, replace(water[1], u=wave.contiguous()))["spectrum"]
    assert found == pytest.approx(math.log(4), abs=1e-2)


NAMES = ("advection", "navier-stokes", "advection-diffusion-3d")


@pytest.mark.parametrize("name", NAMES)
def test_a_finer_grid_is_put_together_from_coarse_ones(name, corpus):
    _, data = corpus[name]
    assert torch.equal(interleaved(persistence, data, 2), persistence(data))


@pytest.mark.parametrize("name", NAMES)
def test_every_coarse_grid_is_forecast_once_with_its_own_spacing(name, corpus):
    _, data = corpus[name]
    spacings = []
    interleaved(lambda d: spacings.append(d.spacing) or d.u, data, 2)
    assert len(spacings) == 2**data.dim
    assert spacings[0][1] == 2 * data.spacing[1]


def test_a_factor_that_does_not_divide_the_grid_is_refused(corpus):
    with pytest.raises(InputError, match="divisor"):
        interleaved(persistence, corpus["advection"][1], 3)
