"""Exact flows leave no residual, and wrong physics leaves one."""

from dataclasses import replace

import pytest
import torch
from known_flows import FEW, KnownAround, droplet_pull, exact_solver
from torch import nn

from deepwright.physics import Box
from deepwright.physics.two_phase import (
    AxisymmetricNet,
    Interface,
    PiecewiseNet,
    SquaredRadius,
    TwoPhasePINN,
    TwoPhaseProblem,
    core_flow,
    droplet,
    general,
    layers,
    static_ball,
    static_droplet,
)


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

    def turned(n, span, generator):
        on = problem.interface.sample(n, span, generator)
        return on._replace(normal=-on.normal, curvature=-on.curvature)

    swapped = TwoPhaseProblem(
        problem.domain,
        problem.t_span,
        problem.rho[::-1],
        problem.mu[::-1],
        Interface(lambda z: -problem.interface.level(z), 2, turned),
        problem.boundary,
        problem.initial[::-1],
        problem.body_force[::-1],
        0.0,
        lambda z, n: problem.stress_jump(z, -n),
        problem.pressure,
    )
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
