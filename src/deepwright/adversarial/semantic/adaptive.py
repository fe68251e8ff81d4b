"""The attacker who knows the monitor: the network's loss is raised while the detector's scores are held down.

It differentiates through network and detector in one pass, and of all its steps it gives, for each image, the worst
that doesn't alarm. "No monitor stops an attacker who knows it" is to be expected and is measured with this.

Sources: N. Carlini and D. Wagner, "Adversarial Examples Are Not Easily Detected", arXiv 1705.07263 (weighted);
O. Bryniarski et al., "Evading Adversarial Example Detection Defenses with Orthogonal Projected Gradient Descent",
arXiv 2106.15023 (orthogonal, selective).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.adversarial.aim import Aim
from deepwright.adversarial.attacks.gradient import PGD
from deepwright.adversarial.projections import column, random_start
from deepwright.adversarial.semantic.detector import InputDetector
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError, NotCalibratedError
from deepwright.core.requirements import require_number, require_positive
from deepwright.core.tasks import Task

WAYS = ("orthogonal", "selective", "weighted")


class _Both(nn.Module):
    """Outputs and scores of one pass in one tensor (N, ...): what attacks take.

    Args:
        detector: bound.
    """

    def __init__(self, detector: InputDetector) -> None:
        super().__init__()
        self.network, self.detector = detector.watch.model, detector
        self.shape: tuple[int, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        seen = self.detector.watch(x)
        if not isinstance(seen.out, Tensor):
            raise InputError("the network's output", given=type(seen.out).__name__, expected="a tensor")
        self.shape = tuple(seen.out.shape[1:])
        return torch.cat([seen.out.flatten(1).double(), self.detector.graph_parts(seen).double()], 1)


@dataclass(frozen=True)
class _WatchedAim(Aim):
    """An aim on outputs that carry scores: to be reached without an alarm."""

    both: _Both

    def answers(self, out: Tensor) -> Tensor:
        """The network's outputs."""
        return out[:, : -len(self.both.detector.parts)].reshape(-1, *self.both.shape)

    def scores(self, out: Tensor) -> Tensor:
        """The detector's."""
        return out[:, -len(self.both.detector.parts) :]

    def silent(self, out: Tensor) -> Bool[Tensor, " k"]:
        """Whether nothing alarms."""
        return ~self.both.detector.alarms(self.scores(out).detach())

    def nearness(self, out: Tensor) -> Float[Tensor, " k"]:
        """See `InputDetector.nearness`."""
        return self.both.detector.nearness(self.scores(out))

    def settled(self, out: Any, n: int, y: Any) -> Aim:
        """See `Aim.settled`."""
        return super().settled(self.answers(out), n, y)

    def read(self, out: Any, n: int, strict: bool = False) -> Any:
        """As it is: the watch has read it."""
        return out

    def value(self, out: Any, y: Any) -> Tensor:
        """See `Aim.value`."""
        return super().value(self.answers(out), y)

    def reached(self, out: Any, y: Any) -> Tensor:
        """See `Aim.reached`; silently."""
        return super().reached(self.answers(out), y) & self.silent(out)

    def finite(self, out: Any) -> Tensor:
        """Whether the network's numbers are."""
        return super().finite(self.answers(out))


