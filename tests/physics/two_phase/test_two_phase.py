"""Exact flows leave no residual, interfaces know their geometry, and the solver finds both."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import Block, Box, LeastSquaresProblem, field, jet
from deepwright.physics.solve import covariance
from deepwright.physics.two_phase import (
    AxisymmetricNet,
    Interface,
    Markers,
    PiecewiseNet,
    PointCounts,
    Several,
    Slabs,
    Smeared,
    SquaredRadius,
    TwoPhasePINN,
    TwoPhaseProblem,
    carry,
    core_flow,
    droplet,
    general,
    layers,
    moving_integral,
    one_network,
    ring,
    static_ball,
    static_droplet,
    transport_gap,
)

FEW = PointCounts(40, 30, 30, 30, 8)


class Known(nn.Module):
    """An exact phase as a network; jets come from nested gradients."""

    def __init__(self, exact, phase):
        super().__init__()
        self.exact, self.phase, self.idle = exact, phase, nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, z):
        return self.exact(self.phase, z) + 0 * self.idle


def exact_solver(problem, **options):
    solver = TwoPhasePINN(problem, (4,), counts=FEW, **options)
    solver.model = PiecewiseNet([Known(problem.exact, i) for i in range(problem.phases)], problem.interface)
    return solver


class KnownAround(nn.Module):
    """An exact flow around an axis as (r^2, z, t) -> (u_r / r, u_z, p)."""

    def __init__(self, exact, phase):
        super().__init__()
        self.known = Known(exact, phase)

    def forward(self, z):
        r = z[:, :1].sqrt()
        out = self.known(torch.cat([r, z[:, 1:]], 1))
        return torch.cat([out[:, :1] / r, out[:, 1:]], 1)


def droplet_pull(z, normal):
    """sigma n of the outer fluid, by differentiating the exact droplet."""
    exact = droplet().exact

    def at(p, n):
        slope = torch.func.jacrev(lambda q: exact(1, q[None])[0])(p)[:2, :2]
        return -exact(1, p[None])[0, 2] * n + (slope + slope.T) @ n

    return torch.func.vmap(at)(z, normal)


@pytest.mark.filterwarnings("ignore:Known has no rule")
@pytest.mark.parametrize(
    "problem",
    [
        droplet(),
        droplet((0.3, 7.0), (1.0, 5.0), tension=2.0, velocity=(-0.2, 0.3)),
        general(),
        general((1.0, 4.0)),
        static_droplet(),
        static_droplet(dim=3),
        layers(),
        layers((0.2, 0.4, 0.7), (1.0, 4.0, 0.5, 2.0), (1.0, 2.0, 3.0, 4.0), (0.1, 2.0, 1.0)),
        replace(droplet(), traction=(lambda z: z[:, 0] > 0.999, lambda z, n: droplet_pull(z, n))),
    ],
)
def test_exact_flows_leave_no_residual(problem):
    solver = exact_solver(problem)
    for block in solver.blocks():
        r = block.residual(solver.model, *block.tensors)
        assert float(r.detach().abs().max()) < 1e-10, block.name
    assert next(v for k, v in solver.errors(500).items() if k.startswith("u")) == 0.0


@pytest.mark.filterwarnings("ignore:Known has no rule")
def test_wrong_physics_is_noticed():
    """The tension's sign, and the gradient in place of the whole 2 mu D."""
    problem = replace(droplet(), surface_tension=-1.0)
    solver = exact_solver(problem, scale=False)
    (block,) = [b for b in solver.blocks() if b.name == "interface"]
    wrong = block.residual(solver.model, *block.tensors)[:, 2:].detach().norm(dim=1)
    assert torch.allclose(wrong, torch.full_like(wrong, 2 * 1.0 / 0.5))  # 2 gamma / R
    problem = general()
    solver = exact_solver(problem)
    (block,) = [b for b in solver.blocks() if b.name == "interface"]
    z, normal, _, tau = block.tensors  # no surface tension
    half = sum(
        (-1) ** i
        * (
            problem.mu[i] * torch.einsum("ncj,nj->nc", solver.model.flow(i, z).grad, normal)
            - solver.model.flow(i, z).p[:, None] * normal
        )
        for i in (0, 1)
    )
    assert float((half - tau).detach().abs().max()) > 1e-2


