"""Who fools whom after publishing: every way to publish under four attackers, side by side.

Transfer: the attacker has another network than the target and than the publisher. Grey box: the network that the
publisher asked. White box: the target itself. Reversion: the attacker knows the way of publishing, undoes it as far as
that can be done within the budget, and goes on from there; the budget counts from the published picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.attacks import PGD
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.sharpening.arms import Arm, Sent, arms_of, on_levels
from deepwright.adversarial.sharpening.compared import Comparison, Row
from deepwright.adversarial.sharpening.fidelity import similarity, squared_error
from deepwright.adversarial.sharpening.iterating import LastIterate
from deepwright.adversarial.sharpening.pictures import require_pictures
from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.requirements import require_callable, require_network, require_positive
from deepwright.core.tasks import Task

_STEPS = 10


def compare(
    methods: dict[str, Any],
    surrogate: nn.Module,
    target: nn.Module,
    batches: Iterable[tuple[Tensor, Any]],
    eps: Sequence[float] = (8 / 255,),
    *,
    attacker: nn.Module | None = None,
    attack: Attack | None = None,
    equal_mse: bool = True,
    then: Callable[[Tensor], Tensor] | None = None,
    task: Task | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> Comparison:
    """Publish, round to 8 bits, attack, ask the target; with the mandatory controls at equal squared error.

    The controls (contrast, unsharp mask, noise, blur) are put, picture by picture, at the error of the first method
    that has a strength. An attack's last step counts, whatever its own network says on the way: those that stop at its
    first success show a robustness that isn't there.

    Args:
        methods: name -> what publishes pictures: `LaplacianSharpen(0.25)`, `BiLevel(surrogate)`, or any function.
        surrogate: the attacker's network, and the one that a publisher may have asked.
        target: the network that reads what is published; another one than `surrogate`.
        batches: (pictures in [0, 1], targets).
        eps: budgets in L-inf, rising; the verdict is at the last.
        attacker: a third network, with which those who asked `surrogate` are attacked in the column "transfer"; without
            it they have no such column.
        attack: on `surrogate` or `attacker`, its budget replaced; by default 10 steps of a fifth of the budget without
            momentum, of which the last counts. One that stops early is refused.
        equal_mse: add the controls.
        then: what published pictures go through before anybody has them, as `Jpeg(90)`; they are rounded before and
            after it.
        task: what outputs mean; None for classes.
        seed: of the attacks.
        checkpoint: a JSON-lines file; each finished attack on a batch is appended, and an interrupted run goes on.

    Raises:
        InputError: surrogate and target are one object (that would be a white box), pictures that are normalised, an
            attack that stops at its first success, a checkpoint of other work.
    """
    arms = arms_of(methods, equal_mse)
    networks = {"surrogate": surrogate, "target": target, **({} if attacker is None else {"attacker": attacker})}
    _require_networks(networks)
    budgets = _budgets(eps)
    attack = LastIterate(budgets[-1], steps=_STEPS, task=task, seed=seed) if attack is None else attack
    _require_last(attack, task)
    if then is not None:
        require_callable("then", then, "pictures -> pictures", "Jpeg(90)")
    white = PGD(budgets[-1], steps=_STEPS, random_start=False, task=task, seed=seed)
    bench = _Bench(networks, attack, white, budgets, then)
    identity = {
        **networks,
        "methods": {arm.name: _described(arm) for arm in arms},
        "attack": attack,
        "task": {} if task is None else task.identity(),
        "then": then,
        "options": {"eps": budgets, "seed": seed, "equal_mse": equal_mse},
    }
    log = Journal(checkpoint, {} if checkpoint is None else identity, kind="comparison of publishers")
    rows = {arm.name: Row(arm.name, control=arm.control) for arm in arms}
    seen = 0
    with bar("publishers", None) as running:
        for x, y in map(_pair, batches):
            require_pictures(x)
            x, mark = on_levels(x), "" if checkpoint is None else str(digest([x, y], "data"))
            for arm in arms:
                work = _Batch(log, f"{seen} {arm.name}", mark, seen)
                rows[arm.name].take(bench.row(arm, x, y, work))
                running.advance(1, arm.name)
            seen += len(x)
    if seen == 0:
        raise InputError("batches", given="none", expected="at least one")
    return Comparison(seen, budgets, list(rows.values()), attacker is not None, attack.name)


class _Batch:
    """Where finished pieces of one way on one batch are kept."""

    def __init__(self, log: Journal, name: str, mark: str, start: int) -> None:
        self.log, self.name, self.mark, self.start = log, name, mark, start

    def known(self, what: str) -> Any:
        """A finished piece, or None.

        Args:
            what: its name.
        """
        row = self.log.same(f"{self.name} {what}", self.mark, self.start)
        return None if row is None else row["value"]

    def keep(self, what: str, value: Any) -> Any:
        """Keep a piece, and give it back.

        Args:
            what: its name.
            value: plain data.
        """
        self.log.add(f"{self.name} {what}", {"data": self.mark, "value": value})
        return value


class _Bench:
    """The networks and attacks that every way to publish goes through."""

    def __init__(
        self,
        networks: dict[str, nn.Module],
        attack: Attack,
        white: Attack,
        budgets: tuple[float, ...],
        then: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self.networks, self.attack, self.white, self.budgets, self.then = networks, attack, white, budgets, then

    def row(self, arm: Arm, x: Tensor, y: Any, work: _Batch) -> dict[str, Any]:
        """What is measured of one way on one batch.

        Args:
            arm: the way.
            x: pictures on 8-bit levels.
            y: targets.
            work: where finished pieces are.
        """
        sent: list[Sent] = []

        def published() -> Sent:
            if not sent:
                sent.append(arm.publish(x, self.then))
            return sent[0]

        found = work.known("fidelity") or work.keep("fidelity", self._fidelity(published(), x, y))
        cells: dict[str, Any] = {}
        for name in self._columns(arm):
            for eps in self.budgets:
                what = f"{name} {eps!r}"
                known = work.known(what)
                if known is None:
                    known = work.keep(what, {"right": self._right(name, published(), y, eps, work.start)})
                cells[what] = known["right"]
        return {**found, "cells": cells}

    def _columns(self, arm: Arm) -> list[str]:
        """Which attackers there are against one way."""
        asked = any(network is self.networks["surrogate"] for network in arm.knows)
        third = "attacker" in self.networks
        columns = (["transfer"] if third or not asked else []) + (["grey box"] if asked or third else [])
        columns.append("white box")
        if arm.method is not None and (hasattr(arm.method, "undone") or hasattr(arm.method, "reconstruct")):
            columns.append("reversion")
        return columns

    def _fidelity(self, sent: Sent, x: Tensor, y: Any) -> dict[str, Any]:
        error = squared_error(sent.pictures, x)
        return {
            "error": error.double().tolist(),
            "ssim": similarity(sent.pictures, x).double().tolist(),
            "met": sent.met.tolist(),
            "clean": self.white.stands(self.networks["target"], sent.pictures, y).tolist(),
            "seconds": sent.seconds,
        }

    def _right(self, name: str, sent: Sent, y: Any, eps: float, start: int) -> list[bool] | None:
        ids = torch.arange(start, start + len(sent.pictures))
        x, target = sent.pictures, self.networks["target"]
        source = self.networks.get("attacker", self.networks["surrogate"])
        if name == "white box":
            stands = self.white.stands(target, x, y)
            return (stands & ~self.white(target, x, y, eps=eps, ids=ids).success).tolist()
        if name == "grey box":
            source = self.networks["surrogate"]
        attack = self.attack
        if name == "reversion":
            if sent.restored is None:
                return None
            attack = LastIterate(eps, steps=_STEPS, task=self.attack.task, begin=partial(_restored, sent.restored))
        moved = attack(source, x, y, eps=eps, ids=ids).x_adv
        return self.white.stands(target, moved, y).tolist()


def _restored(found: Tensor, x: Tensor) -> Tensor:
    return found.to(x)


def _described(arm: Arm) -> Any:
    """What a way to publish is made of; its networks stand in the identity by themselves, and here by their state."""
    return [arm.method, arm.like]


def _require_networks(networks: dict[str, nn.Module]) -> None:
    for name, network in networks.items():
        require_network(network, name)
    if networks["surrogate"] is networks["target"]:
        hint = "another network; what an attacker does who has the target stands in the column white box"
        raise InputError("surrogate", given="the target itself", expected="another network", hint=hint)
    if networks.get("attacker") in (networks["surrogate"], networks["target"]):
        raise InputError("attacker", given="the surrogate or the target", expected="a third network, or None")


def _require_last(attack: Attack, task: Task | None) -> None:
    if not isinstance(attack, Attack):
        raise InputError("attack", given=repr(attack)[:60], expected="an attack, like LastIterate(0.03)")
    if getattr(attack, "early_stop", False) and not isinstance(attack, LastIterate):
        given = f"{attack.name}, which stops at its own network's first success"
        raise InputError("attack", given=given, expected="one whose last step counts", hint="LastIterate(eps)")
    if attack.aim.targeted or attack.norm != "linf":
        given = f"{attack.name}, {'targeted' if attack.aim.targeted else attack.norm}"
        raise InputError("attack", given=given, expected="an untargeted one in L-inf")
    if attack.task != task:
        raise InputError("attack", given=f"task {attack.task!r}", expected=f"task={task!r}, as of the comparison")


def _budgets(eps: Sequence[float]) -> tuple[float, ...]:
    if isinstance(eps, str) or not isinstance(eps, Sequence) or not eps:
        raise InputError("eps", given=repr(eps), expected="a sequence of budgets", hint="eps=[4 / 255, 8 / 255]")
    for budget in eps:
        require_positive(eps=budget)
    return tuple(sorted(set(map(float, eps))))


def _pair(batch: Any) -> tuple[Tensor, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InputError("batches", given=type(batch).__name__, expected="pairs (pictures, targets)", hint="[(x, y)]")
    return batch[0], batch[1]
