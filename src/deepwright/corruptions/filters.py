"""Filters and warps that several perturbations use: fast on a CPU, exact at the border."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F


@lru_cache(maxsize=64)
def gaussian_matrix(size: int, sigma: float, radius: int) -> Float[Tensor, "size size"]:
    """A row-stochastic matrix that blurs a line of `size` pixels with a reflected border."""
    offsets = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    kernel /= kernel.sum()
    columns = reflect_index(torch.arange(size)[:, None] + offsets[None], size)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, columns, kernel.expand(size, -1))
    return matrix.float()


@lru_cache(maxsize=64)
def area_shares(size: int, cells: int) -> tuple[Int64[Tensor, " cells"], Float[Tensor, "taps cells"]]:
    """The first of the pixels that each of `cells` equal intervals holds, and the shares of it and those behind it."""
    edges = torch.arange(cells + 1, dtype=torch.float64) * (size / cells)
    first = edges[:-1].long()
    pixel = first + torch.arange(math.ceil(size / cells) + 1)[:, None]
    shared = torch.minimum(edges[1:], pixel + 1) - torch.maximum(edges[:-1], pixel)
    return first, (shared.clamp_min(0) * (cells / size)).float()


def area_means(x: Float[Tensor, "n c h w"], cells: tuple[int, int]) -> Float[Tensor, "n c a b"]:
    """Averages over a grid of equal areas, split pixels by their share: tap by tap, so that no bit hangs on the batch.

    Args:
        x: pictures.
        cells: down and across.
    """
    for axis, count in ((3, cells[1]), (2, cells[0])):
        size = x.shape[axis]
        first, shares = (t.to(x.device) for t in area_shares(size, count))
        shape = (-1, 1) if axis == 2 else (-1,)
        taps = [
            x.index_select(axis, (first + tap).clamp_max(size - 1)) * share.view(shape).to(x.dtype)
            for tap, share in enumerate(shares)
        ]
        x = sum(taps[1:], taps[0])
    return x


def reflect_index(index: Tensor, size: int) -> Tensor:
    """Indices outside 0..size-1 mirrored at the border pixels (…2 1 | 0 1 2 …)."""
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.where(index >= size, period - index, index)


def gaussian(x: Float[Tensor, "n c h w"], sigma: float, radius: int | None = None) -> Float[Tensor, "n c h w"]:
    """Gaussian blur as two banded matrix products: one pass a direction, at the speed of a matrix library."""
    if sigma < 0.05:
        return x
    radius = max(1, math.ceil(3 * sigma)) if radius is None else radius
    across = gaussian_matrix(x.shape[3], sigma, radius).to(x.device)
    down = gaussian_matrix(x.shape[2], sigma, radius).to(x.device)
    return down @ (x @ across.T)


_FEW_TAPS = 48  # up to which passes over the picture are faster than a Fourier transform

NO_TAPS = -7 / 3  # of which `kernel_sigma` is 0


def kernel_sigma(k: float) -> float:
    """The field's deviation of a Gaussian kernel with k taps."""
    return 0.3 * ((k - 1) / 2 - 1) + 0.8


def _extended(x: Float[Tensor, "n c h w"], r: int) -> Tensor:
    """r more pixels on each side, mirrored at the border."""
    rows, columns = (reflect_index(torch.arange(-r, s + r, device=x.device), s) for s in x.shape[-2:])
    return x.index_select(2, rows).index_select(3, columns)


