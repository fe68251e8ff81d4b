"""Kinetic steps against exact Gaussian flows, independent minimisers, inversion, conservation and linear theory."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.controls import AffineVelocity, AutogradVelocity, PotentialVelocity
from deepwright.physics.kinetic.gaussian import gaussian_jko
from deepwright.physics.kinetic.grid import chang_cooper, grid_solution
from deepwright.physics.kinetic.plasma import PlasmaWave, Poisson1d
from deepwright.physics.kinetic.sampling import equilibrium, knn_entropy
from deepwright.physics.kinetic.scheme import FoldedError, KineticJKO, PhaseSpaceParticles, substep
from deepwright.physics.kinetic.shared import train_shared
from deepwright.physics.kinetic.systems import (
    CallablePotential,
    DoubleWell,
    Free,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    PairInteraction,
    QuadraticInteraction,
    gaussian_flow,
    gaussian_free_energy,
    harmonic_matrices,
    langevin,
    sliced_w2,
)

TWO = """
import sys, torch
from deepwright.core.devices import Compute
from deepwright.core.files import save_state
from deepwright.physics.kinetic.scheme import KineticJKO
from deepwright.physics.kinetic.shared import train_shared
from deepwright.physics.kinetic.systems import GaussianMixture, Harmonic, KineticFokkerPlanck
torch.set_num_threads(1)
start = GaussianMixture.gaussian(torch.tensor([1.5, -0.5]), torch.tensor([[0.6, 0.1], [0.1, 0.3]]))
run = KineticJKO(KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1), start, step_size=0.1, batch=64, particles=64)
net = run.control()
train_shared(run, 3, net, iterations=5, compute=Compute(devices=2, strategy="ddp"))
save_state(f"{sys.argv[1]}-{torch.distributed.get_rank()}", net.state_dict())
torch.distributed.barrier()
"""
M0 = torch.tensor([1.5, -0.5], dtype=torch.float64)
S0 = torch.tensor([[0.6, 0.1], [0.1, 0.3]], dtype=torch.float64)
SYSTEM = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1)


def test_gaussian_flow_in_closed_form():
    a, q = harmonic_matrices(1.0, 1.0, 0.5)
    m, s = gaussian_flow(M0, S0, a, q, 1.0)
    assert m.tolist() == pytest.approx([0.72279663, -0.86335727], abs=1e-8)
    assert s.tolist() == [
        pytest.approx([0.5569854, -0.06879849], abs=1e-7),
        pytest.approx([-0.06879849, 0.51181309], abs=1e-7),
    ]
    assert gaussian_free_energy(M0, S0, 1.0, 0.5) == pytest.approx(0.72405068, abs=1e-8)
    assert gaussian_free_energy(m, s, 1.0, 0.5) == pytest.approx(0.06730984, abs=1e-7)
    late = gaussian_flow(M0, S0, a, q, 60.0)
    assert gaussian_free_energy(*late, 1.0, 0.5) == pytest.approx(-0.57236494, abs=1e-8)
    # critical damping: friction 2, stiffness 1
    a, q = harmonic_matrices(1.0, 2.0, 0.5)
    m, _ = gaussian_flow(torch.tensor([2.0, 0.0]).double(), S0, a, q, 0.7)
    assert m.tolist() == pytest.approx([1.68839003, -0.69521943], abs=1e-8)
    # free transport: Var v relaxes to T, Var x is the Ornstein-Uhlenbeck integral
    a, q = harmonic_matrices(0.0, 1.0, 1.0)
    _, s = gaussian_flow(torch.zeros(2).double(), torch.diag(torch.tensor([0.5, 1.0])).double(), a, q, 2.0)
    assert float(s[1, 1]) == pytest.approx(1.0)
    assert float(s[0, 0]) == pytest.approx(0.5 + 2 * (2 - 1 + math.exp(-2)))


def test_errors_of_first_order_as_published():
    a, q = harmonic_matrices(1.0, 1.0, 0.5)
    m, s = gaussian_flow(M0, S0, a, q, 1.0)
    for tau, expected in ((0.2, 4.87e-2), (0.1, 2.54e-2), (0.05, 1.30e-2), (0.025, 6.56e-3)):
        steps = gaussian_jko(SYSTEM, M0, S0, tau, round(1 / tau))
        gap = math.hypot(float((steps[-1][0] - m).norm()), float((steps[-1][1] - s).norm()))
        assert gap == pytest.approx(expected, rel=5e-3)
        energies = [
            gaussian_free_energy(M0, S0, 1.0, 0.5),
            *(gaussian_free_energy(x, y, 1.0, 0.5) for x, y, _ in steps),
        ]
        for before, after, (_, _, cost) in zip(energies, energies[1:], steps):
            assert after + cost <= before + 1e-9


def test_the_minimiser_is_scipys():
    """One step's moments from NumPy alone, minimised by BFGS."""
    tau = 0.1
    drift = np.array([[1, tau / 2], [0, 1]])
    m0, s0 = drift @ M0.numpy(), drift @ S0.numpy() @ drift.T

    def after(p):
        kick = np.array([[1, 0], [tau * (p[1] - 1), 1 + tau * p[2]]])
        return drift @ (kick @ m0 + [0, tau * p[0]]), drift @ kick @ s0 @ kick.T @ drift.T

    def objective(p):
        a = p[0] + p[1:] @ m0
        m, s = after(p)
        return 0.5 * tau * (a**2 + p[1:] @ s0 @ p[1:]) + 0.5 * (np.trace(s) + m @ m) - 0.25 * np.linalg.slogdet(s)[1]

    best = optimize.minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-10})
    m, s = after(best.x)
    ours = gaussian_jko(SYSTEM, M0, S0, tau, 1)[0]
    assert np.allclose(ours[0], m, atol=1e-6)
    assert np.allclose(ours[1], s, atol=1e-6)


