"""Give a subject's classifier early exits, with a certified bound on what they may break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.checks.subject import Subject
from deepwright.compress import (
    AdaptiveModel,
    ExitCost,
    Segments,
    attach_exits,
    calibrate_exits,
    expected_cost,
    head_logits,
)
from deepwright.core.errors import InputError
from deepwright.core.files import write_bytes
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.inference import evaluating, without_gradients
from deepwright.core.results import Table
from deepwright.core.statistics import wilson


@dataclass
class WithExits:
    """A network with exits, its policy, what it costs and how often it is right."""

    model: AdaptiveModel
    cost: ExitCost
    table: Table


def exit_subject(
    subject: Subject,
    out: Path,
    *,
    shares: tuple[float, ...] = (0.3, 0.6),
    epochs: int = 3,
    max_harm: float = 0.02,
    confidence: float = 0.95,
    say: Callable[[str], object] = lambda text: None,
) -> WithExits:
    """Heads where about these shares of the MACs are done, trained on a network that stays as it is.

    Args:
        subject: a classifier with its data.
        out: folder for `heads.safetensors` and `policy.json`.
        shares: of the MACs, one an exit.
        epochs: of the heads' training.
        max_harm: P(leave with a wrong answer where the whole network is right) is certified below this on the
            validation split.
        confidence: of that.
        say: told about each step.

    Raises:
        InputError: no valid cut near a share.
        CalibrationError: a validation split that is too small for `max_harm`.
    """
    from safetensors.torch import save

    example = subject.data.test.inputs(slice(0, 2)).to(subject.device)
    cuts = _cuts(subject.model, example, shares)
    say(f"exits after {', '.join(cuts)}")
    model = attach_exits(subject.model, cuts, example, exit_output="logits", outputs=subject.classes)
    _train_heads(model, subject, epochs)
    validation = subject.data.validation
    whole = subject.logits("validation").argmax(1) == validation.y
    heads = head_logits(model, (x for x, _ in validation.batches(subject.batch_size)))
    harm = {c: whole & (z.argmax(1) != validation.y) for c, z in heads.items()}
    everyone = torch.ones(len(validation), dtype=torch.bool)
    policy = calibrate_exits(
        model,
        [x for x, _ in validation.batches(subject.batch_size)],
        everyone,
        max_false_skip=max_harm,
        confidence=confidence,
        harmful=harm,
    )
    policy.save(out / "policy.json")
    write_bytes(out / "heads.safetensors", save({k: v.contiguous() for k, v in model.heads.state_dict().items()}))
    return _measured(model, subject)


def _cuts(model: nn.Module, example: Tensor, shares: tuple[float, ...]) -> list[str]:
    """The valid cuts nearest to the shares: modules whose output is the only tensor that crosses, maps or vectors."""
    segments = Segments(model, example)
    names = dict(model.named_modules())
    usable: dict[str, float] = {}
    for cut in segments.cuts():
        if cut.name in names and segments.crossing(_or_none(segments, cut.name)) == [cut.node]:
            usable[cut.name] = cut.macs / max(segments.macs, 1)
    usable = {n: s for n, s in usable.items() if 0.02 < s < 0.95}
    if not usable:
        raise InputError(
            "the network", given="no place where one tensor crosses", expected="one", hint="Segments(model, x).table()"
        )
    picked = [min(usable, key=lambda n: abs(usable[n] - share)) for share in shares]
    return sorted(set(picked), key=lambda n: usable[n])


def _or_none(segments: Segments, name: str) -> int:
    try:
        return segments.position(name)
    except InputError:
        return 0


def _train_heads(model: AdaptiveModel, subject: Subject, epochs: int) -> None:
    """The network stays bit for bit as it is: only heads train."""

    def step(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with evaluating(model.model):
            _, exits = model.exit_logits(x)
        return torch.stack([nn.functional.cross_entropy(z, y) for z in exits.values()]).sum()

    data = subject.data.train
    with without_gradients(model.model):
        fit(
            model,
            (data.inputs(), data.y),
            epochs=epochs,
            batch_size=64,
            step=step,
            optimizer=adamw(3e-3),
            scheduler=one_cycle(3e-3),
            seed=subject.seed,
            description="heads",
        )
    model.eval()


def _measured(model: AdaptiveModel, subject: Subject) -> WithExits:
    split = subject.data.test
    outs, lefts = [], []
    for x, _ in split.batches(subject.batch_size):
        out, left = model(x.to(subject.device), return_exit=True)
        outs.append(out.cpu())
        lefts.append(left.cpu())
    right, left = torch.cat(outs).argmax(1) == split.y, torch.cat(lefts)
    cost = expected_cost(model, left)
    rows: list[list[Any]] = []
    for name, mask in (("the whole network", subject.right), ("with exits", right)):
        interval = wilson(int(mask.sum()), len(split))
        macs = cost.static if name.startswith("the") else round(cost.macs)
        rows.append([name, None, macs, interval.value, interval.low, interval.high])
    for k, c in enumerate((*model.cuts, "(to the end)")):
        here = left == k
        n = int(here.sum())
        accuracy: list[Any] = [None, None, None]
        if n:
            there = wilson(int(right[here].sum()), n)
            accuracy = [there.value, there.low, there.high]
        rows.append([f"leaving after {c}", n / len(split), cost.paths[k], *accuracy])
    harmed = int((subject.right & ~right).sum())
    caption = f"{len(split)} test samples, 95 % intervals; {harmed} are wrong with exits and right without. {cost}"
    return WithExits(model, cost, Table(["way", "share", "MACs", "accuracy", "low", "high"], rows, caption))
