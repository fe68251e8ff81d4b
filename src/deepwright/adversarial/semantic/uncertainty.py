"""How undecided the network is: entropy, variation ratio and margin, one by one or all three against clean ones.

Source of the use: K. Maag and A. Fischer, "Uncertainty-Based Detection of Adversarial Attacks in Semantic
Segmentation", arXiv 2305.12825.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.semantic.detector import InputDetector, spread
from deepwright.adversarial.semantic.watching import Seen, required
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_within

KINDS = ("entropy", "variation", "margin")
"""Entropy over the logarithm of the classes; 1 - the largest probability; 1 - the gap of the two largest."""
_MOST = 2000  # images that a one-class machine is fitted on


def mean_uncertainty(logits: Float[Tensor, "n classes *positions"], kind: str) -> Float[Tensor, " n"]:
    """The mean over an image's positions; in [0, 1]. One logit a position is read as two classes (0, z).

    Args:
        logits: of the classes.
        kind: one of `KINDS`.
    """
    log = logits.double().log_softmax(1)
    p = log.exp()
    if kind == "entropy":
        at = -(p * log.clamp_min(-1e4)).sum(1) / math.log(logits.shape[1])
    elif kind == "variation":
        at = 1 - p.amax(1)
    else:
        top = p.topk(2, 1).values
        at = 1 - (top[:, 0] - top[:, 1])
    return at.flatten(1).mean(1) if at.ndim > 1 else at


class Uncertainty(InputDetector):
    """One of the uncertainties as it is: the published way to tell attacked label maps; for one class, 1 - MSP.

    Args:
        kind: "entropy", "variation" or "margin".
    """

    trainable = False

    def __init__(self, kind: str = "entropy") -> None:
        super().__init__()
        if kind not in KINDS:
            raise InputError("kind", given=repr(kind), expected=" or ".join(map(repr, KINDS)))
        self.kind = kind

    @property
    def parts(self) -> tuple[str, ...]:
        """Its kind."""
        return (self.kind,)

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        return mean_uncertainty(required(seen.logits), self.kind)[:, None]


class OneClassUncertainty(InputDetector):
    """All three uncertainties in a one-class support vector machine with a Gaussian kernel, fitted on clean images.

    Args:
        nu: the share of clean images that it may leave outside.
    """

    mean_: Tensor
    deviation_: Tensor
    support_: Tensor
    weights_: Tensor
    gamma_: Tensor

    def __init__(self, nu: float = 0.05) -> None:
        super().__init__()
        require_within(0.0, 1.0, ends="(]", nu=nu)
        self.nu = float(nu)
        self._rows: list[Tensor] = []

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        self._rows = []

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        self._rows.append(self._three(seen))

    def _three(self, seen: Seen) -> Float[Tensor, "n 3"]:
        z = required(seen.logits)
        return torch.stack([mean_uncertainty(z, kind) for kind in KINDS], 1)

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        from sklearn.svm import OneClassSVM

        rows, self._rows = torch.cat(self._rows), []
        mean, deviation = rows.mean(0), rows.std(0, correction=0).clamp_min(1e-12)
        scaled = spread((rows - mean) / deviation, _MOST).cpu().numpy()
        gamma = 1 / (scaled.shape[1] * max(float(np.var(scaled)), 1e-12))
        machine = OneClassSVM(nu=self.nu, gamma=gamma).fit(scaled)
        self.remember(
            mean_=mean,
            deviation_=deviation,
            support_=torch.from_numpy(machine.support_vectors_.copy()).to(rows),
            weights_=torch.from_numpy(machine.dual_coef_[0].copy()).to(rows),
            gamma_=torch.tensor(gamma, dtype=rows.dtype, device=rows.device),
        )

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        rows = (self._three(seen) - self.mean_) / self.deviation_
        gaps = (rows[:, None] - self.support_).square().sum(2)
        return -((-self.gamma_ * gaps).exp() @ self.weights_)[:, None]
