"""One pass of a network with all that detectors look at, in tensor operations alone: what `torch.export` can take.

`core.features.extract` checks, gathers and stores; nothing of that can be part of a graph. The numbers here are its
numbers, since both watch the pass through `core.taps.Tap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.features import Activations, read_logits
from deepwright.core.taps import Tap

if TYPE_CHECKING:
    from deepwright.core.tasks import Task


def observed(
    model: nn.Module, x: Tensor, layers: str | Sequence[str] = "auto", task: Task | None = None
) -> tuple[Any, Activations]:
    """What the network gives, and the activations of that pass.

    Args:
        model: on which `extract` was tried before: nothing is checked here.
        x: (N, ...) inputs beside the model.
        layers: see `core.taps.Tap`.
        task: see `core.features.extract`.
    """
    with Tap(model, layers if layers == "auto" else tuple(layers), reduce=_summary) as tap:
        tap.reset(x.shape[0])
        out = model(x)
        tap.finish(out)
    features = weight = bias = None
    if tap.linear is not None and tap.linear[0].ndim == 2:
        features, weight = tap.linear[0].float(), tap.linear[1].float()
        bias = weight.new_zeros(weight.shape[0]) if tap.linear[2] is None else tap.linear[2].float()
    logits = read_logits(out, task).float()
    if weight is not None and bias is not None and len(weight) == 1 and logits.shape[1] == 2:
        weight, bias = (torch.cat([torch.zeros_like(part), part]) for part in (weight, bias))  # of (0, z)
    return out, Activations(logits, None, features, dict(tap.layers), dict(tap.kinds), weight, bias)


def _summary(pre: Float[Tensor, "n c *positions"]) -> Float[Tensor, "n three_c"]:
    """`core.taps.summarise_map` without its loop over blocks."""
    flat = pre.flatten(2)
    return torch.cat([(flat > 0).float().mean(2), flat.amax(2).float(), flat.amin(2).float()], 1)