def test_leapfrog_reverses_and_keeps_energy():
    x, v = torch.randn(50, 2, dtype=torch.float64), torch.randn(50, 2, dtype=torch.float64)
    system = KineticFokkerPlanck(DoubleWell(), 1.0, 1.0, 2)

    def go(x, v, h, n):
        for _ in range(n):
            x, v, logdet, _, _ = substep(system, None, 0.0, h, x, v)
            assert not logdet.any()
        return x, v

    y, w = go(x, v, 0.01, 100)
    back, _ = go(y, -w, 0.01, 100)
    assert torch.allclose(back, x, atol=1e-10)

    def energy(x, v):
        return 0.5 * v.square().sum(1) + system.potential.value(x)

    small = 0.3 * x, 0.3 * v
    drifts = [float((energy(*go(*small, h, round(1 / h))) - energy(*small)).abs().mean()) for h in (0.02, 0.01)]
    assert drifts[0] / drifts[1] == pytest.approx(4, rel=0.15)


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


def test_log_density_follows_the_map():
    """For the affine control the change is the determinant of the whole linear map, for the network that of autograd's."""
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 2)
    start = GaussianMixture.gaussian(torch.zeros(4), torch.eye(4))
    draw = torch.Generator().manual_seed(0)
    for velocity in ("affine", "potential"):
        run = KineticJKO(system, start, velocity=velocity, substeps=3, step_size=0.2, particles=20)
        control = run.control()
        with torch.no_grad():
            for p in control.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=draw, dtype=p.dtype))

        def whole(z, run=run, control=control):
            after, _, _ = run.flow(control, PhaseSpaceParticles(z[None, :2], z[None, 2:], torch.zeros(1).double()))
            return torch.cat([after.x[0], after.v[0]])

        p = run.now
        after, _, _ = run.flow(control, p)
        for i in (0, 3):
            z = torch.cat([p.x[i], p.v[i]])
            jacobian = torch.autograd.functional.jacobian(whole, z)
            expected = -torch.linalg.slogdet(jacobian)[1]
            assert float((after.log_density[i] - p.log_density[i]).detach()) == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.parametrize("scheme", ["constrained", "split"])
