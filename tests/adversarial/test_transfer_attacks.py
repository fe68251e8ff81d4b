"""Momentum attacks against a loop of their own, variations against other implementations, and that attacks transfer."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional as F

from deepwright.adversarial import (
    MIFGSM,
    NIFGSM,
    PGD,
    VMIFGSM,
    DiverseInputs,
    Scales,
    SmoothGradients,
    Surrogates,
    norms,
)
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams

EPS, STEPS = 0.1, 6


def gradient(model, x, y):
    x = x.clone().requires_grad_(True)
    F.cross_entropy(model(x), y, reduction="sum").backward()
    return x.grad


def loop(model, x, y, ahead=0.0, decay=1.0):
    """Momentum as written in the papers, one sample after the other; points ahead are clipped to the box."""
    rows = []
    for i in range(len(x)):
        clean, label = x[i : i + 1], y[i : i + 1]
        point, momentum, alpha = clean, torch.zeros_like(clean), EPS / STEPS
        for _ in range(STEPS):
            g = gradient(model, (point + ahead * alpha * decay * momentum).clamp(0, 1), label)
            momentum = decay * momentum + g / g.abs().mean()
            point = (clean + (point + alpha * momentum.sign() - clean).clamp(-EPS, EPS)).clamp(0, 1)
        rows.append(point)
    return torch.cat(rows)


@pytest.mark.parametrize(("attack", "ahead"), [(MIFGSM, 0.0), (NIFGSM, 1.0)])
def test_momentum_is_that_of_the_papers(conv, attack, ahead):
    model, x, y = conv
    assert torch.allclose(attack(EPS, steps=STEPS)(model, x, y).x_adv, loop(model, x, y, ahead), atol=1e-6)


@pytest.mark.parametrize("attack", [MIFGSM, NIFGSM, VMIFGSM])
def test_the_surrogate_is_shown_nothing_outside_of_the_box_and_the_mask(conv, attack):
    model, x, y = conv
    shown = []
    model.register_forward_pre_hook(lambda _module, given: shown.append(given[0].detach().clone()))
    mask = torch.zeros(1, 1, *x.shape[2:])
    mask[..., : x.shape[3] // 2] = 1
    attack(0.4, steps=STEPS)(model, x, y, mask=mask)
    for point in shown:
        assert torch.equal(point.clamp(0, 1), point)
        assert torch.equal(point[..., x.shape[3] // 2 :], x[: len(point), ..., x.shape[3] // 2 :])


def test_on_an_affine_network_it_ends_in_the_best_corner():
    model = nn.Linear(12, 2).eval()
    x = torch.full((5, 12), 0.5)
    y = model(x).argmax(1)
    way = (model.weight[1] - model.weight[0]).sign() * (1 - 2 * y)[:, None]
    for attack in (MIFGSM(EPS), NIFGSM(EPS), VMIFGSM(EPS, neighbours=2)):
        assert torch.allclose(attack(model, x, y).x_adv, x + EPS * way, atol=1e-6)


def test_variance_is_taken_from_the_step_before(conv):
    """With one step there is none; with two the result differs from plain momentum's."""
    model, x, y = conv
    one, two = (
        [attack(model, x, y).x_adv for attack in (MIFGSM(EPS, steps=steps), VMIFGSM(EPS, steps=steps))]
        for steps in (1, 4)
    )
    assert torch.equal(*one)
    assert not torch.equal(*two)


def test_queries_are_counted(conv):
    model, x, y = conv
    clean, last = 1, 1
    assert set(MIFGSM(EPS, steps=4)(model, x, y).queries.tolist()) == {clean + 4 + last}
    assert set(VMIFGSM(EPS, steps=4, neighbours=3)(model, x, y).queries.tolist()) == {clean + 4 + 3 * 3 + last}
    assert set(MIFGSM(EPS, steps=4, variations=[Scales(5)])(model, x, y).queries.tolist()) == {clean + 4 * 5 + last}


def test_wrong_samples_are_moved_too(conv):
    model, x, y = conv
    moved = MIFGSM(EPS)(model, x, (y + 1) % 10).x_adv - x
    assert bool((norms(moved, "linf") > 0.9 * EPS).all())
    stopped = MIFGSM(EPS, early_stop=True)(model, x, (y + 1) % 10)
    assert torch.equal(stopped.x_adv, x)


def test_without_draws_a_seed_is_refused():
    with pytest.raises(InputError, match="nothing is drawn"):
        MIFGSM(EPS, seed=1, variations=[Scales()])
    assert MIFGSM(EPS, seed=1, variations=[DiverseInputs()]).seed == 1


def test_scales_halve_again_and_again():
    """Of f = sum(x^2): the mean over i of 2 x / 4^i."""
    x = torch.rand(3, 2, 4, 4, requires_grad=True)
    scales = Scales(4)
    loss = sum(scales.inputs(x, i, Streams(0, 3, "")).square().sum() for i in range(4)) / 4
    (g,) = torch.autograd.grad(loss, x)
    assert torch.allclose(g, 2 * x * sum(0.25**i for i in range(4)) / 4)


