"""Detectors that look at the logits alone."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.devices import back_to, to_model
from deepwright.core.errors import InputError
from deepwright.core.features import Activations, read_logits
from deepwright.core.inference import frozen
from deepwright.ood.detector import Detector, require


class MSP(Detector):
    """1 - max softmax(z / T). Source: arXiv 1610.02136.

    Args:
        temperature: T, above 0.
    """

    trainable = False

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        require("temperature", temperature, temperature > 0, "above 0")
        self.temperature = temperature

    def _score(self, acts: Activations) -> Tensor:
        return 1 - (acts.logits / self.temperature).softmax(1).amax(1)


class MaxLogit(Detector):
    """-max z. Source: arXiv 1911.11132."""

    trainable = False

    def _score(self, acts: Activations) -> Tensor:
        return -acts.logits.amax(1)


class Energy(Detector):
    """-T log sum_k exp(z_k / T). Source: arXiv 2010.03759.

    Args:
        temperature: T, above 0.
    """

    trainable = False

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        require("temperature", temperature, temperature > 0, "above 0")
        self.temperature = temperature

    def _score(self, acts: Activations) -> Tensor:
        return -self.temperature * torch.logsumexp(acts.logits / self.temperature, 1)


class Entropy(Detector):
    """-sum_k p_k log p_k."""

    trainable = False

    def _score(self, acts: Activations) -> Tensor:
        return torch.special.entr(acts.logits.softmax(1)).sum(1)


class GEN(Detector):
    """Generalised entropy sum p^g (1 - p)^g over the `top` largest probabilities. Source: CVPR 2023, GEN.

    Args:
        gamma: the exponent g, in (0, 1].
        top: how many probabilities, at least 1.
    """

    trainable = False

    def __init__(self, gamma: float = 0.1, top: int = 100) -> None:
        super().__init__()
        require("gamma", gamma, 0 < gamma <= 1, "in (0, 1]")
        require("top", top, top >= 1, "1 or more")
        self.gamma, self.top = gamma, top

    def _score(self, acts: Activations) -> Tensor:
        p = acts.logits.softmax(1).topk(min(self.top, acts.logits.shape[1])).values
        return (p * (1 - p)).clamp_min(0).pow(self.gamma).sum(1)


class ODIN(Detector):
    """1 - max softmax(f(x') / T) with x' = x - eps sign(-grad_x log max softmax(f(x) / T)). Source: arXiv 1706.02690.

    It moves the input, so it scores raw inputs of a bound network, not activations.

    Args:
        temperature: T, above 0.
        epsilon: length of the move, 0 or more.
    """

    trainable = False
    exports = False  # it takes gradients
    needs = frozenset({"input_grad"})

    def __init__(self, temperature: float = 1000.0, epsilon: float = 0.0014) -> None:
        super().__init__()
        require("temperature", temperature, temperature > 0, "above 0")
        require("epsilon", epsilon, epsilon >= 0, "0 or more")
        self.temperature, self.epsilon = temperature, epsilon

    def score(self, acts_or_x: Activations | Tensor) -> Tensor:
        """Scores of raw inputs, where these were; needs gradients."""
        if isinstance(acts_or_x, Activations) or not self._network:
            raise InputError("ODIN", given="activations, or no network", expected="raw inputs after bind(model)")
        if torch.is_inference_mode_enabled():
            raise InputError("ODIN", given="torch.inference_mode()", expected="gradients", hint="call it outside")
        model, _, task = self._network[0]
        if not acts_or_x.is_floating_point():
            raise InputError("inputs", given=acts_or_x.dtype, expected="floats, as the network takes them")
        x = to_model(acts_or_x, model)
        with frozen(model), torch.enable_grad():
            point = x.detach().clone().requires_grad_(True)
            top = (read_logits(model(point), task, strict=True) / self.temperature).log_softmax(1).amax(1)
            (gradient,) = torch.autograd.grad(-top.sum(), point)
            with torch.no_grad():
                moved = read_logits(model(x - self.epsilon * gradient.sign()), task)
        wide = moved.float() if moved.dtype in (torch.float16, torch.bfloat16) else moved
        scores = 1 - (wide / self.temperature).softmax(1).amax(1)
        if torch.isnan(scores).any():
            raise InputError("ODIN: inputs", given="scores are NaN", hint="check the inputs and the network's outputs")
        return back_to(scores, acts_or_x)
