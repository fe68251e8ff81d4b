"""Perturbations: one contract for all, closed forms, and other libraries' results."""

import io
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.corruptions import (
    ALL,
    IMAGENET_C,
    Compose,
    Suite,
    apply,
    diamond_square,
    differentiable_jpeg,
    get,
    names,
    opencv,
)
from deepwright.corruptions.filters import area_means, disk, fft_filter, gaussian, kernel_sigma, line, tap_filter
from deepwright.corruptions.static.occlusion import canny


def test_catalogue():
    assert len(ALL) >= 41
    assert len({p.name for p in ALL}) == len(ALL)
    assert set(IMAGENET_C) <= set(names())
    assert not get("translate").label_preserving


def test_another_seed_is_another_picture(photos):
    x = photos.float() / 255
    for name in ("gaussian_noise", "splatter", "fog_mapping", "elastic", "snow"):
        assert not torch.equal(apply(x, name, 3, seed=0), apply(x, name, 3, seed=1))
        assert not torch.equal(apply(x[:1].repeat(2, 1, 1, 1), name, 3)[0], apply(x[:1].repeat(2, 1, 1, 1), name, 3)[1])


def test_noise_has_its_moments():
    x = torch.full((20, 3, 100, 100), 0.5)
    for severity, deviation in enumerate((0.03, 0.06, 0.12), 1):
        assert float((apply(x, "gaussian_noise", severity) - x).std()) == pytest.approx(deviation, rel=0.02)
    share = float((apply(x, "impulse_noise", 5) != x).double().mean())
    assert abs(share - 0.1) < 3 * math.sqrt(0.1 * 0.9 / x.numel()) + 1e-4
    for severity, photons in enumerate((120, 105, 87), 1):
        out = apply(torch.full((20, 3, 100, 100), 0.4), "poisson_noise", severity)
        assert float(out.mean()) == pytest.approx(0.4, rel=2e-3)
        assert float(out.var()) == pytest.approx(0.4 / photons, rel=0.03)
    z = (apply(x, "gaussian_noise", 1) - x)[0].flatten() / 0.03
    assert stats.kstest(z.numpy(), "norm").pvalue > 1e-3


def test_streams_are_uniform_and_independent():
    u = Streams(0, 200, "test").uniform(500)
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    assert float(np.abs(np.corrcoef(u.numpy()) - np.eye(200)).max()) < 0.25
    a, b = Streams(0, 4, "a"), Streams(0, 4, "b")
    first = a.uniform(1000)
    assert abs(float(np.corrcoef(first.flatten(), a.uniform(1000).flatten())[0, 1])) < 0.08
    assert abs(float(np.corrcoef(first.flatten(), b.uniform(1000).flatten())[0, 1])) < 0.08
    near = torch.stack([Streams(s, 1, "a").uniform(4000)[0] for s in range(8)])
    assert float(np.abs(np.corrcoef(near.numpy()) - np.eye(8)).max()) < 0.08
    bits = Streams(1, 50, "bits").bits(2000)
    for k in range(32):
        assert abs(float(((bits >> k) & 1).double().mean()) - 0.5) < 0.01


def test_kernels_conserve_brightness():
    for radius in (0.3, 2, 5.5, 12):
        assert float(disk(radius).sum()) == pytest.approx(1, abs=1e-5)
    for angle in (0, 5, 45, 90):
        assert float(line(7, angle).sum()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(line(5, 0)[2], torch.full((5,), 0.2), atol=0.08)
    flat = torch.full((1, 1, 30, 40), 0.7)
    assert torch.allclose(fft_filter(flat, disk(5)), flat, atol=1e-5)
    assert torch.allclose(gaussian(flat, 3.0), flat, atol=1e-5)


def test_gaussian_equals_pillow_like_references(photos):
    from scipy.ndimage import gaussian_filter

    x = photos.float() / 255
    ours = gaussian(x, 2.0, 8)
    theirs = gaussian_filter(x.double().numpy(), (0, 0, 2.0, 2.0), mode="mirror", radius=(0, 0, 8, 8))
    assert float(np.abs(ours.numpy() - theirs).max()) < 1e-5
    full = apply(x, "gaussian_blur", 2, reference_height=None)
    expected = gaussian_filter(x.double().numpy(), (0, 0, *[kernel_sigma(7)] * 2), mode="mirror", radius=(0, 0, 3, 3))
    assert float(np.abs(full.numpy() - expected).max()) < 1e-5


def test_defocus_equals_direct_convolution(photos):
    x = photos[:1].float() / 255
    kernel = disk(3.0)
    r = kernel.shape[0] // 2
    padded = nn.functional.pad(x, (r,) * 4, mode="reflect")
    direct = nn.functional.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)
    assert float((fft_filter(x, kernel) - direct).abs().max()) < 1e-5


