"""The Wasserstein Fragility Index of a linear classifier, in closed form or as the root of one equation."""

from __future__ import annotations

import numpy as np
from scipy import optimize
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.risk.fragility.linear_problem import DUAL, Array, to_array


def linear_wasserstein_index(
    weight: Array | Tensor,
    losses_mean: float,
    tau: float,
    norm: float = 2,
    classes_present: Array | Tensor | None = None,
) -> float:
    """FI_W of a linear classifier on unbounded inputs with fixed labels: its margin's Lipschitz bound, or infinity.

    Args:
        weight: (K, d), or (d,) for two classes.
        losses_mean: mean score (score margin, hinge or cross-entropy: they share the recession slope).
        tau: target.
        norm: of the input space.
        classes_present: labels that occur (all by default).
    """
    if norm not in DUAL:
        raise InputError("norm", given=norm, expected="1, 2 or inf")
    if losses_mean > tau:
        return float("inf")
    w = to_array(weight)
    if w.ndim == 1 or len(w) == 1:
        return float(np.linalg.norm(w.ravel(), DUAL[norm]))
    present = np.arange(len(w)) if classes_present is None else np.unique(to_array(classes_present).astype(int))
    gaps = w[:, None, :] - w[None, present, :]
    return float(np.linalg.norm(gaps.reshape(-1, w.shape[1]), DUAL[norm], axis=1).max())


def flip_wasserstein_index(
    weight: Array | Tensor,
    margins: Array | Tensor,
    tau: float,
    kappa: float,
    norm: float = 2,
    loss: str = "cross_entropy",
) -> float:
    """FI_W of a binary linear classifier when a label may flip at cost `kappa`.

    The least k >= ||w||_* with mean_i max(L(m_i), L(-m_i) - kappa k) <= tau, where m_i = y_i (w x_i + b).

    Args:
        weight: (d,).
        margins: (n,) m_i.
        tau: target.
        kappa: cost of a flip.
        norm: of the input space.
        loss: "cross_entropy" or "hinge".
    """
    if not kappa > 0:
        raise InputError("kappa", given=kappa, expected="above 0")
    if norm not in DUAL:
        raise InputError("norm", given=norm, expected="1, 2 or inf")
    if loss not in ("cross_entropy", "hinge"):
        raise InputError("loss", given=repr(loss), expected="'cross_entropy' or 'hinge'")
    m = to_array(margins)
    stay, flip = (
        (np.logaddexp(0, -m), np.logaddexp(0, m))
        if loss == "cross_entropy"
        else (np.maximum(1 - m, 0), np.maximum(1 + m, 0))
    )
    if stay.mean() > tau:
        return float("inf")

    def gap(k: float) -> float:
        return float(np.maximum(stay, flip - kappa * k).mean()) - tau

    least = float(np.linalg.norm(to_array(weight).ravel(), DUAL[norm]))
    if gap(least) <= 0:
        return least
    high = max(2 * least, 1.0)
    while gap(high) > 0:
        high *= 2
    return float(optimize.brentq(gap, least, high, xtol=1e-12))
