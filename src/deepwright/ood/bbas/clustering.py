"""Complete-linkage clustering of one class's activation patterns."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_finite, require_whole


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