@pytest.mark.parametrize("length", [1, 3, 9, 60])
def test_few_taps_give_what_fourier_space_does(length):
    x = torch.rand(2, 3, 20, 31, generator=torch.Generator().manual_seed(0))
    kernel = line(length, 30)
    assert float((tap_filter(x, kernel) - fft_filter(x, kernel)).abs().max()) < 1e-5


@pytest.mark.parametrize("name", ["contrast", "increase_brightness", "motion_blur", "reflection"])
def test_gradients_are_the_same_where_results_are_changed_in_place(name):
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    with_gradient = apply(x.clone().requires_grad_(True), name, 3)
    assert torch.equal(apply(x, name, 3), with_gradient.detach())
    assert torch.equal(x, before)
    assert with_gradient.requires_grad
    with_gradient.sum().backward()


def test_tone_equals_hsv(photos):
    import colorsys

    x = photos.float() / 255
    for name, channel, factor in (
        ("increase_brightness", 2, 1.3),
        ("saturation", 1, 1.4),
        ("saturation_decrease", 1, 0.6),
    ):
        out = apply(x, name, 3)
        for _, i, j in ((0, 5, 7), (0, 30, 40), (0, 50, 60)):
            hsv = list(colorsys.rgb_to_hsv(*x[1, :, i, j].double().tolist()))
            hsv[channel] = min(1.0, hsv[channel] * factor)
            assert out[1, :, i, j].tolist() == pytest.approx(colorsys.hsv_to_rgb(*hsv), abs=1e-4)


def test_codec_is_the_real_one(photos):
    out = apply(photos, "jpeg", 2)
    buffer = io.BytesIO()
    Image.fromarray(photos[0].permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=18)
    assert np.array_equal(out[0].permute(1, 2, 0).numpy(), np.asarray(Image.open(buffer)))
    x = (photos.float() / 255).mean(1, keepdim=True)
    soft = differentiable_jpeg(x, 30)
    assert float((soft - apply(x, "jpeg", 1)).abs().mean()) < 0.02
    x.requires_grad_(True)
    differentiable_jpeg(x, 30).sum().backward()
    assert float(x.grad.abs().sum()) > 0


@pytest.mark.usefixtures("unchecked")
def test_phase_scrambling_keeps_the_spectrum(photos):
    p = get("phase_scrambling")
    x = photos.float() / 255
    for crop in (x, x[..., :59, :79]):
        context = type("C", (), {"streams": Streams(0, 3, "p"), "literal": False})()
        out = p.function(crop, 0.55, context)
        before, after = torch.fft.fft2(crop.double()).abs(), torch.fft.fft2(out.double()).abs()
        assert float(((before - after).abs() / before.amax((2, 3), keepdim=True)).max()) < 1e-5


def test_geometry(photos):
    x = photos.float() / 255
    assert torch.equal(apply(x, "rotate", 5), x.flip((2, 3)))
    assert torch.allclose(apply(x, "translate", 2, reference_height=None)[..., :35, 25:], x[..., 25:, :-25], atol=1e-4)
    ramp = torch.linspace(0, 1, 81).expand(1, 1, 81, 81)
    turned = apply(ramp, "rotate", 4)  # counter-clockwise by 90 degrees: left-right becomes bottom-top
    assert float(turned[0, 0, 10, 40]) > float(turned[0, 0, 70, 40])
    assert torch.equal(apply(apply(x, "false_color", 4), "false_color", 4), 1 - (1 - x))


def test_diamond_square():
    field = diamond_square(Streams(0, 5, "f"), 65)
    assert field.shape == (5, 65, 65)
    assert torch.allclose(field.flatten(1).amin(1), torch.zeros(5))
    assert torch.allclose(field.flatten(1).amax(1), torch.ones(5))
    neighbours = (field[:, 1:] - field[:, :-1]).abs().mean()
    distant = (field[:, 32:] - field[:, :-32]).abs().mean()
    assert neighbours < 0.4 * distant  # a fractal surface, not noise


