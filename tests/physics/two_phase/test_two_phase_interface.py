"""Interfaces know their geometry, one or several."""

from dataclasses import replace

import pytest
import torch
from known_flows import FEW, droplet_pull

from deepwright.core.errors import InputError
from deepwright.physics import Box
from deepwright.physics.two_phase import (
    Interface,
    Several,
    TwoPhasePINN,
    droplet,
    layers,
)


def test_several_interfaces():
    a, b, c = (Interface.circle(m, r) for m, r in (((0.0, 0.0), 0.2), ((0.0, 0.0), 0.5), ((0.7, 0.7), 0.1)))
    many = Several([a, b, c])
    z = torch.tensor([[0.1, 0, 0], [0.3, 0, 0], [0.7, 0.7, 0], [0.9, 0, 0]]).double()
    assert many.phase(z).tolist() == [0, 1, 2, 3]
    sides = [
        many.outside(i, p.sample(50, (0, 1), torch.Generator().manual_seed(0)).z) for i, p in enumerate(many.parts)
    ]
    assert sides == [1, 3, 3]
    crossing = Several([a, Interface.circle((0.2, 0.0), 0.2)])
    with pytest.raises(InputError, match="touches"):
        crossing.outside(0, a.sample(50, (0, 1), torch.Generator().manual_seed(0)).z)
    wrong = Several([b, a])
    with pytest.raises(InputError, match="inner ones first"):
        wrong.outside(1, a.sample(50, (0, 1), torch.Generator().manual_seed(0)).z)
    with pytest.raises(InputError, match="3 of each"):
        replace(layers(), mu=(1.0, 2.0))
    with pytest.raises(InputError, match="surface_tension"):
        replace(layers(), surface_tension=(1.0, 2.0, 3.0))
    solver = TwoPhasePINN(layers(), (6,), counts=FEW)
    before = float(solver.least_squares().loss().detach())
    assert solver.fit([("lm", 15)]).loss < 0.5 * before
    assert solver.predict(z).shape == (4, 3)
    with pytest.warns(UserWarning, match="one condition too many"):
        TwoPhasePINN(replace(droplet(), traction=(lambda z: z[:, 0] > -9, droplet_pull)), (4,), counts=FEW).blocks()


def test_circles_spheres_and_level_sets_agree():
    circle = Interface.circle((0.1, 0.0), 0.5, (0.2, -0.1))
    level = Interface.from_level_set(circle.level, Box((-1, 1), (-1, 1)))
    on = level.sample(60, (0.0, 1.0), torch.Generator().manual_seed(0))
    assert float(circle.level(on.z).abs().max()) < 1e-9
    assert torch.allclose(on.curvature, torch.full((60,), 2.0).double(), atol=1e-8)
    centre = torch.tensor([0.1, 0.0]) + on.z[:, 2:] * torch.tensor([0.2, -0.1])
    assert torch.allclose(on.normal, (on.z[:, :2] - centre) / 0.5, atol=1e-8)
    ball = Interface.circle((0.0, 0.0, 0.0), 0.5)
    on = ball.sample(50, (0.0, 1.0), torch.Generator().manual_seed(0))
    assert torch.allclose(on.curvature, torch.full((50,), 4.0).double())
    assert torch.allclose(on.z[:, :3].norm(dim=1), torch.full((50,), 0.5).double())


def test_a_level_set_without_zeros_is_refused():
    nowhere = Interface.from_level_set(lambda z: z[:, 0] ** 2 + 1, Box((-1, 1), (-1, 1)))
    with pytest.raises(InputError, match="no point; expected: zeros"):
        nowhere.sample(5, (0, 1), torch.Generator().manual_seed(0))
