"""Rivals that ask a network: on an affine one the answer is known."""

import pytest
import torch
from torch import nn

from deepwright.adversarial import PGD
from deepwright.adversarial.sharpening import BiLevel, FastPreemption, LastIterate, align_surrogate

D = 8 / 255


def affine(seed=0):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double().eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(2, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
        model[1].bias.zero_()
    return model


def inputs(n=6, seed=1):
    x = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x * 0.6 + 0.2


def margin(model, x, y):
    z = model(x)
    return (z.gather(1, y[:, None]) - z.gather(1, 1 - y[:, None]))[:, 0]


@pytest.mark.parametrize(
    "publish",
    [lambda m: BiLevel(m, D, iters=40, attack=PGD(D, steps=1)), lambda m: FastPreemption(m, max_change=D)],
    ids=["bi-level", "fast"],
)
def test_every_pixel_moves_towards_its_own_class(publish):
    model, x = affine(), inputs()
    published = publish(model)(x)
    with torch.no_grad():
        y = model(x).argmax(1)
        gained = margin(model, published, y) - margin(model, x, y)
        w = (model[1].weight[y] - model[1].weight[1 - y]).view_as(x)
    assert (published - x).abs().max() <= D + 1e-9
    assert (gained >= 0.95 * D * w.abs().flatten(1).sum(1)).all()
    assert torch.equal((published - x).sign(), w.sign())


@pytest.mark.parametrize(
    "publish",
    [lambda m: BiLevel(m, D, iters=20, attack=PGD(D, steps=1)), lambda m: FastPreemption(m, max_change=D)],
    ids=["bi-level", "fast"],
)
def test_the_reverse_attack_goes_the_other_way(publish):
    model, x = affine(), inputs()
    with torch.no_grad():
        y = model(x).argmax(1)
    back = publish(model).reconstruct(x)
    assert (margin(model, back, y) < margin(model, x, y)).all()


def test_in_l2_the_ball_holds():
    model, x = affine(), inputs()
    published = BiLevel(model, 0.1, 0.1, "l2", iters=20, attack=PGD(0.1, "l2", steps=1), noise=0.01, copies=2)(x)
    assert (published - x).flatten(1).norm(dim=1).max() <= 0.1 + 1e-9
    with torch.no_grad():
        y = model(x).argmax(1)
        assert (margin(model, published, y) > margin(model, x, y)).all()


def test_pixels_at_the_edge_and_levels():
    model, x = affine(), torch.tensor([0.0, 1.0] * 8, dtype=torch.float64).view(1, 1, 4, 4)
    published = BiLevel(model, D, iters=5, attack=PGD(D, steps=1), quantize=255)(x)
    assert torch.isfinite(published).all()
    assert ((published >= 0) & (published <= 1)).all()
    assert (published - x).abs().max() <= D + 1e-9
    assert (published * 255 - (published * 255).round()).abs().max() < 1e-9


def test_the_last_step_counts_though_an_earlier_one_succeeded():
    """Every step on an affine network goes on: the corner of the ball, also for what was wrong before."""
    model, x = affine(), inputs()
    with torch.no_grad():
        y = model(x).argmax(1)
        y[0] = 1 - y[0]
        w = (model[1].weight[1 - y] - model[1].weight[y]).view_as(x)
    found = LastIterate(0.1, steps=10)(model, x, y)
    assert torch.allclose(found.x_adv, x + 0.1 * w.sign(), atol=1e-9)
    assert not bool(found.success.any())


def test_an_attack_may_begin_elsewhere():
    model, x = affine(), inputs()
    with torch.no_grad():
        y = model(x).argmax(1)
    still = LastIterate(0.05, steps=1, alpha=1e-9, begin=lambda t: t + 1)(model, x, y)
    assert torch.allclose(still.x_adv, x + 0.05, atol=1e-6)


@pytest.mark.slow
def test_an_aligned_surrogate_answers_as_its_witness_does():
    x = torch.rand(200, 4, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    model, witness = nn.Linear(4, 3), nn.Linear(4, 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    aligned = align_surrogate(model, [witness], x, epochs=20, lr=0.1, batch_size=100)
    with torch.no_grad():
        gap = [(m(x).softmax(1) - witness(x).softmax(1)).abs().mean() for m in (model, aligned)]
    assert gap[1] < gap[0] / 5
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
