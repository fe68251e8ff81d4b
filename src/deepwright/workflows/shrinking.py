"""Shrink a network and show what that broke: the same audit before and after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.checks import AuditReport, Check, Subject, compare
from deepwright.checks import audit as run_checks
from deepwright.compress import (
    GRADIENT_CRITERIA,
    EvolutionaryPruner,
    OverPruneError,
    Plan,
    Preparation,
    ShrinkGraph,
    ShrinkResult,
    SurgeryError,
    accuracy_on,
    freeze_unsafe,
    importance,
    plan_for_latency,
    require_export,
)
from deepwright.compress import plan as make_plan
from deepwright.compress import shrink as cut
from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.fit import Selection, adamw, fit, one_cycle
from deepwright.core.inference import require_gradients
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.results import Table
from deepwright.core.resume import Resume
from deepwright.report import write_report
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
from deepwright.workflows.precision import training_precision
from deepwright.workflows.scoring import TaskLoss, ValidationScore
from deepwright.workflows.shrunk_files import write_files
from deepwright.workflows.shrunk_times import timed_together, told
from deepwright.workflows.subjects import SubjectOptions, build_subject

METHODS = ("one-shot", "evolve")
GOALS = ("macs", "params", "bytes", "latency-ms")
_GENERATIONS = 20
_PREPARED = 256  # training samples that batch norms of a search's candidates take statistics on
_ROUNDED = (8, 4, 2, 1)
_SCORED = 512  # training samples that criteria with data look at


@dataclass(frozen=True)
class ShrinkOptions(SubjectOptions):
    """Which network is shrunk, to what, how, and where the files go. A mixed precision is that of the fine-tuning.

    Attributes:
        goal: what to reach, as ("macs", 0.5): a share (up to 1) or a number of "macs", "params" or "bytes", or
            milliseconds an input as "latency-ms".
        method: "one-shot" (importance and one cut) or "evolve" (the two-phase search).
        importance: how units are scored; see `compress.importance`.
        epochs: of fine-tuning.
        generations: in each phase of "evolve"; 20 by default.
        round_to: widths are multiples of this; by default of 8, which vector units and runtimes want, or of 4, 2 or 1
            where that alone reaches the goal (a note says so). "one-shot" only.
        int8: write and measure an 8-bit file too.
        freeze: modules that stay whole.
        checks: of the audits; see `AuditOptions`.
        out: folder of the files, and of what an interrupted run goes on from.
        fresh: forget what an interrupted run left.

    Raises:
        InputError: words or numbers out of their range, an option that the method doesn't look at; see also
            `SubjectOptions`.
    """

    _: KW_ONLY
    goal: tuple[str, float] = ("macs", 0.5)
    method: str = "one-shot"
    importance: str = "taylor"
    epochs: int = 3
    generations: int | None = None
    round_to: int | None = None
    int8: bool = False
    freeze: Sequence[str] = ()
    checks: Sequence[str | Check] = ()
    out: Path | str = Path("shrunk")
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.goal, tuple) or len(self.goal) != 2:
            raise InputError("goal", given=repr(self.goal), expected='a pair, as ("macs", 0.5)')
        require_choice("goal", self.goal[0], GOALS)
        require_positive(goal=self.goal[1])
        require_choice("method", self.method, METHODS)
        require_whole(0, epochs=self.epochs)
        require_whole(1, **said(generations=self.generations, round_to=self.round_to))
        require_several("checks", self.checks)
        require_several("freeze", self.freeze)
        require_checks(self.checks)
        self._require_method()

    def _require_method(self) -> None:
        """No option may be given and not be looked at."""
        if self.method == "evolve" and self.goal[0] == "latency-ms":
            raise InputError("goal", given="latency-ms with method 'evolve'", expected="macs, params or bytes")
        if self.method == "evolve" and self.round_to is not None:
            raise InputError("round_to", given=f"{self.round_to} with method 'evolve'", expected="'one-shot' with it")
        if self.method != "evolve" and self.generations is not None:
            raise InputError("generations", given=f"{self.generations} with method {self.method!r}", expected="none")


@dataclass
class Shrunk:
    """A smaller network with the audits of both.

    Attributes:
        surgery: the smaller network, its proof and its index map.
        plan: which units stayed.
        before: the audit of the network as it was.
        after: the same audit of the smaller one; `after.comparison` has the differences.
        table: size, accuracy and latency of every form that was written.
        notes: what a reader must know.
    """

    surgery: ShrinkResult
    plan: Plan
    before: AuditReport
    after: AuditReport
    table: Table
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: widths, cost, proof, table, notes and both audits."""
        proof = self.surgery.verification
        return {
            "plan": {k: list(v) for k, v in self.plan.widths().items()},
            "cost": self.plan.cost(),
            "verification": None if proof is None else vars(proof),
            "table": json.loads(json.dumps(vars(self.table))),
            "notes": self.notes,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


def shrink(options: ShrinkOptions = ShrinkOptions(), *, say: Say = quiet) -> Shrunk:
    """Cut, prove, fine-tune, write files, audit before and after.

    The training split scores and fine-tunes, the validation split searches and selects, the test split only measures.
    An interrupted run goes on from what it had done; with another network, data or options it is refused by name. In
    `out` are then `weights.safetensors`, `network.pt2`, `network.onnx` (and `network-int8.onnx`), `index_map.json`,
    `plan.json`, and the pages of both audits.

    Args:
        options: the network, the data, and the rest.
        say: told about each step.

    Raises:
        InputError: a goal that can't be reached; bad input of any kind.
        SurgeryError: the result isn't equal to its masked original.
        MissingExtraError: `int8` without the packages that write it.
        OtherWorkError: an interrupted run on something else lies in `out`.
    """
    if options.int8:
        require_export(int8=True)
    require_writable(options.out)
    out, state = Path(options.out), unfinished(options.out, options.fresh)
    subject = build_subject(options, mixed=False, say=say)
    require_gradients(subject.model, "shrink")
    checks = chosen_checks(options.checks)
    with Resume(state / "plan.pt", _identity(subject, options), kind="shrink") as kept:
        stored = kept.load()  # work on something else is refused before anything is computed
        say("audit of the network as it is")
        before = run_checks(subject, checks=checks, journal=state / "before.jsonl")
        plan, result, notes = _cut(subject, options, stored, state / "search.pt", say)
        chosen = {name: list(plan.graph.options[name]) for name in ("frozen", "together")}
        kept.save({"keep": torch.from_numpy(plan.keep), **chosen, "notes": notes})
        _fine_tune(result.model, subject, options, state / "fine-tune.pt")
        smaller = replace(subject, model=result.model, name=f"{subject.name} shrunk")
        say("audit of the shrunk network")
        after = run_checks(smaller, checks=checks, journal=state / "after.jsonl")
        say("files")
        table, times, missing = write_files(out, subject, result, plan, int8=options.int8, say=say)
        before.findings, after.findings = timed_together(before.findings, after.findings, times)
        after.comparison = compare(before.findings, after.findings, (before.subject, after.subject))
        missing += told(times, options.goal)
        write_report(before, out / "before")
        write_report(after, out)
    finished(out)
    return Shrunk(result, plan, before, after, table, notes + missing)


def _identity(subject: Subject, options: ShrinkOptions) -> dict[str, Any]:
    """What an interrupted run is bound to, but for its checks: those that were edited are run again."""
    names = ("goal", "method", "importance", "epochs", "generations", "round_to", "freeze", "precision")
    return {**subject.settings(), **{name: getattr(options, name) for name in names}}


def _cut(
    subject: Subject, options: ShrinkOptions, stored: dict[str, Any] | None, search: Path, say: Say
) -> tuple[Plan, ShrinkResult, list[str]]:
    """The plan (the stored one where there is one), the proved cut, and notes."""
    say("groups of coupled units")
    frozen = tuple(options.freeze) if stored is None else tuple(stored["frozen"])
    together = () if stored is None else tuple(tuple(pair) for pair in stored["together"])
    example = subject.data.test.inputs(slice(0, 2)).to(subject.device)
    graph = ShrinkGraph.from_module(subject.model, example, frozen=frozen, together=together)
    if not graph.groups:
        raise InputError("the network", given="no group that can be pruned", expected="one", hint=graph.describe())
    if stored is not None:
        plan = Plan(graph, stored["keep"].numpy())
        return plan, _proved(subject, plan, example, say), list(stored["notes"])
    notes: list[str] = []
    try:
        plan, rounded = _choose(graph, subject, options, search, say)
        result = _proved(subject, plan, example, say)
    except SurgeryError as error:
        say(f"the cut doesn't equal its masked original ({error.given}): looking for groups that must stay")
        graph, unsafe = freeze_unsafe(graph, couple=options.method != "evolve")  # a search makes its own graph
        notes += [f"{a} and {b} go together" for a, b in graph.options["together"]]
        notes += [f"{g.name} stays whole: {reason}" for g, reason in unsafe.items()]
        plan, rounded = _choose(graph, subject, options, search.with_stem("search-safe"), say)
        result = _proved(subject, plan, example, say)
    assert result.verification is not None
    notes += rounded + [f"inexact: {n}" for n in result.verification.inexact]
    return plan, result, notes + ([] if result.verification.informative else [str(result.verification)])


def _proved(subject: Subject, plan: Plan, example: Tensor, say: Say) -> ShrinkResult:
    result = cut(subject.model, plan, verify_with=(example,))
    assert result.verification is not None
    say(f"cut; {result.verification}")
    return result


def _scored(subject: Subject, options: ShrinkOptions) -> dict[str, Any]:
    """What importance looks at: data and a loss, or nothing where the criterion is of weights alone."""
    if options.importance not in GRADIENT_CRITERIA:
        return {}
    batches = list(subject.data.train.take(_SCORED).batches(subject.batch_size))
    return {"data": batches, "loss": TaskLoss(subject.task)}


def _choose(
    graph: ShrinkGraph, subject: Subject, options: ShrinkOptions, search: Path, say: Say
) -> tuple[Plan, list[str]]:
    """The plan, and a note where its widths aren't what the target wants."""
    if options.method == "evolve":
        return _evolve(graph, subject, options, search, say), []
    name, value = options.goal
    scores = importance(graph, options.importance, **_scored(subject, options))
    steps = _ROUNDED if options.round_to is None else (options.round_to,)
    for step in steps:
        try:
            if name == "latency-ms":
                found = plan_for_latency(graph, scores, value, round_to=step)
            else:
                found = make_plan(graph, scores, target={name: value}, round_to=step)
        except OverPruneError:
            if step == steps[-1]:
                raise
            continue
        short = step < steps[0]
        return found, [f"widths are multiples of {step}: of {steps[0]} they can't reach the goal"] if short else []
    raise AssertionError


def _evolve(graph: ShrinkGraph, subject: Subject, options: ShrinkOptions, checkpoint: Path, say: Say) -> Plan:
    name, value = options.goal
    phase = {"pop": 24, "gen": _GENERATIONS if options.generations is None else options.generations}
    search = EvolutionaryPruner(
        graph.model,
        graph.example,
        objectives=("error", name),
        importance=options.importance,
        **_scored(subject, options),
        phase1=phase,
        phase2=phase,
        seed=subject.seed,
        frozen=graph.options["frozen"],
    )
    validation, test = subject.data.validation, subject.data.test
    evaluate = accuracy_on(validation.inputs().to(subject.device), validation.y, task=subject.task)
    front = search.fit(
        evaluate,
        racing=True,
        preparation=_preparation(subject),
        test=(test.inputs(), test.y),
        checkpoint=checkpoint,
    )
    share = value if value <= 1 else value / Plan(graph, np.ones(graph.units, bool)).cost()[name]
    fitting = [i for i in range(len(front)) if front.F[i, 1] <= share]
    if not fitting:
        raise InputError(
            f"goal {name}",
            given=f"{share:.3g} of the dense network",
            expected=f"at least {front.F[:, 1].min():.3g}, the cheapest found",
        )
    best = min(fitting, key=lambda i: (front.F[i, 0], front.F[i, 1]))
    say(f"search: {front.evaluations:.0f} evaluations, hypervolume {front.hypervolume():.4f}; {'; '.join(front.log)}")
    return Plan(graph, front.masks[best])


def _preparation(subject: Subject) -> Preparation:
    """Batch norms' statistics of each candidate anew: as cut, they are those of channels that are gone."""
    return Preparation(subject.data.train.take(_PREPARED).inputs().to(subject.device), statistics=_PREPARED)


def _fine_tune(model: nn.Module, subject: Subject, options: ShrinkOptions, checkpoint: Path) -> None:
    """Train on, keep the epoch that is best on the validation split."""
    data = subject.data
    if options.epochs:
        fit(
            model,
            (data.train.inputs(), data.train.y),
            epochs=options.epochs,
            batch_size=min(64, max(8, len(data.train) // 20)),
            optimizer=adamw(1e-3),
            scheduler=one_cycle(1e-3),
            loss=TaskLoss(subject.task),
            selection=Selection(ValidationScore(data.validation, subject.batch_size, subject.task), "score"),
            checkpoint=checkpoint,
            seed=subject.seed,
            compute=Compute(precision=training_precision(options.precision)),
            description="fine-tune",
        )
    model.eval()
