"""Strengths from a target: PSNR, SSIM and equal error are hit after clipping and rounding, and said where they can't be."""

import math

import pytest
import torch
from skimage.metrics import structural_similarity
from sklearn.datasets import load_sample_images

from deepwright import InputError
from deepwright.adversarial.sharpening import (
    Blur,
    ContrastStretch,
    GaussianNoise,
    LaplacianSharpen,
    Unsharp,
    psnr,
    ssim,
)

METHODS = [LaplacianSharpen, Unsharp, ContrastStretch, GaussianNoise]


@pytest.fixture(scope="module")
def crops():
    """20 crops of two photographs, on 8-bit levels."""
    rng = torch.Generator().manual_seed(0)
    photographs = [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in load_sample_images().images]
    found = []
    for i in range(20):
        top, left = (int(torch.randint(0, n - 96, (1,), generator=rng)) for n in photographs[i % 2].shape[1:])
        found.append(photographs[i % 2][:, top : top + 96, left : left + 96])
    return torch.stack(found) / 255


@pytest.mark.parametrize("wanted", [25.0, 32.0, 47.5])
def test_the_psnr_is_hit(crops, wanted):
    sharpen = LaplacianSharpen(f"psnr:{wanted}", quantize=255)
    published = sharpen(crops)
    assert (psnr(published, crops) - wanted).abs().max() <= 0.05
    assert (published * 255 - (published * 255).round()).abs().max() < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_each_method_hits_a_psnr(crops, method):
    assert (psnr(method(strength="psnr:28")(crops), crops) - 28).abs().max() <= 0.05


def test_the_ssim_is_hit(crops):
    few = crops[:4]
    published = LaplacianSharpen("ssim:0.95", quantize=255)(few)
    assert (ssim(published, few) - 0.95).abs().max() <= 0.002


def test_ssim_is_that_of_scikit_image(crops):
    x, y = crops[:2].double(), LaplacianSharpen(0.5)(crops[:2].double())
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    for a, b, found in zip(x, y, ssim(x, y)):
        _, places = structural_similarity(a[0].numpy(), b[0].numpy(), full=True, win_size=11, **options)
        one = ssim(a[None, :1], b[None, :1])
        assert math.isclose(float(one), places[5:-5, 5:-5].mean(), abs_tol=1e-6)
        assert 0 < found < 1


def test_methods_are_put_at_the_error_of_another(crops):
    few = crops[:4]
    error = (LaplacianSharpen(0.25)(few) - few).square().flatten(1).mean(1)
    for method in (Unsharp(), ContrastStretch(), GaussianNoise(), Blur(1.0)):
        found = method.strengths(few, error)
        if isinstance(method, Blur) and not bool(found.reached.all()):
            continue  # a blur has an end
        assert bool(found.reached.all())
        ratio = (method.at(few, found.strength) - few).square().flatten(1).mean(1) / error
        assert (10 * ratio.log10()).abs().max() <= 0.05


@pytest.mark.parametrize("change", [0.5 / 255, 1 / 255, 3 / 255, 0.017])
@pytest.mark.parametrize("on_levels", [True, False])
def test_no_pixel_changes_by_more(crops, change, on_levels):
    x = crops[:4] if on_levels else crops[:4] * 0.97 + 0.011
    published = LaplacianSharpen(1.0, max_change=change, quantize=255)(x)
    assert (published - x).abs().max() <= change + 1e-6
    assert (published * 255 - (published * 255).round()).abs().max() < 1e-4
    assert (published != x).any() or change * 255 < 0.51  # from one level to the next is more


def test_equal_pixels_have_no_strength():
    x = torch.full((2, 1, 8, 8), 0.4)
    x[1] = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    sharpen = LaplacianSharpen("psnr:30")
    with pytest.warns(UserWarning, match=r"pictures \[0\]: they stay"):
        published = sharpen(x)
    assert torch.equal(published[0], x[0])
    assert abs(float(psnr(published[1:], x[1:])) - 30) < 0.05
    with pytest.raises(InputError, match="no strength reaches"):
        sharpen(x[0])


def test_a_binary_scan_is_at_its_end_at_every_strength():
    board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float().expand(1, 1, 8, 8)
    assert torch.equal(LaplacianSharpen(50.0)(board), board)
    found = LaplacianSharpen("psnr:30").strengths(board)
    assert not bool(found.reached.any())
    assert float(found.strength) == 0


def test_gradients_pass_as_if_nothing_were_rounded():
    x = (torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4).requires_grad_(True)
    (rounded,) = torch.autograd.grad(LaplacianSharpen(0.2, quantize=255)(x).square().sum(), x)
    (plain,) = torch.autograd.grad(LaplacianSharpen(0.2)(x).square().sum(), x)
    assert torch.allclose(rounded, plain, atol=0.05)
    assert rounded.abs().max() > 0.1
