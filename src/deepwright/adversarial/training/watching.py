"""Which epoch of a training on worst inputs is the best, and whether it learned to see only its own attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.attacks import RFGSM, DensePGD
from deepwright.adversarial.attacks.gradient import PGD
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.options import switch
from deepwright.adversarial.training.ball import Ball
from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Segmentation, Task

_STEPS = 10
_FELL = 0.5  # of the best so far


@dataclass(frozen=True)
class RobustScore:
    """The task's mean score on held-out samples, as they are and under attack, for `core.fit.Selection`.

    Give it validation samples, never those that the network is tested on afterwards. It says "score", "robust" (ten
    steps from a random start) and, with `one_step`, "one_step": the score under the attack of the fast way.

    Attributes:
        x: inputs.
        y: their targets, as the task takes them.
        ball: of the attack.
        task: what outputs and targets mean.
        one_step: whether the attack of the fast way is tried too.
        batch_size: of the passes.
        seed: of the random starts.
    """

    x: Tensor
    y: Any
    ball: Ball
    task: Task
    one_step: bool = False
    batch_size: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        switch("one_step", self.one_step)
        require_whole(1, batch_size=self.batch_size)
        if not isinstance(self.ball, Ball):
            raise InputError("ball", given=type(self.ball).__name__, expected="a Ball, as a recipe has: recipe.ball")
        if not len(self.x) or len(self.x) != len(self.y):
            given = f"{len(self.x)} inputs, {len(self.y)} targets"
            raise InputError("samples", given=given, expected="as many targets as inputs, one at least")

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """The scores.

        Args:
            model: left as found.
        """
        attacks = {"score": None, "robust": self._several()}
        if self.one_step:
            attacks["one_step"] = RFGSM(self.ball.eps, self.ball.norm, **self._common())
        return {name: self._under(model, attack) for name, attack in attacks.items()}

    def _common(self) -> dict[str, Any]:
        return {"task": self.task, "bounds": self.ball.bounds, "seed": self.seed}

    def _several(self) -> Attack:
        kind = DensePGD if isinstance(self.task, Segmentation) else PGD
        return kind(self.ball.eps, self.ball.norm, steps=_STEPS, **self._common())

    def _under(self, model: nn.Module, attack: Attack | None) -> float:
        total, size = 0.0, self.batch_size
        for begin in range(0, len(self.x), size):
            rows = slice(begin, begin + size)
            x, y = to_model(self.x[rows], model), self.y[rows].to(device_of(model))
            if attack is not None:
                with torch.enable_grad():  # a fit validates without
                    x = attack(model, x, y, ids=torch.arange(begin, begin + len(x))).x_adv  # starts of its own
            (out,) = read_outputs(model, [x], lambda out, n: self.task.read(out, n, strict=False))
            total += float(self.task.score(out, y).double().sum())
        return total / len(self.x)


def overfitted(history: Sequence[Mapping[str, float]]) -> int | None:
    """The first epoch in which a fast training had overfitted to its own attack; None where there is none.

    That is where the score under several steps is below half of its best so far, and that under one step is not.

    Args:
        history: rows of a fit with "robust" and "one_step", as `RobustScore` gives them.

    Raises:
        InputError: rows without them.
    """
    best = {"robust": 0.0, "one_step": 0.0}
    for epoch, row in enumerate(history):
        if not best.keys() <= row.keys():
            expected = "rows with 'robust' and 'one_step': RobustScore(..., one_step=True)"
            raise InputError("history", given=f"row {epoch} of {', '.join(row)}", expected=expected)
        fell = {name: row[name] < _FELL * value for name, value in best.items()}
        if fell["robust"] and not fell["one_step"]:
            return epoch
        best = {name: max(value, row[name]) for name, value in best.items()}
    return None