@pytest.mark.filterwarnings("ignore:Known")
@pytest.mark.filterwarnings("ignore:Sequential")
@pytest.mark.parametrize("problem", [core_flow(), core_flow((0.5, 3.0), 0.3, tension=2.0), static_ball()])
def test_exact_flows_around_an_axis_leave_no_residual(problem):
    """A wall of curvature 1 / R around the pipe's axis, and a ball of 2 / R."""
    solver = TwoPhasePINN(problem, (4,), counts=FEW)
    nets = [nn.Sequential(SquaredRadius(), KnownAround(problem.exact, i)) for i in (0, 1)]
    solver.model = AxisymmetricNet(nets, problem.interface)
    for block in solver.blocks():
        r = block.residual(solver.model, *block.tensors)
        assert float(r.detach().abs().max()) < 1e-8, block.name
    assert all(float(b.tensors[0][:, 0].min()) >= 0 for b in solver.blocks())


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


def test_what_is_unknown_is_fitted_with_its_deviation():
    """Viscosity of the outer fluid and the tension, from measured velocities and pressures."""
    problem = droplet((2.0, 1.0))
    draw = torch.Generator().manual_seed(0)
    z = TwoPhasePINN(problem, (4,)).space.sample(80, generator=draw)
    inside = (problem.interface.phase(z) == 0)[:, None]
    truth = torch.where(inside, problem.exact(0, z), problem.exact(1, z))
    noise = 0.01
    noisy = truth + noise * torch.randn(truth.shape, generator=draw, dtype=torch.float64)
    measured = replace(problem, observations=(z, noisy[:, :2]), pressures=(z, noisy[:, 2]))
    solver = TwoPhasePINN(measured, (8,), counts=PointCounts(80, 50, 50, 60, 8), unknown={"mu1": 2.0, "gamma": 0.5})
    solver.fit([("lm", 60)])
    found = solver.estimates(noise)
    for name in ("mu1", "gamma"):
        value, deviation = found[name]
        assert value == pytest.approx(1.0, abs=0.1)
        assert 0 < deviation < 0.2
    assert TwoPhasePINN(problem, (4,)).estimates(0.1) == {}
    with pytest.raises(InputError, match="guesses above 0"):
        TwoPhasePINN(problem, (4,), unknown={"viscosity": 1.0})
    with pytest.raises(InputError, match="guesses above 0"):
        TwoPhasePINN(problem, (4,), unknown={"mu0": -1.0})


def test_covariance_of_a_line():
    """Least squares on y = a + b x: sigma^2 (X^T X)^-1, whatever the weight; a noiseless second block tightens it."""
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    line = nn.Linear(1, 1, dtype=torch.float64)
    block = Block("data", lambda m, x, y: m(x) - y, (x, 2 * x + 1), 7.0)
    found = covariance(LeastSquaresProblem(line, [block]), {"data": 0.3})
    design = torch.cat([x, torch.ones_like(x)], 1)
    assert torch.allclose(found, 0.09 * torch.linalg.inv(design.T @ design), rtol=1e-8)
    pin = Block("pin", lambda m, x: m(x) - 1, (torch.zeros(1, 1, dtype=torch.float64),), 1e6)
    both = LeastSquaresProblem(line, [block, pin])
    assert float(covariance(both, {"data": 0.3}, ["bias"])) < 1e-6
    assert float(covariance(both, {"data": 0.3}, ["weight"])) == pytest.approx(float(found[0, 0]), rel=1e-4)
    with pytest.raises(InputError, match="noise"):
        covariance(both, {"other": 0.1})
    with pytest.raises(InputError, match="fitted"):
        covariance(both, {"data": 0.1}, ["slope"])


