"""The text format of the TU Dortmund collection: a folder, or a zip file, of DS_A.txt and its companions."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.zips import open_zip, read_member
from deepwright.graphs.batch import GraphBatch
from deepwright.graphs.packing import from_union, warn_one_way

_MOST = 2**31  # bytes of one file


Kinds = tuple[tuple[float, ...], ...]


def read_tu(
    path: Path | str, name: str | None = None, *, node_labels: bool = True, kinds: Kinds | None = None
) -> GraphBatch:
    """Graphs of a data set in TU format.

    Files are DS_A.txt (edges), DS_graph_indicator.txt (the graph of each node), DS_graph_labels.txt, and where there
    are some DS_node_labels.txt and DS_node_attributes.txt. Node labels become one-hot columns, since a label is no
    quantity, followed by the attributes; without both there is a column of ones. Labels of graphs, whatever numbers
    they are, become 0..C-1 in their order, and `classes` has what they were.

    Args:
        path: the folder, or the zip file as it is distributed.
        name: DS; the only one there by default.
        node_labels: False leaves labels and attributes out.
        kinds: node labels that get a column, by column of the file, as `node_kinds` gives those of another set: so
            columns of two sets mean the same. All labels that occur by default; one that isn't among them has no 1.

    Raises:
        InputError: files that are missing, that aren't numbers, or that don't fit together.
    """
    files = _files(path)
    name = _only(files, path) if name is None else name
    owner = _whole(_table(files, name, "graph_indicator", path)).reshape(-1)
    if len(owner) == 0 or owner.min() < 1:
        raise InputError(f"{name}_graph_indicator.txt", given="no nodes, or a graph below 1", expected="from 1")
    labels = _whole(_table(files, name, "graph_labels", path)).reshape(-1)
    edges = _whole(_table(files, name, "A", path)).reshape(-1, 2)
    _require_range(edges, len(owner), f"{name}_A.txt")
    if owner.max() > len(labels):
        given = f"graph {owner.max()} and {len(labels)} labels"
        raise InputError(f"{name}_graph_labels.txt", given=given, expected="a label for each graph")
    classes, y = np.unique(labels, return_inverse=True)
    packed = from_union(
        _node_features(files, name, len(owner), path, kinds) if node_labels else None,
        torch.from_numpy(np.ascontiguousarray(edges.T) - 1),
        torch.from_numpy(owner - 1),
        len(labels),
        torch.from_numpy(y.reshape(-1)),
    )
    warn_one_way(packed)
    return replace(packed, classes=tuple(str(c) for c in classes))


def node_kinds(path: Path | str, name: str | None = None) -> Kinds:
    """The node labels of a TU data set, in the order of their columns; empty where there are none.

    Args:
        path: the folder, or the zip file.
        name: DS; the only one there by default.
    """
    files = _files(path)
    name = _only(files, path) if name is None else name
    if f"{name}_node_labels.txt" not in files:
        return ()
    return tuple(tuple(np.unique(column).tolist()) for column in _table(files, name, "node_labels", path).T)


def is_tu(path: Path | str) -> bool:
    """Whether a folder or a zip file holds a data set in TU format.

    Args:
        path: any.
    """
    path = Path(path)
    if path.is_dir():
        names = [file.name for file in path.glob("*.txt")]
    elif path.suffix == ".zip" and zipfile.is_zipfile(path):
        with open_zip(path) as opened:
            names = [Path(m).name for m in opened.namelist()]
    else:
        return False
    return any(
        f"{name.removesuffix('_A.txt')}_graph_indicator.txt" in names for name in names if name.endswith("_A.txt")
    )


def _files(path: Path | str) -> Mapping[str, Path | bytes]:
    return _zipped(Path(path)) if Path(path).suffix == ".zip" else _in_folder(Path(path))


def _in_folder(folder: Path) -> Mapping[str, Path | bytes]:
    if not folder.is_dir():
        raise InputError(f"{folder}", given="no folder", expected="one with DS_A.txt, DS_graph_indicator.txt, ...")
    return {file.name: file for file in sorted(folder.glob("*.txt"))}


def _zipped(path: Path) -> Mapping[str, Path | bytes]:
    with open_zip(path, "a zip file of a TU data set") as opened:
        members = [m for m in opened.namelist() if m.endswith(".txt")]
        return {Path(m).name: read_member(opened, m, _MOST) for m in members}


def _only(files: Mapping[str, Path | bytes], path: Path | str) -> str:
    names = [name.removesuffix("_A.txt") for name in files if name.endswith("_A.txt")]
    if len(names) != 1:
        given = f"data sets {', '.join(names)}" if names else "no file DS_A.txt"
        raise InputError(f"{path}", given=given, expected="one TU data set", hint="name=")
    return names[0]


def _table(files: Mapping[str, Path | bytes], name: str, part: str, path: Path | str) -> np.ndarray:
    """The numbers of a file, a row a line."""
    file = f"{name}_{part}.txt"
    if file not in files:
        raise InputError(f"{path}", given=f"no {file}", expected="a TU data set", hint=f"it has {', '.join(files)}")
    found = files[file]
    with reading(f"cannot read {file}", "numbers, separated by commas"):
        text = found.decode() if isinstance(found, bytes) else found.read_text()
        lines = text.replace(",", " ").strip()
        return np.loadtxt(io.StringIO(lines), ndmin=2) if lines else np.zeros((0, 1))


def _whole(values: np.ndarray) -> np.ndarray:
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise InputError("numbers of a TU file", given=f"{values[whole != values][0]}", expected="whole ones")
    return whole


def _require_range(edges: np.ndarray, nodes: int, file: str) -> None:
    if len(edges) and (edges.min() < 1 or edges.max() > nodes):
        bad = edges.min() if edges.min() < 1 else edges.max()
        raise InputError(file, given=f"node {bad}", expected=f"nodes 1 to {nodes}")


def _node_features(
    files: Mapping[str, Path | bytes], name: str, nodes: int, path: Path | str, kinds: Kinds | None
) -> Tensor | None:
    columns = []
    for part in ("node_labels", "node_attributes"):
        if f"{name}_{part}.txt" not in files:
            continue
        table = _table(files, name, part, path)
        if len(table) != nodes:
            raise InputError(f"{name}_{part}.txt", given=f"{len(table)} rows", expected=f"{nodes}, one a node")
        if part == "node_attributes":
            columns.append(table)
            continue
        known = [None] * table.shape[1] if kinds is None else kinds
        if len(known) != table.shape[1]:
            given = f"{table.shape[1]} columns of labels"
            raise InputError(f"{name}_node_labels.txt", given=given, expected=f"{len(known)}, as the other set")
        columns += [one_hot(labels, these) for labels, these in zip(table.T, known)]
    return torch.from_numpy(np.concatenate(columns, axis=1)).float() if columns else None


def one_hot(labels: np.ndarray, known: Sequence[float] | None = None) -> np.ndarray:
    """One column for each label, in their order.

    Args:
        labels: of any kind.
        known: those that have a column; any other is told by a warning. All that occur by default.
    """
    if known is not None:
        found = labels[:, None] == np.asarray(known)
        strange = np.unique(labels[~found.any(1)])
        if len(strange):
            warnings.warn(f"node labels {strange[:5].tolist()} aren't among the other set's: no column", stacklevel=4)
        return found.astype(float)
    kinds, which = np.unique(labels, return_inverse=True)
    return np.eye(len(kinds))[which.reshape(-1)]
