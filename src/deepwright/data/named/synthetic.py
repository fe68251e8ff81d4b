"""Data with a known answer, made from a seed."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole, require_within
from deepwright.data.dataset import Data, Split
from deepwright.data.files.tables import table_data


def make_confident_error_data(n: int, d: int = 12, minority: float = 0.12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A table in which a subgroup follows the reversed mechanism, so that some errors are confident and irreducible.

    X ~ N(0, I) with columns 0-2 heavy-tailed, sign(x)|x|^1.5; s = X . (1.2, -1, .8, .6, -.5, 0, ...) - 0.7; s changes
    sign on a random share `minority` of the rows, which X does not show; y ~ Bernoulli(sigmoid(2 s)).

    Args:
        n: rows.
        d: features, 5 or more.
        minority: share of reversed rows.
        seed: of all draws.

    Returns:
        (n, d) float32 features and (n,) labels 0/1.
    """
    require_whole(1, n=n)
    if d < 5 or not 0 <= minority <= 1:
        raise InputError(
            "make_confident_error_data", given=f"d={d}, minority={minority}", expected="d >= 5, minority in [0, 1]"
        )
    rng = generator(seed, "confident-error")
    x = torch.randn(n, d, generator=rng, dtype=torch.float64)
    x[:, :3] = x[:, :3].sign() * x[:, :3].abs() ** 1.5
    weights = torch.zeros(d, dtype=torch.float64)
    weights[:5] = torch.tensor([1.2, -1.0, 0.8, 0.6, -0.5])
    s = x @ weights - 0.7
    reversed_rows = torch.rand(n, generator=rng) < minority
    s = torch.where(reversed_rows, -s, s)
    y = (torch.rand(n, generator=rng, dtype=torch.float64) < torch.sigmoid(2 * s)).long()
    return x.float(), y


def load_confident_error(seed: int = 0) -> Data:
    """5,400 rows of `make_confident_error_data`: 900 / 500 / 4,000.

    Args:
        seed: of all draws.
    """
    x, y = make_confident_error_data(5400, seed=seed)
    features = tuple(f"x{i}" for i in range(x.shape[1]))
    return table_data(
        "confident-error", x, y, ("negative", "positive"), features, shares=(900 / 5400, 500 / 5400), seed=seed
    )


def boxes_ood(
    seed: int = 0, d: int = 8, classes: int = 2, cubes: int = 4, train: int = 1000, test: int = 500
) -> tuple[Split, Split, Float[Tensor, "m d"]]:
    """Features in which a union of boxes is optimal and one box or one Gaussian a class is not.

    `cubes` unit cubes per class, centres uniform in [-4, 4]^d; ID uniform in a random cube of the class; OOD between
    the centres of two random cubes, t c1 + (1 - t) c2 + U[-.5, .5]^d with t in [.25, .75], points inside any cube
    rejected.

    Args:
        seed: of all draws.
        d: features.
        classes: how many.
        cubes: per class.
        train: training samples per class.
        test: test samples per class.

    Returns:
        ID training split, ID test split, and as many OOD points as ID test points.
    """
    require_whole(1, d=d, classes=classes, cubes=cubes, train=train, test=test)
    rng = generator(seed, "boxes-ood")

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, generator=rng) * (high - low) + low

    centres = uniform(classes, cubes, d, low=-4, high=4)

    def inside(n: int) -> Split:
        y = torch.arange(classes).repeat_interleave(n)
        which = torch.randint(0, cubes, (len(y),), generator=rng)
        return Split(centres[y, which] + uniform(len(y), d, low=-0.5, high=0.5), y)

    flat = centres.reshape(-1, d)
    outside: list[Tensor] = []
    while sum(map(len, outside)) < classes * test:
        pair = torch.randint(0, len(flat), (2, 4 * test), generator=rng)
        t = uniform(4 * test, 1, low=0.25, high=0.75)
        points = t * flat[pair[0]] + (1 - t) * flat[pair[1]] + uniform(4 * test, d, low=-0.5, high=0.5)
        in_cube = ((points[:, None] - flat[None]).abs() <= 0.5).all(2).any(1)
        outside.append(points[~in_cube])
    return inside(train), inside(test), torch.cat(outside)[: classes * test]


