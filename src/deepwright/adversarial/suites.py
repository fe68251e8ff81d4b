"""Worst case over several attacks, robust accuracy with intervals, curves over the budget, and signs of masked gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.attacks.apgd import APGD, APGDT
from deepwright.adversarial.attacks.fab import FABT
from deepwright.adversarial.attacks.noise import Noise
from deepwright.adversarial.attacks.square import Square
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.adversarial.projections import column
from deepwright.core.errors import InputError
from deepwright.core.files import hash_tensors
from deepwright.core.inference import device_of, evaluating
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.statistics import Interval, wilson


class AttackSuite:
    """Attacks in order; each runs only on the samples that are still right. The result is the worst case per sample.

    Args:
        attacks: in the order in which they run (cheap ones first).
        name: for tables.
    """

    def __init__(self, attacks: Sequence[Attack], name: str = "suite") -> None:
        if not attacks:
            raise InputError("attacks", given="none", expected="at least one")
        self.attacks, self.name = list(attacks), name

    def __resume_identity__(self) -> Any:
        """`by_attack` is what the last call left, not what the next one does."""
        return [self.name, self.attacks]

    def config(self) -> dict[str, Any]:
        """What determines its result."""
        return {"suite": self.name, "attacks": [a.config() for a in self.attacks]}

    def __call__(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Tensor,
        *,
        eps: float | Tensor | None = None,
        ids: Tensor | None = None,
        **options: Any,
    ) -> AttackResult:
        """Run on a batch; `by_attack` of the last call holds each attack's own success on what it saw."""
        n = len(x)
        ids = torch.arange(n) if ids is None else ids
        total: AttackResult | None = None
        self.by_attack: dict[str, Tensor] = {}
        flags: dict[str, float] = {}
        for attack in self.attacks:
            rows = torch.arange(n) if total is None else (~total.success).nonzero().flatten().cpu()
            broken = torch.zeros(n, dtype=torch.bool)
            if len(rows):
                budget = eps[rows] if isinstance(eps, Tensor) and eps.ndim else eps
                part = {k: v[rows] if k == "mask" and v is not None else v for k, v in options.items()}
                found = attack(model, x[rows], y[rows], eps=budget, ids=ids[rows], **part)
                broken[rows] = found.success.cpu()
                flags |= {f"{attack.name}: {k}": v for k, v in found.flags.items()}
                total = _merge(total, found, rows.to(found.success.device))
            self.by_attack[attack.name] = broken
        assert total is not None
        total.flags = flags
        return total


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
    classes: int = 10,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
    steps: int | None = None,
) -> AttackSuite:
    """A ready suite.

    "fast" is APGD-CE and APGD-DLR with 50 steps; "standard" (AutoAttack-style) APGD-CE, APGD-T and FAB-T with up to nine
    targets and 100 steps, and Square with 5,000 queries; "quick" APGD-CE and APGD-DLR with 20 steps for audits.
    """
    common: dict[str, Any] = {"norm": norm, "seed": seed, "bounds": bounds}
    second: Attack
    if name in ("fast", "quick"):
        t = steps or (50 if name == "fast" else 20)
        second = APGD(eps, steps=t, loss="dlr" if classes > 2 else "margin", **common)
        return AttackSuite([APGD(eps, steps=t, loss="ce", **common), second], name)
    if name == "standard":
        t, targets = steps or 100, min(9, classes - 1)
        attacks: list[Attack] = [
            APGD(eps, steps=t, loss="ce", **common),
            APGDT(eps, steps=t, targets=targets, **common),
        ]
        attacks.append(FABT(eps, steps=t, targets=targets, **common))
        if norm != "l1":
            attacks.append(Square(eps, queries=50 * t, **common))
        return AttackSuite(attacks, name)
    raise InputError("suite", given=repr(name), expected="'quick', 'fast' or 'standard'")


@dataclass
class RobustnessReport:
    """Accuracy on clean inputs and under attack, with Wilson intervals; `right` holds each sample's outcome."""

    n: int
    clean: Interval
    robust: Interval
    per_attack: dict[str, float]
    flags: dict[str, float] = field(default_factory=dict)
    right: list[bool] = field(default_factory=list)


def robust_accuracy(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    attack: Attack | AttackSuite,
    *,
    checkpoint: Path | str | None = None,
    description: str = "attack",
    **options: Any,
) -> RobustnessReport:
    """Share of samples that stay right under an attack or the worst of a suite; wrong samples aren't attacked.

    Args:
        model: left as found.
        batches: (inputs within bounds, labels).
        attack: an attack or a suite.
        checkpoint: a JSON-lines file; each finished batch is appended, and an interrupted run resumes to the identical
            report. Another model, attack, option, input or label is an error that says which.
        description: beside the bar.
        options: passed to the attack (through, eot, quantize, ...).
    """
    # What a callback sees doesn't change what is found.
    made_from = {"model": model, "attack": attack, "options": {k: v for k, v in options.items() if k != "callback"}}
    log = Journal(checkpoint, made_from, kind="robust accuracy")
    clean: list[bool] = []
    robust: list[bool] = []
    broken: dict[str, int] = {}
    flags: dict[str, list[tuple[int, float]]] = {}
    start = 0
    with bar(description, None) as running:
        for x, y in batches:
            fingerprint = "" if checkpoint is None else hash_tensors({"x": x, "y": y})
            row = _remembered(log, start, fingerprint)
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
    return RobustnessReport(n, wilson(sum(clean), n), wilson(sum(robust), n), shares, means, robust)


