"""Groups that are found where labels are missing."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def grouped(h: Float[Tensor, "n d"], groups: int, seed: int) -> tuple[Int64[Tensor, " n"], Float[Tensor, "groups d"]]:
    """k-means: the group of each row and the groups' centres, where the rows are.

    Args:
        h: rows.
        groups: k; as many as there are rows where these are fewer.
        seed: of the first centres.
    """
    from sklearn.cluster import KMeans

    rows = h.detach().cpu().double().numpy()
    found = KMeans(min(groups, len(rows)), n_init=4, random_state=seed % 2**32).fit(rows)
    centres = torch.from_numpy(found.cluster_centers_).to(h)
    return torch.from_numpy(found.labels_).to(h.device, torch.int64), centres
