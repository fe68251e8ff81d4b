"""Covariance matrices that can be inverted although samples are few."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite


def ledoit_wolf(x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "d d"], float]:
    """(1 - r) S + r mu I, S the samples' covariance and mu its mean eigenvalue, with the r of least expected error.

    r = min(b, d) / d, d = ||S - mu I||^2 / p the squared spread of S about the sphere and b = sum_i ||x_i x_i' - S||^2
    / (n^2 p) the squared error that S itself has (p dimensions, x centred, Frobenius norms). Computed in float64.

    Args:
        x: samples in rows, at least two.

    Returns:
        the matrix and r.

    Raises:
        InputError: fewer than two samples, or numbers that aren't finite.

    Source: O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
    Multivariate Analysis 88, 2004.
    """
    if len(x) < 2:
        raise InputError("samples", given=len(x), expected="two or more")
    require_finite(x, "samples")
    centred = x.double() - x.double().mean(0)
    n, p = centred.shape
    s = centred.T @ centred / n
    mu = s.diagonal().mean()
    size = s.square().sum()
    spread = (size - p * mu.square()) / p
    error = (centred.square().sum(1).square().sum() / n - size) / (n * p)
    r = float((torch.minimum(error, spread) / spread).nan_to_num(0.0).clamp(0, 1)) if bool(spread > 0) else 0.0
    return (1 - r) * s + r * mu * torch.eye(p, dtype=s.dtype, device=s.device), r


def inverse_root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """W = L^-T of the Cholesky factor L: the rows of (x - m) W have lengths that are Mahalanobis distances.

    Args:
        covariance: positive definite.

    Raises:
        InputError: it isn't.
    """
    factor, info = torch.linalg.cholesky_ex(covariance)
    if bool(info > 0):
        raise InputError(
            "covariance", given="not positive definite", expected="samples that span all dimensions, or shrinkage"
        )
    eye = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(factor, eye, upper=False).T.contiguous()
