"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def mlp(inputs: int, classes: int, hidden: Sequence[int] = (64, 64)) -> nn.Sequential:
    """Linear layers with ReLU between them: (N, inputs) -> (N, classes) logits.

    Args:
        inputs: features.
        classes: logits.
        hidden: widths of the layers between.
    """
    layers: list[nn.Module] = []
    width = inputs
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, classes))