def test_slabs_go_on_from_each_other(tmp_path):
    problem = droplet(end=0.4)
    options = {"hidden": (8,), "counts": FEW}
    slabs = Slabs(problem, 0.2, **options).fit([("lm", 40)])
    assert slabs.edges == pytest.approx([0.0, 0.2, 0.4])
    first, second = slabs.solvers
    z = torch.cat([first.space.sample(50), second.space.sample(50)])
    assert torch.equal(slabs.predict(z)[:50], first.predict(z[:50]))
    assert torch.equal(slabs.predict(z)[50:], second.predict(z[50:]))
    (start,) = [b for b in second.blocks() if b.name == "start 1"]
    at, u = start.tensors
    assert torch.allclose(at[:, 2], torch.full_like(at[:, 2], 0.2))
    assert torch.allclose(u, first.model.phase_forward(1, at)[:, :2])
    assert slabs.errors(500)["u"] < 0.2
    halfway = Slabs(problem, 0.2, **options)
    halfway.edges = halfway.edges[:2]
    halfway.fit([("lm", 40)], checkpoint=tmp_path / "flow.pt")
    again = Slabs(problem, 0.2, **options).fit([("lm", 40)], checkpoint=tmp_path / "flow.pt")
    assert torch.equal(again.predict(z), slabs.predict(z))
    with pytest.raises(InputError, match="slabs solved"):
        Slabs(problem, 0.2, **options).predict(z)
    with pytest.raises(InputError, match="above 0"):
        Slabs(problem, 0.0)
    moving = Slabs(droplet(free=32, end=0.2), 0.1, (8,), counts=FEW)
    with pytest.warns(UserWarning, match="still moved"):
        moving.fit_free(first=[("lm", 15)], later=[("lm", 5)], sweeps=1, keep_area=True)
    one, two = (s.problem.interface for s in moving.solvers)
    assert torch.allclose(one.path[-1], two.path[0])
    assert len(moving.tracked[0].shifts) == 1


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


@pytest.mark.filterwarnings("ignore:Known has no rule")
def test_layers_of_fluid():
    """Poiseuille in two layers: quadratics that meet with equal stress (flat interface from a level set)."""
    mu, push = (2.0, 0.5), 1.0
    # u_i = -push y^2 / (2 mu_i) + b y / mu_i + c on [-1, 1], zero at both walls, interface at 0
    b = push / 2 * (1 / mu[1] - 1 / mu[0]) / (1 / mu[1] + 1 / mu[0])
    c = push / (2 * mu[1]) - b / mu[1]

    def exact(phase, z):
        y = z[:, 1]
        u = -push * y**2 / (2 * mu[phase]) + b * y / mu[phase] + c
        return torch.stack([u, 0 * u, -push * z[:, 0]], 1)

    domain = Box((-1, 1), (-1, 1))
    layers = Interface.from_level_set(lambda z: z[:, 1] + 0 * z[:, 0], domain)

    def edge(z):
        return torch.where(z[:, 1:2] < 0, exact(0, z), exact(1, z))[:, :2]

    problem = TwoPhaseProblem(
        domain,
        (0.0, 1.0),
        (1.0, 1.0),
        mu,
        layers,
        edge,
        (lambda z: exact(0, z)[:, :2], lambda z: exact(1, z)[:, :2]),
        exact=exact,
    )
    solver = exact_solver(problem)
    assert abs(float(exact(0, torch.tensor([[0.0, -1.0, 0.0]]))[0, 0])) < 1e-12
    for block in solver.blocks():
        assert float(block.residual(solver.model, *block.tensors).detach().abs().max()) < 1e-10, block.name


def test_swapped_labels_give_the_same_loss():
    problem = general()
    swapped = TwoPhaseProblem(
        problem.domain, problem.t_span, problem.rho[::-1], problem.mu[::-1],
        Interface(lambda z: -problem.interface.level(z), 2, lambda n, s, g: (on := problem.interface.sample(n, s, g))._replace(normal=-on.normal, curvature=-on.curvature)),
        problem.boundary, problem.initial[::-1], problem.body_force[::-1], 0.0, lambda z, n: problem.stress_jump(z, -n), problem.pressure,
    )  # fmt: skip
    one, two = TwoPhasePINN(problem, (6,), counts=FEW), TwoPhasePINN(swapped, (6,), counts=FEW)
    two.model = PiecewiseNet(list(one.model.nets)[::-1], swapped.interface)
    names = {"flow 0": "flow 1", "flow 1": "flow 0", "start 0": "start 1", "start 1": "start 0"}
    theirs = {b.name: b for b in two.blocks()}
    for b in one.blocks():
        other = theirs[names.get(b.name, b.name)]
        tensors = b.tensors
        if b.name in ("edge", "pressure"):
            tensors = (*tensors[:-1], 1 - tensors[-1])
        if b.name == "interface":
            tensors = (tensors[0], -tensors[1], -tensors[2], tensors[3])
        a = b.residual(one.model, *b.tensors).detach().square().sum()
        assert torch.allclose(a, other.residual(two.model, *tensors).detach().square().sum())


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
    """d/dt of the energy inside equals its change there and what the moving edge takes in; a wrong edge velocity doesn't."""
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


