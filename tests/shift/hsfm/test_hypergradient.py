"""The adjoint against autograd through the unrolled loop, against differences, and one path against the other."""

import pytest
import torch
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.shift import hypergradient

CASES = [(8, 5, 2, 4), (32, 64, 3, 15), (32, 2048, 2, 15)]


def problem(n, d, classes, seed=0, m=20):
    draw = torch.Generator().manual_seed(seed)
    H, Q = (torch.randn(k, d, generator=draw, dtype=torch.float64) for k in (n, m))
    W, b = (0.3 * torch.randn(classes, *s, generator=draw, dtype=torch.float64) for s in ((d,), ()))
    return H, torch.arange(n) % classes, W, b, Q, torch.arange(m) % classes


def unrolled(H, y, W, b, Q, hard_y, steps, lr):
    """The loop as one would write it, with its graph."""
    H, W, b = (t.clone().requires_grad_() for t in (H, W, b))
    w, c = W, b
    for _ in range(steps):
        gw, gc = torch.autograd.grad(F.cross_entropy(H @ w.T + c, y), [w, c], create_graph=True)
        w, c = w - lr * gw, c - lr * gc
    loss = F.cross_entropy(Q @ w.T + c, hard_y)
    return loss.detach(), torch.autograd.grad(loss, H)[0]


@pytest.mark.parametrize("path", ["gram", "direct"])
@pytest.mark.parametrize(("n", "d", "classes", "steps"), CASES)
@pytest.mark.parametrize("lr", [0.05, 0.5])
def test_it_is_autograds(n, d, classes, steps, lr, path):
    given = problem(n, d, classes)
    loss, found = hypergradient(*given, steps, lr, path=path)
    wanted_loss, wanted = unrolled(*given, steps, lr)
    assert float(loss) == pytest.approx(float(wanted_loss), rel=1e-12)
    assert float((found - wanted).norm() / wanted.norm()) < 1e-9


def test_it_is_that_of_central_differences():
    given = problem(6, 4, 3, seed=1)
    _, found = hypergradient(*given, 5, 0.4)
    for i, j in ((0, 0), (3, 2), (5, 3)):
        ends = []
        for sign in (1, -1):
            moved = given[0].clone()
            moved[i, j] += sign * 1e-5
            ends.append(float(hypergradient(moved, *given[1:], 5, 0.4)[0]))
        assert float(found[i, j]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("path", ["gram", "direct"])
def test_no_inner_step_gives_no_gradient(path):
    given = problem(8, 5, 2)
    loss, found = hypergradient(*given, 0, 0.1, path=path)
    assert not found.any()
    assert float(loss) == pytest.approx(float(F.cross_entropy(given[4] @ given[2].T + given[3], given[5])))


@pytest.mark.parametrize("path", ["gram", "direct"])
def test_several_runs_at_once_are_those_one_by_one(path):
    runs = [problem(8, 5, 3, seed) for seed in range(4)]
    H, W, b, Q = (torch.stack([run[i] for run in runs]) for i in (0, 2, 3, 4))
    labels = runs[0][5].expand(4, -1)
    losses, found = hypergradient(H, runs[0][1], W, b, Q, labels, 4, 0.3, path=path)
    for k, run in enumerate(runs):
        loss, one = hypergradient(*run, 4, 0.3, path=path)
        assert torch.allclose(found[k], one, rtol=1e-10, atol=1e-14)
        assert float(losses[k]) == pytest.approx(float(loss), rel=1e-12)


@pytest.mark.usefixtures("unchecked")
def test_half_precision_and_other_shapes_are_refused():
    H, y, W, b, Q, hard_y = problem(8, 5, 2)
    with pytest.raises(InputError, match="half precision"):
        hypergradient(H.half(), y, W, b, Q, hard_y, 2, 0.1)
    with pytest.raises(InputError, match="hard_y"):
        hypergradient(H, y, W, b, Q, hard_y + 1, 2, 0.1)
    with pytest.raises(InputError, match="shapes"):
        hypergradient(H, y, W[:, :3], b, Q, hard_y, 2, 0.1)
    with pytest.raises(InputError, match="no sample"):
        hypergradient(H, y, W, b, Q[:0], hard_y[:0], 2, 0.1)