def test_a_run_keeps_the_energy_law_inverts_and_resumes(scheme, tmp_path):
    mixture = GaussianMixture(
        torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 0.0], [-1.0, 0.5]]), 0.2 * torch.eye(2).expand(2, 2, 2)
    )
    options = dict(step_size=0.1, iterations=40, first=120, batch=256, particles=512, scheme=scheme, seed=1)
    run = KineticJKO(SYSTEM, mixture, **options)
    infos = run.run(3)
    assert all(i.slack > -1e-3 for i in infos)
    assert all(b < a for a, b in itertools.pairwise(run.energies))
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)
    axis = torch.linspace(-5, 5, 161, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = float(run.log_prob(z[:, :1], z[:, 1:]).exp().sum() * (axis[1] - axis[0]) ** 2)
    assert mass == pytest.approx(1.0, abs=1e-3)
    first = KineticJKO(SYSTEM, mixture, **options)
    first.run(2, state_dir=tmp_path)
    again = KineticJKO(SYSTEM, mixture, **options)
    again.run(3, state_dir=tmp_path)
    assert torch.equal(again.now.log_density, run.now.log_density)
    assert again.energies == run.energies
    with pytest.raises(InputError, match="another seed"):
        KineticJKO(SYSTEM, mixture, **{**options, "seed": 2}).run(3, state_dir=tmp_path)
    with pytest.raises(InputError, match=r"0\.\.3"):
        run.sample(5, 9)
    assert len(run.sample(10, 1)) == 10


def test_particles_that_fold_are_left_out_where_asked():
    class Steep(nn.Module):
        """Folds where v > 1.5."""

        def forward(self, s, x, v):
            far = v > 1.5
            return torch.where(far, -30 * (v - 1.5), torch.zeros_like(v)), torch.where(far, -30.0, 0.0).double()[
                :, :, None
            ]

    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(torch.zeros(2), torch.eye(2)), particles=64, step_size=0.1)
    run.now = PhaseSpaceParticles(*(t[run.now.v[:, 0] < 1] for t in (run.now.x, run.now.v, run.now.log_density)))
    run.take(Steep())
    p = PhaseSpaceParticles.of(run.start, 500, torch.Generator().manual_seed(0))
    with pytest.raises(FoldedError):
        run.push(p)
    kept = run.push(p, drop=True)
    assert len(kept) == int((p.v <= 1.5).sum()) < 500
    with pytest.warns(UserWarning, match="folded on the way"):
        assert len(run.sample(300)) == 300


def test_quadratic_interaction_leaves_the_mean_free():
    system = KineticFokkerPlanck(Free(), 1.0, 0.5, 1, QuadraticInteraction(2.0))
    start = GaussianMixture.gaussian(torch.tensor([0.0, 1.0]), torch.diag(torch.tensor([0.5, 0.2])))
    run = KineticJKO(
        system,
        start,
        velocity="affine",
        step_size=0.05,
        iterations=150,
        first=400,
        batch=2048,
        particles=2048,
        rate=2e-2,
    )
    before = float(run.now.v.mean())
    run.run(4)
    assert float(run.now.v.mean()) == pytest.approx(before / 1.05**4, rel=0.02)  # friction by implicit steps
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)  # with the stored clouds


def test_pairs_keep_momentum():
    pair = PairInteraction(lambda r: torch.exp(-r.square().sum(1)))
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    force = pair.grad(x, x)
    assert float(force.sum(0).abs().max()) < 1e-12
    own = x.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(pair.energy(own), own)
    assert torch.allclose(slope * len(x), force, atol=1e-12)
    few = PairInteraction(lambda r: torch.exp(-r.square().sum(1)), batch=2000)
    assert torch.allclose(few.grad(x, torch.cat([x] * 100)), pair.grad(x.clone(), x), atol=0.1)
    quadratic = PairInteraction(lambda r: r.square().sum(1))
    assert torch.allclose(quadratic.grad(x.clone(), x), QuadraticInteraction(2.0).grad(x, x), atol=1e-12)


def test_sorted_particles_solve_poissons_equation():
    field = Poisson1d(2 * math.pi)
    n = 20_000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 * math.pi
    x = u.clone()
    for _ in range(30):  # density 1 + 0.3 cos x
        x = u - 0.3 * torch.sin(x)
    e = field.field(x[:, None], x[:, None])[:, 0]
    assert torch.allclose(e, 0.3 * torch.sin(x), atol=1e-3)
    assert float(field.energy(x[:, None])) == pytest.approx(0.5 * 0.09 / 2, rel=1e-3)


@pytest.mark.slow
def test_landau_damping():
    """Field energy of 1 + 0.05 cos(x / 2) with Maxwellian velocities falls by linear theory's 2 x 0.1533 between peaks."""
    length, n = 4 * math.pi, 2**17
    u = torch.quasirandom.SobolEngine(2, scramble=True, seed=1).draw(n, dtype=torch.float64)
    x = u[:, :1] * length
    for _ in range(40):
        x = u[:, :1] * length - 0.05 / 0.5 * torch.sin(0.5 * x)
    v = torch.special.ndtri(u[:, 1:].clamp(1e-9, 1 - 1e-9))
    field = Poisson1d(length)
    system = KineticFokkerPlanck(Free(), 1.0, 1.0, 1, field)
    times, energies = [], []
    for i in range(120):
        x, v, _, _, _ = substep(system, None, 0.0, 0.1, x, v)
        times.append(0.1 * (i + 1))
        energies.append(float(field.energy(x)))
    peaks = [i for i in range(1, 119) if energies[i - 1] < energies[i] > energies[i + 1]]
    slope = np.polyfit([times[i] for i in peaks], np.log([energies[i] for i in peaks]), 1)[0]
    assert slope == pytest.approx(-2 * 0.1533, rel=0.12)


