"""Pictures of nested layers in which only the order tells two classes apart, made from a seed."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.data.dataset import Data, Split

LAYERS = ("background", "rim", "body", "core")
BRANCHES = ("ground", "road", "marking", "crossing", "house", "window")
_SHADES = (0.20, 0.55, 0.30, 0.80)
_BRANCH_SHADES = (0.25, 0.45, 0.85, 0.70, 0.60, 0.15)
_LEAST, _TRIES = 32, 50


def make_nested_anatomy(
    n: int, size: int = 48, classes: int = 4, noise: float = 0.25, *, skip_layer: float = 0.0, seed: int = 0
) -> tuple[Float[Tensor, "n 1 size size"], Int64[Tensor, "n size size"]]:
    """Grey pictures of three layers inside one another; the body's shade is near the background's.

    A centre near the middle, a wobbling outline, inner outlines at shares of it; then blur, a smooth field of light,
    three rectangles of random brightness and white noise. Labels that break their own order are drawn again, so that
    their rate of forbidden contacts is exactly 0. A picture doesn't depend on how many are made.

    Args:
        n: pictures.
        size: of their sides, 32 or more.
        classes: 4, the only number there is.
        noise: standard deviation of the white noise.
        skip_layer: of this share of the pictures the rim is left out, so that the order is false: a control.
        seed: of all draws.

    Returns:
        Pictures, and labels 0..3 from the outermost class to the innermost.

    Raises:
        InputError: smaller sides, on which labels break their order, or another number of classes.
    """
    require_whole(0, n=n)
    require_whole(_LEAST, size=size)
    require_number(0, noise=noise)
    require_within(0.0, 1.0, skip_layer=skip_layer)
    if classes != len(LAYERS):
        raise InputError("classes", given=classes, expected=len(LAYERS))
    y = _nested(torch.arange(n), size, seed, 0)
    for again in range(1, _TRIES):
        broken = _broken(y)
        if not bool(broken.any()):
            break
        y[broken] = _nested(broken.nonzero().flatten(), size, seed, again)
    skipped = Streams(seed, torch.arange(n), "anatomy skipped").uniform(1)[:, 0] < skip_layer
    y = torch.where(skipped[:, None, None] & (y == 1), 0, y)
    return _picture(y, _SHADES, noise, seed), y


def _nested(samples: Tensor, size: int, seed: int, again: int) -> Tensor:
    draws = Streams(seed, samples, f"anatomy shape {again}")
    unit = size / 48
    u = draws.uniform(12).double()
    centre = size / 2 + unit * (10 * u[:, :2] - 5)
    at = torch.arange(size).double()
    dy, dx = (at[None, :, None] - centre[:, 0, None, None]), (at[None, None, :] - centre[:, 1, None, None])
    radius, theta = (dy**2 + dx**2).sqrt(), torch.atan2(dy, dx)
    wobble = torch.ones_like(radius)
    waves = draws.normal(4).double()
    for m in range(1, 5):
        phase = 2 * torch.pi * u[:, 3 + m, None, None]
        wobble += waves[:, m - 1, None, None] * 0.10 / m * torch.cos(m * theta + phase)
    outer = unit * (15 + 5 * u[:, 2, None, None]) * wobble
    lobes = 1 + 0.08 * torch.cos(3 * theta + 2 * torch.pi * u[:, 8, None, None])
    f1 = 0.68 + 0.14 * u[:, 9, None, None]
    f2 = f1 * (0.4 + 0.2 * u[:, 10, None, None])
    return torch.stack([radius < edge for edge in (outer, outer * f1 * lobes, outer * f2 * lobes)]).sum(0)


def _broken(y: Tensor) -> Tensor:
    """Maps with neighbours two or more classes apart, or that lack a class."""
    far = (y.diff(dim=1).abs() > 1).flatten(1).any(1) | (y.diff(dim=2).abs() > 1).flatten(1).any(1)
    return far | (y.flatten(1).amax(1) < len(LAYERS) - 1)


def _picture(y: Tensor, shades: tuple[float, ...], noise: float, seed: int) -> Tensor:
    n, size = len(y), y.shape[-1]
    draws = Streams(seed, torch.arange(n), "anatomy light")
    x = _blurred(torch.tensor(shades)[y][:, None], 0.8 * size / 48)
    low = draws.uniform(16).reshape(n, 1, 4, 4) - 0.5
    x = x * (1 + 0.35 * F.interpolate(low, (size, size), mode="bicubic", align_corners=True))
    u = draws.uniform(15).reshape(n, 3, 5)
    at = torch.arange(size)
    for patch in range(3):
        left, top, wide, high, shade = u[:, patch].unbind(1)
        unit = size / 48
        columns = _within(at, left * size, unit * (3 + 5 * wide))
        rows = _within(at, top * size, unit * (3 + 5 * high))
        x = torch.where((rows[:, :, None] & columns[:, None, :])[:, None], shade[:, None, None, None], x)
    return x + noise * draws.normal(size * size).reshape(n, 1, size, size)


def _within(at: Tensor, start: Tensor, length: Tensor) -> Tensor:
    return (at >= start[:, None]) & (at < (start + length)[:, None])


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    kernel = (-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sigma**2)).softmax(0)
    x = F.pad(x, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))


def make_tree_scene(
    n: int, size: int = 48, noise: float = 0.1, *, seed: int = 0
) -> tuple[Float[Tensor, "n 1 size size"], Int64[Tensor, "n size size"]]:
    """Grey pictures of two branches on the ground: markings and a crossing on a road, windows in a house.

    The tree is ground<road<marking, road<crossing, ground<house<window, in the numbers of `BRANCHES`.

    Args:
        n: pictures.
        size: of their sides, 32 or more.
        noise: standard deviation of the white noise.
        seed: of all draws.
    """
    require_whole(0, n=n)
    require_whole(_LEAST, size=size)
    require_number(0, noise=noise)
    u = Streams(seed, torch.arange(n), "tree scene").uniform(8).double() * size
    at = torch.arange(size).double()
    y = torch.zeros(n, size, size, dtype=torch.long)

    def paint(k: int, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> None:
        rows, columns = _within(at, top, bottom - top), _within(at, left, right - left)
        y.masked_fill_(rows[:, :, None] & columns[:, None, :], k)

    zero, whole = torch.zeros(n), torch.full((n,), float(size))
    road = 0.5 * size + 0.1 * u[:, 0]
    width = 0.25 * size + 0.05 * u[:, 1]
    paint(1, road, road + width, zero, whole)
    paint(2, road + 0.45 * width, road + 0.55 * width + 1, 0.05 * size + 0.1 * u[:, 2], 0.35 * size + 0.1 * u[:, 2])
    paint(3, road + 0.2 * width, road + 0.8 * width, 0.6 * size + 0.1 * u[:, 3], 0.75 * size + 0.1 * u[:, 3])
    top, left = 0.05 * size + 0.1 * u[:, 4], 0.1 * size + 0.3 * u[:, 5]
    paint(4, top, top + 0.3 * size, left, left + 0.35 * size)
    paint(5, top + 0.1 * size, top + 0.2 * size, left + 0.1 * size, left + 0.2 * size)
    return _picture(y, _BRANCH_SHADES, noise, seed), y


def load_nested_anatomy(seed: int = 0, *, skip_layer: float = 0.0) -> Data:
    """24 pictures to train on, 24 to choose by and 150 to test with, from `make_nested_anatomy`, brought into [0, 1].

    Args:
        seed: of all draws.
        skip_layer: see `make_nested_anatomy`.
    """
    x, y = make_nested_anatomy(198, skip_layer=skip_layer, seed=seed)
    x = ((x + 0.75) / 2.5).clamp(0, 1)  # three standard deviations of the noise on both sides
    train, validation, test = (Split(x[a:b], y[a:b]) for a, b in ((0, 24), (24, 48), (48, 198)))
    return Data("nested-anatomy", "segmentation", LAYERS, train, validation, test)
