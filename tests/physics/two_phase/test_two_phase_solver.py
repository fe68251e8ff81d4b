"""The solver finds flows, properties and interfaces."""

import math
from dataclasses import replace

import pytest
import torch
from known_flows import FEW

from deepwright.core.errors import InputError
from deepwright.physics import jet
from deepwright.physics.two_phase import (
    Interface,
    PointCounts,
    Smeared,
    TwoPhasePINN,
    carry,
    droplet,
    one_network,
)


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


@pytest.mark.slow
def test_baselines_run():
    for solver in (
        one_network(droplet(), (6,), 0, counts=FEW),
        one_network(droplet(), (6,), 0, distance=True, counts=FEW),
        one_network(droplet(), (6,), 0, numbered=True, counts=FEW),
        Smeared(droplet(), (6,), 0.5, counts=FEW),
    ):
        before = float(solver.least_squares().loss().detach())
        assert solver.fit([("lm", 25)]).loss < 0.9 * before
    kinked = one_network(droplet(), (6,), 0, distance=True, counts=FEW)
    z = kinked.space.sample(10)
    for i in (0, 1):
        a, b = (jet(kinked.model.nets[i], z, None, "laplacian", engine=e) for e in ("jet", "func"))
        assert torch.allclose(a.S, b.S, atol=1e-9)


def test_one_network_that_is_told_the_phase_jumps_and_has_jets():
    solver = one_network(droplet(), (6,), 0, numbered=True, distance=True, counts=FEW)
    z = solver.space.sample(10)
    assert solver.model.nets[0][-1] is solver.model.nets[1][-1]
    assert float((solver.model.phase_forward(0, z) - solver.model.phase_forward(1, z)).abs().min()) > 0
    for i in (0, 1):
        a, b = (jet(solver.model.nets[i], z, None, "laplacian", engine=e) for e in ("jet", "func"))
        assert torch.allclose(a.J, b.J, atol=1e-9)
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


def test_fluids_of_no_viscosity_are_refused():
    with pytest.raises(InputError, match="all above 0"):
        droplet(mu=(0.0, 1.0))


def test_an_interface_that_leaves_the_domain_is_told_with_its_time():
    with pytest.raises(InputError, match=r"outside the domain at t = 0\.[0-9]"):
        droplet(velocity=(2.0, 0.0))


def test_a_phase_without_points_is_refused():
    empty = Interface(lambda z: torch.ones(len(z)), 2, droplet().interface.sample)
    with pytest.raises(InputError, match="points of phase 0; given: no point"):
        TwoPhasePINN(replace(droplet(), interface=empty), (4,), counts=FEW).blocks()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: droplet(mu=(math.nan, 1.0)), "all above 0"),
        (lambda: droplet(end=0.0), "start < end"),
        (lambda: PointCounts(interior=0), "1 or more of each kind"),
        (lambda: TwoPhasePINN(droplet(free=16), (4,)).fit_free(tolerance=math.nan), "a tolerance of 0 or more"),
        (lambda: carry(torch.zeros(1, 2), lambda z: z[:, :2], (0.0, 1.0), 0), "1 or more"),
    ],
    ids=["viscosity", "time", "counts", "tolerance", "steps"],
)
def test_numbers_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_only_markers_are_free():
    with pytest.raises(InputError, match="Markers"):
        TwoPhasePINN(droplet(), (4,), counts=FEW).fit_free()


def test_no_sweeps_are_refused():
    with pytest.raises(InputError, match="sweeps"):
        TwoPhasePINN(droplet(free=16), (4,), counts=FEW).fit_free(sweeps=0)


def test_a_boundary_of_another_shape_is_refused():
    with pytest.raises(InputError, match="boundary"):
        TwoPhasePINN(replace(droplet(), boundary=lambda z: z), (4,), counts=FEW).blocks()


def test_points_without_time_are_refused():
    solver = TwoPhasePINN(droplet(), (4,), counts=FEW)
    for look in (solver.predict, lambda z: solver.stress(z, 0)):
        with pytest.raises(InputError, match="space and time"):
            look(torch.zeros(3, 2).double())


def test_numbers_of_a_flow():
    numbers = droplet().numbers(0.5, 1.0)
    assert numbers["Re_0"] == pytest.approx(0.1)
    assert numbers["mu contrast"] == 10


def test_the_parameters_are_counted():
    assert TwoPhasePINN(droplet(), (16, 16), counts=FEW).least_squares().size == 774


@pytest.mark.filterwarnings("ignore:the interface still moved")
def test_the_users_problem_stays_as_it_is():
    problem = droplet(free=16)
    interface, path = problem.interface, problem.interface.path.clone()
    solver = TwoPhasePINN(problem, (4,), counts=FEW)
    found = solver.fit_free(first=[("lm", 2)], later=[("lm", 1)], sweeps=2)
    assert problem.interface is interface
    assert torch.equal(interface.path, path)
    assert solver.problem.interface is solver.model.interface is found.interface


def test_a_problem_cannot_be_changed_under_its_solver():
    problem = droplet()
    with pytest.raises(AttributeError):
        problem.rho = (1.0, 1.0)


def test_a_curve_that_stands_still_because_nothing_was_solved_has_not_converged():
    solver = TwoPhasePINN(droplet(free=16), (4,), counts=FEW)
    with pytest.warns(UserWarning, match="took no step"):
        found = solver.fit_free(first=[("lm", 0)], later=[("lm", 0)], sweeps=3, steps=10)
    assert not found.converged
    assert len(found.moves) == 3


@pytest.mark.filterwarnings("ignore:the interface still moved")
def test_a_free_interface_goes_on_to_the_same_bits(tmp_path):
    def run(checkpoint, sweeps):
        solver = TwoPhasePINN(droplet(free=16), (4,), counts=FEW)
        options = {"first": [("lm", 2)], "later": [("lm", 1)], "tolerance": 0.0, "steps": 10}
        return solver.fit_free(sweeps=sweeps, checkpoint=checkpoint, **options).interface.path

    run(tmp_path / "flow.pt", 1)
    assert torch.equal(run(tmp_path / "flow.pt", 2), run(None, 2))
