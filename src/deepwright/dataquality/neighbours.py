"""Pairs of samples whose hashes are nearly equal, in time that grows with the samples and not with their pairs."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole

_ONES = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


def equal_pairs(hashes: Int64[Tensor, "n words"]) -> Int64[Tensor, "pairs 2"]:
    """Each sample with the next one of the same hash: chains, so that k equal samples give k - 1 pairs.

    Args:
        hashes: of each sample, in several words.
    """
    if len(hashes) < 2:
        return torch.zeros(0, 2, dtype=torch.long)
    table = hashes.cpu().numpy()
    order = np.lexsort((np.arange(len(table)), *table.T))
    same = (table[order[1:]] == table[order[:-1]]).all(1)
    return torch.from_numpy(np.stack([order[:-1][same], order[1:][same]], axis=1))


def close_pairs(
    hashes: Int64[Tensor, " n"], most: int = 8, *, orders: int = 16, window: int = 8, seed: int = 0
) -> Int64[Tensor, "pairs 2"]:
    """Pairs that differ in at most some of 64 bits: those that stand near each other when the hashes are sorted.

    The bits are put into several random orders; in each the hashes are sorted as numbers, and each is compared with the
    next ones. A pair is missed where a flipped bit comes among the first log2(n / window) in all of the orders: with
    50,000 samples and 16 orders 2 % of those that differ in six bits.

    Args:
        hashes: of each sample.
        most: differing bits of a pair.
        orders: of the bits.
        window: how many of the next ones.
        seed: of the orders.

    Returns:
        Each pair once, the smaller index first.

    Source: M. Charikar, "Similarity estimation techniques from rounding algorithms", 2002.
    """
    require_whole(0, most=most)
    require_whole(1, orders=orders, window=window)
    if not isinstance(hashes, Tensor) or hashes.ndim != 1 or hashes.dtype != torch.long:
        raise InputError("hashes", given=type(hashes).__name__, expected="an int64 tensor (N,)")
    n, source = len(hashes), generator(seed, "orders of bits")
    words = hashes.cpu().numpy()
    bits = np.unpackbits(words.view(np.uint8).reshape(n, 8), axis=1)
    found = [np.zeros(0, dtype=np.int64)]
    for _ in range(orders):
        moved = np.packbits(bits[:, torch.randperm(64, generator=source).numpy()], axis=1)
        order = np.argsort(np.ascontiguousarray(moved).view(">u8").ravel(), kind="stable")
        for step in range(1, min(window, n - 1) + 1):
            a, b = order[:-step], order[step:]
            near = _distance(words[a], words[b]) <= most
            found.append(np.minimum(a, b)[near] * n + np.maximum(a, b)[near])
    keys = np.unique(np.concatenate(found))
    return torch.from_numpy(np.stack([keys // max(n, 1), keys % max(n, 1)], axis=1))


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _ONES[(a ^ b).view(np.uint8).reshape(-1, 8)].sum(1)


def groups_of(pairs: Int64[Tensor, "pairs 2"], n: int) -> Int64[Tensor, " n"]:
    """(N,) the smallest index of the samples that each is tied to by pairs; its own where it is alone.

    Args:
        pairs: indices.
        n: number of samples.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    require_whole(0, n=n)
    if n == 0:
        return torch.zeros(0, dtype=torch.long)
    a, b = pairs.cpu().numpy().T
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(n, n))
    member = connected_components(graph, directed=False)[1]
    first = np.full(member.max() + 1, n)
    np.minimum.at(first, member, np.arange(n))
    return torch.from_numpy(first[member])
