"""Per-sample losses of class logits: what training lowers and attacks raise."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.tasks.reading import raised


def cross_entropy(z: Float[Tensor, "n classes ..."], y: Int64[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """-log softmax(z)_y."""
    return F.cross_entropy(raised(z), y, reduction="none")


def margin(z: Float[Tensor, "n classes ..."], y: Int64[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """max_{i != y} z_i - z_y: above 0 where another class is preferred."""
    z, place = raised(z), y.unsqueeze(1)
    return z.scatter(1, place, -torch.inf).amax(1) - z.gather(1, place)[:, 0]


def dlr(z: Float[Tensor, "n classes"], y: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """-(z_y - max_{i != y} z_i) / (z_(1) - z_(3)), free of the logits' scale; three classes or more.

    Source: "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks", arXiv
    2003.01690.
    """
    top = raised(z).topk(3, dim=1).values
    return margin(z, y) / (top[:, 0] - top[:, 2] + 1e-12)


def gap(z: Float[Tensor, "n classes"], y: Int64[Tensor, " n"], target: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """z_t - z_y."""
    return (raised(z).gather(1, target[:, None]) - raised(z).gather(1, y[:, None]))[:, 0]


def targeted_dlr(
    z: Float[Tensor, "n classes"], y: Int64[Tensor, " n"], target: Int64[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2); the plain gap with three classes."""
    if z.shape[1] < 4:
        return gap(z, y, target)
    top = raised(z).topk(4, dim=1).values
    return gap(z, y, target) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)
