"""What can be said of a graph without a network: sizes, Weisfeiler-Lehman colours, encodings of nodes' surroundings."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from deepwright.core.requirements import require_whole
from deepwright.graphs.batch import GraphBatch
from deepwright.graphs.scatter import degrees

STATISTICS = ("nodes", "edges", "mean degree", "largest degree", "triangles")


def statistics(graphs: GraphBatch) -> Float[Tensor, "graphs 5"]:
    """`STATISTICS` of each graph, edges and triangles counted once (of undirected graphs); computed on the CPU.

    Args:
        graphs: any; loops and duplicates count as edges, and make no triangles.
    """
    nodes, edges = graphs.nodes.double(), graphs.edges.double() / 2
    degree = degrees(graphs.edge_index, len(graphs.x)).double()
    largest = degree.new_zeros(len(graphs)).scatter_reduce(0, graphs.batch, degree, "amax")
    closed = graphs.pooled(_triangles(graphs)) / 3
    columns = [nodes, edges, 2 * edges / nodes.clamp_min(1), largest, closed]
    return torch.stack(columns, dim=1)


def _triangles(graphs: GraphBatch) -> Float[Tensor, " nodes"]:
    """Triangles through each node."""
    sources, targets = graphs.edge_index.cpu().numpy()
    plain = sources != targets
    shape = (len(graphs.x),) * 2
    adjacent = sparse.csr_matrix((np.ones(plain.sum()), (sources[plain], targets[plain])), shape=shape)
    adjacent.data[:] = 1
    through = np.asarray((adjacent @ adjacent).multiply(adjacent.T).sum(1)).reshape(-1) / 2
    return torch.from_numpy(through).to(graphs.device)


_SALT = (-7046029254386353131, -4417276706812531889, -49064778989728563)  # odd 64-bit multipliers


def _mixed(x: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """A hash of 64 bits: two rounds of shifting and multiplying (multiplications wrap)."""
    for factor in _SALT[:2]:
        x = (x ^ ((x >> 31) & 0x1FFFFFFFF)) * factor
    return x ^ ((x >> 29) & 0x7FFFFFFFF)


def refine(
    graphs: GraphBatch, rounds: int = 3, labels: Int64[Tensor, " nodes"] | None = None
) -> Int64[Tensor, "rounds_and_first nodes"]:
    """Colours of the Weisfeiler-Lehman refinement: two nodes have one colour where their surroundings look alike.

    A colour is a hash of the node's colour and the sum of its neighbours' hashes, so that it is the same whatever other
    graphs there are; that two surroundings meet in one colour by chance has a probability of 2^-64 a pair.

    Args:
        graphs: with an edge stored both ways where it is undirected.
        rounds: of refinement.
        labels: the first colours; all alike by default.

    Source: N. Shervashidze et al., "Weisfeiler-Lehman graph kernels", JMLR 2011.
    """
    require_whole(0, rounds=rounds)
    first = torch.zeros(len(graphs.x), dtype=torch.int64, device=graphs.device) if labels is None else labels
    colours = [_mixed(first + 1)]
    for _ in range(rounds):
        around = _neighbour_sum(_mixed(colours[-1] ^ _SALT[2]), graphs.edge_index)
        colours.append(_mixed(colours[-1] * 3 + around))
    return torch.stack(colours)


def _neighbour_sum(values: Tensor, edge_index: Tensor) -> Tensor:
    return torch.zeros_like(values).index_add(0, edge_index[1], values[edge_index[0]])


def structural_encoding(
    edge_index: Int64[Tensor, "2 edges"], num_nodes: int, rw_dim: int = 16, deg_dim: int = 16
) -> Float[Tensor, "nodes width"]:
    """Return probabilities of random walks of 1..rw_dim steps, then the degree one-hot (the last column: or more).

    The probability that a walk which starts in i is there after k steps is (P^k)_ii, P = D^-1 A. Sparse products; an
    isolated node stays nowhere: zeros.

    Args:
        edge_index: of one graph or of a union.
        num_nodes: how many.
        rw_dim: steps.
        deg_dim: columns for degrees 0..deg_dim-1.
    """
    require_whole(1, rw_dim=rw_dim, deg_dim=deg_dim)
    sources, targets = edge_index.cpu().numpy()
    adjacent = sparse.csr_matrix((np.ones(len(sources)), (sources, targets)), shape=(num_nodes, num_nodes))
    out = np.asarray(adjacent.sum(1)).reshape(-1)
    step = sparse.diags(1 / np.maximum(out, 1)) @ adjacent
    power, returns = step, [step.diagonal()]
    for _ in range(rw_dim - 1):
        power = power @ step
        returns.append(power.diagonal())
    degree = degrees(edge_index, num_nodes).clamp_max(deg_dim - 1)
    one_hot = torch.nn.functional.one_hot(degree, deg_dim).to(torch.float32)
    walks = torch.from_numpy(np.stack(returns, axis=1)).to(edge_index.device, torch.float32)
    return torch.cat([walks, one_hot], dim=1)
