"""The losses that are held against each other, each searched over 48 settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.risk import kl_roots

RATES = (1e-3, 3e-3)
DECAYS = (1e-4, 1e-2, 3e-2, 6e-2)


@dataclass(frozen=True)
class SearchedLoss:
    """A loss and what it is searched over, beside the learning rates: settings of its own times weight decays.

    Attributes:
        setting: what its own settings are, in words.
        grid: of them.
        loss: (logits (M, n, K), labels, settings (M,)) -> (M,) losses.
        decays: of the weights; as many as make every arm's search equally long.
    """

    setting: str
    grid: tuple[float, ...]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    decays: tuple[float, ...] = DECAYS

    @property
    def tries(self) -> list[tuple[float, float]]:
        """(own setting, weight decay) of each member of a stack."""
        return [(own, decay) for own in self.grid for decay in self.decays]


def losses_of(out: Float[Tensor, "m n k"], y: Tensor) -> Float[Tensor, "m n"]:
    """Cross-entropy of each sample of each member."""
    return -out.log_softmax(2).gather(2, y.expand(len(out), -1)[..., None])[..., 0]


def _erm(out: Tensor, y: Tensor, _: Tensor) -> Tensor:
    """Mean loss: no setting of its own, so that its whole search goes into the weight decay."""
    return losses_of(out, y).mean(1)


def _smoothed(out: Tensor, y: Tensor, share: Tensor) -> Tensor:
    """(1 - a) CE + a times the mean of -log p over the classes. Source: arXiv 1512.00567."""
    uniform = -out.log_softmax(2).mean(2)
    return ((1 - share[:, None]) * losses_of(out, y) + share[:, None] * uniform).mean(1)


def _focal(out: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
    """(1 - p_y)^gamma CE. Source: arXiv 1708.02002."""
    losses = losses_of(out, y)
    return ((-torch.expm1(-losses)).clamp_min(1e-12) ** gamma[:, None] * losses).mean(1)


def _cvar(out: Tensor, y: Tensor, share: Tensor) -> Tensor:
    """Mean of the worst share of the losses."""
    losses = losses_of(out, y).sort(1, descending=True).values
    n = losses.shape[1]
    kept = (share * n).round().clamp_min(1)[:, None]
    return (losses * (torch.arange(n, device=losses.device) < kept)).sum(1) / kept[:, 0]


def _tilted(out: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """log mean exp(t l) / t. Source: arXiv 2007.01162."""
    losses = losses_of(out, y)
    return (torch.logsumexp(t[:, None] * losses, 1) - math.log(losses.shape[1])) / t


def _chi2(out: Tensor, y: Tensor, rho: Tensor) -> Tensor:
    """mean + sqrt(2 rho var): the worst case of a chi-square ball to first order. Source: arXiv 1610.02581."""
    losses = losses_of(out, y)
    return losses.mean(1) + (2 * rho * losses.var(1, unbiased=False) + 1e-12).sqrt()


def _fragility(out: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """`FragilityLoss(target)` of each member; targets are in units of log K / log 2."""
    losses = losses_of(out, y)
    return _at_value(losses, *_index(losses, target * math.log(out.shape[2]) / math.log(2)))


def _penalty(out: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """`FragilityLoss(0.5, "penalty", weight=...)` of each member."""
    losses = losses_of(out, y)
    tau = torch.full_like(weight, 0.5 * math.log(out.shape[2]) / math.log(2))
    k, slopes, met = _index(losses, tau, margin=1.0)
    index = _at_value(losses, k, slopes, met)
    mean = losses.mean(1)
    return torch.where(met, mean + weight * index, mean)


@torch.no_grad()
def _index(losses: Tensor, tau: Tensor, margin: float = 0.98) -> tuple[Tensor, Tensor, Tensor]:
    """(value, dk/dl, whether the target is met) of each row; a row that misses its target has its mean loss."""
    x, tau = losses.double(), tau.double()
    k = kl_roots(x, tau)
    weights = (x / k.clamp(1e-12, 1e12)[:, None]).softmax(1)
    slopes = weights * k[:, None] / (weights * (x - tau[:, None])).sum(1, keepdim=True)
    slopes = torch.where(((k > 0) & k.isfinite())[:, None], slopes, 0.0)
    mean = x.mean(1)
    met = mean < margin * tau
    slopes = torch.where(met[:, None], slopes, 1 / x.shape[1])
    return torch.where(met, k, mean).to(losses), slopes.to(losses), met


def _at_value(losses: Tensor, value: Tensor, slopes: Tensor, met: Tensor) -> Tensor:
    """The value, with the given slopes."""
    surrogate = (slopes * losses).sum(1)
    return surrogate + (value - surrogate).detach()


ARMS = {
    "erm": SearchedLoss(
        "none",
        (0.0,),
        _erm,
        (
            *(0.0, 1e-5, 1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7e-3, 1e-2, 1.3e-2, 1.6e-2),
            *(2e-2, 2.5e-2, 3e-2, 4e-2, 5e-2, 6e-2, 7e-2, 8e-2, 1e-1, 1.5e-1, 2e-1, 3e-1),
        ),
    ),
    "label smoothing": SearchedLoss("share smoothed", (0.003, 0.05, 0.1, 0.2, 0.35, 0.5), _smoothed),
    "focal": SearchedLoss("gamma", (0.05, 0.25, 0.5, 1.0, 2.0, 4.0), _focal),
    "cvar": SearchedLoss("share of the losses", (0.3, 0.5, 0.7, 0.8, 0.9, 0.98), _cvar),
    "tilted": SearchedLoss("t", (0.01, 0.1, 0.5, 2.0, 4.0, 8.0), _tilted),
    "chi2-dro": SearchedLoss("rho", (0.001, 0.01, 0.1, 0.5, 1.0, 4.0), _chi2),
    "fragility": SearchedLoss("target, in log K / log 2", (0.1, 0.4, 0.5, 0.6, 0.68, 0.75), _fragility),
    "fragility, penalty": SearchedLoss("weight", (0.003, 0.03, 0.1, 0.3, 1.0, 10.0), _penalty),
}
"""Each ends where it is cross-entropy, or nearly; targets go on past log 2, which equal probabilities meet."""
RIVALS = tuple(name for name in ARMS if not name.startswith("fragility"))
