"""Put a detector with its threshold beside a network, and write both as files that go where the network goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.checks import Subject
from deepwright.checks.held_out import why_none
from deepwright.core.errors import InputError
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_within
from deepwright.core.results import Table
from deepwright.core.statistics import clopper_pearson
from deepwright.ood import Detector
from deepwright.workflows.guarded import Guarded, guard_network, named_detector, require_exported
from deepwright.workflows.guarded_files import GuardFiles
from deepwright.workflows.options import Say, quiet, require_place, require_writable
from deepwright.workflows.subjects import SubjectOptions, build_subject

_TRUE = ("64-true", "32-true", "16-true", "bf16-true")  # a file has the precision of its network


@dataclass(frozen=True)
class GuardOptions(SubjectOptions):
    """Which network gets a guard, and which.

    Attributes:
        detector: its name in `deepwright.ood`, or one of its detectors (fitted anew).
        tpr: the share of in-distribution inputs to accept.
        out: folder of `guard.pt2`, `guard.onnx` and `guard.json`.

    Raises:
        InputError: numbers out of their range, a detector that can't be exported, options that wouldn't be looked at;
            see also `SubjectOptions`.
    """

    _: KW_ONLY
    detector: str | Detector = "bbas"
    tpr: float = 0.95
    out: Path | str = Path("guard")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse(["eps", "attack_limit", "corruption_limit"], "a guard, which nothing attacks")
        require_exported(named_detector(self.detector) if isinstance(self.detector, str) else self.detector)
        require_within(0, 1, ends="()", tpr=self.tpr)
        model = self.model if isinstance(self.model, nn.Module) else None
        require_place(self.device, self.precision, _TRUE, model)


@dataclass(frozen=True)
class GuardResult:
    """A network with its guard.

    Attributes:
        model: the two as one module.
        files: where they are, and how far they are from the module.
        table: the share of test samples, and of each foreign set, that is called foreign.
    """

    model: Guarded
    files: GuardFiles
    table: Table

    def to_dict(self) -> dict[str, Any]:
        """Plain data: facts, files, table."""
        return {"facts": self.model.facts, "files": vars(self.files), "table": vars(self.table)}


def guard(options: GuardOptions = GuardOptions(), *, say: Say = quiet) -> GuardResult:
    """A network that says which inputs are foreign to it, as files that were run and compared.

    The threshold is set on validation samples where the network surely never saw them, else on training samples that
    the detector didn't see; acceptance is measured on the test split or, without such validation samples, on further
    training samples. The table says how the test split fares in either case.

    Args:
        options: the network, the data, the detector.
        say: told about each step.

    Raises:
        InputError: another task than one of several classes a sample; too few samples; bad input of any kind.
        MismatchError: a file computes something else than the module.
    """
    require_writable(options.out)
    subject = build_subject(options, say=say)
    if not subject.has_classes:
        raise InputError("task", given=subject.task.kind, expected="one class a sample")
    data, size = subject.data, subject.batch_size
    held_out = not why_none(subject)
    say("activations")
    guarded = guard_network(
        subject.model,
        data.train.batches(size),
        options.detector,
        options.tpr,
        data.validation.batches(size) if held_out else None,
        test=data.test.batches(size) if held_out else None,
        task=subject.task,
    )
    say("files")
    files = guarded.save(options.out)
    return GuardResult(guarded, files, _flagged(subject, guarded))


def _flagged(subject: Subject, guarded: Guarded) -> Table:
    size = subject.batch_size
    sets: dict[str, Iterable[Tensor]] = {"test": subject.data.test.batches(size).inputs}
    sets.update({name: x.split(size) for name, x in subject.ood.items()})
    rows: list[list[Any]] = []
    for name, batches in sets.items():
        found = torch.cat(read_outputs(guarded, batches, lambda out, n: out[2]))
        share = clopper_pearson(int(found.sum()), len(found))
        rows.append([name, len(found), share.value, share.low, share.high])
    facts = guarded.facts
    caption = (
        f"{facts['detector']}, threshold {facts['threshold']:.6g}, set on {facts['calibrated_on']} to accept "
        f"{facts['tpr']:.0%}; accepted {facts['accepted']['value']:.1%} of {facts['accepted_of']} "
        f"({facts['accepted']['low']:.1%} to {facts['accepted']['high']:.1%})"
        + (f": {facts['note']}" if "note" in facts else "")
    )
    return Table(["set", "samples", "called foreign", "95 % from", "95 % to"], rows, caption)
