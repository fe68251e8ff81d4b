"""Problems stated and solved: points, data, sides, errors."""

import runpy

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics import Box, Condition, PDEProblem, field, laplacian
from deepwright.physics.bundled import named_problem, poisson

SQUARE = Box((0, 1), (0, 1))


def test_data_and_sides():
    sensors = torch.tensor([[0.5, 0.5], [0.2, 0.7]], dtype=torch.float64)
    left = Condition("left", lambda u, x: u(x), "boundary", 30, keep=lambda x: x[:, 0] == 0)
    seen = Condition("seen", lambda u, x, y: u(x) - y, sensors, data=(torch.ones(2, 1).double(),))
    problem = PDEProblem("p", SQUARE, [Condition("lap", laplacian), left, seen])
    blocks = {b.name: b for b in problem.blocks()}
    assert len(blocks["left"]) == 30
    assert bool((blocks["left"].tensors[0][:, 0] == 0).all())
    assert torch.equal(blocks["seen"].tensors[0], sensors)
    assert set(problem.residuals(field(2), {"lap": sensors})) == {"lap"}
    assert problem.error(field(2)) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "middle"}, "unknown place"),
        ({"normal": True}, "normals on the boundary"),
        ({"scale": 0.0}, "above 0"),
        ({"data": (torch.ones(1, 1),)}, "points of your own"),
    ],
)
def test_conditions_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        Condition("c", laplacian, **options)


def test_a_start_needs_time():
    with pytest.raises(InputError, match="SpaceTime"):
        PDEProblem("p", SQUARE, [Condition("c", laplacian, "initial")]).blocks()


def test_points_outside_are_told():
    with pytest.raises(InputError, match="1 outside"):
        PDEProblem("p", SQUARE, [Condition("c", laplacian, torch.tensor([[2.0, 0.0]]).double())]).blocks()


def test_sides_that_nothing_is_on_are_refused():
    """`keep` takes nothing: told after a bounded number of draws."""
    with pytest.raises(InputError, match="condition 'c'; given: no point"):
        PDEProblem("p", SQUARE, [Condition("c", laplacian, keep=lambda x: x[:, 0] > 2, points=5)]).blocks()


def test_names_of_problems():
    with pytest.raises(InputError, match="unknown problem"):
        named_problem("posson")


def test_conditions_have_names_of_their_own():
    with pytest.raises(InputError, match="name of its own"):
        PDEProblem("p", SQUARE, [])


def test_a_network_is_trained_where_it_lives():
    with pytest.raises(InputError, match="where it lives"):
        poisson(20).solve(network=field(2), device="cpu")


def test_float32_networks_are_solved_in_float32():
    found = poisson(60).solve(schedule=[("lm", 5)], network=field(2, 1, (8,), dtype=torch.float32))
    assert found.training.loss < found.training.history[0]["loss"] * 1.0001
    assert next(found.network.parameters()).dtype == found(torch.rand(3, 2).double()).dtype == torch.float32


def test_points_are_not_spread_over_axes():
    """One coordinate where two belong would be broadcast to both."""
    found = poisson(20).solve(schedule=[], network=field(2, bounds=[(0, 1), (0, 1)]))
    assert found.training.steps == 0
    with pytest.raises(InputError, match=r"\(N, 2\)"):
        found(torch.zeros(3, 1).double())
    with pytest.raises(InputError, match="one an axis"):
        found.network(torch.zeros(3, 1).double())
    with pytest.raises(InputError, match="one an axis"):
        laplacian(found.network, torch.zeros(3, 1).double())


def test_time_is_not_negative():
    with pytest.raises(InputError, match="max_time"):
        poisson(20).solve(max_time=float("nan"), network=field(2))


STATED = """
import torch
from deepwright.physics import Box, Condition, PDEProblem, field, laplacian

STRENGTH = {strength}


def equation(u, x):
    return laplacian(u, x) + STRENGTH{more}


conditions = [Condition("equation", equation, points=30), Condition("edge", lambda u, x: u(x), "boundary", 12)]
problem = PDEProblem("membrane", Box((0, 1), (0, 1)), conditions, network=lambda: field(2, 1, (6,)))
"""


def solved_file(folder, strength=1.0, more=""):
    """A user's file, run and solved as `deepwright solve` does."""
    (folder / "membrane.py").write_text(STATED.format(strength=strength, more=more))
    problem = runpy.run_path(str(folder / "membrane.py"))["problem"]
    return problem.solve(schedule=[("lm", 4)], checkpoint=folder / "fit.pt")


def test_the_same_file_is_not_trained_again(tmp_path):
    first = solved_file(tmp_path)
    again = solved_file(tmp_path, more="  # said once more")
    assert again.training.resumed_at == 4
    assert torch.equal(again.least_squares.vector(), first.least_squares.vector())


@pytest.mark.parametrize("edit", [{"strength": 2.0}, {"more": " + u(x)"}], ids=["constant", "equation"])
def test_an_edited_equation_is_refused(edit, tmp_path):
    solved_file(tmp_path)
    with pytest.raises(InputError, match="another residual of equation"):
        solved_file(tmp_path, **edit)


def test_residuals_take_normals_and_data_with_their_points():
    out = Condition("out", lambda u, x, n: n, "boundary", normal=True)
    seen = Condition("seen", lambda u, x, y: y - x[:, :1], torch.full((2, 2), 0.5).double(), data=(torch.ones(2, 1),))
    problem = PDEProblem("p", SQUARE, [out, seen])
    x, n, y = (torch.rand(3, k, generator=torch.Generator().manual_seed(k)).double() for k in (2, 2, 1))
    found = problem.residuals(field(2), {"out": (x, n), "seen": (x, y)})
    assert torch.equal(found["out"], n)
    assert torch.equal(found["seen"], y - x[:, :1])


@pytest.mark.parametrize("points", [torch.zeros(3, 2), (torch.zeros(3, 2),), (torch.zeros(3, 2),) * 3])
def test_residuals_without_their_normals_are_refused(points):
    problem = PDEProblem("p", SQUARE, [Condition("out", lambda u, x, n: n, "boundary", normal=True)])
    with pytest.raises(InputError, match="normals"):
        problem.residuals(field(2), {"out": points})


def test_residuals_of_unknown_conditions_are_refused():
    problem = PDEProblem("p", SQUARE, [Condition("lap", laplacian)])
    with pytest.raises(InputError, match="unknown condition"):
        problem.residuals(field(2), {"lab": torch.zeros(3, 2)})
