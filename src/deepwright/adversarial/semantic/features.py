"""From a network's maps to one vector an image, and to one vector a position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError

STATISTICS = ("mean", "std", "max", "quantiles")
"""What a channel's map can be reduced to."""
_SHARES = (0.05, 0.25, 0.75, 0.95)
_POOLS: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}


def require_statistics(stats: Sequence[str]) -> tuple[str, ...]:
    """The statistics by name.

    Args:
        stats: some of `STATISTICS`, each once.

    Raises:
        InputError: none, or another word.
    """
    chosen = (stats,) if isinstance(stats, str) else tuple(stats)
    if not chosen or set(chosen) - set(STATISTICS) or len(set(chosen)) < len(chosen):
        raise InputError("stats", given=repr(stats), expected=f"some of {', '.join(STATISTICS)}, each once")
    return chosen


def image_features(maps: Mapping[str, Tensor], stats: Sequence[str]) -> Float[Tensor, "n m"]:
    """phi(x): statistics over the positions of every channel; a vector's numbers are taken as they are.

    Args:
        maps: of `Seen`.
        stats: of `STATISTICS`; the standard deviation is that of the positions themselves (no n - 1).
    """
    return torch.cat(
        [part for m in maps.values() for part in ([m] if m.ndim == 2 else _reduced(m.flatten(2), stats))], 1
    )


def _reduced(flat: Float[Tensor, "n c p"], stats: Sequence[str]) -> list[Tensor]:
    parts = []
    mean = flat.mean(2)
    for name in stats:
        if name == "mean":
            parts.append(mean)
        elif name == "std":  # the root has no slope at 0, where a dead channel is
            parts.append(((flat - mean[:, :, None]).square().mean(2) + 1e-12).sqrt())
        elif name == "max":
            parts.append(flat.amax(2))
        else:
            shares = torch.tensor(_SHARES, dtype=flat.dtype, device=flat.device)
            parts.append(torch.quantile(flat, shares, dim=2).permute(1, 0, 2).flatten(1))
    return parts


def dense_features(maps: Mapping[str, Tensor]) -> Float[Tensor, "n d *positions"]:
    """F(x): the maps pooled to the coarsest of them and put one upon the other; vectors are one position.

    Args:
        maps: of `Seen`; those with as many axes as the last of them that has positions.
    """
    wide = [m for m in maps.values() if m.ndim > 2]
    if not wide:
        return torch.cat(list(maps.values()), 1)[:, :, None]
    alike = [m for m in wide if m.ndim == wide[-1].ndim]
    coarsest = min((tuple(m.shape[2:]) for m in alike), key=lambda shape: torch.Size(shape).numel())
    return torch.cat([_pooled(m, coarsest) for m in alike], 1)


def _pooled(values: Tensor, size: tuple[int, ...]) -> Tensor:
    return values if tuple(values.shape[2:]) == size else _POOLS[len(size)](values, size)


def classes_at(logits: Tensor | None, field: Float[Tensor, "n d *positions"]) -> Int64[Tensor, "n ..."]:
    """The class predicted at each position of a dense field; that of the whole image where it has one; else 0.

    Args:
        logits: of `Seen`.
        field: see `dense_features`.
    """
    size = tuple(field.shape[2:])
    if logits is None:
        return torch.zeros(field.shape[0], *size, dtype=torch.long, device=field.device)
    logits = logits.detach()
    if logits.ndim - 2 == len(size):
        return _pooled(logits.softmax(1), size).argmax(1)
    whole = logits.softmax(1).flatten(2).mean(2) if logits.ndim > 2 else logits
    return whole.argmax(1).reshape(-1, *[1] * len(size)).expand(field.shape[0], *size)