def tap_filter(x: Float[Tensor, "n c h w"], kernel: Float[Tensor, "k k"]) -> Float[Tensor, "n c h w"]:
    """As `fft_filter`, pass by pass over the kernel's taps that aren't 0: faster for lines, which have few.

    Args:
        x: pictures.
        kernel: of odd side; on the CPU, where its taps are counted.
    """
    taps = kernel.nonzero().tolist()
    if len(taps) > _FEW_TAPS:
        return fft_filter(x, kernel)
    h, w = x.shape[-2:]
    padded = _extended(x, kernel.shape[0] // 2)
    total = torch.zeros_like(x)
    for row, column in taps:
        total.add_(padded[..., row : row + h, column : column + w], alpha=float(kernel[row, column]))
    return total


def fft_filter(x: Float[Tensor, "n c h w"], kernel: Float[Tensor, "k k"]) -> Float[Tensor, "n c h w"]:
    """Correlation with one kernel (odd side) for all samples, reflected border, in Fourier space."""
    k = kernel.shape[0]
    r = k // 2
    h, w = x.shape[-2:]
    if r == 0:
        return x * kernel.sum()
    padded = _extended(x, r)
    size = (_smooth(h + 2 * r), _smooth(w + 2 * r))
    spectrum = torch.fft.rfft2(padded, s=size) * torch.fft.rfft2(kernel.to(x), s=size).conj()
    return torch.fft.irfft2(spectrum, s=size)[..., :h, :w]


@lru_cache(maxsize=256)
def _smooth(n: int) -> int:
    """The next size with factors 2, 3 and 5 only."""
    while True:
        rest = n
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return n
        n += 1


@lru_cache(maxsize=64)
def disk(radius: float) -> Float[Tensor, "k k"]:
    """A disk of the given radius with anti-aliased rim, summing to 1."""
    r = math.ceil(radius)
    fine = torch.arange(-r - 0.5 + 1 / 16, r + 0.5, 1 / 8)
    inside = (fine[:, None] ** 2 + fine[None] ** 2 <= max(radius, 0.1) ** 2).float()
    kernel = F.avg_pool2d(inside[None, None], 8)[0, 0]
    return kernel / kernel.sum()


@lru_cache(maxsize=64)
def line(length: float, degrees: float) -> Float[Tensor, "k k"]:
    """A straight line of the given length through the centre, drawn anti-aliased, summing to 1."""
    half = max(0.0, (length - 1) / 2)
    r = math.ceil(half)
    angle = math.radians(degrees)
    steps = torch.linspace(-half, half, 16 * (r + 1) + 1)
    px, py = steps * math.cos(angle) + r, -steps * math.sin(angle) + r
    kernel = torch.zeros(2 * r + 1, 2 * r + 1)
    for dy in (0, 1):
        for dx in (0, 1):
            ix, iy = px.floor() + dx, py.floor() + dy
            weight = (1 - (px - ix).abs()) * (1 - (py - iy).abs())
            inside = (ix >= 0) & (ix <= 2 * r) & (iy >= 0) & (iy <= 2 * r)
            kernel.index_put_((iy[inside].long(), ix[inside].long()), weight[inside], accumulate=True)
    return kernel / kernel.sum()


def motion(size: float, degrees: float, unit: float) -> Float[Tensor, "k k"]:
    """The line of motion blur: as far spread as one tap in each of `size` rows, at an angle from the vertical.

    Args:
        size: rows.
        degrees: from downwards to the lower right.
        unit: pixels per row.
    """
    spread = math.sqrt(size**2 - 1) / math.cos(math.radians(degrees))  # of a uniform line with the taps' variance
    return line(1 + spread * unit, degrees - 90)


def affine(x: Float[Tensor, "n c h w"], matrix: list[list[float]]) -> Float[Tensor, "n c h w"]:
    """Sample the output pixel (u, v), measured from the centre, at matrix @ (u, v, 1) of the input; black outside."""
    n, _, h, w = x.shape
    (a, b, tx), (c, d, ty) = matrix
    theta = torch.tensor([[a, b * h / w, 2 * tx / w], [c * w / h, d, 2 * ty / h]], device=x.device)
    grid = F.affine_grid(theta[None], [1, 1, h, w], align_corners=False).expand(n, -1, -1, -1)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


@lru_cache(maxsize=16)
def pixel_grid(h: int, w: int) -> Float[Tensor, "h w 2"]:
    """The identity sampling grid."""
    theta = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    return F.affine_grid(theta[None], [1, 1, h, w], align_corners=False)[0]


def displace(x: Float[Tensor, "n c h w"], dx: Float[Tensor, "n h w"], dy: Float[Tensor, "n h w"]) -> Tensor:
    """Sample each pixel at an offset in pixels; mirrored border."""
    h, w = x.shape[-2:]
    grid = pixel_grid(h, w).to(x.device) + torch.stack([dx * (2 / w), dy * (2 / h)], -1)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def scale_value(x: Float[Tensor, "n c h w"], value: Tensor, new: Tensor) -> Tensor:
    """Replace the HSV value by `new` at constant hue and saturation: colours scale with it."""
    return (x * (new / value.clamp_min(1e-6))).add_((value < 1e-6) * new)
