"""Robust points by bi-level optimisation: the picture near x on which the strongest attack does least.

Source: "Preemptive Image Robustification for Protecting Users against Man-in-the-Middle Adversarial Attacks", arXiv
2112.05634; the details that the paper leaves open are those of its authors' code.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.rounding import working_dtype
from deepwright.adversarial.sharpening.fidelity import on_grid, require_levels
from deepwright.adversarial.sharpening.iterating import LastIterate
from deepwright.adversarial.sharpening.own_labels import Labelled, labelled
from deepwright.adversarial.sharpening.pictures import require_float_pictures
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen, require_gradients
from deepwright.core.randomness import Streams, derive_seed
from deepwright.core.requirements import require_network, require_number, require_positive, require_whole
from deepwright.core.tasks import Task

_INSIDE = 1.999  # of 2: keeps the inverse tangent of a pixel at the edge finite


class BiLevel:
    """Lower the loss of the network's own label at attacked points, over pictures within `max_change` of x.

    x_r = lo + (tanh(w) + 1) / 2 * (up - lo) with lo, up = x -+ max_change within [0, 1], from a uniform point. In each
    of `iters` rounds an attack begins at x_r; its offset is held fixed, and w steps by RMSprop (lr 0.1) against the
    gradient of the loss there. In L2 the same box is used, and x_r is drawn back on the ball.

    Args:
        model: whose gradients are followed; left as found.
        max_change: of each pixel in L-inf, of the whole picture in L2.
        eps: the attacker's budget.
        norm: "linf" or "l2", of both.
        iters: rounds.
        attack: an attack in place of 20 steps of eps / 4 from a random start, which differs from round to round.
        noise: deviation of Gaussian noise over which the loss is averaged; 0 for none.
        copies: noisy copies a round.
        quantize: round to so many levels above zero, or None.
        task: what the network's outputs mean; None for classes.
        seed: of the first point, starts and noise.

    Raises:
        InputError: options out of range, a network without gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        max_change: float = 8 / 255,
        eps: float | None = None,
        norm: str = "linf",
        iters: int = 100,
        attack: Attack | None = None,
        *,
        noise: float = 0.0,
        copies: int = 1,
        quantize: int | None = None,
        task: Task | None = None,
        seed: int = 0,
    ) -> None:
        require_network(model)
        require_gradients(model, "BiLevel")
        require_positive(max_change=max_change, eps=max_change if eps is None else eps)
        if norm not in ("linf", "l2"):
            raise InputError("norm", given=repr(norm), expected="'linf' or 'l2'")
        if attack is not None and not isinstance(attack, Attack):
            raise InputError("attack", given=repr(attack), expected="an attack, like PGD(0.1)")
        require_whole(1, iters=iters, copies=copies)
        require_number(0, noise=noise)
        if copies > 1 and noise == 0:
            raise InputError("copies", given=f"{copies} without noise", expected="noise above 0 beside it")
        require_whole(seed=seed)
        if quantize is not None:
            require_levels(quantize, max_change if norm == "linf" else None)
        self.model, self.max_change, self.norm, self.iters = model, float(max_change), norm, int(iters)
        self.eps, self.attack, self.quantize = float(max_change if eps is None else eps), attack, quantize
        self.noise, self.copies, self.task, self.seed = float(noise), int(copies), task, int(seed)

    @property
    def knows(self) -> tuple[nn.Module, ...]:
        """The network that was asked."""
        return (self.model,)

    def __call__(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Robust pictures, where x is and in its dtype.

        Args:
            x: floats in [0, 1].
        """
        return self._moved(x, 1.0)

    def reconstruct(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The reverse attack: the same search upwards, for what a published picture was.

        Args:
            x: published pictures.
        """
        return self._moved(x, -1.0)

    def _moved(self, x: Tensor, sign: float) -> Tensor:
        require_float_pictures(x)
        with torch.enable_grad(), frozen(self.model):
            work = x.to(device_of(self.model), working_dtype(x.dtype))
            found = self._searched(work, labelled(self.model, work, self.task), sign)
        if self.quantize is not None:
            found = on_grid(found, work, self.quantize, self.max_change if self.norm == "linf" else None).clamp(0, 1)
        return found.to(x)

    def _searched(self, x: Tensor, known: Labelled, sign: float) -> Tensor:
        low, high = (x - self.max_change).clamp_min(0), (x + self.max_change).clamp_max(1)
        room = high - low
        streams = Streams(self.seed, len(x), "robust point", device=x.device)
        start = (x + streams.uniform(*x.shape[1:], low=-1.0, high=1.0).to(x) * self.max_change).clamp(0, 1)
        share = torch.where(room > 0, (start - low) / room.clamp_min(1e-12), 0.5)
        w = torch.atanh(_INSIDE * (share - 0.5)).requires_grad_(True)
        optimizer = torch.optim.RMSprop([w], lr=0.1)
        for step in range(self.iters):
            robust = self._of(w, x, low, room)
            attacked = self._attack(step, known.task)(self.model, robust.detach(), known.y).x_adv
            point = robust + (attacked - robust.detach())
            loss = sign * self._loss(point, known, step)
            (w.grad,) = torch.autograd.grad(loss, w)
            optimizer.step()
        return self._of(w.detach(), x, low, room).clamp(low, high)

    def _of(self, w: Tensor, x: Tensor, low: Tensor, room: Tensor) -> Tensor:
        robust = low + (torch.tanh(w) + 1) / 2 * room
        if self.norm == "linf":
            return robust
        change = robust - x
        return x + change * column((self.max_change / norms(change, "l2").clamp_min(1e-12)).clamp_max(1), x)

    def _attack(self, step: int, task: Task) -> Attack:
        if self.attack is not None:
            return self.attack
        seed = derive_seed("bi-level", step, seed=self.seed)
        return LastIterate(self.eps, self.norm, steps=20, alpha=self.eps / 4, random_start=True, task=task, seed=seed)

    def _loss(self, point: Tensor, known: Labelled, step: int) -> Tensor:
        if self.noise == 0:
            return known.loss(point, known.y).sum()
        streams = Streams(self.seed, len(point), "robust point's noise", step, device=point.device)
        drawn = (streams.normal(*point.shape[1:]).to(point) for _ in range(self.copies))
        return torch.stack([known.loss(point + self.noise * z, known.y).sum() for z in drawn]).mean()
