"""Nodes as graphs: what lies within some steps of each, so that detectors of graphs judge nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.graphs.batch import GraphBatch
from deepwright.graphs.packing import from_union, pack


def ego_graphs(graph: Any, nodes: Any = None, radius: int = 2, *, y: Any = None, mark: bool = False) -> GraphBatch:
    """The graph around each of some nodes: those within `radius` steps, against edges too, and the edges among them.

    The node itself is in it, and `mark` adds a column that is 1 for it alone. Nodes keep their order. Computed on the
    CPU by sparse products, without a loop over nodes; given back where the graph was.

    Args:
        graph: one, anything that `pack` takes; several are taken as one that falls into parts.
        nodes: their numbers, or a mask with a place for each node; all by default.
        radius: steps.
        y: labels of the chosen nodes, 0 or more.
        mark: see above.

    Raises:
        InputError: numbers of nodes that aren't there or aren't whole, labels of another number.
    """
    require_whole(0, radius=radius)
    packed = pack(graph)
    total = len(packed.x)
    chosen = _numbers(nodes, total)
    if not len(chosen) or int(chosen.min()) < 0 or int(chosen.max()) >= total:
        given = f"{len(chosen)} nodes" + (f", {int(chosen.min())} to {int(chosen.max())}" if len(chosen) else "")
        raise InputError("nodes", given=given, expected=f"numbers from 0 to {total - 1}, at least one")
    sources, targets = packed.edge_index.cpu().numpy()
    reach = _within(sources, targets, total, chosen.numpy(), radius)
    owner, member = np.repeat(np.arange(len(chosen)), np.diff(reach.indptr)), reach.indices
    x = packed.x[torch.from_numpy(member.astype(np.int64)).to(packed.device)]
    if mark:
        own = torch.from_numpy(member == chosen.numpy()[owner]).to(x)
        x = torch.cat([x, own[:, None]], dim=1)
    edges = torch.from_numpy(_among(sources, targets, owner, member, total)).to(packed.device)
    labels = None if y is None else torch.as_tensor(y).to(packed.device)
    return from_union(x, edges, torch.from_numpy(owner).to(packed.device), len(chosen), labels)


def _numbers(nodes: Any, total: int) -> torch.Tensor:
    """Numbers of the chosen nodes, of a mask's too."""
    if nodes is None:
        return torch.arange(total)
    given = torch.as_tensor(nodes).cpu()
    if given.dtype == torch.bool and given.shape == (total,):
        return given.nonzero().flatten()
    if given.numel() and (given.dtype == torch.bool or given.is_floating_point()):
        words = f"{given.dtype} of shape {tuple(given.shape)}"
        raise InputError("nodes", given=words, expected=f"whole numbers, or a mask of {total}")
    return given.long().reshape(-1)


def _within(sources: np.ndarray, targets: np.ndarray, total: int, chosen: np.ndarray, radius: int) -> Any:
    """Chosen nodes x nodes: whether one is within so many steps of the other; columns of each row in order."""
    ones = np.ones(len(sources), dtype=np.int8)
    near = sparse.csr_matrix((ones, (sources, targets)), shape=(total, total), dtype=bool)
    near = (near + near.T + sparse.eye(total, dtype=bool, format="csr")).astype(bool)
    reach = sparse.csr_matrix(
        (np.ones(len(chosen), dtype=bool), (np.arange(len(chosen)), chosen)), shape=(len(chosen), total)
    )
    for _ in range(radius):
        reach = (reach @ near).astype(bool)
    reach = reach.tocsr()
    reach.sort_indices()
    return reach


def _among(
    sources: np.ndarray, targets: np.ndarray, owner: np.ndarray, member: np.ndarray, total: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Edges within each ego graph, numbered through their union."""
    order = np.argsort(sources, kind="stable")
    degree = np.bincount(sources, minlength=total)
    first = np.concatenate([[0], np.cumsum(degree)])
    count = degree[member]
    begin = np.repeat(np.arange(len(member)), count)  # each member, once for each edge that leaves it
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    end = targets[order[first[member[begin]] + place]]
    keys, wanted = owner * total + member, owner[begin] * total + end
    found = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    there = keys[found] == wanted
    return np.stack([begin[there], found[there]]).astype(np.int64)
