"""Training against confident misjudgments: the index of the batch's losses as a loss."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.tasks.targets import Labels, as_tensor
from deepwright.risk.fragility.index import fragility_index


def _losses(logits: Tensor, target: Labels) -> Tensor:
    """Cross-entropy of each sample. Labels out of range are seen where they fail: looking for them would make every
    training step wait for the device."""
    target = as_tensor(target, "target")
    if target.is_floating_point() or target.dtype == torch.bool:
        raise InputError("target", given=f"{target.dtype}", expected="whole numbers, one class a sample")
    try:
        return F.cross_entropy(logits, target.to(logits.device).long(), reduction="none")
    except (IndexError, RuntimeError, ValueError) as error:
        classes = logits.shape[1] if logits.ndim > 1 else 0
        raise InputError(
            "target",
            given=f"shape {tuple(target.shape)} for logits {tuple(logits.shape)}: {error}",
            expected=f"(N, ...) labels of 0..{classes - 1}",
        ) from error


class FragilityLoss(nn.Module):
    """A scalar of per-sample losses l that weighs the confident mistakes.

    Where the target is met it softens the probabilities, which lowers the raw index and improves nothing by itself: at
    matched temperature, with epochs, learning rate and weight decay selected alike, it beats cross-entropy in none of
    the nine regimes of its study beyond doubt (`deepwright study fragility-index`).

    Args:
        target: tau, an absolute loss in nats (networks that interpolate have a training loss near 0).
        mode: "index" k(l) = FI(l, tau), exact implicit gradient; where the batch misses the target (mean l >= 0.98 tau)
            the mean loss, so that training first reaches the target and then trades spare loss for tail safety;
            "tilted" k log mean exp(l / k) at fixed `k`; "penalty" mean l + `weight` * k(l).
        k: of the tilted mode.
        weight: of the penalty mode.
        ema: keep a running normaliser of exp(l / k) with this decay (mode "index"), because a small batch
            underestimates it; None switches it on below a batch of 128; 0 never. In `eval()` nothing runs: the value is
            the batch's own index.

    Source: arXiv 2502.13024 and 2408.09157; tilted losses: arXiv 2007.01162.
    """

    log_norm: Tensor
    running_k: Tensor

    def __init__(
        self, target: float, mode: str = "index", *, k: float = 1.0, weight: float = 0.1, ema: float | None = None
    ) -> None:
        super().__init__()
        if mode not in ("index", "tilted", "penalty"):
            raise InputError("mode", given=repr(mode), expected="'index', 'tilted' or 'penalty'")
        if not target > 0 or not k > 0 or (ema is not None and not 0 <= ema < 1):
            raise InputError(
                "FragilityLoss", given=f"target={target}, k={k}, ema={ema}", expected="target > 0, k > 0, ema in [0, 1)"
            )
        self.target, self.mode, self.k, self.weight, self.ema = target, mode, k, weight, ema
        self.register_buffer("log_norm", torch.tensor(math.nan, dtype=torch.float64))
        self.register_buffer("running_k", torch.tensor(math.nan, dtype=torch.float64))

    def forward(self, losses: Tensor, target: Labels | None = None) -> Float[Tensor, ""]:
        """The loss where its input is, in the input's dtype; the running values follow it there.

        Args:
            losses: (N,) per-sample losses, or (N, K, ...) logits with `target`.
            target: (N, ...) labels.
        """
        dtype = losses.dtype
        if target is not None:
            losses = _losses(losses, target)
        if losses.numel() == 0:
            raise InputError("losses", given="0 samples", expected="at least one")
        flat = losses.reshape(-1).double()
        if self.mode == "tilted":
            return (self.k * (torch.logsumexp(flat / self.k, 0) - math.log(len(flat)))).to(dtype)
        mean = flat.mean()
        if self.mode == "penalty":
            index = _index(flat, self.target)
            return (mean if index is None else mean + self.weight * index).to(dtype)
        if float(mean.detach()) >= 0.98 * self.target:
            return mean.to(dtype)
        ema = self.ema if self.ema is not None else (0.9 if len(flat) < 128 else 0.0)
        value = self._running(flat, ema) if ema > 0 and self.training else _index(flat, self.target)
        return (mean if value is None else value).to(dtype)

    def _follow(self, device: torch.device) -> None:
        if self.log_norm.device != device:
            self.log_norm, self.running_k = self.log_norm.to(device), self.running_k.to(device)

    @torch.no_grad()
    def _update(self, losses: Tensor, ema: float) -> Tensor:
        """One step of the running k and normaliser; gives the batch's weights exp(l / k) / normaliser / n."""
        self._follow(losses.device)
        n = len(losses)
        if not bool(torch.isfinite(self.running_k)):
            start = _index(losses, self.target)
            self.running_k.fill_(1.0 if start is None or float(start) == 0 else float(start))
            self.log_norm.copy_(torch.logsumexp(losses / self.running_k, 0) - math.log(n))
        k = self.running_k
        batch = torch.logsumexp(losses / k, 0) - math.log(n)
        self.log_norm.copy_(torch.logaddexp(self.log_norm + math.log(ema), batch + math.log1p(-ema)))
        weights = (losses / k - self.log_norm).exp() / n
        # phi(k) = k log_norm falls in k: move log k towards the target no faster than the average forgets.
        step = (1 - ema) * ((k * self.log_norm - self.target) / self.target).clamp(-1, 1)
        new_k = (k * step.exp()).clamp_min(1e-3)
        self.log_norm.mul_(k / new_k)  # log-normalisers scale as 1/k to first order
        self.running_k.copy_(new_k)
        return weights

    def _running(self, losses: Tensor, ema: float) -> Tensor:
        weights = self._update(losses.detach(), ema)
        k = self.running_k.clone()
        excess = (weights * (losses.detach() - self.target)).sum()
        scale = k / excess if float(excess) > 1e-9 else torch.ones_like(k)
        surrogate = (weights * scale.clamp(max=10.0) * losses).sum()
        return surrogate + (k - surrogate).detach()  # value k, gradient of the surrogate


def _index(losses: Tensor, tau: float) -> Tensor | None:
    """FI(l, tau), or None where the target isn't met."""
    if float(losses.detach().mean()) >= tau:
        return None
    if float(losses.detach().max()) <= tau:
        return losses.sum() * 0.0
    return fragility_index(losses, input="xi", tau=tau)
