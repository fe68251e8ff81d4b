"""Which entries of each tensor stayed: the link between a small network and the one it was cut from."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import Tensor

from deepwright.core.files import reading

IndexMap = dict[str, tuple[Tensor | None, ...]]
"""Parameter or buffer -> for each axis the kept indices (None = all)."""


def index_map_to_json(index_map: IndexMap) -> str:
    """Indices as runs [start, length]; null where an axis is whole.

    Args:
        index_map: from any device.
    """

    def runs(indices: Tensor | None) -> list[list[int]] | None:
        if indices is None:
            return None
        array = indices.cpu().numpy()
        starts = np.flatnonzero(np.diff(array, prepend=array[0] - 2) != 1)
        lengths = np.diff(np.append(starts, len(array)))
        return [[int(array[s]), int(n)] for s, n in zip(starts, lengths)]

    return json.dumps({fqn: [runs(a) for a in axes] for fqn, axes in index_map.items()})


def index_map_from_json(text: str) -> IndexMap:
    """The inverse of `index_map_to_json`.

    Args:
        text: JSON.

    Raises:
        InputError: another text.
    """

    def indices(runs: list[list[int]] | None) -> Tensor | None:
        if runs is None:
            return None
        return torch.cat([torch.arange(start, start + length) for start, length in runs])

    with reading("index map", "what index_map_to_json writes"):
        return {fqn: tuple(indices(a) for a in axes) for fqn, axes in json.loads(text).items()}
