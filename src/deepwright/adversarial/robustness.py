"""How much stands under attack: robust accuracy, its curve over the budget, each sample's smallest budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.suites import AttackSuite, by_sample
from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.requirements import require_number
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks.reading import TELLING_ROWS

_OPTIONS = ("mask", "eps", "through", "eot", "quantize", "callback")  # of a call, that count for every batch
_HALVINGS = 60  # after which no bracket of float32 has a number inside


@dataclass
class RobustnessReport:
    """Share of samples that are right on clean inputs and under attack, with Wilson intervals.

    Attributes:
        n: samples.
        clean: right without an attack.
        robust: right under the attack, or the worst of a suite.
        per_attack: share of all samples that is right where only what this attack fooled is wrong. A later attack of a
            suite is shown only what its predecessors left, so its share is above what it would leave by itself; `seen`
            says of how many samples it speaks.
        seen: samples that each attack was shown: right without an attack, and standing after its predecessors.
        flags: the attacks' flags, weighted by samples.
        right: each sample's outcome under attack.
    """

    n: int
    clean: Interval
    robust: Interval
    per_attack: dict[str, float]
    seen: dict[str, int] = field(default_factory=dict)
    flags: dict[str, float] = field(default_factory=dict)
    right: list[bool] = field(default_factory=list)


def robust_accuracy(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Any]],
    attack: Attack | AttackSuite,
    *,
    checkpoint: Path | str | None = None,
    description: str = "attack",
    **options: Any,
) -> RobustnessReport:
    """Share of samples that stay right under an attack or the worst of a suite; wrong samples aren't attacked.

    What is right is the attack's task to say: the class, the label set, a number within the tolerance.

    Args:
        model: left as found.
        batches: (inputs within bounds, targets).
        attack: an attack or a suite, not a targeted one.
        checkpoint: a JSON-lines file; each finished batch is appended, and an interrupted run resumes to the identical
            report. Another model, attack, task, option, input or target is an error that says which.
        description: beside the bar.
        options: of a call of the attack: mask, eps, through, eot, quantize, callback.

    Raises:
        InputError: no batches, a targeted attack, a checkpoint of other work.
    """
    _require_untargeted(attack)
    strange = [word for word in options if word not in _OPTIONS]
    if strange:
        hint = "samples are numbered as they come" if "ids" in strange else None
        raise InputError("options", given=", ".join(strange), expected=f"of {', '.join(_OPTIONS)}", hint=hint)
    # What a callback sees doesn't change what is found.
    counting = {k: v for k, v in options.items() if k != "callback"}
    task = {} if attack.task is None else attack.task.identity()
    log = Journal(
        checkpoint,
        {"model": model, "task": task, "attack": attack, "options": counting},
        kind="robust accuracy",
    )
    clean: list[bool] = []
    robust: list[bool] = []
    broken: dict[str, int] = {}
    flags: dict[str, list[tuple[int, float]]] = {}
    start, few = 0, _FewRows(attack, model)
    with bar(description, None) as running:
        for batch in batches:
            x, y = _pair(batch)
            few.look(x, y)
            fingerprint = "" if checkpoint is None else _fingerprint(x, y)
            row = log.same(str(start), fingerprint, start)
            if row is None:
                row = {**_batch(model, x, y, attack, start, options), "data": fingerprint}
                log.add(str(start), row)
            clean += row["clean"]
            robust += row["robust"]
            for name, count in row["broken"].items():
                broken[name] = broken.get(name, 0) + count
            for name, value in row["flags"].items():
                flags.setdefault(name, []).append((sum(row["clean"]), value))
            start += len(x)
            running.advance(1, f"{sum(robust)}/{len(robust)} right")
    n = len(clean)
    if n == 0:
        raise InputError("batches", given="none", expected="at least one")
    shares = {name: 1 - (n - sum(clean) + count) / n for name, count in broken.items()}
    means = {name: sum(k * v for k, v in rows) / max(1, sum(k for k, _ in rows)) for name, rows in flags.items()}
    seen, left = {}, sum(clean)
    for name, count in broken.items():
        seen[name], left = left, left - count
    return RobustnessReport(n, wilson(sum(clean), n), wilson(sum(robust), n), shares, seen, means, robust)


def _pair(batch: Any) -> tuple[Tensor, Any]:
    """(inputs, targets) of a batch."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        given = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise InputError("batches", given=given, expected="pairs (inputs, targets)", hint="[(x, y)]")
    return batch[0], batch[1]


class _FewRows:
    """Whether outputs are probabilities shows in many rows only: small batches are looked at together once."""

    def __init__(self, attack: Attack | AttackSuite, model: nn.Module) -> None:
        self.attack, self.model = attack, model
        self.inputs: list[Tensor] = []
        self.targets: list[Any] = []
        self.done = False

    def look(self, x: Tensor, y: Any) -> None:
        """Take in a batch; with enough rows, read what the network says of them."""
        if self.done or not isinstance(y, Tensor):
            return
        self.inputs.append(x)
        self.targets.append(y)
        if sum(map(len, self.inputs)) >= TELLING_ROWS:
            if len(self.inputs) > 1:  # a batch that is large enough is read by the attack itself
                self.attack.stands(self.model, torch.cat(self.inputs), torch.cat(self.targets))
            self.done = True
            self.inputs, self.targets = [], []