def test_smoothing_is_a_gaussian_filter():
    g = torch.randn(2, 3, 20, 24, dtype=torch.float64)
    expected = gaussian_filter(g.numpy(), (0, 0, 3, 3), mode="constant", radius=7)
    assert torch.allclose(SmoothGradients(15, 3.0).gradient(g), torch.from_numpy(expected), atol=1e-12)


def test_diverse_inputs_are_resized_padded_and_brought_back():
    """Against two resizings one after the other, on smooth images: each result is one of the sizes and places."""
    line = torch.linspace(0, 3, 40)
    x = (0.5 + 0.4 * torch.sin(line[:, None] + 2 * line)).expand(8, 1, 40, 40)
    found = DiverseInputs(1.0, 1.1).inputs(x, 0, Streams(0, 8, "t"))
    options = []
    for side in range(40, 45):
        small = F.interpolate(x[:1], (side, side), mode="bilinear")
        for top in range(45 - side):
            for left in range(45 - side):
                padded = F.pad(small, (left, 44 - side - left, top, 44 - side - top))
                options.append(F.interpolate(padded, (40, 40), mode="bilinear")[0])
    gaps = (found[:, None] - torch.stack(options)).abs().flatten(2).mean(2).amin(1)
    assert float(gaps.max()) < 0.02
    assert len({round(float(f.sum()), 2) for f in found}) > 3  # samples of one batch have sizes of their own


def test_diverse_inputs_change_as_many_as_asked():
    x = torch.rand(400, 1, 10, 10)
    found = DiverseInputs(0.5, 1.5).inputs(x, 0, Streams(0, 400, "t"))
    changed = float((found != x).flatten(1).any(1).double().mean())
    assert changed == pytest.approx(0.5, abs=0.08)
    assert torch.equal(DiverseInputs(0.0).inputs(x, 0, Streams(0, 400, "t")), x)


def test_all_variations_together_do_not_depend_on_the_batch(conv):
    model, x, y = conv
    attack = VMIFGSM(
        EPS, steps=3, neighbours=2, seed=1, variations=[DiverseInputs(0.5, 1.3), Scales(2), SmoothGradients(5, 1.0)]
    )
    whole = attack(model, x, y).x_adv
    parts = [attack(model, x[i : i + 7], y[i : i + 7], ids=torch.arange(24)[i : i + 7]).x_adv for i in (0, 7, 14, 21)]
    assert float((torch.cat(parts) - whole).abs().max()) < 1e-5
    assert float(norms(whole - x, "linf").max()) <= EPS * (1 + 1e-5)


def test_images_are_needed_for_what_moves_pixels():
    model, x = nn.Linear(4, 2).eval(), torch.rand(3, 4)
    for variation in (DiverseInputs(), SmoothGradients()):
        with pytest.raises(InputError, match="images"):
            MIFGSM(EPS, variations=[variation])(model, x, torch.tensor([0, 1, 0]))


def test_surrogates_are_averaged_before_the_softmax():
    a, b, x = nn.Linear(4, 3), nn.Linear(4, 3), torch.rand(5, 4)
    assert torch.allclose(Surrogates([a, b])(x), (a(x) + b(x)) / 2)
    assert torch.allclose(Surrogates([a, b], [1, 3])(x), (a(x) + 3 * b(x)) / 4)


def test_surrogates_that_give_dicts_are_averaged_by_name():
    class Named(nn.Module):
        def forward(self, x):
            return {"codes": x, "logits": 2 * x}

    x = torch.rand(2, 3)
    found = Surrogates([Named(), Named()])(x)
    assert torch.allclose(found["logits"], 2 * x)


@pytest.fixture(scope="module")
def networks():
    """Five networks of several shapes, trained on the digits of scikit-learn, and test digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = torch.from_numpy(digits.images).float()[:, None] / 16
    y = torch.from_numpy(digits.target)
    made = []
    for seed, width in enumerate((8, 12, 16, 10, 14)):
        torch.manual_seed(seed)
        layers = nn.Conv2d(1, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()
        net = nn.Sequential(*layers, nn.Linear(256, 10))
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(120):
            rows = torch.randint(0, 1300, (128,))
            optimizer.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
        made.append(net.eval())
    return made, x[1300:1500], y[1300:1500]


@pytest.mark.slow
def test_the_last_iterate_transfers_where_the_first_success_does_not(networks):
    nets, x, y = networks
    left = {}
    for stop in (False, True):
        found = MIFGSM(0.1, early_stop=stop)(nets[0], x, y)
        left[stop] = sum(float(PGD(0.1).stands(net, found.x_adv, y).double().mean()) for net in nets[1:]) / 4
    assert left[False] < left[True] - 0.1


@pytest.mark.slow
def test_several_surrogates_transfer_better_than_each(networks):
    nets, x, y = networks
    target = nets[-1]
    alone = [MIFGSM(0.1)(net, x, y).x_adv for net in nets[:-1]]
    joint = MIFGSM(0.1)(Surrogates(nets[:-1]), x, y).x_adv
    left = [float(PGD(0.1).stands(target, moved, y).double().mean()) for moved in (*alone, joint)]
    assert left[-1] <= min(left[:-1]) + 0.01
