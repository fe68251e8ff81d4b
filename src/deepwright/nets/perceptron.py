"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from deepwright.core.requirements import require_whole


def mlp(inputs: int, classes: int, hidden: Sequence[int] = (64, 64)) -> nn.Sequential:
    """Linear layers with ReLU between them: (N, inputs) -> (N, classes) logits.

    Args:
        inputs: features.
        classes: logits.
        hidden: widths of the layers between.

    Raises:
        InputError: a width below 1.
    """
    require_whole(1, inputs=inputs, classes=classes, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
    layers: list[nn.Module] = []
    width = inputs
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, classes))