def _require_untargeted(attack: Attack | AttackSuite) -> None:
    if not isinstance(attack, Attack | AttackSuite):
        raise InputError("attack", given=repr(attack), expected="an attack or a suite, like PGD(0.1)")
    if attack.aim.targeted:
        raise InputError(
            "attack", given=f"{attack.name}, targeted", expected="an untargeted one: y are the true targets here"
        )


def _fingerprint(x: Tensor, y: Any) -> str:
    return str(digest([x, y], "data"))


def _batch(
    model: nn.Module, x: Tensor, y: Any, attack: Attack | AttackSuite, start: int, options: dict[str, Any]
) -> dict[str, Any]:
    attack.check_inputs(x, y)
    y = attack.check_targets(y, len(x))
    right = attack.stands(model, x, y, **{k: v for k, v in options.items() if k in ("through", "eot")}).cpu()
    robust = right.clone()
    rows = right.nonzero().flatten()
    broken: dict[str, int] = {}
    flags: dict[str, float] = {}
    if len(rows):
        part = {k: v[rows] if by_sample(k, v, len(x)) else v for k, v in options.items()}
        found = attack(model, x[rows], y[rows], ids=start + rows, **part)
        robust[rows] = ~found.success.cpu()
        flags = found.flags
        each = found.by_attack or {attack.name: found.success}
        broken = {name: int(success.sum()) for name, success in each.items()}
    return {"clean": right.tolist(), "robust": robust.tolist(), "broken": broken, "flags": flags}


def curve(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Any,
    attack: Attack | AttackSuite,
    eps: Sequence[float],
    ids: Int64[Tensor, " n"] | None = None,
    mask: Tensor | None = None,
) -> list[Interval]:
    """Robust accuracy at each budget; what a smaller budget fooled stays fooled, so only survivors are attacked.

    Args:
        model: left as found.
        x: inputs within bounds.
        y: true targets as the attack's task takes them.
        attack: an attack or a suite, not a targeted one.
        eps: budgets, in any order.
        ids: identity of each sample, for its random stream (0..N-1 by default).
        mask: of x's shape, 1 where numbers may change.

    Returns:
        Wilson intervals, in the order of `eps`.

    Raises:
        InputError: a targeted attack, a budget that isn't 0 or more.
    """
    _require_untargeted(attack)
    if not isinstance(eps, Sequence) or isinstance(eps, str) or not eps:
        raise InputError("eps", given=repr(eps), expected="a sequence of budgets", hint="curve(..., eps=[0.01, 0.03])")
    for e in eps:
        require_number(0, infinite=True, eps=e)
    budgets = [float(e) for e in eps]
    attack.check_inputs(x, y)
    y = attack.check_targets(y, len(x))
    alive = attack.stands(model, x, y).cpu()
    ids = torch.arange(len(x)) if ids is None else ids
    points = {}
    for budget in sorted(budgets):
        rows = alive.nonzero().flatten()
        if len(rows) and budget > 0:
            held = None if mask is None else mask[rows]
            alive[rows] = ~attack(model, x[rows], y[rows], mask=held, eps=budget, ids=ids[rows]).success.cpu()
        points[budget] = wilson(int(alive.sum()), len(x))
    return [points[e] for e in budgets]


def minimal_eps(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Any,
    attack: Attack | AttackSuite,
    low: float = 0.0,
    high: float = 0.5,
    tol: float = 1e-3,
) -> Float[Tensor, " n"]:
    """Per sample, the smallest budget that the attack needs, by bisection.

    Args:
        model: left as found.
        x: inputs within bounds.
        y: targets as the attack's task takes them.
        attack: an attack or a suite; a targeted one needs the budget that reaches y.
        low: a budget that is taken for too small.
        high: the largest that is tried.
        tol: width of the last bracket.

    Returns:
        its upper end, float32, where x is; 0 where the aim holds already, infinity where it isn't reached at `high`.

    Raises:
        InputError: an empty bracket or width.
    """
    bracket: dict[str, Any] = {"bracket: low": low, "bracket: high": high, "bracket: tol": tol}
    require_number(0, infinite=True, **bracket)
    low, high, tol = map(float, bracket.values())
    if not isinstance(attack, Attack | AttackSuite):
        raise InputError("attack", given=repr(attack), expected="an attack or a suite, like PGD(0.1)")
    if not low < high < math.inf or not tol > 0:
        raise InputError(
            "bracket", given=f"low={low}, high={high}, tol={tol}", expected="0 <= low < high, finite, tol > 0"
        )
    attack.check_inputs(x, y)
    y = attack.check_targets(y, len(x))
    wrong = ~attack.stands(model, x, y).cpu()
    least, most = torch.full((len(x),), low), torch.full((len(x),), high)
    reached = attack(model, x, y, eps=most).success.cpu()
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        if float((most - least).amax()) <= tol:
            break
        rows = (reached & ~wrong).nonzero().flatten()
        if len(rows) == 0:
            break
        success = attack(model, x[rows], y[rows], eps=middle[rows], ids=rows).success.cpu()
        most[rows] = torch.where(success, middle[rows], most[rows])
        least[rows] = torch.where(success, least[rows], middle[rows])
        done = torch.ones_like(reached)
        done[rows] = False
        least = torch.where(done, most, least)
    return torch.where(wrong, 0.0, torch.where(reached, most, torch.inf)).to(x.device)
