"""How forecasts are measured, against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from uf_cases import REGISTRY, awake

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


def test_an_honest_ensemble_has_a_spread_that_is_its_error(corpus):
    """Truth and members drawn from one distribution: the ratio is 1, at any size of the ensemble."""
    _, data = corpus["advection"]
    draw = torch.Generator().manual_seed(0)
    big = replace(data, u=torch.randn(40, *data.u.shape[1:], generator=draw), params=torch.zeros(40, 1))
    for m in (2, 8):
        members = torch.randn(m, *big.u.shape, generator=draw)
        assert spread_skill(members, big)[1] == pytest.approx(1.0, abs=0.03)
        assert spread_skill(0.1 * members, big)[1] < 0.2
    with pytest.raises(InputError, match="2 or more"):
        spread_skill(members[:1], big)


def test_the_table_of_an_evaluation(corpus):
    _, data = corpus["shallow-water"]
    model = awake(UniFluids(REGISTRY, ["shallow-water"], "tiny"))
    model.fit_units([data])
    table = evaluate_forecasts(model, data, [1, 3], solver="heun", members=2)
    rows = [dict(zip(table.columns, r)) for r in table.rows]
    assert [r["evaluations"] for r in rows] == [1, 5]
    one = model.predict(data, generator=torch.Generator().manual_seed(0))
    assert rows[0]["rel_l2"] == relative_error(one, data)
    assert relative_error(data.u, data) == 0
    assert forecast_errors(data.u, data)["spectrum"] == 0
    wave = torch.sin(2 * torch.pi * 3 * torch.arange(16) / 16).reshape(1, 1, 1, 16, 1, 1).expand(2, 1, 8, 16, 16, 1)
    pure = replace(data, u=wave.contiguous())
    noisy = wave + 1e-4 * torch.randn(wave.shape, generator=torch.Generator().manual_seed(0))
    assert forecast_errors(0.5 * noisy, pure)["spectrum"] == pytest.approx(
        np.log(4), abs=1e-2
    )  # silent modes don't count


def test_a_finer_grid_is_forecast_as_coarse_ones(corpus):
    for name in ("advection", "navier-stokes", "advection-diffusion-3d"):
        _, data = corpus[name]
        assert torch.equal(interleaved(persistence, data, 2), persistence(data))
        steps = []
        interleaved(lambda d, steps=steps: steps.append(d.spacing) or d.u, data, 2)
        assert len(steps) == 2**data.dim
        assert steps[0][1] == 2 * data.spacing[1]
    with pytest.raises(InputError, match="divisor"):
        interleaved(persistence, data, 3)
