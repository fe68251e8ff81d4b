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


@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_closed_form_slopes_of_the_potential(d):
    net = PotentialVelocity(d, 16, 4, seed=d)
    with torch.no_grad():
        for p in (net.w, net.b, net.sign):
            p.normal_(generator=torch.Generator().manual_seed(d))
    x, v = (torch.randn(7, d, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    a, slope = net(0.3, x, v)
    b, other = AutogradVelocity(Plain(net))(0.3, x, v)
    assert torch.allclose(a, b, atol=1e-10)
    assert torch.allclose(slope, other, atol=1e-10)
    fresh = PotentialVelocity(d, 8)
    assert not fresh(0.0, x, v)[0].detach().any()