def test_the_grid_solver_is_exact_on_gaussians_and_at_equilibrium():
    v = np.linspace(-7, 7, 129)[:-1] + 7 / 128
    operator = chang_cooper(v, 2.0, 0.7)
    maxwell = np.exp(-v * v / 1.4)
    assert np.abs(operator @ maxwell).max() < 1e-12 * np.abs(operator).max()
    assert np.abs(operator.sum(0)).max() < 1e-10
    start = GaussianMixture.gaussian(M0, S0)
    exact = start.evolved(*harmonic_matrices(1.0, 1.0, 0.5), 1.0)
    errors = []
    for points, step in ((96, 0.04), (192, 0.02)):
        found = grid_solution(
            SYSTEM, start, [0.0, 1.0], x_span=(-6.5, 6.5), v_max=5.5, points=(points, points), step=step
        )
        z = torch.cartesian_prod(found.x, found.v)
        truth = exact.log_prob(z[:, :1], z[:, 1:]).exp().reshape(points, points)
        errors.append(float((found.f[-1] - truth).abs().max()))
        assert found.mean(torch.ones(points, points)) == pytest.approx(1.0, abs=1e-12)
    assert errors[1] < 3e-4
    assert math.log2(errors[0] / errors[1]) > 1.8  # second order in the step and in the cells
    assert found.free_energy == pytest.approx([0.72405068, 0.06730984], abs=3e-4)
    x, u = found.sample(20_000)
    assert float(torch.cat([x, u], 1).mean(0).sub(exact.means[0]).abs().max()) < 0.03
    well = KineticFokkerPlanck(DoubleWell(), 1.0, 0.5, 1)
    narrow = GaussianMixture.gaussian(torch.zeros(2), 0.1 * torch.eye(2))
    late = grid_solution(well, narrow, [0.0, 12.0], x_span=(-3.5, 3.5), v_max=5.5, points=(96, 96), step=0.05)
    floor = -0.5 * math.log(
        math.sqrt(math.pi) * integrate.quad(lambda x: math.exp(-2 * (x * x - 1) ** 2), -5, 5)[0]
    )  # -T log Z
    assert late.free_energy[-1] == pytest.approx(floor, abs=5e-3)
    with pytest.raises(InputError, match="edge"):
        grid_solution(SYSTEM, start, [1.0], x_span=(-2, 2), v_max=2, points=(32, 32))
    with pytest.raises(InputError, match="rising"):
        grid_solution(SYSTEM, start, [1.0, 0.5], x_span=(-6, 6), v_max=5)
    with pytest.raises(InputError, match="dim=2"):
        grid_solution(KineticFokkerPlanck(Free(), dim=2), start, [1.0], x_span=(-6, 6), v_max=5)


def test_a_plasma_wave_is_what_it_says():
    wave = PlasmaWave(4 * math.pi, 0.3)
    x, v = wave.sample(2**14, torch.Generator().manual_seed(0))
    assert float(torch.cos(0.5 * x).mean()) == pytest.approx(0.15, abs=1e-3)
    assert float(v.square().mean()) == pytest.approx(1.0, abs=5e-3)
    z = torch.cartesian_prod(torch.linspace(0, 4 * math.pi, 201)[:-1].double(), torch.linspace(-7, 7, 201).double())
    assert float(wave.log_prob(z[:, :1], z[:, 1:]).exp().sum() * 4 * math.pi / 200 * 0.07) == pytest.approx(
        1.0, abs=1e-6
    )
    assert float(Poisson1d().energy(x)) == pytest.approx(0.5 * (0.3 / 0.5) ** 2 / 2, rel=1e-3)
    with pytest.raises(InputError, match="below 1"):
        PlasmaWave(amplitude=1.5)


