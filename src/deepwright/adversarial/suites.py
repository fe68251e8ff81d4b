"""The worst case over several attacks, and ready sets of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.aim import may_have_classes, require_task
from deepwright.adversarial.attacks.apgd import APGD, APGDT
from deepwright.adversarial.attacks.fab import FABT
from deepwright.adversarial.attacks.square import Square
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.adversarial.projections import column
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Task


class AttackSuite:
    """Attacks in order; each runs only on the samples that still stand. The result is the worst case per sample.

    Args:
        attacks: in the order in which they run (cheap ones first); all of one task and one aim.
        name: for tables.
    """

    def __init__(self, attacks: Sequence[Attack], name: str = "suite") -> None:
        strange = [type(a).__name__ for a in attacks if not isinstance(a, Attack)]
        if not attacks or strange:
            raise InputError(
                "attacks", given=", ".join(strange) or "none", expected="at least one, objects like PGD(0.1)"
            )
        self.attacks, self.name = list(attacks), name
        for word in ("task", "targeted", "success"):
            if any(getattr(a.aim, word) != getattr(self.aim, word) for a in self.attacks):
                given = ", ".join(f"{a.name}({word}={getattr(a.aim, word)!r})" for a in self.attacks)
                raise InputError("attacks", given=given, expected=f"one {word} for all of them")

    @property
    def aim(self) -> Any:
        """The aim of its first attack; all of them have its task, success test and direction."""
        return self.attacks[0].aim

    @property
    def task(self) -> Task | None:
        """What outputs mean; None for as many classes as the network has columns."""
        return self.aim.task

    @property
    def names(self) -> list[str]:
        """Of its attacks, in order; a second one of the same name is told by its number."""
        names = [attack.name for attack in self.attacks]
        before = [names[:i].count(name) for i, name in enumerate(names)]
        return [f"{name} ({k + 1})" if k else name for name, k in zip(names, before, strict=True)]

    def check_targets(self, y: Any, n: int) -> Any:
        """Targets as the task takes them.

        Args:
            y: as for a call.
            n: number of samples.
        """
        return self.attacks[0].check_targets(y, n)

    def check_inputs(self, x: Any, y: Any) -> None:
        """Refuse what no network could be attacked on.

        Args:
            x: as for a call.
            y: as for a call.
        """
        self.attacks[0].check_inputs(x, y)

    def stands(self, model: nn.Module, x: Float[Tensor, "n ..."], y: Any, **options: Any) -> Bool[Tensor, " n"]:
        """Which samples stand without an attack.

        Args:
            model: left as found.
            x: inputs.
            y: targets.
            options: through and eot, as for a call.
        """
        return self.attacks[0].stands(model, x, y, **options)

    def __call__(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Any,
        *,
        eps: float | Tensor | None = None,
        ids: Int64[Tensor, " n"] | None = None,
        **options: Any,
    ) -> AttackResult:
        """Run on a batch; `by_attack` of the result holds each attack's own success on what it was shown.

        Args:
            model: left as found.
            x: floats within bounds.
            y: targets as the task takes them.
            eps: overrides the attacks' budgets; (N,) gives each sample its own.
            ids: (N,) identity of each sample, for its random streams.
            options: of a call of `Attack`: mask, through, eot, quantize, callback.
        """
        self.check_inputs(x, y)
        n = len(x)
        y = self.check_targets(y, n)
        ids = torch.arange(n) if ids is None else ids
        total: AttackResult | None = None
        by_attack: dict[str, Tensor] = {}
        flags: dict[str, float] = {}
        for name, attack in zip(self.names, self.attacks, strict=True):
            rows = torch.arange(n) if total is None else (~total.success).nonzero().flatten().cpu()
            broken = torch.zeros(n, dtype=torch.bool)
            if len(rows):
                part = {k: v[rows] if by_sample(k, v, n) else v for k, v in {**options, "eps": eps}.items()}
                found = attack(model, x[rows], y[rows], ids=ids[rows], **part)
                broken[rows] = found.success.cpu()
                flags |= {f"{name}: {k}": v for k, v in found.flags.items()}
                total = _merge(total, found, rows.to(found.success.device))
            by_attack[name] = broken.to(x.device)
        assert total is not None
        total.flags, total.by_attack = flags, by_attack
        return total


def by_sample(name: str, value: Any, n: int) -> bool:
    """Whether an option of a call has a row for each sample of a batch.

    Args:
        name: of the option.
        value: what the user gave.
        n: number of samples.
    """
    return name in ("mask", "eps") and isinstance(value, Tensor) and value.ndim > 0 and len(value) == n


def _merge(total: AttackResult | None, found: AttackResult, rows: Tensor) -> AttackResult:
    if total is None:
        return found
    better = found.success | (found.loss > total.loss[rows])
    total.x_adv[rows] = torch.where(column(better, found.x_adv), found.x_adv, total.x_adv[rows])
    for name in ("loss", "norm"):
        values = getattr(total, name)
        values[rows] = torch.where(better, getattr(found, name), values[rows])
    total.success[rows] |= found.success
    total.queries[rows] += found.queries
    total.steps[rows] += found.steps
    return total


def suite(
    name: str,
    eps: float,
    norm: str = "linf",
    *,
    task: Task | None = None,
    classes: int = 10,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
    steps: int | None = None,
    restarts: int = 1,
) -> AttackSuite:
    """A ready suite.

    "fast" is APGD on the first and the last of the task's losses (for classes cross-entropy and DLR) with 50 steps, and
    "quick", for audits, the same with 20. "standard" (AutoAttack-style) is for classes APGD-CE, APGD-T and FAB-T with
    up to nine targets and 100 steps, and Square with 5,000 queries; for other tasks "fast" with 100 steps, and Square.

    Args:
        name: "quick", "fast" or "standard".
        eps: budget.
        norm: "linf", "l2" or "l1"; Square is left out in L1.
        task: what outputs mean; None for classes.
        classes: how many, where no task is named.
        seed: of all random starts.
        bounds: pixel box.
        steps: of each attack, in place of the suite's own, 1 or more; Square has 50 queries a step.
        restarts: random starts of each APGD; its name then tells them. The targeted attacks have one for each target.

    Raises:
        InputError: an unknown name.
    """
    if name not in ("quick", "fast", "standard"):
        raise InputError("suite", given=repr(name), expected="'quick', 'fast' or 'standard'")
    still: dict[str, Any] = {"norm": norm, "bounds": bounds, "task": task}
    common = {**still, "seed": seed}
    steps = {"quick": 20, "fast": 50, "standard": 100}[name] if steps is None else steps
    require_whole(1, steps=steps, restarts=restarts)
    require_whole(2, classes=classes)
    require_task(task)
    losses = _losses(task, classes)
    attacks: list[Attack]
    if name == "standard" and may_have_classes(task):
        targets = min(9, getattr(task, "classes", classes) - 1)
        attacks = [
            APGD(eps, steps=steps, restarts=restarts, loss=losses[0], **common),
            APGDT(eps, steps=steps, targets=targets, **common),
            FABT(eps, steps=steps, targets=targets, **still),
        ]
    else:
        attacks = [APGD(eps, steps=steps, restarts=restarts, loss=loss, **common) for loss in losses]
    if name == "standard" and norm != "l1":
        attacks.append(Square(eps, queries=50 * steps, **common))
    return AttackSuite(attacks, name if restarts == 1 else f"{name}, {restarts} starts")


def _losses(task: Task | None, classes: int) -> tuple[str, ...]:
    """The first and the last loss of a task, which differ most; one where it has one only."""
    if task is None:
        return ("ce", "dlr" if classes > 2 else "margin")
    return tuple(dict.fromkeys((task.attack_losses[0], task.attack_losses[-1])))
