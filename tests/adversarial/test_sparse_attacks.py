"""L1 attacks against linear programmes in which the box binds."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from deepwright.adversarial import APGD, APGDT, FABT, FGSM, PGD, norms, suite
from deepwright.adversarial.attacks.sparse import plan
from deepwright.adversarial.projections import greedy
from deepwright.adversarial.victim import Best


@pytest.fixture(scope="module")
def pictures():
    """Half of the pixels at a wall of the box, as in digits."""
    rng = torch.Generator().manual_seed(0)
    return (torch.rand(6, 40, generator=rng, dtype=torch.float64) * 1.6 - 0.3).clamp(0, 1)


def affine(classes):
    torch.manual_seed(1)
    return nn.Linear(40, classes).double().eval()


def largest(w, x, eps):
    """max w . d with ||d||_1 <= eps and x + d in [0, 1]: a linear programme in positive and negative parts."""
    w, x = w.numpy(), x.numpy()
    bounds = [(0, 1 - a) for a in x] + [(0, a) for a in x]
    return -linprog(np.r_[-w, w], A_ub=np.ones((1, 2 * len(w))), b_ub=[eps], bounds=bounds).fun


def margins(model, x, y):
    """max_{i != y} z_i - z_y."""
    with torch.no_grad():
        z = model(x)
    return z.scatter(1, y[:, None], -math.inf).amax(1) - z.gather(1, y[:, None])[:, 0]


def worst_margins(model, x, y, eps):
    z, w, found = model(x).detach(), model.weight.detach(), []
    for i, label in enumerate(y.tolist()):
        others = [k for k in range(len(w)) if k != label]
        found.append(max(float(z[i, k] - z[i, label]) + largest(w[k] - w[label], x[i], eps) for k in others))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("eps", [0.5, 3.0])
@pytest.mark.parametrize("attack", [APGD, FGSM])
def test_two_classes_reach_the_optimum_of_the_linear_programme(pictures, attack, eps):
    model = affine(2)
    y = model(pictures).argmax(1)
    options = {"early_stop": False, "steps": 20} if attack is APGD else {}
    result = attack(eps, "l1", **options)(model, pictures, y)
    assert torch.allclose(margins(model, result.x_adv, y), worst_margins(model, pictures, y, eps), atol=1e-6)


def test_five_classes_reach_the_worst_of_four_linear_programmes(pictures):
    model = affine(5)
    y = model(pictures).argmax(1)
    result = APGDT(2.0, "l1", steps=20, early_stop=False)(model, pictures, y)
    found = margins(model, result.x_adv, y)
    expected = worst_margins(model, pictures, y, 2.0)
    assert torch.equal(result.success, expected > 0)
    # A try that succeeds is kept, though another class may be farther away.
    assert torch.allclose(found[expected <= 0], expected[expected <= 0], atol=1e-3)


def test_steps_of_one_length_end_near_the_optimum(pictures):
    model = affine(2)
    y = model(pictures).argmax(1)
    result = PGD(2.0, "l1", steps=200, early_stop=False)(model, pictures, y)
    assert torch.allclose(margins(model, result.x_adv, y), worst_margins(model, pictures, y, 2.0), atol=5e-3)


def test_a_step_is_the_optimum_of_the_linear_programme(pictures):
    rng = torch.Generator().manual_seed(2)
    w = torch.randn(6, 40, generator=rng, dtype=torch.float64)
    step = greedy(w, torch.full((6,), 1.5, dtype=torch.float64), pictures, (0.0, 1.0))
    gains = (w * step).sum(1)
    assert torch.allclose(gains, torch.tensor([largest(a, b, 1.5) for a, b in zip(w, pictures)]).double(), atol=1e-9)
    assert float(norms(step, "l1").max()) <= 1.5 + 1e-12


def test_without_a_box_one_coordinate_takes_all():
    step = greedy(torch.tensor([[0.5, -2.0, 0.0]]), torch.tensor([3.0]), torch.zeros(1, 3), (-math.inf, math.inf))
    assert step.tolist() == [[0.0, -3.0, 0.0]]


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50, 100])
def test_balls_share_all_steps(steps):
    assert sum(n for _, n in plan(steps)) == steps
    result = APGD(0.5, "l1", steps=steps, early_stop=False)(
        affine(2), torch.full((2, 40), 0.5).double(), torch.tensor([0, 1])
    )
    assert result.queries.tolist() == [steps + 2] * 2  # x, the start, and the steps


def test_a_single_step_is_taken_in_the_ball_of_the_budget():
    assert [plan(n) for n in range(4)] == [[], [(1.0, 1)], [(3.0, 1), (1.0, 1)], [(3.0, 1), (2.0, 1), (1.0, 1)]]


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 12])
def test_the_last_step_is_offered_and_all_that_is_offered_keeps_the_budget(pictures, steps, monkeypatch):
    offered = {}

    def offer(self, rows, point, loss, success, step):
        offered[step] = point.clone()
        return real(self, rows, point, loss, success, step)

    real = Best.offer
    monkeypatch.setattr(Best, "offer", offer)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.Tanh(), nn.Linear(30, 3)).double().eval()
    APGD(1.5, "l1", steps=steps, early_stop=False)(model, pictures, model(pictures).argmax(1))
    assert max(offered) == steps
    assert max(float(norms(point - pictures, "l1").max()) for point in offered.values()) <= 1.5 + 1e-9
    if steps == 2:
        assert not torch.equal(offered[2], offered[1])


def test_masked_coordinates_stay(pictures):
    model = affine(2)
    y = model(pictures).argmax(1)
    mask = (torch.arange(40) % 2)[None].double()
    for attack in (APGD(2.0, "l1", steps=20), PGD(2.0, "l1"), FGSM(2.0, "l1")):
        moved = attack(model, pictures, y, mask=mask).x_adv - pictures
        assert float(moved[:, ::2].abs().max()) == 0
        assert float(moved.abs().max()) > 0


@pytest.mark.slow
def test_the_fast_suite_leaves_no_more_than_the_minimal_norm_attack():
    """On real digits at eps 6, where a step on a fixed share of pixels left half of what it leaves now."""
    from deepwright.data import load as load_data
    from deepwright.nets import load as load_network

    model, split = load_network("resnet8-mnist"), load_data("mnist").test.take(60)
    x, y = split.inputs(), split.y
    ours = suite("fast", 6.0, "l1")(model, x, y).success
    theirs = FABT(6.0, "l1", steps=50)(model, x, y).success
    assert float(ours.double().mean()) >= float(theirs.double().mean()) - 0.02
