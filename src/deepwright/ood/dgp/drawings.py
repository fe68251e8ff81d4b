"""A graph with its edges drawn as heavy as a prompt weighs them, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.graphs import GraphBatch, pack

_SIZE, _MARGIN = 320, 24


def draw_edges(graph: Any, weights: Mapping[str, Tensor]) -> str:
    """One drawing a name side by side: nodes where their neighbours are, edges wide and dark where their weight is 1.

    Args:
        graph: one graph, in any form that `graphs.pack` takes.
        weights: by name, a weight of each edge within [0, 1], in the order in which the edges were given; an edge that
            is stored both ways is drawn with the mean of both.

    Returns:
        SVG.

    Raises:
        InputError: several graphs, or other numbers of weights than of edges.
    """
    packed = pack(graph)
    if len(packed) != 1:
        raise InputError("graph to draw", given=f"{len(packed)} graphs", expected="one")
    if not weights:
        raise InputError("weights", given="none", expected='{"specific": weights, ...}')
    place = _layout(packed)
    panels = [_panel(packed, name, w, place, i * _SIZE) for i, (name, w) in enumerate(weights.items())]
    width = _SIZE * len(panels)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_SIZE + 20}" role="img">'
    return f"{head}<title>{escape(', '.join(weights))}</title>{''.join(panels)}</svg>"


def _panel(graph: GraphBatch, name: str, weights: Tensor, place: np.ndarray, left: int) -> str:
    if weights.shape != graph.edge_order.shape:
        expected = f"{len(graph.edge_order)}, one an edge"
        raise InputError(f"weights of {name!r}", given=tuple(weights.shape), expected=expected)
    own = weights.detach().cpu().double().numpy()[graph.edge_order.cpu().numpy()]
    pairs = np.sort(graph.edge_index.T.cpu().numpy(), axis=1)
    unique, which = np.unique(pairs, axis=0, return_inverse=True)
    mean = np.bincount(which.reshape(-1), own) / np.bincount(which.reshape(-1))
    lines = [
        f'<line x1="{place[a, 0]:.1f}" y1="{place[a, 1]:.1f}" x2="{place[b, 0]:.1f}" y2="{place[b, 1]:.1f}" '
        f'stroke="#1f4e79" stroke-opacity="{0.15 + 0.85 * w:.3f}" stroke-width="{0.8 + 4 * w:.2f}">'
        f"<title>{a}-{b}: {w:.3f}</title></line>"
        for (a, b), w in zip(unique.tolist(), mean.clip(0, 1))
    ]
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#333"/>' for x, y in place]
    words = f'<text x="{_SIZE / 2}" y="{_SIZE + 12}" text-anchor="middle" font-size="14">{escape(name)}</text>'
    return f'<g transform="translate({left},0)">{"".join(lines)}{"".join(dots)}{words}</g>'


def _layout(graph: GraphBatch) -> np.ndarray:
    """Where the nodes go: from a circle, pushed apart by all and drawn together by edges until cool."""
    n = len(graph.x)
    angle = 2 * np.pi * np.arange(n) / max(n, 1)
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    a, b = graph.edge_index.cpu().numpy()
    for heat in np.linspace(0.2, 0.005, 150):
        apart = place[:, None] - place[None]
        far = np.linalg.norm(apart, axis=2) + np.eye(n) + 1e-9
        force = (apart / far[..., None] ** 2).sum(1) / max(n, 1)
        pull = place[b] - place[a]
        np.add.at(force, a, pull * np.linalg.norm(pull, axis=1, keepdims=True))
        size = np.linalg.norm(force, axis=1, keepdims=True) + 1e-9
        place = place + force / size * np.minimum(size, heat)
    low, high = place.min(0), place.max(0)
    return _MARGIN + (place - low) / np.maximum(high - low, 1e-9).max() * (_SIZE - 2 * _MARGIN)
