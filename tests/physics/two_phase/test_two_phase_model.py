"""Networks of a phase against the flow in space, and against its stream function."""

from dataclasses import replace

import pytest
import torch
from known_flows import FEW
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import Box, field, jet
from deepwright.physics.two_phase import (
    AxisymmetricNet,
    Interface,
    SquaredRadius,
    TwoPhasePINN,
    droplet,
    static_ball,
)


def test_an_axisymmetric_flow_is_the_flow_in_space():
    """Laplacian and divergence against the same field in x, y, z; finite on the axis."""
    torch.manual_seed(0)
    ball = Interface.meridian(0.0, 0.5)
    net = AxisymmetricNet([nn.Sequential(SquaredRadius(), field(3, 3, (8, 8), seed=i)) for i in (0, 1)], ball)
    z = torch.rand(6, 3, dtype=torch.float64) * torch.tensor([0.9, 1.0, 1.0]) + torch.tensor([0.05, 0.0, 0.0])

    def in_space(p):
        """(x, y, z, t) -> velocity in x, y, z."""
        r = (p[0] ** 2 + p[1] ** 2).sqrt()
        u = net.phase_forward(0, torch.stack([r, p[2], p[3]])[None])[0]
        return torch.stack([u[0] * p[0] / r, u[0] * p[1] / r, u[1]])

    flow = net.flow(0, z)
    for i, (r, h, t) in enumerate(z):
        p = torch.stack([r, torch.zeros_like(r), h, t])
        slope = torch.func.jacrev(in_space)(p)[:, :3]
        bend = torch.func.hessian(in_space)(p)[:, :3, :3].diagonal(dim1=1, dim2=2).sum(1)
        assert torch.allclose(flow.laplacian[i], bend[[0, 2]], atol=1e-8)
        assert torch.allclose(flow.divergence[i], slope.trace(), atol=1e-10)
        strain = slope + slope.T
        assert torch.allclose(
            flow.stress(2.0)[i], -flow.p[i] * torch.eye(2) + 2.0 * strain[[0, 2]][:, [0, 2]], atol=1e-9
        )
    on_axis = net.flow(0, z * torch.tensor([0.0, 1.0, 1.0]))
    assert all(bool(torch.isfinite(part).all()) for part in on_axis)
    on = ball.sample(40, (0.0, 1.0), torch.Generator().manual_seed(0))
    assert float(on.z[:, 0].min()) >= 0
    assert torch.allclose(on.normal, on.z[:, :2] / 0.5, atol=1e-12)
    assert torch.allclose(static_ball().curvature(on), torch.full((40,), 4.0).double(), atol=1e-9)
    with pytest.raises(InputError, match="from 0 on"):
        replace(static_ball(), domain=Box((-1, 1), (-1, 1)))
    with pytest.raises(InputError, match="stream"):
        TwoPhasePINN(static_ball(), (4,), stream=True)


def test_divergence_free_by_construction():
    """Stream functions: no divergence, and every derivative equals that of the velocity itself."""
    problem = droplet()
    solver = TwoPhasePINN(problem, (8, 8), stream=True, counts=FEW)
    z = solver.space.sample(20)
    flow = solver.model.flow(0, z)
    assert float(flow.grad.diagonal(dim1=1, dim2=2).sum(1).detach().abs().max()) < 1e-12
    plain = jet(
        lambda p: torch.func.vmap(lambda q: _stream_velocity(solver.model.nets[0], q))(p),
        z,
        None,
        torch.diag(torch.tensor([1.0, 1.0, 0.0]))[None],
        engine="func",
    )
    assert torch.allclose(flow.u, plain.v, atol=1e-12)
    assert torch.allclose(flow.grad, plain.J[:2].permute(1, 2, 0), atol=1e-10)
    assert torch.allclose(flow.rate, plain.J[2], atol=1e-10)
    assert torch.allclose(flow.laplacian, plain.S[0], atol=1e-8)
    assert solver.fit([("lm", 5)]).loss < solver.training.history[0]["loss"] * 1.01


def _stream_velocity(net, p):
    g = torch.func.grad(lambda q: net(q[None])[0, 0])(p)
    return torch.stack([g[1], -g[0]])
