"""Extrema of maps that aren't differentiable: a point whose value no point of a box around it reaches."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.intervals import enclose
from deepwright.interpret.tunnel.layers import is_known
from deepwright.interpret.tunnel.maps import ScalarMap

_SIDE = {1: 513, 2: 65, 3: 17}
_SHELLS = (1, 2, 4)
_MOST = 16  # candidates of each kind that are looked at
_PIECES = {1: 1, 2: 256, 3: 48}  # of each face's sides


def island(fn: ScalarMap, domain: Domain) -> str | None:
    """A local extremum that is proved, in words; None where none is.

    A continuous map whose value at a point lies below all of its values on the boundary of a box around the point has
    a minimum inside. The boundary is enclosed by intervals, piece by piece.

    Args:
        fn: of at most three features, whose factors are known.
        domain: in its units.
    """
    if not is_known(fn.chain) or domain.dimension not in _SIDE:
        return None
    low, high = domain.box().ends
    side, n = _SIDE[domain.dimension], domain.dimension
    step = ((high - low) / (side - 1)).to(fn.device)
    axes = [torch.linspace(float(a), float(b), side, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    points = torch.cartesian_prod(*axes).view(-1, n).to(fn.device)
    with torch.no_grad():
        values = torch.cat([fn(part) for part in points.split(2**16)]).view(*[side] * n)
    for sign, word in ((1.0, "minimum"), (-1.0, "maximum")):
        for shell in _SHELLS:
            for place in _candidates(sign * values, shell):
                at, half = points[place], shell * step
                if bool(domain.contains(at[None], -float(half.norm())).all()) and _walled(fn, at, half, sign):
                    words = ", ".join(f"{v:.4g}" for v in at.tolist())
                    return f"a {word} within {float(half.max()):.2g} of ({words}): all of a box's boundary lies beyond"
    return None


def _candidates(values: Tensor, shell: int) -> list[int]:
    """Grid points below all others within `shell` steps, the deepest first."""
    n = values.ndim
    padded = -values[None, None]
    pool = (torch.nn.functional.max_pool1d, torch.nn.functional.max_pool2d, torch.nn.functional.max_pool3d)[n - 1]
    around = -pool(padded, 2 * shell + 1, 1, shell)[0, 0]
    found = (values <= around).reshape(-1).nonzero()[:, 0]
    return found[values.reshape(-1)[found].argsort()][:_MOST].tolist()


def _walled(fn: ScalarMap, at: Tensor, half: Tensor, sign: float) -> bool:
    """Whether the enclosure of every piece of the box's boundary lies beyond the value at its centre."""
    assert fn.chain is not None
    n = len(at)
    with torch.no_grad():
        centre, radius = enclose(fn.chain, at[None], torch.zeros_like(at)[None])[0]
        level = float(sign * centre[0, 0] + radius[0, 0])
        pieces = _PIECES[n]
        for axis in range(n):
            others = [i for i in range(n) if i != axis]
            ticks = (torch.arange(pieces, dtype=at.dtype, device=at.device) + 0.5) / pieces * 2 - 1
            grid = torch.cartesian_prod(*[ticks] * len(others)).view(-1, len(others)) if others else at.new_zeros(1, 0)
            for side in (-1.0, 1.0):
                middle, wide = at.expand(len(grid), n).clone(), torch.zeros(len(grid), n).to(at)
                middle[:, axis] += side * half[axis]
                middle[:, others] += grid * half[others]
                wide[:, others] = half[others] / pieces * (1 + 1e-12)
                value, spread = enclose(fn.chain, middle, wide)[0]
                if not bool((sign * value[:, 0] - spread[:, 0] > level).all()):
                    return False
    return True
