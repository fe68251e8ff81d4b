"""The text format that the GIN paper's authors distribute the TU sets in: one file a data set."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.zips import open_zip, read_member
from deepwright.graphs.batch import GraphBatch
from deepwright.graphs.packing import from_union
from deepwright.graphs.tu import one_hot

_MOST = 2**30  # bytes of one file


def gin_text_names(path: Path | str) -> list[str]:
    """The data sets in a zip file of GIN text.

    Args:
        path: of the zip file.
    """
    with open_zip(path, "a zip file of graphs in GIN text") as opened:
        return sorted(Path(m).stem for m in opened.namelist() if m.endswith(".txt"))


def read_gin_text(path: Path | str, name: str | None = None, *, tags: bool = True) -> GraphBatch:
    """Graphs in GIN text: their number; then of each graph "nodes label", and a line "tag degree neighbours" a node.

    Graphs are undirected: an edge that only one of its ends lists runs both ways all the same, with a warning.

    Args:
        path: a text file, or a zip file that has it.
        name: the data set in the zip file.
        tags: one-hot columns of the nodes' tags; a column of ones without them.

    Raises:
        InputError: no such data set, numbers that are none, or lines that don't fit together.
    """
    path = Path(path)
    if path.suffix == ".zip":
        known = gin_text_names(path)
        if name not in known:
            raise InputError(f"data set of {path}", given=repr(name), expected=f"one of {', '.join(known)}")
        with open_zip(path) as opened:
            member = next(m for m in opened.namelist() if Path(m).name == f"{name}.txt")
            text = read_member(opened, member, _MOST).decode()
    else:
        with reading(f"cannot read {path}", "graphs in GIN text", path):
            text = path.read_text()
    return _parsed(text, f"{name or path.stem}", tags)


def _parsed(text: str, name: str, tags: bool) -> GraphBatch:
    lines = text.splitlines()
    with reading(name, "whole numbers, separated by spaces"):
        numbers = np.array(text.split(), dtype=np.int64)
    lengths = np.array([len(line.split()) for line in lines if line.strip()], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    heads, sizes = _heads(numbers, starts, lengths, name)
    is_node = np.ones(len(starts), dtype=bool)
    is_node[[0, *heads]] = False
    begin, length = starts[is_node], lengths[is_node]
    if (length < 2).any() or not np.array_equal(numbers[begin + 1] + 2, length):
        bad = int(np.argmax((length < 2) | (numbers[np.minimum(begin + 1, len(numbers) - 1)] + 2 != length)))
        raise InputError(f"node {bad} of {name}", given=f"{length[bad]} numbers", expected="tag, degree, neighbours")
    owner = np.repeat(np.arange(len(sizes)), sizes)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    degree = numbers[begin + 1]
    target = np.repeat(np.arange(len(begin)), degree)
    within = np.arange(len(target)) - np.repeat(np.cumsum(degree) - degree, degree)
    local = numbers[np.repeat(begin + 2, degree) + within]
    outside = (local < 0) | (local >= sizes[owner[target]])
    if outside.any():
        at = int(np.argmax(outside))
        graph = owner[target[at]]
        expected = f"nodes 0 to {sizes[graph] - 1}"
        raise InputError(f"graph {graph} of {name}", given=f"an edge to node {local[at]}", expected=expected)
    classes, y = np.unique(numbers[starts[heads] + 1], return_inverse=True)
    packed = from_union(
        torch.from_numpy(one_hot(numbers[begin])).float() if tags else None,
        _both_ways(torch.from_numpy(np.stack([local + first[target], target])), len(begin), name),
        torch.from_numpy(owner),
        len(sizes),
        torch.from_numpy(y.reshape(-1)),
    )
    return replace(packed, classes=tuple(str(c) for c in classes))


def _both_ways(edges: torch.Tensor, nodes: int, name: str) -> torch.Tensor:
    """Each edge once a direction: the format's graphs are undirected, though not every file says each edge twice."""
    keys = edges[0] * nodes + edges[1]
    every = torch.cat([keys, edges[1] * nodes + edges[0]]).unique()
    if len(every) != len(keys):
        warnings.warn(
            f"{name}: {len(keys)} neighbours are listed, and {len(every)} once each edge runs both ways, once: these "
            "are taken",
            stacklevel=4,
        )
    return torch.stack([every // nodes, every % nodes])


def _heads(numbers: np.ndarray, starts: np.ndarray, lengths: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The line of each graph's "nodes label", and how many nodes each has."""
    count, line = (int(numbers[0]) if len(numbers) and lengths[0] == 1 else -1), 1
    heads: list[Any] = []
    sizes: list[Any] = []
    while line < len(starts) and len(heads) < count:
        if lengths[line] != 2:
            raise InputError(f"graph {len(heads)} of {name}", given=f"{lengths[line]} numbers", expected="nodes, label")
        heads.append(line)
        sizes.append(int(numbers[starts[line]]))
        line += sizes[-1] + 1
    if len(heads) != count or line != len(starts):
        given = f"{len(heads)} graphs in {len(starts)} lines, the first line says {count}"
        raise InputError(f"{name}", given=given, expected="as many graphs and lines as it says")
    return np.array(heads), np.array(sizes)
