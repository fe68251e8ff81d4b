"""Sharpening against closed forms and SciPy; its inverse; what it refuses to lose (type, transparency, light)."""

import math

import pytest
import torch
from scipy import fft, ndimage
from torch import nn
from torch.nn import functional as F

from deepwright.adversarial import FGSM
from deepwright.adversarial.sharpening import (
    BitDepth,
    Blur,
    ContrastStretch,
    GaussianNoise,
    GuidedSharpen,
    Jpeg,
    LaplacianSharpen,
    Unsharp,
    blocking,
    gain,
    laplacian,
    reverse,
    texture_correlation,
    texture_intensity,
)

KERNELS = {
    4: torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=torch.float64),
    8: torch.tensor([[1.0, 1, 1], [1, -8, 1], [1, 1, 1]], dtype=torch.float64) / 2,
}
ALL = [
    LaplacianSharpen(0.3),
    LaplacianSharpen(0.3, 8),
    Unsharp(),
    GuidedSharpen(),
    ContrastStretch(),
    Blur(),
    GaussianNoise(),
]


def rand(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("shape", [(2, 3, 9, 12), (1, 1, 3, 3), (3, 2, 40, 57)])
def test_the_stencil_is_a_correlation_with_replicated_border(neighbours, shape):
    x, kernel = rand(*shape, dtype=torch.float64), KERNELS[neighbours]
    found = laplacian(x, neighbours)
    padded = F.pad(x, [1] * 4, mode="replicate").flatten(0, 1)[:, None]
    assert torch.allclose(found.flatten(0, 1), F.conv2d(padded, kernel[None, None])[:, 0], atol=1e-12)
    reference = ndimage.correlate(x[0, 0].numpy(), kernel.numpy(), mode="nearest")
    assert abs(found[0, 0].numpy() - reference).max() < 1e-12


@pytest.mark.parametrize("neighbours", [4, 8])
def test_gradients_pass_through_it_twice(neighbours):
    x = (rand(1, 2, 5, 4, dtype=torch.float64) * 0.2 + 0.4).requires_grad_(True)
    sharpen = LaplacianSharpen(0.3, neighbours)
    assert torch.autograd.gradcheck(sharpen, x)
    assert torch.autograd.gradgradcheck(sharpen, x)


def test_strength_zero_is_the_identity():
    x = rand(2, 3, 8, 8)
    assert torch.equal(LaplacianSharpen(0)(x), x)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_equal_pixels_stay_to_the_last_bit(neighbours):
    x = (torch.arange(256) / 255).view(256, 1, 1, 1).expand(256, 1, 6, 7)
    assert torch.equal(LaplacianSharpen(0.7, neighbours)(x), x)


def test_a_ramp_and_a_spot():
    ramp = (torch.arange(8) / 10).expand(1, 1, 8, 8)
    assert torch.allclose(LaplacianSharpen(0.5)(ramp)[..., 1:-1], ramp[..., 1:-1], atol=1e-6)
    spot = torch.full((1, 1, 5, 5), 0.5)
    spot[0, 0, 2, 2] += 0.1
    found = LaplacianSharpen(0.25)(spot) - 0.5
    assert math.isclose(found[0, 0, 2, 2], 0.1 + 4 * 0.25 * 0.1, abs_tol=1e-6)
    assert all(math.isclose(found[0, 0, i, j], -0.25 * 0.1, abs_tol=1e-6) for i, j in ((1, 2), (3, 2), (2, 1), (2, 3)))


@pytest.mark.parametrize("neighbours", [4, 8])
def test_a_cosine_is_raised_by_the_gain(neighbours):
    """Of the DCT-II, which the replicated border is exact for."""
    h, w, a = 11, 8, 0.6
    for k, m in ((1, 0), (0, 3), (4, 5), (10, 7)):
        down, across = torch.tensor(math.pi * k / h).double(), torch.tensor(math.pi * m / w).double()
        rows, columns = torch.arange(h).double() + 0.5, torch.arange(w).double() + 0.5
        wave = 0.5 + 0.02 * torch.cos(down * rows)[:, None] * torch.cos(across * columns)
        found = LaplacianSharpen(a, neighbours)(wave[None, None])[0, 0]
        assert torch.allclose(found - 0.5, gain(down, across, a, neighbours) * (wave - 0.5), atol=1e-12)


def test_the_gain_of_four_neighbours_is_that_of_the_spec():
    w1, w2 = torch.meshgrid(torch.linspace(0, math.pi, 7), torch.linspace(0, math.pi, 5), indexing="ij")
    assert torch.allclose(gain(w1, w2, 0.5), 1 + 0.5 * (4 - 2 * torch.cos(w1) - 2 * torch.cos(w2)))
    eight = (8 - 2 * torch.cos(w1) - 2 * torch.cos(w2) - 4 * torch.cos(w1) * torch.cos(w2)) / 2
    assert torch.allclose(gain(w1, w2, 0.5, 8), 1 + 0.5 * eight, atol=1e-6)


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("size", [(10, 12), (9, 7), (3, 16)])
@pytest.mark.parametrize("a", [0.25, 2.0])
def test_reversed_up_to_the_border_where_nothing_was_clipped(neighbours, size, a):
    x = 0.5 + 0.02 * (rand(2, 3, *size) - 0.5)
    assert (reverse(LaplacianSharpen(a, neighbours)(x), a, neighbours) - x).abs().max() < 1e-4


def test_the_inverse_is_scipys_dct():
    x = 0.5 + 0.05 * (rand(1, 1, 8, 9, dtype=torch.float64) - 0.5)
    k, m = torch.arange(8).double() * math.pi / 8, torch.arange(9).double() * math.pi / 9
    spectrum = fft.dctn(x[0, 0].numpy(), norm="ortho") / gain(k[:, None], m[None], 0.5).numpy()
    assert abs(reverse(x, 0.5)[0, 0].numpy() - fft.idctn(spectrum, norm="ortho")).max() < 1e-12


@pytest.mark.parametrize(
    "method",
    [
        LaplacianSharpen(0.3),
        LaplacianSharpen(0.3, 8),
        Unsharp(1.5, 0.4),
        GuidedSharpen(strength=0.4),
        ContrastStretch(0.3),
    ],
    ids=lambda m: f"{type(m).__name__}",
)
def test_an_attacker_who_knows_the_transform_undoes_it(method):
    x = 0.5 + 0.1 * (rand(3, 2, 12, 12) - 0.5)
    strength = method.strengths(x).strength
    close = (method.undone(method(x), strength) - x).abs().max()
    assert close < (2e-3 if isinstance(method, GuidedSharpen) else 1e-4)  # its windows' weights have moved


@pytest.mark.parametrize("method", ALL, ids=lambda m: f"{type(m).__name__}")
def test_a_picture_is_the_same_alone_and_in_a_batch(method):
    x = rand(4, 3, 9, 10)
    assert torch.equal(method(x)[2], method(x[2:3])[0])
    assert torch.equal(method(x)[2], method(x[2]))


@pytest.mark.parametrize("method", ALL, ids=lambda m: f"{type(m).__name__}")
def test_bytes_come_back_as_the_nearest_bytes(method):
    x = (rand(2, 3, 8, 8) * 255).to(torch.uint8)
    assert torch.equal(method(x), (method(x / 255) * 255).round().to(torch.uint8))


def test_luma_moves_all_channels_alike():
    x = rand(2, 3, 8, 8) * 0.1 + 0.45
    change = LaplacianSharpen(0.2, space="luma")(x) - x
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    expected = -0.2 * laplacian((x * weights).sum(1, keepdim=True))
    assert torch.allclose(change, expected.expand_as(change), atol=1e-6)


def test_transparency_passes():
    x = rand(2, 4, 8, 8)
    found = LaplacianSharpen(0.5, alpha=True)(x)
    assert torch.equal(found[:, 3], x[:, 3])
    assert torch.equal(found[:, :3], LaplacianSharpen(0.5)(x[:, :3]))


def test_linear_light_is_sharpened_as_it_is_seen():
    x = rand(1, 3, 8, 8)
    seen = torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    wanted = LaplacianSharpen(0.1)(seen)
    back = torch.where(wanted <= 0.04045, wanted / 12.92, ((wanted + 0.055) / 1.055) ** 2.4)
    assert torch.allclose(LaplacianSharpen(0.1, linear=True)(x), back, atol=1e-5)


def test_texture_of_a_grating():
    wave = 0.5 + 0.1 * torch.cos(math.pi * torch.arange(16))  # from pixel to pixel up and down by 0.2
    x = wave.expand(1, 1, 16, 16)
    assert math.isclose(texture_intensity(x)[0], (14 * 0.4 + 2 * 0.2) / 16, abs_tol=1e-6)
    assert math.isclose(texture_intensity(x, "gradient")[0], 0.2, abs_tol=1e-6)
    assert math.isclose(texture_intensity(x, "deviation")[0], 0.1, abs_tol=2e-3)
    assert math.isclose(texture_intensity(x, "contrast")[0], 0.1, abs_tol=1e-3)


def test_contrast_goes_with_the_budget_of_a_network_that_looks_at_amplitude():
    """Of a linear network the smallest budget is proportional to the amplitude along its weight."""
    board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float() * 2 - 1
    amplitude = torch.linspace(0.02, 0.3, 12)
    x = 0.5 + amplitude.view(-1, 1, 1, 1) * board
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([-board.flatten(), board.flatten()]))
    found = texture_correlation(model, x, torch.ones(12).long(), FGSM(0.1), high=0.4)
    assert set(found) == {"laplacian", "gradient", "deviation", "contrast"}
    assert all(v > 0.999 for v in found.values())
    assert texture_correlation(model, x, torch.zeros(12).long(), FGSM(0.1)) == {}


