"""Budgets: the projection is the nearest point, the filling the best one, and rounding stays within."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from deepwright.adversarial.patches import attenuated, energy_shares
from deepwright.adversarial.patches.energy import filled, projected, rounded_down
from deepwright.core.errors import InputError
from deepwright.core.randomness import generator


def rows(k=5, m=40, seed=0):
    rng = generator(seed)
    cap = torch.rand(k, m, generator=rng, dtype=torch.float64)
    cap[0, 30:] = 0
    return torch.randn(k, m, generator=rng, dtype=torch.float64), cap


@pytest.mark.parametrize("tau", [0.05, 0.3, 0.9, 1.0])
def test_a_projection_spends_exactly_the_budget_within_the_caps(tau):
    q, cap = rows()
    found = projected(q, cap, tau * cap.sum(1))
    assert torch.allclose(found.sum(1), tau * cap.sum(1), atol=1e-9)
    assert bool((found >= 0).all() & (found <= cap).all())


def test_a_projection_of_a_projection_is_itself():
    q, cap = rows()
    once = projected(q, cap, 0.4 * cap.sum(1))
    assert torch.allclose(projected(once, cap, 0.4 * cap.sum(1)), once, atol=1e-9)


def test_a_projection_is_the_nearest_point_as_a_solver_finds_it():
    q, cap = rows(1, 64, 3)
    budget = float(0.3 * cap.sum())
    goal = q[0].numpy()
    found = minimize(
        lambda u: ((u - goal) ** 2).sum(),
        np.full(64, budget / 64),
        jac=lambda u: 2 * (u - goal),
        bounds=[(0, c) for c in cap[0].tolist()],
        constraints={"type": "eq", "fun": lambda u: u.sum() - budget, "jac": lambda u: np.ones(64)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    ours = projected(q, cap, 0.3 * cap.sum(1))[0].numpy()
    assert np.abs(ours - found.x).max() < 1e-4


def test_at_most_leaves_what_is_within_the_budget_alone():
    _, cap = rows()
    small = 0.01 * cap
    assert torch.allclose(projected(small, cap, 0.5 * cap.sum(1), at_most=True), small, atol=1e-12)
    over = projected(cap, cap, 0.5 * cap.sum(1), at_most=True)
    assert torch.allclose(over.sum(1), 0.5 * cap.sum(1), atol=1e-9)


def test_filling_is_the_linear_optimum():
    score, cap = rows(3, 30, 1)
    budget = 0.25 * cap.sum(1)
    ours = (score * filled(score, cap, budget)).sum(1)
    for k in range(3):
        best = linprog(
            -score[k].numpy(), A_eq=np.ones((1, 30)), b_eq=[float(budget[k])], bounds=[(0, c) for c in cap[k].tolist()]
        )
        assert float(ours[k]) == pytest.approx(-best.fun, abs=1e-9)


def test_rows_without_anything_give_nothing():
    cap = torch.zeros(2, 4)
    for found in (projected(torch.ones(2, 4), cap, torch.zeros(2)), filled(torch.ones(2, 4), cap, torch.zeros(2))):
        assert bool((found == 0).all())


def test_rounding_never_exceeds_the_budget_and_misses_it_by_less_than_a_level():
    rng = generator(0)
    cap = torch.randint(0, 200, (6, 50), generator=rng).double()
    taken = projected(cap * torch.rand(6, 50, generator=rng), cap, 0.1 * cap.sum(1))
    whole = rounded_down(taken, cap > 0, taken.sum(1))
    assert bool((whole == whole.round()).all() & (whole <= cap).all())
    rest = taken.sum(1) - whole.sum(1)
    assert bool((rest > -1e-6).all() & (rest < 1).all())


def test_what_is_missing_is_told_by_two_pictures_alone():
    images = torch.full((1, 3, 8, 8), 0.5)
    boxes = [torch.tensor([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0], [6.0, 6.0, 6.0, 6.0]])]
    shown = images.clone()
    shown[:, :, :4, :2] = (
        0.25  # of half of the first object's pixels, half; the second owns what the first doesn't cover
    )
    shown[:, :, :4, 4:6] = 0.75
    amplitude, power = energy_shares(images, shown, boxes)
    assert torch.allclose(amplitude[0], torch.tensor([0.25, -0.5, 0.0]))
    assert torch.allclose(power[0], torch.tensor([0.375, -1.25, 0.0]))
    attack, shares = attenuated("random", images, boxes, 0.3)
    assert torch.allclose(energy_shares(images, attack, boxes)[0][0], shares[0].float(), atol=1e-5)
    with pytest.raises(InputError, match="shown"):
        energy_shares(images, torch.cat([shown, shown]), boxes)
