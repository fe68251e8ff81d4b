"""Hard conditions: kept exactly, by jets and by gradients alike, certified as what they are, resumed only as they were."""

import math

import pytest
import torch
from known import Known

from deepwright.core.errors import InputError
from deepwright.physics import Ball, Box, SpaceTime, field, jet, laplacian
from deepwright.physics.geometry import Difference
from deepwright.physics.solve import Condition, Hard, HardNetwork, PDEProblem, Unknown, certify

LINE = Box((0, 1))


def bridge(**options):
    """u'' = 2 with u(0) = 1 and u(1) = 4: u = 1 + 2 x + x^2, held at both ends."""
    law = Condition("law", lambda u, x: laplacian(u, x) - 2, points=60)
    hard = Hard(LINE.smooth_distance, value=lambda x: 1 + 3 * x)
    stated = {"exact": lambda x: 1 + 2 * x + x**2, "network": lambda: field(1, hidden=(8,)), "hard": hard, **options}
    return PDEProblem("bridge", LINE, [law], **stated)


def test_an_equation_with_held_ends_needs_no_condition_for_them():
    found = bridge().solve(schedule=[("lm", 20)])
    assert found.errors["u"] < 1e-6
    ends = found(torch.tensor([[0.0], [1.0]], dtype=torch.float64))
    assert ends.tolist() == [[1.0], [4.0]]  # to the bit, not to a tolerance


@pytest.mark.slow
def test_the_certificate_knows_what_is_held():
    problem = bridge()
    report = certify(problem, problem.solve(schedule=[("lm", 20)]).network)
    assert report.certified
    assert (report.undetermined, report.bound < 1e-5) == (0, True)
    assert report.missed == pytest.approx(report.errors["u"], rel=0.2, abs=1e-9)
    open_end = bridge(hard=Hard(lambda x: x, value=lambda x: 1 + 0 * x))  # u(1) isn't held: a + b x is free in b
    assert certify(open_end, HardNetwork(Known(lambda x: 2 + x), open_end.hard)).undetermined == 1


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("operators", [None, "laplacian", "diagonal", "hessian"])
def test_jets_are_nested_gradients(components, operators):
    plate = Difference(Box((0, 1), (0, 1)), Ball((0.5, 0.5), 0.2))
    each = Hard(lambda x: torch.stack([x[:, 0], x[:, 1] ** 2], 1)[:, :components], lambda x: torch.sin(x[:, :1]))
    for hard in (Hard(plate.smooth_distance), Hard(plate.smooth_distance, lambda x: x[:, 0] * x[:, 1]), each):
        u = HardNetwork(field(2, components, (5,)), hard)
        x = plate.sample(20)
        fast, slow = (jet(u, x, None, operators, engine=engine) for engine in ("jet", "autograd"))
        for a, b in zip((fast.v, fast.J, fast.S), (slow.v, slow.J, slow.S)):
            assert a is b is None or torch.allclose(a, b, atol=1e-9)


def test_third_derivatives():
    u = HardNetwork(field(1, 1, (5,)), Hard(lambda x: x**3, lambda x: torch.exp(x)))
    x = LINE.sample(9)
    fast, slow = (jet(u, x, None, "diagonal", order=3, engine=engine) for engine in ("jet", "autograd"))
    torch.testing.assert_close(fast.T, slow.T)


@pytest.mark.slow
def test_a_start_and_sides_that_are_held_in_time():
    """Heat: u = sin pi x at the start and 0 at the sides, all by form; only the equation is trained."""
    second = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))[None]

    def heat(u, z):
        out = jet(u, z, None, second)
        return out.J[1] - 0.1 * out.S[0]

    problem = PDEProblem(
        "heat",
        SpaceTime(LINE, (0, 1)),
        [Condition("heat", heat, points=150)],
        hard=Hard(lambda z: z[:, 1] * LINE.smooth_distance(z[:, :1]), lambda z: torch.sin(math.pi * z[:, :1])),
        exact=lambda z: torch.exp(-0.1 * math.pi**2 * z[:, 1:]) * torch.sin(math.pi * z[:, :1]),
    )
    found = problem.solve(network=field(2, hidden=(8, 8)), schedule=[("lm", 25)])
    assert found.errors["u"] < 1e-4
    assert certify(problem, found.network).certified


def test_held_conditions_and_unknowns_go_together():
    """u'' = k with u(0.5) seen: k = 2."""
    seen = torch.tensor([[0.5]], dtype=torch.float64)
    conditions = [
        Condition("law", lambda u, x: laplacian(u, x) - u.k, points=40),
        Condition("seen", lambda u, x: u(x) - 2.25, seen),
    ]
    problem = bridge(unknowns=[Unknown("k", 0.5)])
    problem = PDEProblem("p", LINE, conditions, hard=problem.hard, unknowns=problem.unknowns, network=problem.network)
    assert problem.solve(schedule=[("lm", 30)]).unknowns["k"].value == pytest.approx(2, abs=1e-4)


def test_other_held_conditions_do_not_go_on_from_a_checkpoint(tmp_path):
    bridge().solve(schedule=[("lm", 2)], checkpoint=tmp_path / "fit.pt")
    other = bridge(hard=Hard(LINE.smooth_distance, value=lambda x: 1 + 2 * x), exact=None)
    with pytest.raises(InputError, match="model"):
        other.solve(schedule=[("lm", 2)], checkpoint=tmp_path / "fit.pt")


def test_a_plate_with_a_hole():
    """lap u = 4 with u = x^2 + y^2 on the square's edge and around the hole."""
    plate = Difference(Box((0, 1), (0, 1)), Ball((0.5, 0.5), 0.2))
    conditions = [
        Condition("law", lambda u, x: laplacian(u, x) - 4, points=200),
        Condition("edge", lambda u, x: u(x) - x.square().sum(1, keepdim=True), "boundary", 120, weight=10.0),
    ]
    problem = PDEProblem("plate", plate, conditions, exact=lambda x: x.square().sum(1, keepdim=True))
    found = problem.solve(network=field(2, hidden=(10,)), schedule=[("lm", 30)])
    assert found.errors["u"] < 1e-3
    assert certify(problem, found.network).certified


@pytest.mark.parametrize("name", ["distance", "value"])
def test_held_values_that_are_no_numbers_are_refused(name):
    hole = {"distance": LINE.smooth_distance} | {name: lambda x: torch.where(x > 0.5, torch.nan, 0 * x)}
    with pytest.raises(InputError, match=f"{name} of Hard.*no finite number at 1 of 2 points"):
        getattr(Hard(**hole), f"{name}_at")(torch.tensor([[0.2], [0.7]]))
