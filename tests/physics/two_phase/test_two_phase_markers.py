"""Curves of markers against circles, and transport against Reynolds' theorem."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.two_phase import (
    Markers,
    carry,
    general,
    moving_integral,
    ring,
    transport_gap,
)


def test_areas_are_kept_by_an_even_shift():
    span = (0.0, 1.0)
    start = ring((0.0, 0.0), 0.5, 48)
    grown = torch.stack([start * k for k in (1.0, 1.02, 1.05)])
    kept, shifts = Markers(grown, span).keeping_area()
    assert shifts.tolist() == pytest.approx([0.0, -0.01, -0.025], abs=1e-8)
    assert kept.area(1.0) == pytest.approx(kept.area(0.0), rel=1e-9)
    wobbly = start * (1 + 0.1 * torch.cos(3 * torch.atan2(start[:, 1:], start[:, :1])))
    kept, _ = Markers(torch.stack([start, wobbly, wobbly]), span).keeping_area()
    assert kept.area(1.0) == pytest.approx(math.pi / 4, rel=1e-5)


def test_markers_know_a_circle():
    curve = Markers.frozen(ring((0.2, 0.1), 0.4, 64), (0.0, 1.0))
    on = curve.sample(200, (0.0, 1.0), torch.Generator().manual_seed(0))
    assert float((on.curvature - 2.5).abs().max()) < 1e-3 * 2.5
    assert float((on.normal - (on.z[:, :2] - torch.tensor([0.2, 0.1])) / 0.4).abs().max()) < 1e-4
    assert curve.area(0.3) == pytest.approx(math.pi * 0.16, rel=1e-6)
    z = torch.tensor([[0.2, 0.1, 0.5], [0.2, 0.49, 0.5], [0.2, 0.52, 0.5], [-0.3, 0.1, 0.5]], dtype=torch.float64)
    assert curve.phase(z).tolist() == [0, 0, 1, 1]
    assert (
        float(
            (
                Markers.frozen(ring((0.2, 0.1), 0.4, 64).flip(0), (0.0, 1.0))
                .sample(9, (0, 1), torch.Generator())
                .curvature
            ).min()
        )
        > 0
    )
    assert curve.distance(Markers.frozen(ring((0.2, 0.1), 0.45, 64), (0.0, 1.0))) == pytest.approx(0.05, abs=2e-3)


def test_a_vortex_turned_back_returns_the_circle():
    """u = cos(pi t / T) curl of sin^2 sin^2: the area stays, and at T the circle is back."""
    end = 2.0

    def velocity(z):
        x, y, t = math.pi * z[:, 0], math.pi * z[:, 1], z[:, 2]
        turn = torch.cos(math.pi * t / end)
        return torch.stack(
            [-(torch.sin(x) ** 2) * torch.sin(2 * y) * turn, torch.sin(y) ** 2 * torch.sin(2 * x) * turn], 1
        )

    start = ring((0.5, 0.75), 0.15, 256)
    curve = Markers.moved(start, velocity, (0.0, end))
    assert float((curve.path[-1] - start).norm(dim=1).max()) < 1e-5
    assert curve.spread() < 1.001
    middle = curve.area(end / 2)
    assert abs(middle / (math.pi * 0.15**2) - 1) < 1e-4
    assert Markers(curve.path[: len(curve.path) // 2 + 1], (0.0, end / 2)).even().spread() < 1.2


def test_reynolds_transport():
    """d/dt of the energy inside is its change there and what the edge takes in, unless it moves otherwise."""
    problem = general()
    velocity = torch.tensor([[0.4, 0.2]], dtype=torch.float64)

    def energy(z):
        return 0.5 * problem.rho[0] * problem.exact(0, z)[:, :2].square().sum(1)

    def rate(z):
        return torch.func.vmap(lambda p: torch.func.grad(lambda q: energy(q[None])[0])(p)[2])(z)

    def moving(z):
        return velocity.expand(len(z), 2)

    for interface in (problem.interface, Markers.moved(ring((-0.1, 0.0), 0.5, 128), moving, (0.0, 0.5))):
        assert transport_gap(energy, rate, moving, interface, 0.25) < 1e-6
        assert transport_gap(energy, rate, lambda z: 0 * moving(z), interface, 0.25) > 1e-3
        assert moving_integral(lambda z: torch.ones(len(z)).double(), interface, 0.1) == pytest.approx(
            math.pi / 4, rel=1e-6
        )


def test_runge_kutta_is_of_fourth_order():
    def spin(z):
        return torch.stack([-z[:, 1], z[:, 0]], 1)

    gaps = [
        float(
            (
                carry(torch.tensor([[1.0, 0.0]]), spin, (0.0, 2.0), n)[-1] - torch.tensor([[math.cos(2), math.sin(2)]])
            ).norm()
        )
        for n in (10, 20)
    ]
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(4, abs=0.3)


def test_a_curve_that_crosses_itself_is_told_with_its_time():
    t = 2 * math.pi * torch.arange(32).double() / 32
    with pytest.raises(InputError, match="crosses itself at t = 0"):
        Markers.frozen(torch.stack([torch.sin(t), torch.sin(2 * t)], 1), (0, 1))


def test_few_markers_are_refused():
    with pytest.raises(InputError, match="8 or more"):
        Markers(torch.zeros(3, 4, 2), (0, 1))
