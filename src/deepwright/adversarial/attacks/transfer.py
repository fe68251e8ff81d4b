"""Transfer attacks: momentum over the steps on a surrogate, for a network that can't be differentiated or reached.

All steps are done and the last iterate comes back: the first success lies at the surrogate's own boundary, where
another network hardly errs. Sources: arXiv 1710.06081 (MI), 1908.06281 (NI), 2103.15571 (VMI).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.attacks.variations import Variation, require_variations
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import ascend, column
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_positive, require_whole

_TINY = 1e-30


class MIFGSM(Attack):
    """G <- mu G + g / mean|g|, x <- P(x + alpha step(G)), from x, g the gradient at x under the `variations`.

    The model is the surrogate, a `Surrogates([...])` for several; `attack.stands(target, result.x_adv, y)` tells
    which samples another network still gets right. Samples that the surrogate gets wrong already are moved too.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations.
        alpha: step length; eps / steps by default.
        decay: mu.
        variations: of the gradient, composed in this order: `DiverseInputs()`, `Scales()`, `SmoothGradients()`.
        early_stop: keep the first success on the surrogate in place of the last iterate; costs a query a step.
        options: of `Attack`: task, loss, success, targeted, bounds, and seed where something is drawn.
    """

    needs_clean = True
    draws = False

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        steps: int = 10,
        alpha: float | None = None,
        *,
        decay: float = 1.0,
        variations: Sequence[Variation] = (),
        early_stop: bool = False,
        **options: Any,
    ) -> None:
        self.variations = require_variations(variations)
        super().__init__(eps, norm, early_stop=early_stop, **options)
        require_whole(1, steps=steps)
        require_number(0, decay=decay)
        if alpha is not None:
            require_positive(infinite=True, alpha=alpha)
        self.steps, self.alpha, self.decay = int(steps), None if alpha is None else float(alpha), float(decay)
        self.keeps_what_holds = self.early_stop

    def _refusals(self) -> Mapping[str, str]:
        still = not self.draws and not any(v.draws for v in self.variations)
        return {"seed": "nothing is drawn: it begins at x, and its variations are fixed"} if still else {}

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        alpha = batch.eps / self.steps if self.alpha is None else torch.full_like(batch.eps, self.alpha)
        part = _Moving(batch, alpha)
        clean = victim.loss(batch.out, batch.y, batch.rows)
        best.take(batch.rows, batch.x, clean, victim.succeeded(batch.out, batch.y), 0)
        for step in range(self.steps):
            gradient = self._followed(victim, part, step)
            size = gradient.flatten(1).abs().mean(1).clamp_min(_TINY)
            part.momentum = self.decay * part.momentum + gradient / column(size, gradient)
            way = part.momentum if part.mask is None else part.momentum * part.mask
            moved = part.point + ascend(way, part.alpha, self.norm, part.point, self.bounds)
            part.point = self._project(moved, part.x, part.eps, part.mask)
            if self.early_stop:
                best.offer(part.rows, part.point, *victim.judge(part.point, part.y, part.rows), step + 1)
                active = ~best.success[part.rows]
                if not bool(active.all()):
                    part = part.keep(active)
            if batch.callback is not None:
                batch.callback(step, best.success)
            if len(part.rows) == 0:
                return
        if not self.early_stop:
            best.take(part.rows, part.point, *victim.judge(part.point, part.y, part.rows), self.steps)

    def _followed(self, victim: Victim, part: _Moving, step: int) -> Tensor:
        """The gradient that goes into the momentum."""
        return self._gradient(victim, part, part.point, step)

    def _gradient(self, victim: Victim, part: _Moving, point: Tensor, step: int, draw: int = 0) -> Tensor:
        """Of the mean loss over all copies of the variations at a point."""
        assert part.ids is not None
        total = torch.zeros_like(point)
        copies = list(itertools.product(*(range(v.copies) for v in self.variations)))
        for number, copy in enumerate(copies):
            streams = [
                Streams(self.seed, part.ids, f"{self.name}-{type(v).__name__}-{draw}-{number}", step, point.device)
                for v in self.variations
            ]
            total += victim.gradient(point, part.y, part.rows, vary=self._varied(copy, streams))[1]
        gradient = total / len(copies)
        for variation in self.variations:
            gradient = variation.gradient(gradient)
        return gradient

    def _beside(self, part: _Moving, way: Tensor) -> Tensor:
        """The point that so much is added to, where that may change and within the box."""
        way = way if part.mask is None else way * part.mask
        return (part.point + way).nan_to_num(0.0, torch.inf, -torch.inf).clamp(*self.bounds)

    def _varied(self, copy: tuple[int, ...], streams: Sequence[Streams]) -> Callable[[Tensor], Tensor] | None:
        def varied(x: Tensor) -> Tensor:
            for variation, number, drawn in zip(self.variations, copy, streams, strict=True):
                x = variation.inputs(x, number, drawn)
            return x

        return varied if self.variations else None


class NIFGSM(MIFGSM):
    """MI-FGSM whose gradient is taken ahead, at x + alpha mu G, within the mask and the box; its arguments are those of
    `MIFGSM`.
    """

    def _followed(self, victim: Victim, part: _Moving, step: int) -> Tensor:
        ahead = column(part.alpha * self.decay, part.x) * part.momentum
        return self._gradient(victim, part, self._beside(part, ahead), step)


class VMIFGSM(MIFGSM):
    """MI-FGSM with g + v in the place of g, v what the gradients around the previous point had beyond its own.

    v = mean_i grad(x_t + r_i) - grad(x_t), r_i uniform within +-`radius` eps, of the step before (0 at the first); what
    lies outside of the mask stays, and points outside of the box are clipped to it.

    Args:
        eps: budget.
        neighbours: so many r_i.
        radius: over eps.
        options: of `MIFGSM`.
    """

    draws = True

    def __init__(
        self, eps: float | Tensor, *args: Any, neighbours: int = 20, radius: float = 1.5, **options: Any
    ) -> None:
        super().__init__(eps, *args, **options)
        require_whole(1, neighbours=neighbours)
        require_positive(radius=radius)
        self.neighbours, self.radius = int(neighbours), float(radius)

    def _followed(self, victim: Victim, part: _Moving, step: int) -> Tensor:
        own = super()._followed(victim, part, step)
        followed = own + part.beyond
        if step < self.steps - 1:
            assert part.ids is not None
            around = torch.zeros_like(own)
            streams = Streams(self.seed, part.ids, f"{self.name}-neighbours", step, own.device)
            for i in range(self.neighbours):
                drawn = streams.uniform(*own.shape[1:], low=-self.radius, high=self.radius).to(own.dtype)
                reach = part.eps.clamp(max=self.bounds[1] - self.bounds[0])
                near = self._beside(part, drawn * column(reach, own))
                around += self._gradient(victim, part, near, step, draw=i + 1)
            part.beyond = around / self.neighbours - own
        return followed


class _Moving:
    """The samples under attack, where each is and what carries it on."""

    def __init__(self, batch: Batch, alpha: Tensor) -> None:
        self.rows, self.x, self.y, self.eps, self.mask = batch.rows, batch.x, batch.y, batch.eps, batch.mask
        self.alpha, self.point = alpha, batch.x
        self.momentum = torch.zeros_like(batch.x)
        self.beyond = torch.zeros_like(batch.x)
        self.ids: Tensor | None = batch.ids.cpu()  # where streams take them: no step waits for the device

    def keep(self, active: Tensor) -> _Moving:
        """The active ones."""
        ids, self.ids = self.ids, None
        part = selected(self, active)
        part.ids = None if ids is None else ids[active.cpu()]
        return part
