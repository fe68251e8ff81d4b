"""Closed-form slopes of potential networks against automatic differentiation."""

import pytest
import torch
from torch import nn

from deepwright.physics.kinetic import (
    AutogradVelocity,
    PotentialVelocity,
)


class Plain(nn.Module):
    """The slope of a potential network by automatic differentiation."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, s, x, v):
        with torch.enable_grad():
            return -torch.autograd.grad(self.net.potential(float(s[0, 0]), x, v).sum(), v, create_graph=True)[0]


@pytest.mark.parametrize("options", [{}, {"affine": True}, {"affine": True, "ring": 2.0}], ids=["", "affine", "ring"])
@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_closed_form_slopes_of_the_potential(d, options):
    net = PotentialVelocity(d, 16, 4, seed=d, **options)
    with torch.no_grad():
        for p in (net.w, net.b, net.sign, *(net.line.parameters() if options else ())):
            p.normal_(generator=torch.Generator().manual_seed(d))
    x, v = (torch.randn(7, d, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    a, slope = net(0.3, x, v)
    b, other = AutogradVelocity(Plain(net))(0.3, x, v)
    assert torch.allclose(a, b, atol=1e-10)
    assert torch.allclose(slope, other, atol=1e-10)
    fresh = PotentialVelocity(d, 8)
    assert not fresh(0.0, x, v)[0].detach().any()


def test_the_affine_part_alone_is_an_affine_control():
    """alpha + B_x x + B_v v of its own parameters, with the sign of a slope downwards and B_v made symmetric."""
    net, draw = PotentialVelocity(3, 8, affine=True), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.line.parameters():
            p.normal_(generator=draw)
    x, v = torch.randn(2, 5, 3, dtype=torch.float64, generator=draw).unbind()
    symmetric = 0.5 * (net.line.bv + net.line.bv.T)
    a, slope = net(0.1, x, v)
    torch.testing.assert_close(a, -(net.line.alpha + x @ net.line.bx.T + v @ symmetric))
    torch.testing.assert_close(slope, -symmetric.expand(5, 3, 3))