def make_redundant_pool(
    n: int = 20_000, *, classes: int = 8, d: int = 32, outliers: float = 0.05, noise: float = 0.02, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """A pool in which most samples say the same: labels are worth most in the rare modes, where classes nearly meet.

    Each class has four unit Gaussians with weights .85, .10, .04, .01. Common modes of different classes are 6 apart;
    each of the rarer ones lies 2 from one of another class. A share `noise` of the labels is wrong, a share `outliers`
    of the points belongs to no class and has random labels. Choosing at random wastes labels on the common modes;
    choosing what is uncertain finds the rare pairs; choosing what is certain, or a wrong sign, falls below random.

    Args:
        n: points.
        classes: an even number.
        d: features, at least classes + 3.
        outliers: share of points of no class.
        noise: share of wrong labels.
        seed: of all draws.

    Returns:
        (n, d) float32 inputs, (n,) labels as they would be told, and (n,) the mode 0..3 of each point (-1: an outlier).
    """
    if n < 1 or classes < 2 or classes % 2 or d < classes + 3:
        raise InputError(
            "make_redundant_pool",
            given=f"n={n}, classes={classes}, d={d}",
            expected="n >= 1, an even number of classes, d >= classes + 3",
        )
    require_within(0, 1, outliers=outliers, noise=noise)
    rng = generator(seed, "redundant pool")
    centres = torch.zeros(classes, 4, d)
    for c in range(classes):
        centres[c, 0, c] = 6 / 2**0.5  # 6 from every other common mode
    for kind in (1, 2, 3):
        for pair in range(classes // 2):
            place = 9.0 * torch.nn.functional.normalize(torch.randn(d, generator=rng), dim=0)
            side = torch.nn.functional.normalize(torch.randn(d, generator=rng), dim=0)
            first, second = 2 * pair, (2 * pair + 2 * kind - 1) % classes
            centres[first, kind] = place + side
            centres[second, kind] = place - side
    y = torch.randint(0, classes, (n,), generator=rng)
    weights = torch.tensor([0.85, 0.10, 0.04, 0.01])
    mode = torch.multinomial(weights.expand(n, 4), 1, generator=rng)[:, 0]
    x = centres[y, mode] + torch.randn(n, d, generator=rng)
    strange = torch.rand(n, generator=rng) < outliers
    x[strange] = 12 * torch.nn.functional.normalize(torch.randn(int(strange.sum()), d, generator=rng), dim=1)
    told = y.clone()
    wrong = (torch.rand(n, generator=rng) < noise) | strange
    told[wrong] = torch.randint(0, classes, (int(wrong.sum()),), generator=rng)
    return x, told, torch.where(strange, torch.full_like(mode, -1), mode)


_ORIENTATIONS, _CYCLES = 4, (0.14, 0.22)  # steps of 45 degrees; cycles a pixel


def texture_waves(n: int, seed: int = 0, size: int = 32) -> tuple[Float[Tensor, "n 1 size size"], Tensor]:
    """Grey pictures of one wave each, in which amplitude is what separates signal from attack.

    Eight classes: four orientations (k * 45 degrees, sd 0.12 rad) times two frequencies (0.14 and 0.22 cycles a pixel,
    sd 0.008). x = 0.5 + c sin(wave) + 0.12 * (1/f noise of unit deviation) + 0.02 * white noise, c = U(0.03, 0.2), any
    phase, clipped to [0, 1].

    Args:
        n: pictures.
        seed: of all draws.
        size: of their sides, in pixels.

    Returns:
        (n, 1, size, size) float32 pictures and (n,) labels: orientation + 4 * frequency.
    """
    require_whole(1, n=n)
    require_whole(8, size=size)
    rng = generator(seed, "texture waves")
    y = torch.randint(0, _ORIENTATIONS * len(_CYCLES), (n,), generator=rng)
    angle = (y % _ORIENTATIONS) * (math.pi / _ORIENTATIONS) + 0.12 * torch.randn(n, generator=rng)
    cycles = torch.tensor(_CYCLES)[y // _ORIENTATIONS] + 0.008 * torch.randn(n, generator=rng)
    contrast, phase = torch.rand(n, generator=rng) * 0.17 + 0.03, torch.rand(n, generator=rng) * 2 * math.pi
    place = torch.arange(size, dtype=torch.float32)
    along = angle.cos()[:, None, None] * place[None, None, :] + angle.sin()[:, None, None] * place[None, :, None]
    wave = torch.sin(2 * math.pi * cycles[:, None, None] * along + phase[:, None, None])
    x = 0.5 + contrast[:, None, None] * wave + 0.12 * _one_over_f(n, size, rng)
    x += 0.02 * torch.randn(n, size, size, generator=rng)
    return x.clamp_(0, 1)[:, None], y


def _one_over_f(n: int, size: int, rng: torch.Generator) -> Tensor:
    """(n, size, size) noise whose amplitude falls as 1 / frequency, without a mean, of unit deviation."""
    down, across = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    frequency = (down.square() + across.square()).sqrt()
    falling = torch.where(frequency > 0, 1 / frequency.clamp_min(1e-9), 0.0)
    noise = torch.fft.irfft2(torch.fft.rfft2(torch.randn(n, size, size, generator=rng)) * falling, s=(size, size))
    return noise / noise.std((1, 2), keepdim=True)


def load_texture_waves(seed: int = 0) -> Data:
    """4,800 pictures of `texture_waves` in 8 bits: 4,000 / 400 / 400.

    Args:
        seed: of all draws.
    """
    x, y = texture_waves(4800, seed)
    x = (x * 255).round().to(torch.uint8)
    degrees = [int(k * 180 / _ORIENTATIONS) for k in range(_ORIENTATIONS)]
    names = tuple(f"{d} degrees, {kind}" for kind in ("coarse", "fine") for d in degrees)
    train, validation, test = (Split(x[a:b], y[a:b]) for a, b in ((0, 4000), (4000, 4400), (4400, 4800)))
    return Data("texture-waves", "image", names, train, validation, test)
