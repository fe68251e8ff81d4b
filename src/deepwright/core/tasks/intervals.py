"""Intervals of a task's metrics: Wilson's for shares, a weighted bootstrap for the rest, Newcombe's for an AUROC."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from deepwright.core.statistics import Interval, newcombe, wilson
from deepwright.core.statistics import weighted_bootstrap as bootstrap

__all__ = ["bootstrap", "mean_score", "newcombe", "share", "weighted_mean"]


def share(hits: Tensor) -> Interval:
    """Wilson's interval of the share of True."""
    return wilson(int(hits.sum()), hits.numel())


def mean_score(values: Float[Tensor, " n"], seed: int = 0) -> Interval:
    """The mean of per-sample scores in [0, 1]: Wilson's interval where all are 0 or 1, else bootstrapped.

    Args:
        values: (N,) scores.
        seed: of the bootstrap.
    """
    values = values.double()
    if bool(((values == 0) | (values == 1)).all()):
        return share(values == 1)
    return bootstrap(
        len(values),
        lambda w: {"mean": weighted_mean(w, values)},
        seed=seed,
        shares={"mean": len(values)},
        device=values.device,
    )["mean"]


def weighted_mean(weights: Float[Tensor, "rows n"], values: Float[Tensor, "n ..."]) -> Float[Tensor, "rows ..."]:
    """Mean of `values` in each resample."""
    mean = weights @ values.to(weights).reshape(len(values), -1) / weights.sum(1, keepdim=True)
    return mean.reshape(len(weights), *values.shape[1:])
