"""The choice on the path: by held rows or by EBIC, with the one-standard-error rule toward less."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.interpret.deepin.stack import Stack


@dataclass(frozen=True)
class Candidate:
    """A structure on the path.

    Attributes:
        strength: lambda; None for constant outputs.
        variables: how many.
        dims: columns.
        widths: units of each hidden layer.
        parameters: numbers of the reduced network.
        loss: by which it is chosen: the mean of held rows (a selection's, never a test's), or EBIC.
        se: standard error of that mean; 0 for EBIC.
        epoch: of the refit.
    """

    strength: float | None
    variables: int
    dims: int
    widths: tuple[int, ...]
    parameters: int
    loss: float
    se: float
    epoch: int

    @property
    def size(self) -> tuple[int, int, int]:
        """By which less is told from more."""
        return self.variables, self.dims, self.parameters


def count_parameters(variables: int, dims: int, widths: tuple[int, ...], outputs: int) -> int:
    """|S| d + the numbers of g: (in + 1) out of each layer; the outputs' own where there is no variable.

    Args:
        variables: |S|.
        dims: d.
        widths: of hidden layers.
        outputs: of g.
    """
    if not variables or not dims or not all(widths):
        return outputs
    sizes = [dims, *widths, outputs]
    return variables * dims + sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def structure(stack: Stack) -> tuple[int, int, tuple[int, ...], int]:
    """Variables, dimensions, widths and parameters of one network, after `kill_`.

    Args:
        stack: one network.
    """
    s = int(stack.variables()[0].sum())
    d = min(s, int(stack.columns()[0].sum()))  # more columns than rows span no more
    widths = tuple(int(u[0].sum()) for u in stack.units())
    outputs = stack.biases[-1].shape[2]
    if not s or not d or not all(widths):
        return 0, 0, (0,) * len(widths), outputs
    return s, d, widths, count_parameters(s, d, widths, outputs)


def judged(losses: Tensor) -> tuple[float, float, int]:
    """Mean, standard error and epoch of the best epoch, which is the same for all folds.

    Args:
        losses: (E, folds, m) of held rows.
    """
    means = losses.double().mean((1, 2)).nan_to_num(math.inf, math.inf, math.inf)
    epoch = int(means.argmin())
    rows = losses[epoch].double().flatten()
    se = float(rows.std()) / math.sqrt(len(rows)) if len(rows) > 1 else 0.0
    return float(means[epoch]), se if math.isfinite(se) else math.inf, epoch + 1


def ebic(mean_loss: float, n: int, df: int, variables: int, p: int, gamma: float, squared: bool) -> float:
    """n log(MSE), or 2 n times the mean loss of a likelihood, + df log n + 2 gamma log C(p, |S|).

    Args:
        mean_loss: over the rows that were fitted.
        n: of its terms: rows (times outputs), or events.
        df: numbers of the reduced network that aren't zero.
        variables: |S|.
        p: variables that there are.
        gamma: weight of the number of subsets.
        squared: whether the loss is a squared error.
    """
    fit = n * math.log(max(mean_loss, 1e-300)) if squared else 2 * n * mean_loss
    subsets = math.lgamma(p + 1) - math.lgamma(variables + 1) - math.lgamma(p - variables + 1)
    return fit + df * math.log(n) + 2 * gamma * subsets


def choose(candidates: list[Candidate], one_se: bool) -> int:
    """The best, or the smallest within its standard error.

    Args:
        candidates: at least one.
        one_se: whether smaller ones may be a standard error (of the best one's mean) worse.
    """
    losses = torch.tensor([c.loss for c in candidates], dtype=torch.float64).nan_to_num(math.inf, math.inf, -math.inf)
    best = int(losses.argmin())
    if not one_se:
        return best
    limit = float(losses[best]) + candidates[best].se
    within = [i for i, c in enumerate(candidates) if float(losses[i]) <= limit]
    return min(within, key=_by_size(candidates))


def _by_size(candidates: list[Candidate]) -> Callable[[int], tuple[float, ...]]:
    def key(i: int) -> tuple[float, ...]:
        return (*candidates[i].size, candidates[i].loss)

    return key
