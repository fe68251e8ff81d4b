"""Drawing points: the unit cube, rejection, Newton's way to a level set, resampling by residual."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_whole

METHODS = ("sobol", "lhs", "uniform", "grid")


def seeded(generator: torch.Generator | None) -> torch.Generator:
    """The generator of a draw: of seed 0, on the CPU, where none was given.

    Args:
        generator: as given.
    """
    return torch.Generator().manual_seed(0) if generator is None else generator


def unit_points(n: int, dim: int, method: str, generator: torch.Generator) -> Float[Tensor, "n d"]:
    """n points of the unit cube, float64, on the CPU (so that they are the same wherever they are used).

    Args:
        n: how many.
        dim: of how many axes.
        method: "sobol" (scrambled), "lhs" (Latin hypercube), "uniform", or "grid" (the smallest grid of cell centres
            with at least n points, of which n are taken evenly).
        generator: of the draws.

    Raises:
        InputError: no points asked for; an unknown method.
    """
    require_whole(1, points=n)
    if method == "sobol":
        seed = int(torch.randint(2**31, (1,), generator=generator))
        return torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed).draw(n, dtype=torch.float64)
    if method == "lhs":
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(dim)], 1)
        return (order + torch.rand(n, dim, generator=generator, dtype=torch.float64)) / n
    if method == "uniform":
        return torch.rand(n, dim, generator=generator, dtype=torch.float64)
    if method == "grid":
        side = math.ceil(n ** (1 / dim) - 1e-9)
        axis = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        cells = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
        return cells[torch.linspace(0, len(cells) - 1, n).round().long()]
    raise unknown_name("method", method, METHODS)


def unit_directions(u: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Points of the unit cube as directions, evenly over the sphere (normal quantiles, made of length 1).

    Args:
        u: those points.
    """
    normal = torch.special.ndtri(u.clamp(1e-12, 1 - 1e-12))
    return normal / normal.norm(dim=1, keepdim=True).clamp_min(1e-300)


def slack(x: Tensor, size: float, axes: Iterable[tuple[float, float]]) -> float:
    """How far outside a point of the boundary may come to lie by rounding alone.

    Args:
        x: points; their precision counts.
        size: of the region.
        axes: the region's bounds: what is far from 0 is rounded more.
    """
    eps = torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0
    return max(1e-9 * size, 4 * eps * max(abs(end) for axis in axes for end in axis))


def collect(
    draw: Callable[[], tuple[Tensor, ...]], n: int, what: str, expected: str, *, draws: int = 1000
) -> tuple[Tensor, ...]:
    """The first n rows of what repeated draws accept: rejection sampling.

    Args:
        draw: a batch of candidates, those that count kept: tensors of equally many rows (none is allowed).
        n: how many rows.
        what: the thing that is drawn, for the error.
        expected: what would have given points, for the error.
        draws: so many at most.

    Returns:
        n rows of each tensor.

    Raises:
        InputError: too few rows after the last draw.
    """
    found: list[tuple[Tensor, ...]] = []
    have = 0
    for _ in range(draws):
        kept = draw()
        found.append(kept)
        have += len(kept[0])
        if have >= n:
            return tuple(torch.cat(parts)[:n] for parts in zip(*found))
    given = f"{have} of {n} points in {draws} draws" if have else "no point"
    raise InputError(what, given=given, expected=expected)


def sample_where(
    inside: Callable[[Tensor], Tensor],
    bounds: Sequence[tuple[float, float]],
    n: int,
    method: str,
    generator: torch.Generator | None,
    what: str,
    expected: str,
    draws: int = 1000,
) -> Float[Tensor, "n d"]:
    """Even points of a region, by rejection of those of a box around it.

    Args:
        inside: (N, d) -> (N,): which points count.
        bounds: (low, high) of the box on each axis.
        n: how many.
        method: see `points.unit_points`.
        generator: of the draw, on the CPU; seed 0 where not given.
        what: the region, for the error.
        expected: what would have given points, for the error.
        draws: so many at most.

    Raises:
        InputError: none asked for; too few found.
    """
    require_whole(1, points=n)
    rng = seeded(generator)
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    ways = itertools.chain([method], itertools.repeat("sobol"))  # a second grid would be the first one again

    def draw() -> tuple[Tensor]:
        x = low + (high - low) * unit_points(max(2 * n, 256), len(bounds), next(ways), rng)
        return (x[inside(x)],)

    return collect(draw, n, what, expected, draws=draws)[0]


def newton_to_zero(
    level: Callable[[Tensor], tuple[Tensor, Tensor]], x: Float[Tensor, "n d"], steps: int
) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"], Float[Tensor, "n k"]]:
    """Points moved to where a function vanishes, x <- x - phi grad phi / |grad phi|^2.

    Args:
        level: x -> (phi (N,), its gradient (N, k) along the first k axes); the others (time) stay.
        x: where to begin.
        steps: how many.

    Returns:
        The points, phi there, and its gradient there.
    """
    for _ in range(steps):
        value, slope = level(x)
        move = value[:, None] * slope / slope.square().sum(1, keepdim=True).clamp_min(1e-12)
        k = slope.shape[1]
        x = torch.cat([x[:, :k] - move, x[:, k:]], 1)
    value, slope = level(x)
    return x, value, slope


def adaptive(
    residuals: Float[Tensor, " n"], n: int, k: float = 1.0, c: float = 1.0, *, generator: torch.Generator
) -> Int64[Tensor, " m"]:
    """Indices of n candidates drawn with density |r|^k / mean |r|^k + c (RAD, arXiv 2207.10289).

    Args:
        residuals: of each candidate.
        n: how many to take, without repetition.
        k: sharpness.
        c: share of even sampling.
        generator: of the draw (on the CPU).

    Returns:
        Indices, where the residuals are.

    Raises:
        InputError: more than there are; residuals that aren't finite.
    """
    if not 0 < n <= len(residuals):
        raise InputError("n", given=n, expected=f"1..{len(residuals)}, the candidates")
    if not (c >= 0 and k >= 0):
        raise InputError("adaptive", given=f"k={k}, c={c}", expected="0 or more each")
    size = residuals.detach().abs().double().cpu() ** k
    density = size / size.mean().clamp_min(1e-300) + c
    if not torch.isfinite(density).all():
        raise InputError("residuals", given="NaN or infinity", expected="finite numbers")
    if int((density > 0).sum()) < n:
        given = f"{int((density > 0).sum())} candidates with a residual, c={c}"
        raise InputError("residuals", given=given, expected=f"{n} that aren't 0, or c above 0")
    return torch.multinomial(density, n, generator=generator).to(residuals.device)