class AdaptivePGD(PGD):
    """PGD against a network and its detector together.

    Success is the aim without an alarm. Where no step is silent, the one of highest loss is given, which alarms.

    Args:
        eps: budget.
        detector: bound to the network that is attacked, fitted and calibrated.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart; with half as many it hardly evades.
        way: how scores are held. "orthogonal": from `hold` on, the loss's gradient without its part that raises them,
            and above the threshold down again as well; "selective": from `hold` on only down; "weighted": loss - weight
            * (score - hold)+.
        weight: of "weighted".
        hold: how near to its threshold a score may come (0 is the middle of clean scores, 1 the threshold).
        options: of `PGD`, without early_stop.
    """

    refused = {"early_stop": "of all its steps it gives the worst that is silent"}
    keeps_what_holds = False

    def __init__(
        self,
        eps: float | Tensor,
        detector: InputDetector,
        norm: str = "linf",
        steps: int = 40,
        *,
        way: str = "orthogonal",
        weight: float = 1.0,
        hold: float = 0.8,
        **options: Any,
    ) -> None:
        if not isinstance(detector, InputDetector):
            raise InputError("detector", given=type(detector).__name__, expected="one that looks at inputs")
        if "thresholds_" not in dict(detector.named_buffers()):
            raise NotCalibratedError(detector.name)
        if way not in WAYS:
            raise InputError("way", given=repr(way), expected=" or ".join(map(repr, WAYS)))
        require_positive(weight=weight)
        require_number(hold=hold)
        self.detector, self.way, self.weight, self.hold = detector, way, float(weight), float(hold)
        self._both = _Both(detector)
        super().__init__(eps, norm, steps, **options)
        self.early_stop = False

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"AdaptivePGD ({f'weight {self.weight:g}' if self.way == 'weighted' else self.way})"

    def _aimed(self, task: Task | None, loss: Any, success: Any, targeted: bool) -> Aim:
        if success is not None:
            raise InputError("success", given="a function", expected="none: success is the task's, without an alarm")
        aim = super()._aimed(task, loss, success, targeted)
        return _WatchedAim(aim.task, aim.loss, None, targeted, self._both)

    def _victim(
        self, model: nn.Module, x: Tensor, y: Any, through: Sequence[Callable[[Tensor], Tensor]], eot: int
    ) -> tuple[Victim, Any]:
        if model is not self.detector.watch.model:
            raise InputError("model", given="another network", expected="the one that the detector stands beside")
        return super()._victim(self._both, x, y, through, eot)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        for restart in range(self.restarts):
            self._descend(victim, batch, best, batch.rows, restart)
        best.loss, best.success = victim.judge(best.x, batch.y, batch.rows)

    def _descend(self, victim: Victim, batch: Batch, best: Best, rows: Tensor, restart: int) -> None:
        aim = victim.aim
        assert isinstance(aim, _WatchedAim)
        part = self._part(batch, rows)
        point = part.x
        if self.random_start:
            start = random_start(part.x, part.eps, self.norm, self._streams(batch.ids, part.x, restart))
            point = self._project(part.x + start, part.x, part.eps, part.mask)
        for step in range(self.steps):
            gradient, out = self._direction(victim, aim, point, part.y, rows)
            best.offer(rows, point, victim.loss(out, part.y, rows), aim.silent(out), step)
            if batch.callback is not None:
                batch.callback(step, best.success)
            point = self._step(point, gradient, part)
        out = victim.out(point, rows)
        best.offer(rows, point, victim.loss(out, part.y, rows), aim.silent(out), self.steps)

    def _direction(self, victim: Victim, aim: _WatchedAim, point: Tensor, y: Any, rows: Tensor) -> tuple[Tensor, Any]:
        """Where the next step goes, and the outputs at the point."""
        sign = -1.0 if aim.targeted else 1.0  # the victim lowers functions of its own when targeted

        def nearness(out: Any, y: Any) -> Tensor:
            return sign * aim.nearness(out)

        def penalised(out: Any, y: Any) -> Tensor:
            return sign * (aim.value(out, y) - self.weight * (aim.nearness(out) - self.hold).relu())

        if self.way == "weighted":
            _, gradient, out = victim.gradient(point, y, rows, penalised)
            return gradient, out
        _, up, out = victim.gradient(point, y, rows)
        _, louder, _ = victim.gradient(point, y, rows, nearness)
        near = aim.nearness(out)
        held, alarming = (column(near > bar, point) for bar in (self.hold, 1.0))
        up, louder = _unit(up), _unit(louder)
        if self.way == "selective":
            return torch.where(held, -louder, up), out
        along = column((up * louder).flatten(1).sum(1).clamp_min(0), point)
        around = up - along * louder
        return torch.where(alarming, around - louder, torch.where(held, around, up)), out


def _unit(gradient: Tensor) -> Tensor:
    return gradient / column(gradient.flatten(1).norm(dim=1).clamp_min(1e-30), gradient)
