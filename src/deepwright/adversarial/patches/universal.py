"""One attenuation pattern for all objects of a size, fitted on a data set and laid into each object's frame."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.options import box
from deepwright.adversarial.patches.attenuation import require_share
from deepwright.adversarial.patches.energy import projected
from deepwright.adversarial.patches.moving import STEPS
from deepwright.adversarial.patches.objectives import LOSSES, Scene, strongest_candidates
from deepwright.adversarial.patches.regions import Boxes, box_rows, turned_boxes
from deepwright.adversarial.patches.rendering import Pixels
from deepwright.adversarial.patches.requiring import candidates_of, require_amplitudes, require_task
from deepwright.adversarial.rounding import working_dtype
from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError, NotFittedError, unknown_name
from deepwright.core.inference import frozen
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.tasks import CandidateDetection


class UniversalAttenuation:
    """A pattern a bin of sizes; each object gets its bin's, stretched to its frame and projected to its own budget.

    Turned boxes (k, 5) turn the pattern along. Gradients pass through the projection exactly: on places that are
    neither empty nor full, the gradient less its mean over them.

    Args:
        task: `CandidateDetection(...)`.
        tau: share of each object's amplitude, within (0, 1].
        cells: of the pattern's sides.
        edges: areas in pixels at which a new bin of sizes begins.
        epochs: walks over the images.
        lr: step, as a share of the pixel range.
        loss: as for `SAAP`.
        bounds: range of pixels.
        batch_size: images at a time.
        seed: of their order.

    Raises:
        InputError: options out of range.
    """

    def __init__(
        self,
        task: CandidateDetection,
        tau: float = 0.1,
        *,
        cells: int = 12,
        edges: tuple[float, ...] = (),
        epochs: int = 5,
        lr: float = STEPS["pgd"],
        loss: str = "hide",
        bounds: tuple[float, float] = (0.0, 1.0),
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        self.task = require_task(task)
        require_share(tau)
        require_whole(2, cells=cells)
        require_whole(1, epochs=epochs, batch_size=batch_size)
        require_whole(seed=seed)
        require_positive(lr=lr)
        if loss not in LOSSES:
            raise unknown_name("loss", str(loss), tuple(LOSSES))
        if list(edges) != sorted(set(edges)) or any(not e > 0 for e in edges):
            raise InputError("edges", given=repr(edges), expected="rising areas above 0")
        self.tau, self.cells, self.edges, self.epochs = float(tau), int(cells), tuple(edges), int(epochs)
        self.lr, self.loss, self.bounds = float(lr), loss, box(bounds)
        self.batch_size, self.seed = int(batch_size), int(seed)
        self.pattern: Tensor | None = None

    def fit(self, detector: nn.Module, images: Float[Tensor, "n c h w"], boxes: Boxes) -> UniversalAttenuation:
        """Find the patterns.

        Args:
            detector: gives candidates, or an `SSD`; left as found.
            images: amplitudes within `bounds`.
            boxes: of each image, as for `SAAP`.

        Raises:
            InputError: as for `SAAP`; no object at all.
        """
        require_amplitudes(images, self.bounds)
        network, rows = candidates_of(detector), box_rows(boxes, len(images))
        if not any(len(r) for r in rows):
            raise InputError("boxes", given="none", expected="at least one object")
        device, dtype = device_of(network), working_dtype(images.dtype)
        pattern = torch.zeros(len(self.edges) + 1, self.cells, self.cells, device=device, dtype=dtype)
        memory, draw = torch.zeros_like(pattern), generator(self.seed, "order of a universal attenuation")
        step = self.lr * (self.bounds[1] - self.bounds[0])
        with frozen(network):
            for _ in range(self.epochs):
                for part in torch.randperm(len(images), generator=draw).split(self.batch_size):
                    own = [rows[i].to(device) for i in part.tolist()]
                    if not any(map(len, own)):
                        continue
                    x = images[part.to(images.device)].to(device, dtype)
                    g = self._gradient(network, x, own, pattern)
                    size = g.abs().amax((1, 2), keepdim=True)
                    memory = 0.75 * memory + 0.25 * g / size.clamp_min(1e-30)
                    pattern = pattern + step * memory
        self.pattern = pattern.to(images.device)
        return self

    def __call__(self, images: Float[Tensor, "n c h w"], boxes: Boxes) -> tuple[Float[Tensor, "n c h w"], list[Tensor]]:
        """Images with the patterns, and the share that is missing of each object.

        Args:
            images: amplitudes within `bounds`.
            boxes: of each image.

        Raises:
            NotFittedError: before `fit`.
        """
        if self.pattern is None:
            raise NotFittedError("UniversalAttenuation")
        require_amplitudes(images, self.bounds)
        x = images.to(working_dtype(images.dtype))
        own = [r.to(x.device) for r in box_rows(boxes, len(x))]
        shown = Pixels.at(x, own, self.bounds[0])
        taken = self._taken(shown, own, self.pattern.to(x))
        share = taken.double().sum(1) / shown.cap.double().sum(1).clamp_min(1e-30)
        return shown.render(taken).to(images.dtype), list(share.split([len(r) for r in own]))

    def _gradient(self, network: nn.Module, x: Tensor, own: list[Tensor], pattern: Tensor) -> Tensor:
        shown = Pixels.at(x, own, self.bounds[0])
        place = shown.regions.boxes.to(x)
        leaf = pattern.detach().requires_grad_(True)
        image = shown.render(self._taken(shown, own, leaf))
        out = self.task.read(network(image.to(dtype_of(network))), len(x), strict=False).to(x.dtype)
        clean = strongest_candidates(out.detach(), place, shown.regions.image)
        value = LOSSES[self.loss](out, Scene(place, shown.regions.image, clean, 0.1, 1.0))
        (g,) = torch.autograd.grad(value.sum(), leaf)
        return torch.nan_to_num(g, 0.0, 0.0, 0.0)

    def _taken(self, shown: Pixels, own: list[Tensor], pattern: Tensor) -> Tensor:
        """Amounts of each object: its bin's pattern at its pixels, projected."""
        frames = turned_boxes(own).to(pattern)
        size = frames[:, 2] * frames[:, 3]
        which = torch.bucketize(size, torch.tensor(self.edges, device=size.device, dtype=size.dtype), right=True)
        width, area = shown.x.shape[3], shown.x.shape[2] * shown.x.shape[3]
        place = shown.regions.index % area
        dx = place % width + 0.5 - frames[:, :1]
        dy = place // width + 0.5 - frames[:, 1:2]
        cos, sin = frames[:, 4:].cos(), frames[:, 4:].sin()
        u, v = (dx * cos + dy * sin) / frames[:, 2:3] * 2, (dy * cos - dx * sin) / frames[:, 3:4] * 2
        grid = torch.stack([u, v], -1)[:, None].to(pattern)
        q = F.grid_sample(pattern[which][:, None], grid, padding_mode="border", align_corners=False)[:, 0, 0]
        budget = self.tau * shown.cap.double().sum(1)
        found: Tensor = _Projected.apply(q, shown.cap, budget)
        return found


class _Projected(torch.autograd.Function):
    """`projected` with its exact derivative."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, cap: Tensor, budget: Tensor) -> Tensor:
        """The projection."""
        found = projected(q, cap, budget)
        ctx.save_for_backward((found > 0) & (found < cap))
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient on free places, less its mean over them."""
        (free,), g = ctx.saved_tensors, gradients[0]
        mean = torch.where(free, g, 0.0).sum(1, keepdim=True) / free.sum(1, keepdim=True).clamp_min(1)
        return torch.where(free, g - mean, 0.0), None, None
