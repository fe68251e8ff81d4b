"""Distances between pictures as a network sees them: each picture is passed once, then pairs are gathered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.interpret.mindset.observing import Preprocess, observe
from deepwright.interpret.mindset.stimulus_set import StimulusSet

METRICS = ("euclidean", "cosine", "correlation")
"""Norm of the difference; 1 less the cosine; 1 less the correlation over activations."""
_BLOCK = 1 << 24  # numbers in one block of differences
_FEW = 16  # pictures by which a layer's size is found


def pair_distances(
    model: nn.Module,
    stimuli: StimulusSet,
    pairs: Int64[Tensor, "p 2"],
    layers: Sequence[str],
    *,
    metric: str = "euclidean",
    preprocess: Preprocess | None = None,
    batch_size: int = 64,
    pool: int | None = None,
    memory: int = 1 << 30,
) -> dict[str, Float[Tensor, " p"]]:
    """The distance of each pair at each layer, where the network lives.

    A layer's activations of all pictures are held at once; as many layers are taken in a pass as fit in `memory`.

    Args:
        model: any network; it is left as found.
        stimuli: pictures.
        pairs: rows of pictures.
        layers: see `observe`.
        metric: one of `METRICS`, over the flat activations.
        preprocess: see `observe`.
        batch_size: pictures a pass.
        pool: maps are averaged down to so many positions a side; None keeps them whole.
        memory: bytes of activations held at once.

    Raises:
        InputError: another metric; a layer of which all pictures don't fit.
    """
    if metric not in METRICS:
        raise InputError("metric", given=repr(metric), expected=", ".join(METRICS))
    require_whole(1, memory=memory)
    needed, rows = torch.unique(pairs.cpu(), return_inverse=True)
    used = stimuli.take(needed.numpy())
    found: dict[str, Tensor] = {}
    options: dict[str, Any] = {"preprocess": preprocess, "batch_size": batch_size, "pool": pool}
    for group in _groups(model, used, layers, memory, options):
        seen = observe(model, used, group, **options)
        found |= {name: _paired(x, rows.to(x.device), metric) for name, x in seen.items()}
    return {name: found[name] for name in layers}


def _groups(
    model: nn.Module, stimuli: StimulusSet, layers: Sequence[str], memory: int, options: dict[str, Any]
) -> list[list[str]]:
    """Layers that are taken in one pass."""
    few = observe(model, stimuli.take(list(range(min(_FEW, len(stimuli))))), layers, **options)
    groups: list[list[str]] = []
    left = 0
    for name, x in few.items():
        size = 4 * x.shape[1] * len(stimuli)
        if size > memory:
            raise InputError(
                f"layer {name!r}",
                given=f"{size / 2**20:.0f} MiB for {len(stimuli)} pictures",
                expected=f"at most {memory / 2**20:.0f} MiB",
                hint="pool=4 averages maps, memory= allows more, fewer pictures need less",
            )
        if not groups or size > left:
            groups.append([])
            left = memory
        groups[-1].append(name)
        left -= size
    return groups


def _paired(x: Float[Tensor, "n d"], pairs: Int64[Tensor, "p 2"], metric: str) -> Float[Tensor, " p"]:
    """Distances of pairs of rows."""
    if metric == "correlation":
        x = x - x.mean(1, keepdim=True)
    if len(pairs) > 4 * len(x):
        return _gathered(x, pairs, metric)
    size = max(1, _BLOCK // x.shape[1])
    return torch.cat([_directly(x[two[:, 0]], x[two[:, 1]], metric) for two in pairs.split(size)])


def _directly(a: Tensor, b: Tensor, metric: str) -> Tensor:
    if metric == "euclidean":
        return (a - b).norm(dim=1)
    return 1 - (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-30)


def _gathered(x: Tensor, pairs: Tensor, metric: str) -> Tensor:
    """Many pairs of few rows: from the inner products, summed in float64 about the mean so that nothing cancels."""
    centred = x - x.mean(0) if metric == "euclidean" else x
    gram = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for part in centred.split(max(1, _BLOCK // len(x)), dim=1):
        part = part.double()
        gram += part @ part.T
    square = gram.diagonal()
    i, j = pairs.unbind(1)
    if metric == "euclidean":
        return (square[i] + square[j] - 2 * gram[i, j]).clamp_min(0).sqrt().float()
    return (1 - gram[i, j] / (square[i] * square[j]).sqrt().clamp_min(1e-30)).float()
