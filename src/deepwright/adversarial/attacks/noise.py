"""Noise of an attack's size: the control that every attack must beat, and that a detector must ignore."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


class Noise(Attack):
    """Random noise on the sphere of the budget.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        kind: "sign" (+-eps in L-inf), "gaussian" or "uniform", scaled to the budget.
        repeats: draws; the worst counts.
        options: of `Attack`: task, loss, success, bounds, seed.
    """

    refused = {"targeted": "noise aims at nothing", "early_stop": "the worst of all its draws counts"}

    def __init__(
        self, eps: float | Tensor, norm: str = "linf", kind: str = "sign", repeats: int = 1, **options: Any
    ) -> None:
        super().__init__(eps, norm, **options)
        if kind not in ("sign", "gaussian", "uniform"):
            raise InputError("kind", given=repr(kind), expected="'sign', 'gaussian' or 'uniform'")
        require_whole(1, repeats=repeats)
        self.kind, self.repeats = kind, int(repeats)

    @property
    def name(self) -> str:
        """sign noise, ..."""
        return f"{self.kind} noise"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, mask, ids = batch.x, batch.y, batch.eps, batch.mask, batch.ids
        rows = batch.rows
        shape = tuple(x.shape[1:])
        for repeat in range(self.repeats):
            streams = self._streams(ids, x, repeat)
            if self.kind == "gaussian":
                noise = streams.normal(*shape)
            else:
                noise = streams.uniform(*shape, low=-1.0, high=1.0)
            if self.kind == "sign":
                noise = noise.sign()
            noise = noise.to(x.dtype)
            if mask is not None:
                noise = noise * mask
            noise = noise * column(eps / norms(noise, self.norm).clamp_min(1e-12), x)
            moved = self._project(x + noise, x, eps, mask)
            best.offer(rows, moved, *victim.judge(moved, y, rows), repeat)
