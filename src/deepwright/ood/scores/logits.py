"""Detectors that look at the logits alone."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.core.inference import device_of, frozen
from deepwright.ood.detector import Detector


class MSP(Detector):
    """1 - max softmax(z / T). Source: arXiv 1610.02136."""

    trainable = False

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def _score(self, acts: Activations) -> Tensor:
        return 1 - (acts.logits / self.temperature).softmax(1).amax(1)


class MaxLogit(Detector):
    """-max z. Source: arXiv 1911.11132."""

    trainable = False

    def _score(self, acts: Activations) -> Tensor:
        return -acts.logits.amax(1)


class Energy(Detector):
    """-T log sum_k exp(z_k / T). Source: arXiv 2010.03759."""

    trainable = False

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def _score(self, acts: Activations) -> Tensor:
        return -self.temperature * torch.logsumexp(acts.logits / self.temperature, 1)


class Entropy(Detector):
    """-sum_k p_k log p_k."""

    trainable = False

    def _score(self, acts: Activations) -> Tensor:
        return torch.special.entr(acts.logits.softmax(1)).sum(1)


class GEN(Detector):
    """Generalised entropy sum p^g (1 - p)^g over the `top` largest probabilities. Source: CVPR 2023, GEN."""

    trainable = False

    def __init__(self, gamma: float = 0.1, top: int = 100) -> None:
        super().__init__()
        self.gamma, self.top = gamma, top

    def _score(self, acts: Activations) -> Tensor:
        p = acts.logits.softmax(1).topk(min(self.top, acts.logits.shape[1])).values
        return (p * (1 - p)).clamp_min(0).pow(self.gamma).sum(1)


class ODIN(Detector):
    """1 - max softmax(f(x') / T) with x' = x - eps sign(-grad_x log max softmax(f(x) / T)). Source: arXiv 1706.02690.

    It moves the input, so it scores raw inputs of a bound network, not activations.
    """

    trainable = False
    needs = frozenset({"input_grad"})

    def __init__(self, temperature: float = 1000.0, epsilon: float = 0.0014) -> None:
        super().__init__()
        self.temperature, self.epsilon = temperature, epsilon

    def score(self, acts_or_x: Activations | Tensor) -> Tensor:
        """Scores of raw inputs; needs gradients."""
        if isinstance(acts_or_x, Activations) or not self._network:
            raise InputError("ODIN", given="activations, or no network", expected="raw inputs after bind(model)")
        if torch.is_inference_mode_enabled():
            raise TypeError("ODIN needs gradients: call it outside torch.inference_mode()")
        model = self._network[0][0]
        x = acts_or_x.to(device_of(model))
        with frozen(model), torch.enable_grad():
            point = x.detach().clone().requires_grad_(True)
            top = (model(point) / self.temperature).log_softmax(1).amax(1)
            (gradient,) = torch.autograd.grad(-top.sum(), point)
            with torch.no_grad():
                moved = model(x - self.epsilon * gradient.sign())
        return 1 - (moved.float() / self.temperature).softmax(1).amax(1)