def test_canny_finds_a_square():
    image = torch.zeros(1, 1, 40, 40)
    image[..., 10:30, 10:30] = 1
    edges = canny(image, 60, 160)[0, 0]
    assert bool(edges[20, 8:12].any())
    assert bool(edges[8:12, 20].any())
    assert float(edges[15:25, 15:25].sum()) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: apply(torch.rand(1, 3, 16, 16), "gausian_noise", 1), "did you mean"),
        (lambda: apply(torch.rand(1, 3, 16, 16), "jpeg", 6), r"0\.\.5"),
        (lambda: apply(torch.rand(1, 3, 16, 16) * 255, "jpeg", 1), "255"),
        (lambda: apply(torch.full((1, 3, 16, 16), math.nan), "jpeg", 1), "NaN"),
        (lambda: apply(torch.rand(1, 3, 4, 16), "jpeg", 1), "8 x 8"),
        (lambda: apply(torch.rand(1, 5, 16, 16), "grayscale", 1), "5 channels"),
        (lambda: apply(np.zeros((9, 9)), "jpeg", 1), "uint8"),
        (lambda: Suite(severities=(6,)), "severities"),
        (lambda: names("nonsense"), "category"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_numpy_in_numpy_out(photos):
    array = photos[0].permute(1, 2, 0).numpy()
    out = apply(array, "snow", 3)
    assert out.shape == array.shape
    assert out.dtype == np.uint8
    assert Compose([("jpeg", 2), ("gaussian_noise", 1)])(photos.float() / 255).shape == photos.shape


def test_suite_resumes(photos, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(60 * 80 * 3, 3))
    x = photos.float() / 255
    batches = [(x[:2], torch.tensor([0, 1])), (x[2:], torch.tensor([2]))]
    suite = Suite(["jpeg", "gaussian_noise", "fog_mapping"], (1, 5))
    whole = suite.evaluate(model, batches)
    path = tmp_path / "cells.jsonl"
    suite.evaluate(model, batches, checkpoint=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:9])
    assert suite.evaluate(model, batches, checkpoint=path).errors == whole.errors
    assert len(whole.table().rows) == 3
    with pytest.raises(InputError, match="another model"):
        suite.evaluate(nn.Sequential(nn.Flatten(), nn.Linear(60 * 80 * 3, 3)), batches, checkpoint=path)


@pytest.mark.parametrize("name", sorted(opencv.NAMES))
def test_opencv_agrees(name, photos):
    pytest.importorskip("cv2")
    for images in (photos, photos[:, :1].contiguous()):
        for severity in range(1, 6):
            fast = get(name)(images, severity).float()
            ours = get(name)(images, severity, backend="torch").float()
            assert float((fast - ours).abs().mean()) < 0.3
    assert torch.equal(get(name)(photos, 3)[1], get(name)(photos[1], 3))


def test_pixelate_averages_areas():
    x = torch.rand(1, 1, 8, 9)
    out = apply(x, "pixelate", 5, reference_height=None)  # factor .1: one cell
    assert torch.allclose(out, x.mean().expand_as(out))
    row = torch.eye(9)[None, None]
    assert torch.allclose(area_means(row, (9, 2))[0, 0, :, 0], torch.tensor([1.0, 1, 1, 1, 0.5, 0, 0, 0, 0]) / 4.5)
    for size, cells in itertools.product((8, 31, 240), (1, 3, 7, 8)):
        x = torch.rand(2, 3, size, size, dtype=torch.float64)
        assert torch.allclose(area_means(x, (cells, cells)).mean((2, 3)), x.mean((2, 3)))
        if size % cells == 0:
            assert torch.allclose(area_means(x, (cells, cells)), F.adaptive_avg_pool2d(x, cells))


@pytest.mark.parametrize("side", [32, 33, 48])
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_pixelate_gives_the_same_bits_in_any_batch(side, severity):
    x = torch.rand(64, 3, side, side)
    assert torch.equal(apply(x, "pixelate", severity)[:5], apply(x[:5], "pixelate", severity))
