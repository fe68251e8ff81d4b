"""A Gaussian process on a tree, exact in O(n + N): every ball has its own deviation from the ball around it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_same_length
from deepwright.nets.padic.encoder import Hierarchy

_LOWEST, _HIGHEST = 1e-6, 1e3  # of a variance, in that of y


@dataclass(frozen=True)
class _Level:
    """Nodes of a level that hold data: their numbers (sorted), their place among the parents' (0 for the root)."""

    nodes: Tensor
    parent: Tensor


@dataclass
class _Beliefs:
    """What the data below say of the value at each node: precision and mean."""

    precision: Tensor
    mean: Tensor


class TreeGaussianProcess:
    """y = m + sum_s u_s(ball of depth s) + noise, u_s independent with variance v_s: a radial covariance on leaves.

    Messages go up the tree and down again, as in a Kalman smoother. A leaf without data gets the posterior of its
    deepest ancestor that has some, and the variances of the levels below it; a branch of its own the mean and the full
    variance. The same as a nested random-effects model.

    Args:
        tree: a `Tree`, or the `TreeIndex` of codes.
        level_variances: v_0..v_l; v_0 is the variance of the whole, 0 where the mean is fitted. Chosen by marginal
            likelihood when None, as `noise_variance` is.
        noise_variance: of one observation, above 0.
        mean: m; fitted by likelihood when None.

    Attributes:
        level_variances_: those in use, after `fit`.
        noise_variance_: that in use.
        mean_: that in use.
        log_likelihood_: of the data.
        at_bounds_: names of variances whose choice ended at the end of its range: they say little.
        undetermined_: names of chosen variances of which the data tell only their sum with the next one's, as that of
            leaves and the noise where no leaf was observed twice: how they were split is arbitrary, and so are the
            predictive variances.

    Raises:
        InputError: numbers of another count, or out of range.

    Example:
        >>> from deepwright.nets.padic import Tree
        >>> process = TreeGaussianProcess(Tree(2, 2), [0.0, 1.0, 1.0], noise_variance=0.5, mean=0.0)
        >>> fitted = process.fit(torch.tensor([0, 0, 1]), torch.tensor([1.0, 2.0, 1.5]))
        >>> mean, variance = fitted.predict(torch.arange(4))
        >>> [round(float(v), 3) for v in mean]
        [1.378, 1.297, 0.0, 0.0]
    """

    def __init__(
        self,
        tree: Hierarchy,
        level_variances: Sequence[float] | Float[Tensor, " levels"] | None = None,
        *,
        noise_variance: float | None = None,
        mean: float | None = None,
    ) -> None:
        self.tree, self.mean, self.noise_variance = tree, mean, noise_variance
        self.level_variances: Tensor | None = None
        if (level_variances is None) != (noise_variance is None):
            given = "one of level_variances and noise_variance"
            raise InputError("variances", given=given, expected="both, or neither to choose them")
        if level_variances is not None:
            found = torch.as_tensor(level_variances, dtype=torch.float64)
            if found.shape != (tree.depth + 1,) or not bool((found >= 0).all() and found.isfinite().all()):
                raise InputError(
                    "level_variances", given=level_variances, expected=f"{tree.depth + 1} numbers of 0 or more"
                )
            self.level_variances = found
        if noise_variance is not None and not 0 < noise_variance < float("inf"):
            raise InputError("noise_variance", given=noise_variance, expected="a number above 0")
        if mean is not None and not abs(mean) < float("inf"):
            raise InputError("mean", given=mean, expected="a finite number, or None to fit it")

    def fit(self, leaves: Int[Tensor, " n"], y: Float[Tensor, " n"]) -> TreeGaussianProcess:
        """Learn from values at leaves.

        Args:
            leaves: numbers of leaves, any of them more than once.
            y: a value each.

        Raises:
            InputError: none, other lengths, values that aren't finite; where variances are to be chosen, values that
                are equal but for rounding; values or variances too large or too far apart for float64.
        """
        y = torch.as_tensor(y)
        require_same_length(leaves, y, "leaves and y")
        if y.ndim != 1 or len(y) == 0 or not bool(y.isfinite().all()):
            raise InputError("y", given=f"shape {tuple(y.shape)}", expected="finite numbers (n,), at least one")
        values = y.detach().to(torch.float64)
        rows = self.tree.ancestors(leaves)
        if rows.ndim != 2:
            raise InputError("leaves", given=f"shape {tuple(leaves.shape)}", expected="(n,)", hint="leaves.flatten()")
        self.device_ = rows.device
        values = values.to(self.device_)
        self._levels, places = _levels(rows)
        count = torch.bincount(places, minlength=len(self._levels[-1].nodes)).double()
        total = torch.zeros_like(count).index_add_(0, places, values)
        self._count, self._average = count, total / count
        within = (values - self._average[places]).square().sum()
        self._within, self._n = within, len(values)
        if self.level_variances is None:
            self._choose(values)
        else:
            self.level_variances_ = self.level_variances.to(self.device_)
            self.noise_variance_ = float(self.noise_variance or 0.0)
            self.at_bounds_: tuple[str, ...] = ()
            self.undetermined_: tuple[str, ...] = ()
        self._settle()
        found = torch.cat([m for m, _ in self._posterior] + [v for _, v in self._posterior])
        if not bool(found.isfinite().all()):
            given = "values or variances too large, or too far apart, for float64"
            raise InputError("TreeGaussianProcess", given=given, expected="a finite posterior", hint="scale y")
        return self

    def predict(self, leaves: Int[Tensor, " n"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Mean and variance of the value (without noise) at leaves, seen or not.

        Args:
            leaves: numbers of leaves.

        Raises:
            InputError: before `fit`, or numbers of no leaf.
        """
        if not hasattr(self, "_posterior"):
            raise InputError("TreeGaussianProcess", given="before fit", expected="fit(leaves, y) first")
        return self.predict_rows(self.tree.ancestors(leaves).to(self.device_))

    def predict_rows(self, rows: Int[Tensor, "n levels"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """The same from numbers of ancestors; -1 is a node that no leaf of the tree has.

        Args:
            rows: the whole first.
        """
        n, levels = rows.shape
        mean = torch.full((n,), self.mean_, dtype=torch.float64, device=self.device_)
        variance = torch.zeros_like(mean)
        seen = torch.ones(n, dtype=torch.bool, device=self.device_)
        for s in range(levels):
            known, place = _find(self._levels[s].nodes, rows[:, s])
            seen = seen & known
            at_mean, at_variance = self._posterior[s]
            mean = at_mean[place].where(seen, mean)
            variance = at_variance[place].where(seen, variance + self.level_variances_[s])
        return mean, variance

    def _up(self, variances: Tensor, noise: Tensor) -> tuple[list[_Beliefs], Tensor]:
        """Beliefs at each level about the value at its nodes, and the log-likelihood but for the root's."""
        beliefs = [_Beliefs(self._count / noise, self._average)]
        log_z = -0.5 * (self._n * (2 * torch.pi * noise).log() + self._within / noise)
        for s in range(len(self._levels) - 1, 0, -1):
            below, parent = beliefs[-1], self._levels[s].parent
            widened = below.precision * variances[s]
            log_z = log_z - 0.5 * widened.log1p().sum()
            precision = below.precision / (1 + widened)
            total = precision.new_zeros(len(self._levels[s - 1].nodes))
            sums = total.index_add(0, parent, precision)
            means = total.index_add(0, parent, precision * below.mean) / sums
            log_z = log_z - 0.5 * (precision * (below.mean - means[parent]).square()).sum()
            beliefs.append(_Beliefs(sums, means))
        return beliefs[::-1], log_z

    def _likelihood(self, variances: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, list[_Beliefs]]:
        """Log-likelihood at the mean in use (the best one where it is fitted), that mean, and what the levels say."""
        beliefs, log_z = self._up(variances, noise)
        root = beliefs[0]
        mean = (
            root.mean[0] if self.mean is None else torch.as_tensor(self.mean, dtype=torch.float64, device=noise.device)
        )
        widened = root.precision[0] * variances[0]
        gap = root.precision[0] / (1 + widened) * (root.mean[0] - mean).square()
        return log_z - 0.5 * (widened.log1p() + gap), mean, beliefs

    def _choose(self, values: Tensor) -> None:
        """Variances of the largest marginal likelihood; v_0 stays 0, for one draw of it says nothing."""
        from scipy.optimize import minimize

        variance = float(values.var(correction=0))
        if variance == float("inf"):
            raise InputError("y", given="values whose variance is too large for float64", expected="smaller ones")
        rounding = 8 * torch.finfo(torch.float64).eps * float(values.abs().max())
        if not variance > rounding**2:
            raise InputError(
                "y",
                given=f"equal values (n_samples={self._n})",
                expected="some that differ",
                hint="give level_variances and noise_variance",
            )
        levels = self.tree.depth
        rising = torch.zeros(levels + 1, dtype=torch.float64, device=self.device_)

        def objective(logs: object) -> tuple[float, object]:
            with torch.enable_grad():  # whoever calls fit may have turned it off
                free = torch.tensor(logs, dtype=torch.float64, device=self.device_, requires_grad=True)
                found = free.exp() * variance
                value, _, _ = self._likelihood(torch.cat([rising[:1], found[:-1]]), found[-1])
                (slope,) = torch.autograd.grad(-value, free)
            return -float(value.detach()), slope.cpu().numpy()

        span = (math.log(_LOWEST), math.log(_HIGHEST))
        start = [-math.log(levels + 1)] * (levels + 1)
        best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[span] * (levels + 1))
        if not best.success:
            message = f"the choice of variances ended early ({best.message}): they may not be the likeliest"
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        found = torch.tensor(best.x, dtype=torch.float64, device=self.device_).exp() * variance
        names = [*(f"level {s}" for s in range(1, levels + 1)), "noise"]
        low, high = span
        self.at_bounds_ = tuple(n for n, v in zip(names, best.x) if v <= low + 1e-6 or v >= high - 1e-6)
        sizes = [*(len(level.nodes) for level in self._levels[1:]), self._n]
        self.undetermined_ = tuple(n for n, a, b in zip(names, sizes, sizes[1:]) if a == b)
        self.level_variances_ = torch.cat([rising[:1], found[:-1]])
        self.noise_variance_ = float(found[-1])

    def _settle(self) -> None:
        """Posterior of every node that holds data, from the root down."""
        variances = self.level_variances_
        noise = torch.tensor(self.noise_variance_, dtype=torch.float64, device=self.device_)
        likelihood, mean, beliefs = self._likelihood(variances, noise)
        self.log_likelihood_, self.mean_ = float(likelihood), float(mean)
        above_mean, above_variance = mean.expand(1), torch.zeros_like(mean).expand(1)
        self._posterior: list[tuple[Tensor, Tensor]] = []
        for level, belief, v in zip(self._levels, beliefs, variances):
            shrink = 1 / (1 + belief.precision * v)
            at_mean = shrink * above_mean[level.parent] + (1 - shrink) * belief.mean
            at_variance = v * shrink + above_variance[level.parent] * shrink.square()
            self._posterior.append((at_mean, at_variance))
            above_mean, above_variance = at_mean, at_variance


def _levels(rows: Tensor) -> tuple[list[_Level], Tensor]:
    """The nodes that hold data, level by level, and the place of each row's leaf among the last."""
    levels: list[_Level] = []
    before = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for column in rows.unbind(1):
        nodes, place = column.unique(return_inverse=True)
        parent = torch.zeros_like(nodes).scatter_(0, place, before)
        levels.append(_Level(nodes, parent))
        before = place
    return levels, before


def _find(sorted_nodes: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each is there, and where (anywhere where it isn't)."""
    place = torch.searchsorted(sorted_nodes, wanted.contiguous()).clamp(max=len(sorted_nodes) - 1)
    return sorted_nodes[place] == wanted, place
