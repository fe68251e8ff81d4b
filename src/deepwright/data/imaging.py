"""Exact distances, connected components and Euler characteristics of batches of masks, in 1 to 3 dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive

_THREADS = 2

_IN_CACHE = 2**16  # positions that are searched at once on a CPU: its second cache holds a few such arrays
_FEW = 24  # neighbours along an axis that are faster looked at one by one than in two passes from end to end


def distance_to(
    mask: Bool[Tensor, "..."],
    dims: int,
    *,
    spacing: Sequence[float] | None = None,
    limit: float | None = None,
) -> Float[Tensor, "..."]:
    """The Euclidean distance from each position to the nearest one of the mask; infinity where the mask is empty.

    With a limit the work is a search along each axis no further than it, where the mask is and without a copy to the
    host; without one a CPU's masks go to scipy's transform.

    Args:
        mask: (..., *positions).
        dims: how many of the last axes are positions.
        spacing: of neighbours along each of them; 1 by default.
        limit: distances beyond it are infinity.

    Returns:
        float32, of the mask's shape.

    Raises:
        InputError: a mask of too few axes, another number of spacings, or a limit that isn't above 0.
    """
    steps = _spacing(mask, dims, spacing)
    if limit is not None:
        require_positive(limit=limit)
    elif mask.device.type == "cpu" and mask.numel():
        return _scipy_distance(mask, dims, steps)
    if mask.device.type != "cpu" or not mask.numel():
        return _search(mask, dims, steps, limit)
    flat = mask.reshape(-1, *mask.shape[mask.ndim - dims :])
    at_once = max(1, _IN_CACHE // flat[0].numel())
    return torch.cat([_search(part, dims, steps, limit) for part in flat.split(at_once)]).view(mask.shape)


def _search(mask: Tensor, dims: int, steps: tuple[float, ...], limit: float | None) -> Tensor:
    if limit is not None and limit <= min(_FEW * steps[0], 1e9):
        far = torch.finfo(torch.float32).max / 2
        squared = _min_plus((~mask).float().mul_(far), -dims, steps[0], limit)
    else:
        squared = _along_first(mask, dims, steps[0])
    for axis, step in zip(range(1 - dims, 0), steps[1:]):
        squared = _min_plus(squared, axis, step, limit)
    found = squared.sqrt()
    return found if limit is None else found.masked_fill(found > limit, math.inf)


def _spacing(mask: Tensor, dims: int, spacing: Sequence[float] | None) -> tuple[float, ...]:
    if not 1 <= dims <= 3 or mask.ndim < dims:
        raise InputError("dims", given=f"{dims} of shape {tuple(mask.shape)}", expected="1 to 3, the last of the mask")
    steps = (1.0,) * dims if spacing is None else tuple(map(float, spacing))
    if len(steps) != dims:
        raise InputError("spacing", given=f"{len(steps)} numbers", expected=f"one for each of {dims} axes")
    named: dict[str, Any] = {f"spacing[{i}]": step for i, step in enumerate(steps)}
    require_positive(**named)
    return steps


def _along_first(mask: Tensor, dims: int, step: float) -> Tensor:
    """Squared distances along the first axis of positions, from the last True before and the next one after."""
    length = mask.shape[-dims]
    shape = [length] + [1] * (dims - 1)
    at = torch.arange(length, device=mask.device, dtype=torch.float32).reshape(shape)
    before = at - torch.where(mask, at, -math.inf).cummax(-dims).values
    after = torch.where(mask, at, math.inf).flip(-dims).cummin(-dims).values.flip(-dims) - at
    return (torch.minimum(before, after) * step).square()


def _min_plus(squared: Tensor, axis: int, step: float, limit: float | None) -> Tensor:
    length = squared.shape[axis]
    reach = length - 1 if limit is None else min(length - 1, int(limit / step))
    found = squared.clone()
    for offset in range(1, reach + 1):
        raised = squared + (offset * step) ** 2
        for here, there in ((0, offset), (offset, 0)):
            part = found.narrow(axis, here, length - offset)
            torch.minimum(part, raised.narrow(axis, there, length - offset), out=part)
    return found


def _scipy_distance(mask: Tensor, dims: int, steps: tuple[float, ...]) -> Tensor:
    from scipy.ndimage import distance_transform_edt

    flat = mask.reshape(-1, *mask.shape[mask.ndim - dims :])
    inverse = (~flat).numpy()

    def one(outside: np.ndarray) -> np.ndarray:
        if outside.all():  # scipy would give distances to a point out of the picture
            return np.full(outside.shape, np.inf, dtype=np.float32)
        return np.asarray(distance_transform_edt(outside, sampling=steps), dtype=np.float32)

    with ThreadPoolExecutor(_THREADS) as pool:  # scipy releases the lock
        found = list(pool.map(one, inverse))
    return torch.from_numpy(np.stack(found)).reshape(mask.shape)


def components(mask: Bool[Tensor, "n ..."]) -> tuple[Int64[Tensor, "n ..."], int]:
    """Numbers 1.. of the connected parts of each mask, 0 outside; positions touch by their faces.

    Args:
        mask: (N, *positions), of 1 to 3 dimensions; each sample has parts of its own.

    Returns:
        The numbers, which go on from sample to sample, and how many there are.
    """
    from scipy.ndimage import generate_binary_structure, label

    if not 2 <= mask.ndim <= 4:
        raise InputError("mask", given=f"shape {tuple(mask.shape)}", expected="(N, *positions) of 1 to 3 dimensions")
    structure = generate_binary_structure(mask.ndim, 1)
    structure[0], structure[2] = False, False  # nothing touches from one sample to the next
    numbered, count = label(mask.cpu().numpy(), structure)
    return torch.from_numpy(numbered.astype(np.int64)).to(mask.device), int(count)


def component_counts(mask: Bool[Tensor, "n ..."]) -> Int64[Tensor, " n"]:
    """How many connected parts each mask has.

    Args:
        mask: (N, *positions), of 1 to 3 dimensions.
    """
    numbered, _ = components(mask)
    flat = numbered.flatten(1)
    last = flat.amax(1) if flat.shape[1] else flat.new_zeros(len(flat))
    before = torch.cat([last.new_zeros(1), last.cummax(0).values[:-1]]) if len(last) else last
    return (last - before).clamp_min(0)


def euler_characteristic(mask: Bool[Tensor, "n ..."]) -> Int64[Tensor, " n"]:
    """Parts less holes of each mask in two dimensions; parts less tunnels plus cavities in three.

    Positions touch by their faces: counts of full blocks of 1 x 1, 1 x 2, 2 x 2, ... with alternating signs.

    Args:
        mask: (N, *positions), of 1 to 3 dimensions.
    """
    dims = mask.ndim - 1
    total = torch.zeros(len(mask), dtype=torch.int64, device=mask.device)
    for size in range(dims + 1):
        for axes in combinations(range(1, dims + 1), size):
            block = mask
            for axis in axes:
                length = max(0, block.shape[axis] - 1)
                block = block.narrow(axis, 0, length) & block.narrow(axis, block.shape[axis] - length, length)
            total += (-1) ** size * block.flatten(1).sum(1)
    return total
