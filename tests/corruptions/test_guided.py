"""Perturbations where a network looks: exact shares, closed forms of maps, pictures without attention."""

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.tasks import Classification, Segmentation
from deepwright.corruptions import (
    ActivationEnergy,
    FaultyCamera,
    GradCAM,
    Guided,
    InputGradient,
    Suite,
    get,
    region_of,
    unit_range,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.rand(3, 3, 12, 20, generator=rng())
MAPS = torch.rand(3, 12, 20, generator=rng(1))


def streams(n=3):
    return Streams(0, n, "ties")


@pytest.mark.parametrize("share", [0.0, 0.1, 1 / 3, 0.777, 1.0])
@pytest.mark.parametrize("region", ["top_n", "bottom_n", "random_n"])
def test_exactly_so_many_pixels(region, share):
    chosen = region_of(MAPS, region, share, streams())
    assert chosen.flatten(1).sum(1).tolist() == [round(share * 240)] * 3


@pytest.mark.parametrize(("region", "sign"), [("top_n", 1), ("bottom_n", -1)])
def test_the_largest_or_the_smallest(region, sign):
    chosen = region_of(MAPS, region, 0.3, streams())
    for saliency, mask in zip(sign * MAPS, chosen):
        assert float(saliency[mask].min()) >= float(saliency[~mask].max())


def test_above_a_threshold():
    assert torch.equal(region_of(MAPS, "high", 0.3, streams(), 0.8), MAPS > 0.8)


def test_ties_arent_taken_from_above():
    maps = torch.zeros(40, 20, 20)
    maps[:, 10, 10] = 1
    chosen = region_of(maps, "top_n", 0.3, streams(40))
    assert bool(chosen[:, 10, 10].all())
    upper = chosen[:, :10].double().mean()
    assert float(upper) == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(chosen[0], chosen[1])


def test_inside_it_is_the_perturbation_and_outside_the_picture():
    noise = get("gaussian_noise")
    guided = Guided(noise, lambda x: x.mean(1), share=0.25)
    ids = torch.tensor([4, 2, 9])
    out, mask = guided(X, 3, seed=5, ids=ids), guided.mask(X, 5, ids=ids)[:, None]
    assert torch.equal(out, torch.where(mask, noise(X, 3, seed=5, ids=ids), X))
    alone = guided(X[1:2], 3, seed=5, ids=ids[1:2])
    assert torch.equal(alone[0], out[1])
    assert torch.equal(guided(X[1], 3, seed=5, ids=ids[1:2]), out[1])
    pixels = (X * 255).to(torch.uint8)
    bytes_out = guided(pixels, torch.tensor([0, 2, 5]))
    assert bytes_out.dtype == torch.uint8
    assert torch.equal(bytes_out[0], pixels[0])


class Linear(nn.Module):
    """w . x, one number or two."""

    def __init__(self, outputs=1):
        super().__init__()
        self.w = nn.Parameter(torch.randn(outputs, 3 * 12 * 20, generator=rng(3)))

    def forward(self, x):
        out = x.flatten(1) @ self.w.T
        return out[:, 0] if len(self.w) == 1 else out


def test_the_gradient_at_the_input_of_a_linear_map():
    model = Linear()
    expected = unit_range(model.w.detach().view(1, 3, 12, 20).abs().amax(1))
    assert torch.allclose(InputGradient(model)(X), expected.expand(3, -1, -1), atol=1e-6)
    assert model.w.grad is None
    assert model.w.requires_grad
    two = Linear(2)
    first = InputGradient(two, score=lambda out: out[:, 0])(X)
    assert torch.allclose(first[0], unit_range(two.w.detach()[:1].view(1, 3, 12, 20).abs().amax(1))[0], atol=1e-6)


class Pooled(nn.Module):
    """A 1 x 1 convolution, the mean over the picture, weights."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 2, 1)
        self.head = nn.Linear(2, 1)
        with torch.no_grad():
            self.body.weight.copy_(torch.tensor([[1.0, -1, 0], [0, 1, -1]]).view(2, 3, 1, 1))
            self.body.bias.zero_()
            self.head.weight.copy_(torch.tensor([[2.0, -3.0]]))

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def test_grad_cam_of_a_pooled_map():
    model = Pooled()
    a = torch.stack([X[:, 0] - X[:, 1], X[:, 1] - X[:, 2]], 1)
    plain = GradCAM(model, "body", guided=False)(X)
    assert torch.allclose(plain, unit_range((2 * a[:, 0] - 3 * a[:, 1]).relu()), atol=1e-5)
    only_up = GradCAM(model, "body")(X)  # the second map's slope is negative
    assert torch.allclose(only_up, unit_range(a[:, 0].relu()), atol=1e-5)
    energy = ActivationEnergy(model, "body")(X)
    assert torch.allclose(energy, unit_range(a.abs().sum(1)), atol=1e-5)


def test_a_map_that_points_nowhere_leaves_the_picture():
    def saliency(x):
        maps = x.mean(1)
        maps[0] = 0.4
        maps[1, 0, 0] = torch.nan
        return maps

    guided = Guided(get("contrast"), saliency, region="random_n", share=0.5)
    out = guided(X, 5)
    assert torch.equal(out[:2], X[:2])
    assert not torch.equal(out[2], X[2])
    assert guided.attended(X).tolist() == [False, False, True]


class Dark(nn.Module):
    """Class 1 where the mean is below a quarter."""

    def forward(self, x):
        m = x.mean((1, 2, 3))
        return torch.stack([m - 0.25, 0.25 - m], 1)


def test_pictures_without_attention_are_left_out_of_means():
    x = torch.full((4, 3, 16, 16), 0.5)
    x[2:, :, 0, 0] = 1.0  # only these have something to look at
    guided = Guided(get("decrease_brightness"), lambda x: unit_range(x.mean(1)), share=1.0)
    suite = Suite([guided, get("decrease_brightness")], (5,))
    report = suite.evaluate(
        Dark(), [(x[:1], torch.zeros(1).long()), (x[1:], torch.zeros(3).long())], headline=True, task=Classification(2)
    )
    assert report.errors[guided.name] == [1.0]  # of the two that count
    assert report.errors["decrease_brightness"] == [1.0]
    assert report.without_attention == {guided.name: 2}
    flat = Suite([guided, get("contrast")], (5,)).evaluate(Dark(), [(x[:2], torch.zeros(2).long())])
    assert "no attention" in flat.skipped[guided.name]


def test_dense_targets_arent_moved_inside_of_a_region():
    guided = Guided(get("rotate"), lambda x: x.mean(1))
    model = nn.Conv2d(3, 2, 1)
    maps = torch.zeros(3, 12, 20, dtype=torch.long)
    report = Suite([guided, get("contrast")], (2,)).evaluate(model, [(X, maps)], task=Segmentation(2))
    assert "region" in report.skipped[guided.name]


def test_through_a_camera():
    camera = FaultyCamera(Guided(get("gaussian_noise"), lambda x: x.mean(1)), 2)
    assert not torch.equal(camera(X), camera(X))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Guided("contrast", lambda x: x), "get"),
        (lambda: Guided(get("contrast"), MAPS), "saliency"),
        (lambda: Guided(get("contrast"), lambda x: x, region="top"), "top_n"),
        (lambda: Guided(get("contrast"), lambda x: x, share=30), "share"),
        (lambda: Guided(get("contrast"), lambda x: x)(X, 1), "12, 20"),
        (lambda: Guided(get("contrast"), lambda x: 3 * x.mean(1))(X, 1), "unit_range"),
        (lambda: GradCAM(Pooled(), "bodi"), "did you mean"),
        (lambda: GradCAM(Pooled(), "head")(X), "channels, rows"),
        (lambda: InputGradient(nn.Conv2d(3, 2, 1))(X), "score="),
        (lambda: InputGradient(Linear(), score=3), "score"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