@pytest.mark.slow
def test_the_droplet_is_found_and_one_network_does_not():
    solver = TwoPhasePINN(droplet(), (16, 16))
    solver.fit([("lm", 60)])
    errors = solver.errors()
    assert errors["u"] < 5e-3
    assert errors["p"] < 0.1
    assert set(solver.error_indicator()) == {"flow 0", "flow 1", "interface", "edge", "start 0", "start 1", "pressure"}
    for single in (one_network(droplet(), (24, 24), 0), Smeared(droplet(), (24, 24), 0.5)):
        single.fit([("lm", 60)])
        assert single.errors()["p"] > 5 * errors["p"]


def test_baselines_run():
    for solver in (
        one_network(droplet(), (6,), 0, counts=FEW),
        one_network(droplet(), (6,), 0, distance=True, counts=FEW),
        Smeared(droplet(), (6,), 0.5, counts=FEW),
    ):
        before = float(solver.least_squares().loss().detach())
        assert solver.fit([("lm", 25)]).loss < 0.9 * before
    kinked = one_network(droplet(), (6,), 0, distance=True, counts=FEW)
    z = kinked.space.sample(10)
    for i in (0, 1):
        a, b = (jet(kinked.model.nets[i], z, None, "laplacian", engine=e) for e in ("jet", "func"))
        assert torch.allclose(a.S, b.S, atol=1e-9)


@pytest.mark.slow
def test_a_free_interface_is_tracked(tmp_path):
    """From a frozen circle: the centre at the end is where the fluid carries it."""
    problem = droplet(free=48)
    solver = TwoPhasePINN(problem, (12, 12))
    tracked = solver.fit_free(
        first=[("lm", 40)], later=[("lm", 20)], sweeps=6, tolerance=2e-3, checkpoint=tmp_path / "flow.pt"
    )
    assert tracked.converged
    centre = tracked.interface.path[-1].mean(0)
    assert float((centre - torch.tensor([0.1, 0.1])).norm()) < 5e-3
    assert len(list(tmp_path.glob("flow.sweep-*.pt"))) == len(tracked.moves)


def test_bad_input():
    with pytest.raises(InputError, match="all above 0"):
        droplet(mu=(0.0, 1.0))
    with pytest.raises(InputError, match=r"outside the domain at t = 0\.[0-9]"):
        droplet(velocity=(2.0, 0.0))
    with pytest.raises(InputError, match="points of phase 0; given: no point"):
        empty = Interface(lambda z: torch.ones(len(z)), 2, droplet().interface.sample)
        TwoPhasePINN(replace(droplet(), interface=empty), (4,), counts=FEW).blocks()
    with pytest.raises(InputError, match="crosses itself at t = 0"):
        t = 2 * math.pi * torch.arange(32).double() / 32
        Markers.frozen(torch.stack([torch.sin(t), torch.sin(2 * t)], 1), (0, 1))
    with pytest.raises(InputError, match="Markers"):
        TwoPhasePINN(droplet(), (4,), counts=FEW).fit_free()
    with pytest.raises(InputError, match="8 or more"):
        Markers(torch.zeros(3, 4, 2), (0, 1))
    with pytest.raises(InputError, match="no point; expected: zeros"):
        Interface.from_level_set(lambda z: z[:, 0] ** 2 + 1, Box((-1, 1), (-1, 1))).sample(5, (0, 1), torch.Generator())
    with pytest.raises(InputError, match="boundary"):
        TwoPhasePINN(replace(droplet(), boundary=lambda z: z), (4,), counts=FEW).blocks()
    numbers = droplet().numbers(0.5, 1.0)
    assert numbers["Re_0"] == pytest.approx(0.1)
    assert numbers["mu contrast"] == 10
    squares = TwoPhasePINN(droplet(), (16, 16), counts=FEW).least_squares()
    assert isinstance(squares, LeastSquaresProblem)
    assert squares.size == 774
    assert field(3, 3, (16, 16))(torch.zeros(2, 3).double()).shape == (2, 3)
