"""Clustering of one class's activations: complete linkage of their patterns, or k-means of their values."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_finite, require_whole, require_within


def complete_linkage(psi: Float[Tensor, "n d"], clusters: int, most: int = 4000, seed: int = 0) -> Tensor:
    """(N,) cluster ids from 0: complete linkage on Euclidean distances, cut to at most `clusters`.

    Of more than `most` points a random subset is clustered, and each other point joins the cluster whose farthest
    subset member is nearest. SciPy's linkage runs on the CPU; the ids come back where the points are.

    Args:
        psi: (N, d) points.
        clusters: at most so many.
        most: points that are clustered at once.
        seed: of the random subset.
    """
    require_whole(1, clusters=clusters, most=most)
    n = len(psi)
    if n == 0:
        raise InputError("points to cluster", given="none", expected="at least one")
    require_finite(psi, "points to cluster")
    if n == 1 or clusters == 1:
        return torch.zeros(n, dtype=torch.long, device=psi.device)
    if n > most:
        order = torch.randperm(n, generator=generator(seed, "linkage")).to(psi.device)
        chosen, rest = order[:most], order[most:]
        ids = complete_linkage(psi[chosen], clusters, most, seed)
        farthest = psi.new_zeros(len(rest), int(ids.max()) + 1)
        for start in range(0, len(rest), 2000):
            distances = torch.cdist(psi[rest[start : start + 2000]], psi[chosen])
            part = farthest[start : start + 2000]
            part.scatter_reduce_(1, ids[None].expand(len(part), -1), distances, "amax")
        result = torch.zeros(n, dtype=torch.long, device=psi.device)
        result[chosen], result[rest] = ids, farthest.argmin(1)
        return result
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(psi.cpu().double().numpy(), "complete")
    ids = fcluster(tree, clusters, "maxclust")
    return torch.from_numpy(np.unique(ids, return_inverse=True)[1]).long().to(psi.device)


def k_means(phi: Float[Tensor, "n d"], tau: float, seed: int = 0) -> Tensor:
    """(N,) cluster ids from 0: k-means with the smallest k after which one more cluster gains less than `tau`.

    The gain is the share by which the sum of squared distances to the centres falls. It runs on the CPU.

    Args:
        phi: (N, d) points.
        tau: the least gain, in (0, 1).
        seed: of the starting centres.

    Source: arXiv 1911.09032.
    """
    require_within(0.0, 1.0, ends="()", tau=tau)
    if len(phi) == 0:
        raise InputError("points to cluster", given="none", expected="at least one")
    points = require_finite(phi, "points to cluster").double().cpu().numpy()
    from sklearn.cluster import KMeans

    ids, before = np.zeros(len(points), dtype=np.int64), float(((points - points.mean(0)) ** 2).sum())
    for k in range(2, len(np.unique(points, axis=0)) + 1):
        found = KMeans(k, n_init=10, random_state=seed).fit(points)
        if before - found.inertia_ < tau * before:
            break
        ids, before = found.labels_, float(found.inertia_)
    return torch.from_numpy(np.unique(ids, return_inverse=True)[1]).long().to(phi.device)