def test_a_plasma_with_friction_follows_the_grid():
    """Two tenths of a plasma period with a network on the ring: field energy and free energy against the grid solver's."""
    length = 4 * math.pi
    system = KineticFokkerPlanck(Free(), 0.5, 1.0, 1, Poisson1d(length))
    start = PlasmaWave(length, 0.3)
    times = [0.0, 0.2, 0.4, 0.6]
    grid = grid_solution(system, start, times, x_span=(0, length), v_max=6.5, points=(32, 128), step=0.02)
    run = KineticJKO(
        system, start, step_size=0.1, iterations=60, first=150, batch=1024, particles=8192,
        velocity=lambda: PotentialVelocity(1, 16, ring=length),
    )  # fmt: skip
    run.run(until=0.6)
    assert len(run.infos) == 6
    assert float(system.interaction.energy(run.now.x)) == pytest.approx(grid.field_energy[-1], rel=0.03)
    assert run.energies[-1] == pytest.approx(grid.free_energy[-1], abs=3e-3)
    control = run.controls[-1]
    x, v = run.now.x[:5], run.now.v[:5]
    assert torch.allclose(control(0.0, x, v)[0], control(0.0, x + length, v)[0], atol=1e-12)


def test_steps_adapt_to_the_energy_and_resume(tmp_path):
    options = dict(
        step_size=0.02,
        tolerance=0.02,
        velocity="affine",
        iterations=80,
        first=200,
        batch=512,
        particles=1024,
        rate=1e-2,
    )
    start = GaussianMixture.gaussian(M0, S0)
    run = KineticJKO(SYSTEM, start, **options)
    run.run(until=1.5)
    assert run.times[-1] == pytest.approx(1.5, abs=1e-12)
    taus = [i.tau for i in run.infos]
    assert taus[1] > taus[0]
    assert len(taus) < 20  # 75 steps of the first size
    assert all(i.mismatch <= 4 * 0.02 for i in run.infos)
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)
    KineticJKO(SYSTEM, start, **options).run(3, state_dir=tmp_path)
    again = KineticJKO(SYSTEM, start, **options)
    again.run(until=1.5, state_dir=tmp_path)
    assert [i.tau for i in again.infos] == taus
    assert torch.equal(again.now.v, run.now.v)
    capped = KineticJKO(SYSTEM, start, **options, largest=0.03)
    capped.run(4)
    assert max(i.tau for i in capped.infos) <= 0.03
    with pytest.warns(UserWarning, match="below the sampling noise"):
        KineticJKO(SYSTEM, start, **{**options, "tolerance": 1e-9, "iterations": 5, "first": 5}).run(1)
    with pytest.raises(InputError, match="no end"):
        run.run()
    with pytest.raises(InputError, match="tolerance"):
        KineticJKO(SYSTEM, start, tolerance=0.0)


def test_one_control_for_all_steps(tmp_path):
    start = GaussianMixture.gaussian(M0, S0)

    class InTime(nn.Module):
        """Affine, each coefficient a straight line in time."""

        def __init__(self):
            super().__init__()
            self.ends = nn.ModuleList(AffineVelocity(1) for _ in range(2))

        def forward(self, t, x, v):
            (a, da), (b, db) = (e(0.0, x, v) for e in self.ends)
            return a + t * b, da + t * db

    options = dict(step_size=0.1, batch=512, particles=4096, rate=2e-2)
    run = KineticJKO(SYSTEM, start, **options)
    train_shared(run, 5, InTime(), iterations=300)
    scheme = gaussian_jko(SYSTEM, M0, S0, 0.1, 5)
    z = torch.cat([run.now.x, run.now.v], 1)
    assert torch.allclose(z.mean(0), scheme[-1][0], atol=0.06)
    assert all(i.slack > -5e-3 for i in run.infos)
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)
    with pytest.raises(InputError, match="fresh run"):
        train_shared(run, 5)


def test_entropy_from_neighbours():
    draw = torch.Generator().manual_seed(0)
    for d in (1, 2, 4):
        z = 2.0 * torch.randn(8000, d, generator=draw, dtype=torch.float64)
        exact = d * (0.5 * math.log(2 * math.pi * math.e) + math.log(2))
        assert knn_entropy(z) == pytest.approx(exact, abs=0.05)
    with pytest.raises(InputError, match="one place"):
        knn_entropy(torch.zeros(10, 2))
    start = GaussianMixture.gaussian(M0, S0)
    run = KineticJKO(SYSTEM, start, velocity="affine", iterations=1, first=1, batch=64, particles=1000)
    run.run(9)
    wrong = run.now
    run.now = PhaseSpaceParticles(wrong.x, wrong.v, wrong.log_density + 1.0)
    with pytest.warns(UserWarning, match="entropy"):
        info = run.step()
    assert info.entropy_gap == pytest.approx(-1.0, abs=0.1)


