"""Mahalanobis distances to a set of embeddings, with a ridge that decides how much its thin directions count."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from deepwright.core.covariances import inverse_root
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite, require_positive

_ROUNDING = 1e-6  # of a dimension's mean: a spread below it is that of float32's rounding


def whitening(h: Float[Tensor, "n d"], ridge: float = 1e-2) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """Mean and V such that D(z) = |(z - mean) V|^2 is the Mahalanobis distance of the standardised set.

    D(z) = s' (C + ridge I)^-1 s, s = (z - mean) / std, C the covariance (over n - 1) of the standardised set; in
    float64, by Cholesky. A dimension that doesn't vary is taken as it is, not divided by its rounding errors.

    Args:
        h: the set's embeddings in rows, at least two.
        ridge: above 0. With 1e-6 and few samples, directions that carry noise alone count for as much as a million
            times what they count at 1.

    Raises:
        InputError: fewer samples than two, numbers that aren't finite, or a ridge below 1e-4 with fewer samples than
            two a dimension: the set's own distances would be n - 1 and any other's thousands of times as large.
    """
    require_positive(ridge=ridge)
    n, d = h.shape
    if n < 2:
        raise InputError("embeddings", given=f"{n} graphs", expected="two or more")
    if n < 2 * d and ridge < 1e-4:
        given = f"{n} graphs in {d} dimensions at ridge {ridge:g}"
        raise InputError("embeddings", given=given, expected=f"{2 * d} graphs, or a ridge of 1e-4 or more")
    if n < d:
        warnings.warn(f"{n} graphs in {d} dimensions: distances rest on the ridge of {ridge:g}", stacklevel=2)
    x = require_finite(h, "embeddings").detach().double()
    mean, std = x.mean(0), x.std(0)
    scale = torch.where(std > _ROUNDING * mean.abs(), std + 1e-8, 1.0)
    z = (x - mean) / scale
    covariance = z.T @ z / (n - 1)
    eye = torch.eye(d, dtype=z.dtype, device=z.device)
    return mean, inverse_root(covariance + ridge * eye) / scale[:, None]


def distance(
    h: Float[Tensor, "n d"], mean: Float64[Tensor, " d"], white: Float64[Tensor, "d d"]
) -> Float64[Tensor, " n"]:
    """D of each row; differentiable.

    Args:
        h: embeddings.
        mean: of `whitening`.
        white: V of `whitening`.
    """
    return ((h.double() - mean) @ white).square().sum(1)


def classwise(
    h: Float[Tensor, "n d"], y: Int64[Tensor, " n"], classes: int, ridge: float
) -> tuple[Float64[Tensor, "classes d"], Float64[Tensor, "classes d d"]]:
    """A mean and a V for each class; of one covariance within classes where some class is too small for its own.

    Args:
        h: embeddings.
        y: labels.
        classes: how many.
        ridge: see `whitening`; of 1e-2 or more, any class of two graphs has a covariance of its own.
    """
    counts = torch.bincount(y, minlength=classes)
    if int(counts.min()) < 2:
        raise InputError("classes", given=f"{int(counts.min())} graphs of one", expected="two or more of each")
    if ridge >= 1e-2 or int(counts.min()) >= 2 * h.shape[1]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few graphs a class are what the ridge is for
            fits = [whitening(h[y == c], ridge) for c in range(classes)]
        return torch.stack([m for m, _ in fits]), torch.stack([v for _, v in fits])
    x = h.double()
    means = torch.stack([x[y == c].mean(0) for c in range(classes)])
    _, white = whitening(x - means[y], ridge)
    return means, white.expand(classes, -1, -1).clone()
