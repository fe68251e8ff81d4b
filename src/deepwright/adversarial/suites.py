"""The worst case over several attacks, and ready sets of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.aim import may_have_classes, require_task
from deepwright.adversarial.attacks.apgd import APGD, APGDT
from deepwright.adversarial.attacks.dense import CosPGD, DensePGD, SegPGD
from deepwright.adversarial.attacks.fab import FABT
from deepwright.adversarial.attacks.square import Square
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.adversarial.projections import column
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Segmentation, Task

_STEPS = {"quick": 20, "fast": 50, "standard": 100, "dense": 20}


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


class WorstImages(AttackSuite):
    """Attacks on a class at every position, all of them on all images; the result is each image's worst mean IoU.

    Where only success matters, `AttackSuite(worst.attacks)` is cheaper: it drops images once they are below the bound.

    Args:
        attacks: all of one `Segmentation` task and one aim.
        name: for tables.
    """

    def __init__(self, attacks: Sequence[Attack], name: str = "dense") -> None:
        super().__init__(attacks, name)
        if not isinstance(self.task, Segmentation):
            kind = "no task" if self.task is None else self.task.kind
            raise InputError("attacks", given=kind, expected="task=Segmentation(...)")

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
        """Run on a batch; images without a position that counts are skipped.

        `loss` of the result is the cross-entropy, whatever each attack raised; its flags have each attack's mean IoU
        over images ("SegPGD: mean_iou"), and the share that was skipped.

        Args:
            model: left as found.
            x: floats within bounds.
            y: label maps.
            eps: overrides the attacks' budgets; (N,) gives each image its own.
            ids: (N,) identity of each image, for its random streams.
            options: of a call of `Attack`: mask, through, eot, quantize, callback.

        Raises:
            InputError: as for an attack; a batch in which no position counts.
        """
        self.check_inputs(x, y)
        n, task = len(x), self.task
        assert isinstance(task, Segmentation)
        y = task.label_maps(y, n, "y").to(x.device)
        ids = torch.arange(n) if ids is None else ids
        counts = task.valid(y).flatten(1).any(1)
        if not bool(counts.any()):
            raise InputError("y", given=f"only {task.ignore_index}", expected="positions that count in some image")
        rows = counts.nonzero().flatten()
        part = {k: v[rows.to(v.device)] if by_sample(k, v, n) else v for k, v in {**options, "eps": eps}.items()}
        found = self._worst(model, x[rows], y[rows], ids[rows.to(ids.device)], part)
        found.flags["skipped"] = float((~counts).double().mean())
        return found if bool(counts.all()) else _among(found, x, rows)

    def _worst(self, model: nn.Module, x: Tensor, y: Tensor, ids: Tensor, options: dict[str, Any]) -> AttackResult:
        looking = {k: v for k, v in options.items() if k in ("through", "eot")}
        total: AttackResult | None = None
        worst = torch.zeros(0)
        by_attack: dict[str, Tensor] = {}
        flags: dict[str, float] = {}
        for name, attack in zip(self.names, self.attacks, strict=True):
            found = attack(model, x, y, ids=ids, **options)
            iou, found.loss = attack.measured(model, found.x_adv, y, _iou_and_loss(attack.task), **looking).unbind(1)
            by_attack[name] = found.success
            flags |= {f"{name}: {k}": v for k, v in found.flags.items()} | {f"{name}: mean_iou": float(iou.mean())}
            if total is None:
                total, worst = found, iou
                continue
            lower = iou < worst
            worst = torch.minimum(worst, iou)
            for field in ("x_adv", "loss", "norm"):
                old, new = getattr(total, field), getattr(found, field)
                setattr(total, field, torch.where(column(lower, new), new, old))
            total.success = total.success | found.success
            total.queries, total.steps = total.queries + found.queries, total.steps + found.steps
        assert total is not None
        total.flags, total.by_attack = flags | {"mean_iou": float(worst.mean())}, by_attack
        return total


def _iou_and_loss(task: Any) -> Callable[[Any, Any], Tensor]:
    """(N, 2) of outputs and labels: each image's mean IoU and mean cross-entropy."""
    return lambda out, y: torch.stack([task.image_iou(out, y), task.loss(out, y).double()], 1)


def _among(found: AttackResult, x: Tensor, rows: Tensor) -> AttackResult:
    """A result on some samples as one on all; the others are as they were, and no success."""
    whole = x.clone()
    whole[rows] = found.x_adv
    other: dict[str, Any] = {}
    for name in ("success", "loss", "norm", "queries", "steps"):
        values = getattr(found, name)
        other[name] = values.new_zeros(len(x)).index_copy(0, rows, values)
    by_attack = {k: v.new_zeros(len(x)).index_copy(0, rows, v) for k, v in found.by_attack.items()}
    return replace(found, x_adv=whole, by_attack=by_attack, **other)


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
    "dense", for segmentation, is PGD on cross-entropy, SegPGD, CosPGD and PGD on the margin with 20 steps, all on all
    images, and the worst mean IoU of each.

    Args:
        name: "quick", "fast", "standard" or "dense".
        eps: budget.
        norm: "linf", "l2" or "l1"; Square is left out in L1.
        task: what outputs mean; None for classes.
        classes: how many, where no task is named.
        seed: of all random starts.
        bounds: pixel box.
        steps: of each attack, in place of the suite's own, 1 or more; Square has 50 queries a step.
        restarts: random starts of each APGD (or PGD of "dense"); its name then tells them. The targeted attacks have
            one for each target.

    Raises:
        InputError: an unknown name; "dense" for another task.
    """
    if name not in _STEPS:
        raise InputError("suite", given=repr(name), expected="'quick', 'fast', 'standard' or 'dense'")
    still: dict[str, Any] = {"norm": norm, "bounds": bounds, "task": task}
    common = {**still, "seed": seed}
    steps = _STEPS[name] if steps is None else steps
    require_whole(1, steps=steps, restarts=restarts)
    require_whole(2, classes=classes)
    require_task(task)
    full = name if restarts == 1 else f"{name}, {restarts} starts"
    if name == "dense":
        several: dict[str, Any] = {**common, "steps": steps, "restarts": restarts}
        kinds: tuple[Callable[..., Attack], ...] = (
            partial(DensePGD, loss="ce"),
            SegPGD,
            CosPGD,
            partial(DensePGD, loss="margin"),
        )
        return WorstImages([kind(eps, **several) for kind in kinds], full)
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
    return AttackSuite(attacks, full)


def _losses(task: Task | None, classes: int) -> tuple[str, ...]:
    """The first and the last loss of a task, which differ most; one where it has one only."""
    if task is None:
        return ("ce", "dlr" if classes > 2 else "margin")
    return tuple(dict.fromkeys((task.attack_losses[0], task.attack_losses[-1])))
