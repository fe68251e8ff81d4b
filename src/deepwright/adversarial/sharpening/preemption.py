"""A few signed steps towards the network's own label, before the attacker steps away from it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.rounding import working_dtype
from deepwright.adversarial.sharpening.fidelity import on_grid, require_levels
from deepwright.adversarial.sharpening.own_labels import Labelled, labelled
from deepwright.adversarial.sharpening.pictures import require_float_pictures
from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen, require_gradients
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_network, require_number, require_positive, require_whole
from deepwright.core.tasks import Task


class FastPreemption:
    """x <- P(x - step * sign(gradient of the loss of its own label)), a few times, averaged over noisy copies.

    This is our reading of an abstract ("Fast Preemption", arXiv 2407.15524: one network names the class, gradients of
    another move the picture, in few rounds); its authors' code could not be read.

    Args:
        label_model: names the class.
        backbone: whose gradients are followed; `label_model` by default.
        max_change: of each pixel.
        steps: rounds.
        step: length of each; half of `max_change` by default.
        copies: noisy copies over which gradients are averaged; 1 takes the gradient at the picture itself.
        noise: deviation of their noise; half of `max_change` by default.
        quantize: round to so many levels above zero, or None.
        task: what the networks' outputs mean; None for classes.
        seed: of the noise.

    Raises:
        InputError: options out of range, a network without gradients.
    """

    def __init__(
        self,
        label_model: nn.Module,
        backbone: nn.Module | None = None,
        max_change: float = 8 / 255,
        steps: int = 3,
        step: float | None = None,
        *,
        copies: int = 4,
        noise: float | None = None,
        quantize: int | None = None,
        task: Task | None = None,
        seed: int = 0,
    ) -> None:
        for network in (label_model, label_model if backbone is None else backbone):
            require_network(network)
        self.label_model, self.backbone = label_model, label_model if backbone is None else backbone
        require_gradients(self.backbone, "FastPreemption")
        require_positive(max_change=max_change, step=max_change / 2 if step is None else step)
        require_whole(1, steps=steps, copies=copies)
        require_whole(seed=seed)
        if copies == 1 and noise:
            raise InputError("noise", given=f"{noise!r} for one copy, which has none", expected="copies=2 or more")
        self.noise = float(max_change / 2 if noise is None else noise)
        require_number(0, noise=self.noise)
        if quantize is not None:
            require_levels(quantize, max_change)
        self.max_change, self.steps = float(max_change), int(steps)
        self.step = float(max_change / 2 if step is None else step)
        self.copies, self.quantize, self.task, self.seed = int(copies), quantize, task, int(seed)

    @property
    def knows(self) -> tuple[nn.Module, ...]:
        """The networks that were asked."""
        return (self.label_model, self.backbone)

    def __call__(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Published pictures, where x is and in its dtype.

        Args:
            x: floats in [0, 1].
        """
        return self._moved(x, 1.0)

    def reconstruct(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The reverse attack: the same steps away from the label, for what a published picture was.

        Args:
            x: published pictures.
        """
        return self._moved(x, -1.0)

    def _moved(self, x: Tensor, sign: float) -> Tensor:
        require_float_pictures(x)
        with torch.enable_grad(), frozen(self.label_model), frozen(self.backbone):
            work = x.to(device_of(self.backbone), working_dtype(x.dtype))
            y = labelled(self.label_model, to_model(work, self.label_model), self.task).y
            known = labelled(self.backbone, work, self.task)
            y = y.to(work.device) if hasattr(y, "to") else y
            found = self._stepped(work, known._replace(y=y), sign)
        if self.quantize is not None:
            found = on_grid(found, work, self.quantize, self.max_change).clamp(0, 1)
        return found.to(x)

    def _stepped(self, x: Tensor, known: Labelled, sign: float) -> Tensor:
        low, high = (x - self.max_change).clamp_min(0), (x + self.max_change).clamp_max(1)
        point = x
        for step in range(self.steps):
            streams = Streams(self.seed, len(x), "preemption", step, device=x.device)
            total = torch.zeros_like(x)
            for _ in range(self.copies):
                z = streams.normal(*x.shape[1:]).to(x) * self.noise if self.copies > 1 else 0.0
                at = (point + z).detach().requires_grad_(True)
                (gradient,) = torch.autograd.grad(known.loss(at, known.y).sum(), at)
                total += gradient
            point = (point - sign * self.step * total.sign()).clamp(low, high)
        return point