def test_particles_certify_an_equilibrium():
    """A Gaussian that is a little off the equilibrium: every number in closed form."""
    cov = torch.diag(torch.tensor([0.6, 0.5])).double()
    start = GaussianMixture.gaussian(torch.tensor([0.1, 0.0]).double(), cov)
    p = PhaseSpaceParticles.of(start, 200_000, torch.Generator().manual_seed(0))
    found = equilibrium(SYSTEM, p)
    assert found.free_energy == pytest.approx(-0.57236494, abs=1e-2)
    kl = 0.5 * (0.6 / 0.5 - 1 - math.log(0.6 / 0.5) + 0.01 / 0.5)
    assert found.divergence == pytest.approx(kl, abs=3e-3)
    # E w^2 of N(0, 1/2) over N(m, s): with r = 1/2 / s, exp(m^2 / (2 s - 1/2)) / sqrt(r (2 - r))
    r = 0.5 / 0.6
    assert found.share == pytest.approx(math.sqrt(r * (2 - r)) * math.exp(-0.01 / (2 * 0.6 - 0.5)), abs=5e-3)
    assert found.mean(p.x[:, 0] ** 2) == pytest.approx(0.5, abs=0.01)
    assert found.mean(p.x[:, 0]) == pytest.approx(0.0, abs=0.01)
    assert 0 < found.tail < 1e-3
    with pytest.raises(InputError, match="temperature"):
        equilibrium(KineticFokkerPlanck(Free(), 1.0, 1.0, 1, QuadraticInteraction()), p)


def test_langevin_and_distances():
    a, q = harmonic_matrices(1.0, 1.0, 0.5)
    exact = GaussianMixture.gaussian(M0, S0).evolved(a, q, 1.0)
    x, v = GaussianMixture.gaussian(M0, S0).sample(20_000, torch.Generator().manual_seed(0))
    x, v = langevin(SYSTEM, x, v, 1.0, 0.02, torch.Generator().manual_seed(1))
    z = torch.cat([x, v], 1)
    assert torch.allclose(z.mean(0), exact.means[0], atol=0.03)
    assert torch.allclose(torch.cov(z.T), exact.covariances[0], atol=0.03)
    y = torch.cat(exact.sample(20_000, torch.Generator().manual_seed(2)), 1)
    assert sliced_w2(z, y) < 0.03
    assert sliced_w2(z, y + torch.tensor([1.0, 0.0])) == pytest.approx(math.sqrt(0.5), rel=0.15)
    potential = CallablePotential(lambda x: (x * x - 1).square().sum(1))
    assert torch.allclose(potential.grad(x), DoubleWell().grad(x))


def test_bad_input():
    start = GaussianMixture.gaussian(M0, S0)
    with pytest.raises(InputError, match="friction"):
        KineticFokkerPlanck(Free(), -1.0)
    with pytest.raises(InputError, match="constrained"):
        KineticJKO(SYSTEM, start, scheme="euler")
    with pytest.raises(InputError, match="velocity"):
        KineticJKO(SYSTEM, start, velocity="cubic")
    with pytest.warns(UserWarning, match="temperature 0"):
        KineticJKO(KineticFokkerPlanck(Harmonic(), 1.0, 0.0), start)
    with pytest.raises(InputError, match="finite"):
        PhaseSpaceParticles(torch.zeros(2, 1), torch.zeros(2, 1), torch.tensor([0.0, math.nan]))
    with pytest.raises(InputError, match="2 or more"):
        PairInteraction(lambda r: r.sum(1)).energy(torch.zeros(1, 1))
    folding = AffineVelocity(1)
    with torch.no_grad():
        folding.bv.fill_(-20.0)
    with pytest.raises(FoldedError, match="2 of 2"):
        substep(SYSTEM, folding, 0.0, 0.1, torch.zeros(2, 1).double(), torch.ones(2, 1).double())


@pytest.mark.slow
def test_two_processes_train_one_control(two_processes):
    """Each takes particles of its own through the steps; their networks stay the same, and aren't that of one process."""
    first, second = two_processes(TWO)
    assert all(torch.equal(first[k], second[k]) for k in first)
    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), step_size=0.1, batch=64, particles=64)
    net = run.control()
    train_shared(run, 3, net, iterations=5)
    assert any(not torch.equal(first[k], v) for k, v in net.state_dict().items())