def _batch(
    model: nn.Module, x: Tensor, y: Tensor, attack: Attack | AttackSuite, start: int, options: dict[str, Any]
) -> dict[str, Any]:
    right = _right(model, x, y)
    robust = right.clone()
    rows = right.nonzero().flatten()
    broken: dict[str, int] = {}
    flags: dict[str, float] = {}
    if len(rows):
        found = attack(model, x[rows], y[rows], ids=start + rows, **options)
        robust[rows] = ~found.success.cpu()
        flags = found.flags
        each = attack.by_attack if isinstance(attack, AttackSuite) else {attack.name: found.success.cpu()}
        broken = {name: int(success.sum()) for name, success in each.items()}
    return {"clean": right.tolist(), "robust": robust.tolist(), "broken": broken, "flags": flags}


def _right(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Which samples are classified right, on the CPU."""
    device = device_of(model)
    with evaluating(model), torch.no_grad():
        return (model(x.to(device)).argmax(1) == y.to(device)).cpu()


def _remembered(log: Journal, start: int, data: str) -> dict[str, Any] | None:
    """A finished batch, if it was on the same pixels and labels."""
    row = log.rows.get(str(start))
    if row is not None and row["data"] != data:
        raise InputError(
            f"checkpoint {log.path}",
            given=f"other data (inputs or labels) in the batch from sample {start} on",
            hint="delete it, or use another file",
        )
    return row


def curve(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: Attack | AttackSuite,
    eps: Sequence[float],
    ids: Tensor | None = None,
) -> list[Interval]:
    """Robust accuracy at each budget, rising; what a smaller budget fooled stays fooled, so only survivors are attacked."""
    order = sorted(eps)
    alive = _right(model, x, y)
    ids = torch.arange(len(x)) if ids is None else ids
    points = {}
    for budget in order:
        rows = alive.nonzero().flatten()
        if len(rows) and budget > 0:
            alive[rows] = ~attack(model, x[rows], y[rows], eps=budget, ids=ids[rows]).success.cpu()
        points[budget] = wilson(int(alive.sum()), len(x))
    return [points[e] for e in eps]


def minimal_eps(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: Attack | AttackSuite,
    low: float = 0.0,
    high: float = 0.5,
    tol: float = 1e-3,
) -> Float[Tensor, " n"]:
    """Per sample, the smallest budget that the attack needs (within `tol`); 0 for wrong samples, inf above `high`."""
    wrong = ~_right(model, x, y)
    least, most = torch.full((len(x),), low), torch.full((len(x),), high)
    reached = attack(model, x, y, eps=most).success.cpu()
    while float((most - least).amax()) > tol:
        middle = (least + most) / 2
        rows = (reached & ~wrong).nonzero().flatten()
        if len(rows) == 0:
            break
        success = attack(model, x[rows], y[rows], eps=middle[rows], ids=rows).success.cpu()
        most[rows] = torch.where(success, middle[rows], most[rows])
        least[rows] = torch.where(success, least[rows], middle[rows])
        done = torch.ones_like(reached)
        done[rows] = False
        least = torch.where(done, most, least)
    return torch.where(wrong, 0.0, torch.where(reached, most, torch.inf))


def masking_flags(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    norm: str = "linf",
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> dict[str, str]:
    """Signs that the network hides its gradients rather than being robust; empty when there is none.

    Looks for: noise that fools more samples than the gradient attack; a black-box attack that fools more; more steps or a
    larger budget that don't fool more; an unbounded budget that doesn't fool nearly all; vanishing gradients.
    """
    common: dict[str, Any] = {"norm": norm, "seed": seed, "bounds": bounds}
    base = APGD(eps, steps=20, **common)(model, x, y)
    rate = float(base.success.double().mean())
    found: dict[str, str] = {}
    slack = 2 / len(x) + 0.02

    def compare(name: str, other: float, text: str) -> None:
        if other > rate + slack:
            found[name] = f"{text}: {other:.0%} against {rate:.0%}"

    noise = float(Noise(eps, kind="sign", repeats=5, **common)(model, x, y).success.double().mean())
    compare("noise", noise, "random noise fools more than the gradient attack")
    if norm != "l1":
        square = float(Square(eps, queries=100, p=0.3, **common)(model, x, y).success.double().mean())
        compare("black box", square, "a black-box attack fools more than the gradient attack")
    span = bounds[1] - bounds[0]
    huge = (
        eps * 16
        if span == float("inf")
        else {"linf": span / 2, "l2": span * x[0].numel() ** 0.5 / 2}.get(norm, span * x[0].numel() / 2)
    )
    limit = float(APGD(huge, steps=20, **common)(model, x, y).success.double().mean())
    if limit < 0.9:
        found["large budget"] = f"a budget that could erase the input fools only {limit:.0%}"
    if limit < rate - slack:
        found["monotony"] = f"a larger budget fools fewer: {limit:.0%} against {rate:.0%}"
    if base.flags["zero_gradients"] > 0.1:
        found["zero gradients"] = f"{base.flags['zero_gradients']:.0%} of the samples have a gradient of exactly zero"
    return found
