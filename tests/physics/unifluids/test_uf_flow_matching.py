"""The algebra of flow matching: conversions, samplers with perfect oracles, times, dimensions."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.unifluids import (
    LogitNormal,
    Parameterization,
    TimeSampler,
    effective_dimension,
    euler_sample,
    flow_times,
    heun_sample,
)
from deepwright.physics.unifluids.flow_matching import KINDS


def test_conversions_agree():
    draw = torch.Generator().manual_seed(0)
    x, noise = torch.randn(50, 7, generator=draw).double(), torch.randn(50, 7, generator=draw).double()
    t = torch.rand(50, 1, generator=draw).double().clamp(0.1, 0.9)
    z = t * x + (1 - t) * noise
    truth = {"x": x, "v": x - noise, "eps": noise}
    for a in KINDS:
        for b in KINDS:
            how = Parameterization(a, b)
            for to in KINDS:
                assert torch.allclose(how.convert(truth[a], z, t, to), truth[to], atol=1e-10)
            assert float(how.error(truth[a], x, noise, z, t).abs().max()) < 1e-10


@pytest.mark.parametrize("kind", ["x", "v"])
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_perfect_oracle_lands_on_the_data(kind, steps):
    draw = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(20, 5, generator=draw).double() for _ in range(2))
    how = Parameterization(kind)

    def velocity(z, t):
        return how.convert(x if kind == "x" else x - noise, z, t, "v")

    for sampler in (euler_sample, heun_sample):
        assert torch.allclose(sampler(velocity, noise, flow_times(steps).double()), x, atol=1e-6)


def test_gaussian_data_are_sampled_as_they_are():
    """With the exact posterior mean as the network, fifty Heun steps give mean and spread."""
    m, s = 1.5, 0.4

    def velocity(z, t):
        gain = t * s * s / (t * t * s * s + (1 - t) ** 2)
        return (m + gain * (z - t * m) - z) / (1 - t)

    z = heun_sample(
        velocity, torch.randn(200_000, generator=torch.Generator().manual_seed(0)).double(), flow_times(50).double()
    )
    assert float(z.mean()) == pytest.approx(m, rel=0.01)
    assert float(z.std()) == pytest.approx(s, rel=0.01)


def test_flow_times_are_zero_with_a_probability_and_uniform_else():
    t = TimeSampler(0.3)(20_000, torch.Generator().manual_seed(0))
    assert float((t == 0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(t[t > 0].mean()) == pytest.approx(0.5, abs=0.02)


def test_flow_times_have_normal_logits():
    logits = LogitNormal()(20_000, torch.Generator().manual_seed(0)).logit()
    assert float(logits.mean()) == pytest.approx(-0.8, abs=0.03)
    assert float(logits.std()) == pytest.approx(0.8, abs=0.03)


def test_a_shift_puts_flow_times_near_zero():
    assert float(flow_times(4, 3.0)[1]) == pytest.approx(0.25 / (0.25 + 3 * 0.75))


def test_data_of_three_directions_have_three_dimensions():
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 3, generator=draw) @ torch.randn(3, 50, generator=draw)
    count, ratio, d = effective_dimension(rows)
    assert count <= 3
    assert ratio <= 3.001
    assert d == 50


def test_an_unknown_quantity_is_refused():
    with pytest.raises(InputError, match="x, v, eps"):
        Parameterization().convert(torch.zeros(1), torch.zeros(1), torch.zeros(1), "noise")


@pytest.mark.parametrize("rows", [torch.ones(5, 3), torch.full((5, 3), torch.nan), torch.ones(1, 3)])
def test_rows_that_do_not_differ_have_no_dimension(rows):
    with pytest.raises(InputError, match="rows"):
        effective_dimension(rows)