def test_blocks_of_jpeg_are_seen():
    x = 0.5 + 0.1 * (F.avg_pool2d(rand(1, 1, 70, 70), 7, 1) - 0.5) * 7
    x = x.clamp(0, 1)
    assert blocking(x)[0] < 1.5
    assert blocking(Jpeg(10)(x))[0] > 2


def test_what_is_stored_on_few_levels_is_on_them():
    x = rand(2, 3, 8, 8)
    assert set((BitDepth(2)(x) * 3).round().flatten().tolist()) == {0.0, 1.0, 2.0, 3.0}
    smooth = F.interpolate(x, size=32, mode="bilinear")
    assert (Jpeg(95)(smooth) - smooth).abs().mean() < 0.05


def test_in_a_network_no_value_is_looked_at():
    """On `meta` there are none: what looks at one fails there, as it would wait for an accelerator."""
    for sharpen in (LaplacianSharpen(0.5), LaplacianSharpen(0.5, space="luma"), Unsharp(), ContrastStretch()):
        assert sharpen(torch.rand(2, 3, 9, 9, device="meta")).shape == (2, 3, 9, 9)


def test_where_nothing_is_looked_at_a_stranger_is_nan():
    program = torch.export.export(LaplacianSharpen(0.5).eval(), (rand(3, 1, 6, 6),)).module()
    x = rand(3, 1, 6, 6)
    good = LaplacianSharpen(0.5)(x)
    x[1, 0, 2, 2] = 1.5
    out = program(x)
    assert torch.isnan(out[1]).all()
    assert torch.allclose(out[[0, 2]], good[[0, 2]])
