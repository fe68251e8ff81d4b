"""One perturbation for all inputs: ascent on a shared delta over batches, then applied to any input.

Sources: arXiv 1610.08401 (universal perturbations), 1811.11304 (the ascent on a clipped loss).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.options import steps_before
from deepwright.adversarial.projections import ascend, project
from deepwright.adversarial.rounding import working_dtype
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.inference import frozen
from deepwright.core.requirements import require_positive, require_whole


class UniversalPerturbation(Attack):
    """delta <- P(delta + alpha step(sum_i grad min(l_i, clip))) over batches; then x + delta within the box.

    Samples whose loss is above `clip` don't pull any more. Fit it on one set and measure it on another, by a call like
    that of every attack: it then asks the network once.

    Args:
        eps: budget of delta; a smaller one at a call pulls delta into it.
        norm: "linf", "l2" or "l1".
        epochs: walks over the batches.
        alpha: step length; eps / 5 by default.
        clip: of the loss; none by default.
        options: of `Attack`: task, loss, success, targeted, bounds.
    """

    refused = {"early_stop": "all inputs share what is found", "seed": "it begins at 0 and draws nothing"}

    def __init__(
        self,
        eps: float,
        norm: str = "linf",
        epochs: int = 10,
        alpha: float | None = None,
        clip: float = math.inf,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        if isinstance(eps, Tensor) and eps.ndim:
            raise InputError("eps", given=f"{len(eps)} numbers", expected="one, for all inputs share delta")
        require_whole(1, epochs=epochs)
        if alpha is not None:
            require_positive(alpha=alpha)
        require_positive(infinite=True, clip=clip)
        self.epochs, self.clip = int(epochs), float(clip)
        self.alpha = min(float(eps), self.bounds[1] - self.bounds[0]) / 5 if alpha is None else float(alpha)
        self.delta: Tensor | None = None

    def fit(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Tensor, Any]],
        *,
        through: Sequence[Callable[[Tensor], Tensor]] = (),
        eot: int = 1,
    ) -> UniversalPerturbation:
        """Find delta.

        Args:
            model: left as found; attacked in eval mode.
            batches: (inputs of one shape within bounds, targets), walked over once an epoch (no one-shot iterator).
            through: as for a call.
            eot: as for a call.

        Returns:
            itself, with `delta` (1, ...) in the working precision, where the last batch was.

        Raises:
            InputError: no batches, an iterator that is spent after one walk, inputs of several shapes, options
                out of range.
        """
        if iter(batches) is batches:
            raise InputError("batches", given="an iterator", expected="something to walk over again", hint="list(...)")
        through = steps_before(through)
        require_whole(1, eot=eot)
        delta: Tensor | None = None
        for _ in range(self.epochs):
            for x, y in batches:
                delta = self._step(model, x, y, delta, through, eot)
        if delta is None:
            raise InputError("batches", given="none", expected="at least one")
        self.delta = delta
        return self

    def _step(
        self, model: nn.Module, x: Tensor, y: Any, delta: Tensor | None, through: Sequence[Any], eot: int
    ) -> Tensor:
        self.check_inputs(x, y)
        with frozen(model):
            victim, y = self._victim(model, x, y, through, eot)
            clean = victim.x.to(working_dtype(x.dtype))
            delta = torch.zeros_like(clean[:1]) if delta is None else delta.to(clean)
            if delta.shape[1:] != clean.shape[1:]:
                given = f"{tuple(clean.shape[1:])} after {tuple(delta.shape[1:])}"
                raise InputError("inputs", given=given, expected="one shape, for all inputs share delta")
            rows = torch.arange(len(x), device=clean.device)
            loss, gradient, _ = victim.gradient((clean + delta).clamp(*self.bounds), y, rows)
            pulling = (loss < self.clip).reshape(-1, *[1] * (clean.ndim - 1))
            way = (gradient * pulling).sum(0, keepdim=True)
        one, free = clean.new_ones(1), (-math.inf, math.inf)
        moved = delta + ascend(way, one * self.alpha, self.norm, delta, free)
        return project(moved, torch.zeros_like(delta), one * float(self.eps), self.norm, free).to(x.device)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        if self.delta is None:
            raise NotFittedError(self.name)
        if self.delta.shape[1:] != batch.x.shape[1:]:
            expected = f"inputs of shape {tuple(self.delta.shape[1:])}"
            raise InputError("x", given=tuple(batch.x.shape[1:]), expected=expected)
        moved = self._project(batch.x + self.delta.to(batch.x), batch.x, batch.eps, batch.mask)
        best.offer(batch.rows, moved, *victim.judge(moved, batch.y, batch.rows), 1)
