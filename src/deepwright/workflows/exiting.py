"""Give a network early exits, with a certified bound on what they may break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.checks import Subject
from deepwright.compress import (
    AdaptiveModel,
    CalibrationError,
    ExitCost,
    Segments,
    attach_exits,
    calibrate_exits,
    expected_cost,
    head_logits,
    samples_needed,
)
from deepwright.core.devices import Compute, to_model
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.inference import evaluating, read_outputs, require_gradients, without_gradients
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.results import Table
from deepwright.core.statistics import wilson
from deepwright.nets import write_weights
from deepwright.workflows.options import (
    Say,
    finished,
    quiet,
    require_several,
    require_writable,
    unfinished,
)
from deepwright.workflows.precision import training_precision
from deepwright.workflows.subjects import SubjectOptions, build_subject


@dataclass(frozen=True)
class ExitOptions(SubjectOptions):
    """Which network gets exits, where, and how much they may break. A mixed precision is that of the heads' training.

    Attributes:
        shares: of the network's MACs, about where the exits are, one each.
        epochs: of the heads' training.
        max_harm: P(leave, at whichever exit, with a wrong answer where the whole network is right) is certified below
            this on the validation split.
        confidence: of that.
        out: folder of `heads.safetensors` and `policy.json`, and of what an interrupted run goes on from.
        fresh: forget what an interrupted run left.

    Raises:
        InputError: numbers out of their range, options that wouldn't be looked at; see also `SubjectOptions`.
    """

    _: KW_ONLY
    shares: Sequence[float] = (0.3, 0.6)
    epochs: int = 3
    max_harm: float = 0.02
    confidence: float = 0.95
    out: Path | str = Path("exits")
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse(["ood", "eps", "attack_limit", "corruption_limit"], "exits, which nothing disturbs")
        require_several("shares", self.shares)
        if not self.shares:
            raise InputError("shares", given="none", expected="at least one, as 0.3")
        for share in self.shares:
            require_within(0, 1, ends="()", shares=share)
        require_whole(0, epochs=self.epochs)
        require_within(0, 1, ends="()", max_harm=self.max_harm, confidence=self.confidence)


@dataclass(frozen=True)
class WithExits:
    """A network with exits.

    Attributes:
        model: the network, its heads and its policy.
        cost: what a sample costs.
        table: how often the network is right, as a whole, with exits, and at each of them.
    """

    model: AdaptiveModel
    cost: ExitCost
    table: Table

    def to_dict(self) -> dict[str, Any]:
        """Plain data: table, cost, policy."""
        return {"table": vars(self.table), "cost": vars(self.cost), "policy": vars(self.model.policy)}


def exits(options: ExitOptions = ExitOptions(), *, say: Say = quiet) -> WithExits:
    """Heads where about these shares of the MACs are done, trained on a network that stays as it is.

    Args:
        options: the network, the data, and the rest.
        say: told about each step.

    Raises:
        InputError: another task than one of several classes a sample; no valid cut near a share; bad input of any kind.
        CalibrationError: a validation split that is too small for `max_harm`.
        OtherWorkError: an interrupted run on something else lies in `out`.
    """
    require_writable(options.out)
    out, state = Path(options.out), unfinished(options.out, options.fresh)
    subject = build_subject(options, mixed=False, say=say)
    require_gradients(subject.model, "exits")
    _require_classes(subject)
    example = subject.data.test.inputs(slice(0, 2)).to(subject.device)
    cuts = _cuts(subject.model, example, options.shares)
    say(f"exits after {', '.join(cuts)}")
    _require_samples(subject, options, len(cuts))
    with local_rng(subject.seed):  # the heads' first weights
        model = attach_exits(subject.model, cuts, example, exit_output="logits", outputs=subject.classes)
    _train_heads(model, subject, options, state / "heads.pt")
    say("thresholds")
    _calibrate(model, subject, options)
    assert model.policy is not None
    model.policy.save(out / "policy.json")
    write_weights(out / "heads.safetensors", model.heads)
    found = _measured(model, subject)
    finished(out)
    return found


def _require_samples(subject: Subject, options: ExitOptions, cuts: int) -> None:
    """Refuse a bound that no result on the validation split could certify, before anything is trained for it."""
    needed = samples_needed(options.max_harm, 1 - options.confidence, cuts)
    n = len(subject.data.validation)
    if n < needed:
        raise CalibrationError(
            "the validation split",
            given=f"{n} samples",
            expected=f"at least {needed} to certify {options.max_harm:g} over {cuts} exits at {options.confidence:.0%}",
            hint="more data, a larger max_harm, a lower confidence, or fewer exits",
        )


def _require_classes(subject: Subject) -> None:
    """Heads give one logit a class, and the largest decides, as it must in the network itself."""
    task, classes = subject.task, subject.classes
    x = subject.data.test.inputs(slice(0, 2))
    shape = read_outputs(subject.model, [x], lambda out, n: getattr(out, "shape", None))[0]
    if not subject.has_classes:
        given = task.kind
    elif shape != (len(x), classes):
        given = f"{task.kind}, and outputs that aren't one column for each of {classes} classes"
    elif getattr(task, "threshold", 0.5) != 0.5:
        given = f"{task.kind} with a threshold of {task.threshold:g}"  # type: ignore[attr-defined]
    else:
        return
    hint = "Classification(classes) of deepwright.core.tasks, with a network that gives one logit a class"
    raise InputError("task", given=given, expected="one class a sample, the one with the largest output", hint=hint)


def _cuts(model: nn.Module, example: Tensor, shares: Sequence[float]) -> list[str]:
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


class _Heads(nn.Module):
    """The logits of all heads behind a network that stays as it is, in eval mode."""

    def __init__(self, adaptive: AdaptiveModel) -> None:
        super().__init__()
        self.adaptive = adaptive

    def forward(self, x: Tensor) -> list[Tensor]:
        """One tensor a head."""
        with evaluating(self.adaptive.model):
            return list(self.adaptive.exit_logits(x)[1].values())


def _heads_loss(heads: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([nn.functional.cross_entropy(z, y) for z in heads(x)]).sum()


def _train_heads(model: AdaptiveModel, subject: Subject, options: ExitOptions, checkpoint: Path) -> None:
    """The network stays bit for bit as it is: only heads train."""
    data = subject.data.train
    with without_gradients(model.model):
        fit(
            _Heads(model),
            (data.inputs(), data.y),
            epochs=options.epochs,
            batch_size=64,
            step=_heads_loss,
            optimizer=adamw(3e-3),
            scheduler=one_cycle(3e-3),
            checkpoint=checkpoint,
            seed=subject.seed,
            compute=Compute(precision=training_precision(options.precision)),
            description="heads",
        )
    model.eval()


def _calibrate(model: AdaptiveModel, subject: Subject, options: ExitOptions) -> None:
    """Thresholds under which leaving early breaks no more than was allowed."""
    validation = subject.data.validation
    whole = subject.logits("validation").argmax(1) == validation.y
    batches = validation.batches(subject.batch_size).inputs
    heads = head_logits(model, batches)
    calibrate_exits(
        model,
        list(batches),
        torch.ones(len(validation), dtype=torch.bool),
        max_false_skip=options.max_harm,
        confidence=options.confidence,
        harmful={c: whole & (z.argmax(1) != validation.y) for c, z in heads.items()},
    )


def _measured(model: AdaptiveModel, subject: Subject) -> WithExits:
    right, left = _outcomes(model, subject)
    n = len(subject.data.test)
    harmed = subject.right & ~right
    cost = expected_cost(model, left, harmful=harmed)
    whole = wilson(int(subject.right.sum()), n)
    mixed = wilson(int(right.sum()), n)
    rows: list[list[Any]] = [
        ["the whole network", None, cost.static, whole.value, whole.low, whole.high],
        ["with exits", None, round(cost.macs), mixed.value, mixed.low, mixed.high],
    ]
    for k, c in enumerate((*model.cuts, "(to the end)")):
        here = left == k
        accuracy: list[Any] = [None, None, None]
        if int(here.sum()):
            there = wilson(int(right[here].sum()), int(here.sum()))
            accuracy = [there.value, there.low, there.high]
        rows.append([f"leaving after {c}", int(here.sum()) / n, cost.paths[k], *accuracy])
    policy = model.policy
    assert policy is not None
    caption = (
        f"{n} test samples, 95 % intervals; {int(harmed.sum())} are wrong with exits and right without, at all exits "
        f"together certified below {policy.max_harm:.2%} at {policy.confidence:.0%} on {policy.relevant} validation "
        f"samples. {cost}"
    )
    return WithExits(model, cost, Table(["way", "share", "MACs", "accuracy", "95 % from", "95 % to"], rows, caption))


def _outcomes(model: AdaptiveModel, subject: Subject) -> tuple[Tensor, Tensor]:
    """(whether each test sample is right, the exit that it left by)."""
    split = subject.data.test
    outs, lefts = [], []
    for x, _ in split.batches(subject.batch_size):
        out, left = model(to_model(x, model), return_exit=True)
        outs.append(out.cpu())
        lefts.append(left.cpu())
    return torch.cat(outs).argmax(1) == split.y, torch.cat(lefts)
