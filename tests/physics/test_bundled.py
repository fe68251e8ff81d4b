"""Bundled problems vanish on their exact solutions."""

import math

import pytest
import torch
from known import Known

from deepwright.physics.bundled import PROBLEMS, named_problem, poisson_bands


@pytest.mark.filterwarnings("ignore:Known has no rule")
@pytest.mark.parametrize("name", [n for n in PROBLEMS if n not in ("burgers", "allen-cahn")])
def test_exact_solutions_leave_no_residual(name):
    problem = named_problem(name)
    exact = Known(problem.exact)
    for block in problem.blocks():
        few = tuple(t[:64] for t in block.tensors)
        with torch.enable_grad():
            assert float(block.residual(exact, *few).abs().max()) < 1e-10, block.name
    assert problem.error(exact)["u"] == 0.0


@pytest.mark.parametrize("name", ["burgers", "allen-cahn"])
def test_references_solve_their_equation_by_differences(name):
    """Their references go through NumPy, so the equation is checked by central differences."""
    problem = named_problem(name)
    z = torch.tensor([[0.3, 0.2], [-0.5, 0.4], [0.8, 0.6]], dtype=torch.float64)
    h = 1e-4

    def at(dx=0.0, dt=0.0):
        return problem.exact(z + torch.tensor([dx, dt], dtype=torch.float64))[:, 0]

    u, ut = at(), (at(dt=h) - at(dt=-h)) / (2 * h)
    ux, uxx = (at(h) - at(-h)) / (2 * h), (at(h) - 2 * u + at(-h)) / h**2
    r = ut + u * ux - 0.01 / math.pi * uxx if name == "burgers" else ut - 1e-4 * uxx - 5 * (u - u**3)
    assert float(r.abs().max()) < 2e-3
    x0 = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)
    start = problem.exact(torch.stack([x0, torch.zeros(7).double()], 1))[:, 0]
    expected = -torch.sin(math.pi * x0) if name == "burgers" else x0**2 * torch.cos(math.pi * x0)
    assert torch.allclose(start, expected, atol=1e-5)


def test_many_dimensions():
    problem = poisson_bands(10, ((1, 1.0),), points=64)
    assert problem.blocks()[0].tensors[0].shape == (64, 10)
