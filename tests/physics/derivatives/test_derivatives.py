"""Jets against torch.func, on random networks, directions and operators."""

import warnings

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import curl2d, divergence, field, hessian_diag, jacobian, jet, laplacian
from deepwright.physics.derivatives import Jet, concatenate
from deepwright.physics.derivatives import operators as diff


def same(a, b, tolerance):
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= tolerance * max(1.0, float(b.detach().abs().max()))


NETS = {
    "tanh": dict(activation="tanh"),
    "sin": dict(activation="sin"),
    "silu": dict(activation="silu"),
    "gelu": dict(activation="gelu"),
    "softplus": dict(activation="softplus"),
    "fourier": dict(fourier=(5, 0.5)),
    "residual": dict(residual=True),
}


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_jets_equal_torch_func(kind, d):
    net = field(d, 3, (9, 9, 9), bounds=[(-1.0, 2.0)] * d, seed=d, **NETS[kind])
    draw = torch.Generator().manual_seed(d)
    x = torch.randn(7, d, generator=draw, dtype=torch.float64)
    k = max(1, d - 1)
    along = torch.randn(k, d, generator=draw, dtype=torch.float64)
    full = torch.randn(2, k, k, generator=draw, dtype=torch.float64)
    for operators in ("laplacian", "hessian", "diagonal", full + full.mT, torch.diag_embed(full[:, 0]), None):
        a, b = (jet(net, x, along, operators, engine=e) for e in ("jet", "func"))
        same(a.v, b.v, 1e-12)
        same(a.J, b.J, 1e-12)
        assert (a.S is None) == (operators is None)
        if a.S is not None:
            same(a.S, b.S, 1e-11)


@pytest.mark.parametrize("kind", NETS)
def test_third_derivatives(kind):
    net = field(2, 2, (8, 8), seed=1, **NETS[kind])
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    along = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    a, b, c = (jet(net, x, along, "diagonal", order=3, engine=e) for e in ("jet", "func", "autograd"))
    same(a.T, b.T, 1e-10)
    same(c.T, b.T, 1e-10)
    mixed = (a.T[2] - a.T[3] - 2 * a.T[1]) / 6  # d_xxy by polarisation
    exact = torch.func.vmap(torch.func.jacrev(torch.func.hessian(lambda p: net(p[None])[0])))(x)[:, :, 0, 0, 1]
    same(mixed, exact, 1e-9)


def test_parameter_gradients_agree():
    net = field(3, 2, (10, 10))
    x = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = []
    for engine in ("jet", "autograd"):
        out = jet(net, x, None, "hessian", engine=engine)
        loss = (out.S.square().sum() + (out.J * out.v).sum()).backward() or None
        assert loss is None
        found.append([p.grad.clone() for p in net.parameters()])
        net.zero_grad()
    for a, b in zip(*found):
        same(a, b, 1e-10)


class Product(nn.Module):
    """sin-net times tanh-net, beside their sum."""

    def __init__(self):
        super().__init__()
        self.a, self.b = field(2, 3, (6,), activation="sin", seed=1), field(2, 3, (6,), seed=2)

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        return torch.cat([a * b, a + b, x], -1)

    def forward_jet(self, jet: Jet) -> Jet:
        from deepwright.physics.derivatives import propagate

        a, b = propagate(self.a, jet), propagate(self.b, jet)
        return concatenate([a.times(b), a.plus(b), jet])


def test_products_and_concatenations():
    net, x = Product(), torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for operators in ("laplacian", "hessian", "diagonal"):
        a, b = (jet(net, x, None, operators, engine=e) for e in ("jet", "autograd"))
        same(a.S, b.S, 1e-11)
    a, b = (jet(net, x, None, "diagonal", order=3, engine=e) for e in ("jet", "func"))
    same(a.T, b.T, 1e-10)
    assert jet(net, x).channels(slice(2, 4)).v.shape == (6, 2)


def test_unknown_modules_fall_back_with_one_warning():
    diff._warned.clear()
    net = nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    with pytest.warns(UserWarning, match="LayerNorm has no rule"):
        a = laplacian(net, x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        b = laplacian(net, x)
    same(a, b, 0)
    same(a, laplacian(net, x, engine="func"), 1e-10)
    with pytest.raises(TypeError, match="LayerNorm"):
        laplacian(net, x, engine="jet")
    assert not x.requires_grad


def test_operators_of_known_fields():
    """u = (x^2 y, x y^2, t): every operator in closed form, by functions that aren't modules."""

    def u(p):
        x, y, t = p.T
        return torch.stack([x * x * y, x * y * y, t], 1)

    p = torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, y, _ = p.T
    same(laplacian(u, p)[:, 0], 2 * y, 1e-12)
    same(divergence(u, p), 4 * x * y + 1, 1e-12)
    same(curl2d(u, p), y * y - x * x, 1e-12)
    same(jacobian(u, p)[:, 0, 1], x * x, 1e-12)
    same(hessian_diag(u, p)[:, 1, 1], 2 * x, 1e-12)
    same(laplacian(u, p, 1)[:, 1], torch.zeros(9).double(), 0)


POINTS = torch.zeros(3, 2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("x", "given", "message"),
    [
        (POINTS.long(), {}, "floats of shape"),
        (POINTS, {"directions": torch.zeros(1, 3)}, "directions"),
        (POINTS, {"directions": 3}, "1 to 2 axes"),
        (POINTS, {"directions": -1}, "1 to 2 axes"),
        (POINTS, {"operators": torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])}, "symmetric"),
        (POINTS, {"operators": "biharmonic"}, "operators"),
        (POINTS, {"operators": "laplacian", "order": 3}, "third"),
        (POINTS, {"operators": "diagonal", "order": 0}, "order; given: 0 with"),
        (POINTS, {"operators": "diagonal", "order": 1}, "order; given: 1 with"),
        (POINTS, {"operators": "diagonal", "order": 4}, "order; given: 4 with"),
        (POINTS, {"order": 2}, "order; given: 2 without"),
        (POINTS, {"engine": "magic"}, "engine"),
    ],
)
def test_jets_that_cannot_be(x, given, message):
    with pytest.raises(InputError, match=message):
        jet(field(2), x, **given)


def test_a_curl_needs_two_components():
    with pytest.raises(InputError, match="2 or more of each"):
        curl2d(field(2), POINTS)


def test_operators_take_no_other_words():
    with pytest.raises(TypeError, match="directions"):
        laplacian(field(2), POINTS, directions=1)
