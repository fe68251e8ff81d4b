"""Which samples to label next, as a set: far from each other, or typical of what has no label yet.

Sources: core-set greedy (arXiv 1708.00489), BADGE (arXiv 1906.03671), TypiClust (arXiv 2202.02794).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Task
from deepwright.labels.strategies.given import finite_features, finite_logits, require_count, rows


def k_center_greedy(
    features: Float[Tensor, "n d"],
    labelled: Int64[Tensor, " m"],
    k: int,
    candidates: Int64[Tensor, " free"] | None = None,
    chunk: int = 4096,
) -> Int64[Tensor, " k"]:
    """Again and again the sample farthest from everything labelled or chosen; one running distance a sample.

    Args:
        features: of the whole pool.
        labelled: indices that are covered already (none: the first choice is the sample farthest from the mean).
        k: how many.
        candidates: indices that may be chosen (all that aren't labelled by default).
        chunk: rows of a distance matrix held at once.

    Returns:
        Indices in the order of choice, where the features are.

    Raises:
        InputError: features that aren't finite; indices outside the pool; more choices than candidates.
    """
    x = finite_features(features)
    labelled, allowed = _allowed(x, labelled, candidates, k)
    require_whole(1, chunk=chunk)
    squares = x.square().sum(1)
    distance = torch.full_like(squares, torch.inf)
    for part in labelled.split(chunk) if len(labelled) else ():
        gap = squares[:, None] + squares[part][None] - 2 * x @ x[part].T
        distance = torch.minimum(distance, gap.amin(1))
    if len(labelled) == 0:
        distance = (x - x.mean(0)).square().sum(1)
        first = int(torch.where(allowed, distance, -torch.inf).argmax())
        chosen = [first]
        distance = (x - x[first]).square().sum(1)
    else:
        chosen = []
    distance[~allowed] = -torch.inf  # and stays: minimum() below never raises it
    distance[chosen] = -torch.inf
    while len(chosen) < k:
        i = int(distance.argmax())
        chosen.append(i)
        torch.minimum(distance, squares + squares[i] - 2 * (x @ x[i]), out=distance)
        distance[i] = -torch.inf
    return torch.tensor(chosen, device=x.device)


def badge(
    logits: Float[Tensor, "n ..."],
    features: Float[Tensor, "n d"],
    k: int,
    candidates: Int64[Tensor, " m"],
    generator: torch.Generator | None = None,
    task: Task | None = None,
) -> Int64[Tensor, " k"]:
    """k-means++ seeding on gradient embeddings g = (p - onehot(argmax p)) x h, never built.

    ||g_i - g_j||^2 = |a_i|^2 |h_i|^2 + |a_j|^2 |h_j|^2 - 2 (a_i . a_j)(h_i . h_j) with a = p - onehot.

    Args:
        logits: of the whole pool, or raw outputs.
        features: of the whole pool, before the last linear layer.
        k: how many.
        candidates: indices that may be chosen.
        generator: of the draws; they are made where it is, so that one on the CPU gives the same for every device.
        task: how to read outputs of which each sample has one class; None takes them as logits of classes.

    Returns:
        Indices in the order of choice, where the logits are.

    Raises:
        InputError: features that aren't finite; more choices than candidates; a task without classes.
    """
    z = finite_logits(read_logits(logits, task, strict=True))
    h = finite_features(features)
    if len(h) != len(z):
        raise InputError("features", given=f"{len(h)} samples, {len(z)} with logits", expected="as many of each")
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise InputError("generator", given=repr(generator), expected="a torch.Generator")
    candidates = rows(candidates, len(z), "candidates", z.device)
    require_count(k, len(candidates))
    h = h.to(z.device)[candidates].double()
    p = z[candidates].double().softmax(1)
    a = p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])
    size = a.square().sum(1) * h.square().sum(1)
    chosen = [int(size.argmax())]
    distance = torch.full_like(size, torch.inf)
    while len(chosen) < k:
        j = chosen[-1]
        gap = size + size[j] - 2 * (a @ a[j]) * (h @ h[j])
        distance = torch.minimum(distance, gap.clamp_min(0))
        distance[j] = 0
        weights = distance
        if float(distance.sum()) <= 0:  # all that is left lies on what was chosen
            weights = torch.ones_like(distance)
            weights[chosen] = 0
        weights = weights.to("cpu" if generator is None else generator.device)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
    return candidates[chosen]


def typiclust(
    features: Float[Tensor, "n d"],
    labelled: Int64[Tensor, " m"],
    k: int,
    seed: int = 0,
    neighbours: int = 20,
    most_clusters: int = 500,
    candidates: Int64[Tensor, " free"] | None = None,
) -> Int64[Tensor, " k"]:
    """The most typical sample of each cluster that has the fewest labels, larger clusters first.

    The clusters are found by scikit-learn on the CPU, whatever the features' device.

    Args:
        features: of the whole pool.
        labelled: indices with a label.
        k: how many.
        seed: of the clusters.
        neighbours: a sample is typical where its mean distance to so many of its cluster is small.
        most_clusters: upper limit; otherwise there are as many as labels in the end.
        candidates: indices that may be chosen (all that aren't labelled by default).

    Returns:
        Indices in the order of choice, where the features are.

    Raises:
        InputError: features that aren't finite; more choices than candidates; no neighbour or cluster.
    """
    require_whole(1, neighbours=neighbours, most_clusters=most_clusters)
    require_whole(seed=seed)
    seed = int(seed) % 2**32
    x = finite_features(features)
    labelled, allowed = _allowed(x, labelled, candidates, k)
    from sklearn.cluster import KMeans, MiniBatchKMeans

    x = torch.nn.functional.normalize(x, dim=1)
    clusters = min(len(labelled) + k, most_clusters, len(x))
    kind = KMeans if clusters <= 50 else MiniBatchKMeans
    found = kind(clusters, n_init=1, random_state=seed).fit_predict(x.detach().cpu().numpy())
    assigned = torch.from_numpy(found.astype(np.int64)).to(x.device)
    sizes = torch.bincount(assigned, minlength=clusters)
    counts = torch.bincount(assigned[labelled], minlength=clusters)
    chosen: list[int] = []
    taken = torch.zeros_like(allowed)
    while len(chosen) < k:
        free = allowed & ~taken
        open_ = torch.bincount(assigned[free], minlength=clusters) > 0
        order = sorted(torch.nonzero(open_).flatten().tolist(), key=lambda c: (int(counts[c]), -int(sizes[c]), c))
        inside = torch.nonzero(free & (assigned == order[0])).flatten()
        everyone = torch.nonzero(assigned == order[0]).flatten()
        near = torch.cdist(x[inside], x[everyone]).topk(min(neighbours + 1, len(everyone)), 1, largest=False).values
        best = int(inside[near.sum(1).argmin()])  # the smallest mean distance to the nearest
        chosen.append(best)
        taken[best] = True
        counts[order[0]] += 1
    return torch.tensor(chosen, device=x.device)


def _allowed(x: Tensor, labelled: Tensor, candidates: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """What is labelled, and whether each sample may be chosen."""
    labelled = rows(labelled, len(x), "labelled", x.device)
    allowed = torch.full((len(x),), candidates is None, device=x.device)
    if candidates is not None:
        allowed[rows(candidates, len(x), "candidates", x.device)] = True
    allowed[labelled] = False
    require_count(k, int(allowed.sum()))
    return labelled, allowed
