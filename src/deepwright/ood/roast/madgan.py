"""MAD-GAN: a generator and a discriminator of windows, both recurrent; the discriminator's doubt is the score.

Source: "MAD-GAN: Multivariate Anomaly Detection for Time Series Data with Generative Adversarial Networks", arXiv
1901.04997, with the settings of arXiv 2603.26093's code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.progress import bar
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole, require_within
from deepwright.ood.metrics import auroc
from deepwright.ood.roast.exposure import ExposureLoss
from deepwright.ood.roast.windowed import WindowDetector

SCORES = ("d", "dr")


class Recurrent(nn.Module):
    """An LSTM with a linear map at each step.

    Args:
        inputs: channels in.
        hidden: width.
        outputs: channels out.
        last: what is done to them.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, last: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, outputs)
        self.last = last

    def forward(self, x: Float[Tensor, "n steps inputs"]) -> Float[Tensor, "n steps outputs"]:
        """One vector a step."""
        out = self.linear(self.lstm(x)[0])
        return out if self.last is None else self.last(out)


class MADGANDetector(WindowDetector):
    """1 - mean over steps of D(x), or with "dr" a mean of that and of how far the generator comes to the window.

    The discriminator is trained by SGD, the generator by Adam and `g_rounds` times as often. Windows are scaled to
    [-1, 1] by the range of the benign ones. Where attacked windows are given with `fit`, the epoch with the best AUROC
    against half of them is kept; the last one otherwise, as the authors do. None is trained on but by `exposure`.

    Args:
        hidden: width of both networks.
        latent: numbers of noise at each step.
        epochs: of training.
        batch_size: of it.
        d_lr: of the discriminator's SGD.
        g_lr: of the generator's Adam.
        g_rounds: of the generator for one of the discriminator.
        score: "d" or "dr".
        share: of the discriminator's doubt in "dr".
        exposure: weight in the discriminator's loss of `ExposureLoss` between its doubts, as logits, of benign windows
            and of the other half of the attacked ones, two or more of which `fit` then needs; 0 leaves it out.
        inversion_steps: by which "dr" looks for the noise of a window.
        device: where it is trained.
        seed: of weights, noise and order.
    """

    def __init__(
        self,
        hidden: int = 100,
        latent: int = 15,
        epochs: int = 100,
        batch_size: int = 500,
        d_lr: float = 0.1,
        g_lr: float = 1e-3,
        g_rounds: int = 3,
        score: str = "d",
        share: float = 0.5,
        exposure: float = 0.0,
        inversion_steps: int = 50,
        device: str | torch.device = "cpu",
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_whole(1, hidden=hidden, latent=latent, epochs=epochs, batch_size=batch_size, g_rounds=g_rounds)
        require_whole(1, inversion_steps=inversion_steps)
        require_whole(0, seed=seed)
        require_positive(d_lr=d_lr, g_lr=g_lr)
        require_number(0, exposure=exposure)
        require_within(0, 1, share=share)
        if score not in SCORES:
            raise InputError("score", given=repr(score), expected="'d' or 'dr'")
        self.hidden, self.latent, self.epochs, self.batch_size = hidden, latent, epochs, batch_size
        self.d_lr, self.g_lr, self.g_rounds, self.seed = d_lr, g_lr, g_rounds, seed
        self.exposure, self._margin = exposure, ExposureLoss()
        self.kind, self.share, self.inversion_steps, self.device = score, share, inversion_steps, torch.device(device)
        self.generator: nn.Module = nn.Identity()
        self.discriminator: nn.Module = nn.Identity()
        self.best_epoch_ = 0
        self._low = self._high = torch.zeros(0)

    def _fit(self, benign: Tensor, attacked: Tensor | None) -> Tensor:
        if self.exposure and (attacked is None or len(attacked) < 2):
            given = "none" if attacked is None else len(attacked)
            raise InputError("attacked windows", given=given, expected="2 or more, labelled, for an exposure above 0")
        channels = benign.shape[2]
        self._low = benign.amin((0, 1)).to(self.device).float()
        self._high = benign.amax((0, 1)).to(self.device).float()
        x = self._in_range(benign)
        with local_rng(derive_seed("madgan", seed=self.seed)):
            self.generator = Recurrent(self.latent, self.hidden, channels, torch.tanh).to(self.device)
            self.discriminator = Recurrent(channels, self.hidden, 1).to(self.device)
        draws = torch.Generator().manual_seed(derive_seed("noise", seed=self.seed))
        d_step = torch.optim.SGD(self.discriminator.parameters(), lr=self.d_lr)
        g_step = torch.optim.Adam(self.generator.parameters(), lr=self.g_lr)
        best = -1.0
        kept: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
        shown = None if attacked is None or not self.exposure else self._in_range(attacked[1::2])
        held = None if attacked is None or len(attacked) < 2 else self._in_range(attacked[::2])
        with bar("MAD-GAN", self.epochs) as running:
            for epoch in range(1, self.epochs + 1):
                order = torch.randperm(len(x), generator=draws).to(self.device)
                for rows in order.split(self.batch_size):
                    self._round(x[rows], shown, draws, d_step, g_step)
                if held is not None:
                    area = auroc(self._doubt(x), self._doubt(held))
                    if area > best:
                        best, self.best_epoch_ = area, epoch
                        both = (self.generator, self.discriminator)
                        of_generator, of_discriminator = (copy.deepcopy(net.state_dict()) for net in both)
                        kept = of_generator, of_discriminator
                running.advance()
        if kept is None:
            self.best_epoch_ = self.epochs
        else:
            self.generator.load_state_dict(kept[0])
            self.discriminator.load_state_dict(kept[1])
        return self._score(benign)

    def _round(
        self,
        real: Tensor,
        shown: Tensor | None,
        draws: torch.Generator,
        d_step: torch.optim.Optimizer,
        g_step: torch.optim.Optimizer,
    ) -> None:
        def noise() -> Tensor:
            return torch.randn(len(real), real.shape[1], self.latent, generator=draws).to(self.device)

        with torch.no_grad():
            made = self.generator(noise())
        said, told = self.discriminator(real), self.discriminator(made)
        loss = F.binary_cross_entropy_with_logits(said, torch.ones_like(said))
        loss = loss + F.binary_cross_entropy_with_logits(told, torch.zeros_like(told))
        if shown is not None and len(shown):
            some = shown[torch.randperm(len(shown), generator=draws)[: len(real)].to(shown.device)]
            doubts = (-said.mean((1, 2)), -self.discriminator(some).mean((1, 2)))
            loss = loss + self.exposure * self._margin(*doubts)
        d_step.zero_grad()
        loss.backward()
        d_step.step()
        for _ in range(self.g_rounds):
            told = self.discriminator(self.generator(noise()))
            loss = F.binary_cross_entropy_with_logits(told, torch.ones_like(told))
            g_step.zero_grad()
            loss.backward()
            g_step.step()

    def _in_range(self, x: Tensor) -> Tensor:
        wide = (self._high - self._low).clamp_min(1e-12)
        return 2 * (x.to(self.device).float() - self._low) / wide - 1

    def _doubt(self, scaled: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [1 - self.discriminator(part).sigmoid().mean((1, 2)) for part in scaled.split(4096)]
        return torch.cat(parts) if parts else scaled.new_zeros(0)

    def _score(self, x: Tensor) -> Tensor:
        scaled = self._in_range(x)
        found = self._doubt(scaled)
        if self.kind == "dr":
            off = torch.cat([self._residual(part) for part in scaled.split(4096)]) if len(scaled) else found
            found = self.share * found + (1 - self.share) * off
        return found.to(x)

    def _residual(self, scaled: Tensor) -> Tensor:
        """Mean of |G(z*) - x| with z* by gradient steps from zero."""
        z = torch.zeros(*scaled.shape[:2], self.latent, device=self.device, requires_grad=True)
        step = torch.optim.Adam([z], lr=0.1)
        for _ in range(self.inversion_steps):
            off = (self.generator(z) - scaled).abs().mean((1, 2))
            (z.grad,) = torch.autograd.grad(off.sum(), z)
            step.step()
        with torch.no_grad():
            return (self.generator(z) - scaled).abs().mean((1, 2))
