"""Harden a network and show what that changed: the same audit before and after, on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

from deepwright.checks import AuditReport, Check, NotApplicableError, Subject, compare
from deepwright.checks import audit as run_checks
from deepwright.compress.errors import ExportError
from deepwright.core.devices import copy_on_cpu
from deepwright.core.errors import InputError
from deepwright.core.inference import require_gradients
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.core.resume import Resume
from deepwright.corruptions import split_families
from deepwright.nets import load_exported, write_weights
from deepwright.report import write_report
from deepwright.workflows.corruption_training import MIXINGS
from deepwright.workflows.hardened import METHODS, opened_alike
from deepwright.workflows.last_layers import CHECKS as HEAD_CHECKS
from deepwright.workflows.last_layers import HEADS, dominoes_subject, with_groups
from deepwright.workflows.named_checks import chosen_checks, require_checks
from deepwright.workflows.options import (
    Say,
    finished,
    quiet,
    require_choice,
    require_several,
    require_writable,
    said,
    unfinished,
)
from deepwright.workflows.recipes import Hardened, Recipe
from deepwright.workflows.shrunk_files import write_program
from deepwright.workflows.subjects import SubjectOptions, build_subject

HEARD = ("strength", "steps", "beta", "norm", "warm_up", "held_out", "mixing", "groups")
"""Options that some methods listen to."""
CHECKS = ("accuracy", "calibration", "robustness", "corruptions")
"""What is measured before and after where no check is named."""


@dataclass(frozen=True)
class HardenOptions(SubjectOptions):
    """Which network is hardened, how, and where the files go. A mixed precision is that of the training.

    Attributes:
        method: "smoothing", "sharpening", "adversarial-training", "trades", "corruption-training", "detector" or
            "roast"; or
            another last layer by "hsfm", "dfr", "afr", "jtt", "group-dro" or "last-layer" (see `deepwright.shift`).
        epochs: of the method's training; its own number by default, 0 for none.
        strength: of smoothing the deviation of the noise, of sharpening its strength, of adversarial training and
            TRADES the budget, of the detector and of roast the rate of false alarms; the method's own by default.
        steps: of adversarial training and TRADES: of the search for each worst input; 7 and 10 by default, 1 for the
            fast way, which is watched for overfitting to its own attack.
        beta: of TRADES, what steady answers are worth; 6 by default, 0 for plain training.
        norm: of adversarial training and TRADES: what the budget bounds, "linf" (the default) or "l2".
        warm_up: of both: share of the training over which the budget rises evenly from nothing; 0.6 by default.
        held_out: of corruption training, the families that are kept back, on which it is measured; noise, weather,
            occlusion and overlay by default.
        mixing: of corruption training: "consistent" (the default) wants one answer to a picture and two mixtures of
            corrupted ones, "plain" trains on mixtures among the pictures.
        groups: of last layers: the column whose values, with the class, make the groups, or a .csv with the columns
            "file" and another one. Without a network and data, both are pairs of digits whose upper one misleads.
        checks: of the audits; accuracy, calibration, robustness and corruptions by default, of last layers accuracy,
            calibration and groups, of roast accuracy.
        out: folder of the files, and of what an interrupted run goes on from.
        fresh: forget what an interrupted run left.

    Raises:
        InputError: words or numbers out of their range; see also `SubjectOptions`.
    """

    _: KW_ONLY
    method: str = "smoothing"
    epochs: int | None = None
    strength: float | None = None
    steps: int | None = None
    beta: float | None = None
    norm: str | None = None
    warm_up: float | None = None
    held_out: Sequence[str] = ()
    mixing: str | None = None
    groups: str | Path | None = None
    checks: Sequence[str | Check] = CHECKS
    out: Path | str = Path("hardened")
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("method", self.method, METHODS)
        require_whole(0, **said(epochs=self.epochs))
        require_positive(**said(strength=self.strength))
        if self.method in HEADS and self.epochs:
            raise InputError("epochs", given=self.epochs, expected="none: the network isn't trained")
        if self.method in ("detector", "roast"):
            if self.epochs:
                raise InputError("epochs", given=self.epochs, expected="none: a detector is fitted in one pass")
            require_within(0.0, 1.0, ends="()", **said(strength=self.strength))
        require_whole(1, **said(steps=self.steps))
        if self.beta != 0:
            require_positive(**said(beta=self.beta))
        if self.norm is not None:
            require_choice("norm", self.norm, ("linf", "l2"))
        require_within(0, 1, **said(warm_up=self.warm_up))
        require_several("held_out", self.held_out)
        if self.held_out:
            split_families(self.held_out)
        if self.mixing is not None:
            require_choice("mixing", self.mixing, MIXINGS)
        self._require_heard()
        require_several("checks", self.checks)
        require_checks(self.checks)

    def _require_heard(self) -> None:
        """No option may be given and not be looked at."""
        for name in HEARD:
            if getattr(self, name) not in (None, ()) and name not in METHODS[self.method].listens:
                ways = [way for way, method in METHODS.items() if name in method.listens]
                raise InputError(name, given=f"with method {self.method!r}", expected=f"with {' or '.join(ways)}")


@dataclass
class HardenResult:
    """A hardened network with the audits of both.

    Attributes:
        hardened: the module and what the method measured by itself.
        before: the audit of the network as it was.
        after: the same audit of the hardened one; `after.comparison` has the differences.
        difference: of the program's outputs to the module's, over the largest; None where there is no program.
        notes: what a reader must know.
    """

    hardened: Hardened
    before: AuditReport
    after: AuditReport
    difference: float | None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: notes and both audits."""
        return {
            "difference": self.difference,
            "notes": self.notes,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


_FEWER = {
    "smoothing": ({"attack_limit": 32, "corruption_limit": 20}, "the smoothed network is many passes a sample"),
    "corruption-training": ({"attack_limit": 100, "corruption_limit": 120}, "its own corruptions are measured, too"),
}
"""Method -> samples of both audits, and why so few; unless the user says how many."""


def harden(options: HardenOptions = HardenOptions(), *, say: Say = quiet) -> HardenResult:
    """Harden, write files, audit before and after.

    The training split trains, the validation split selects, the test split only measures. An interrupted run goes on
    from what it had done; with another network, data or options it is refused by name. In `out` are then
    `weights.safetensors` (the module's state), `network.pt2` (run and compared with it), and the pages of both audits.

    Args:
        options: the network, the data, and the rest.
        say: told about each step.

    Raises:
        InputError: what the method doesn't apply to; bad input of any kind.
        OtherWorkError: an interrupted run on something else lies in `out`.
    """
    require_writable(options.out)
    out, state = Path(options.out), unfinished(options.out, options.fresh)
    subject = _subject(options, say)
    require_gradients(subject.model, "harden")
    try:
        METHODS[options.method].require(subject)
    except NotApplicableError as error:
        raise InputError(options.method, given=error.why, expected="something that it applies to") from error
    named = options.checks
    if options.checks is CHECKS:  # where the network's answers stay as they are, its other checks would say the same
        named = HEAD_CHECKS if options.method in HEADS else ("accuracy",) if options.method == "roast" else CHECKS
    checks = chosen_checks(named)
    with Resume(state / "harden.pt", _identity(subject, options), kind="harden") as kept:
        kept.load()  # work on something else is refused before anything is computed
        kept.save({})
        say("audit of the network as it is")
        before = run_checks(subject, checks=checks, journal=state / "before.jsonl")
        heard = {name: getattr(options, name) for name in HEARD}
        recipe = Recipe(options.epochs, options.precision, state / "training.pt", say=say, **heard)
        found = METHODS[options.method].run(subject, recipe)
        say("audit of the hardened network")
        after = run_checks(
            replace(subject, model=found.model, name=f"{subject.name} with {options.method}"),
            checks=checks,
            journal=state / "after.jsonl",
        )
        before.findings += found.before
        after.findings += found.after
        after.comparison = compare(before.findings, after.findings, (before.subject, after.subject))
        say("files")
        difference, notes = _files(out, subject, found)
        write_report(before, out / "before")
        write_report(after, out)
    finished(out)
    return HardenResult(found, before, after, difference, [*found.notes, *_fewer(options, subject), *notes])


def _subject(options: HardenOptions, say: Say) -> Subject:
    """The network and its data; of last layers with the column of groups; fewer samples where each is many passes."""
    if options.method in _FEWER:
        subject = build_subject(options, mixed=False, say=say)
        most = {n: min(getattr(subject, n), m) for n, m in _FEWER[options.method][0].items() if _unsaid(options, n)}
        return replace(subject, **most)
    if options.method not in HEADS:
        return build_subject(options, mixed=False, say=say)
    if options.model is None and options.data is None and options.groups is None:
        say("no network, data and groups are named: a small network on pairs of digits is trained")
        return dominoes_subject(options.seed)
    subject = build_subject(options, mixed=False, say=say)
    if options.groups is None:
        return subject
    data, name = with_groups(subject, options.groups)
    return replace(subject, data=data, groups=name)


def _unsaid(options: HardenOptions, name: str) -> bool:
    return getattr(options, name) is None


def _fewer(options: HardenOptions, subject: Subject) -> list[str]:
    """That both audits are of fewer samples than usual, where they are."""
    limits, why = _FEWER.get(options.method, ({}, ""))
    if not any(_unsaid(options, name) for name in limits):
        return []
    return [
        f"both audits attack at most {subject.attack_limit} samples and perturb {subject.corruption_limit}, since "
        f"{why}: --attack-limit and --corruption-limit take more"
    ]


def _identity(subject: Subject, options: HardenOptions) -> dict[str, Any]:
    """What an interrupted run is bound to, but for its checks: those that were edited are run again."""
    return {**subject.settings(), **{n: getattr(options, n) for n in ("method", "epochs", "precision", *HEARD)}}


def _files(out: Path, subject: Subject, found: Hardened) -> tuple[float | None, list[str]]:
    """Weights and program; the difference of the second, or a note why there is none."""
    write_weights(out / "weights.safetensors", found.model)
    whole = found.program or found.model
    x = subject.data.test.inputs(slice(0, 7))
    try:
        write_program(out / "network.pt2", whole, x[:2])
    except ExportError as error:
        return None, [f"no network.pt2: {error}"]
    return opened_alike(copy_on_cpu(whole), load_exported(out / "network.pt2"), x), []
