"""Shrink a subject's network and show what that broke: the same audit before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.checks.comparison import compare
from deepwright.checks.running import AuditReport, Check, audit
from deepwright.checks.subject import Subject
from deepwright.compress import (
    EvolutionaryPruner,
    Plan,
    ShrinkGraph,
    ShrinkResult,
    SurgeryError,
    accuracy_on,
    export,
    freeze_unsafe,
    importance,
    index_map_to_json,
    measure_latency,
    plan,
    plan_for_latency,
    require_export,
    shrink,
)
from deepwright.compress.exporting import export_program
from deepwright.compress.files import run, session
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.files import write_atomic, write_bytes, write_json, write_text
from deepwright.core.fit import Selection, adamw, fit, one_cycle
from deepwright.core.inference import logits_of
from deepwright.core.results import Table
from deepwright.core.statistics import wilson

METHODS = ("one-shot", "evolve")
TARGETS = ("macs", "params", "bytes", "latency-ms")


@dataclass
class Shrunk:
    """A smaller network with the audits of both.

    Attributes:
        surgery: the smaller network, its proof and its index map.
        plan: which units stayed.
        before, after: audits on the same data; `after.comparison` has the differences.
        table: size, MACs, latency and accuracy of every file that was written.
        notes: what a reader must know.
    """

    surgery: ShrinkResult
    plan: Plan
    before: AuditReport
    after: AuditReport
    table: Table
    notes: list[str] = field(default_factory=list)


def shrink_subject(
    subject: Subject,
    out: Path,
    *,
    target: tuple[str, float] = ("macs", 0.5),
    method: str = "one-shot",
    criterion: str = "taylor",
    epochs: int = 3,
    int8: bool = False,
    checks: Sequence[str | Check] | None = None,
    frozen: Sequence[str] = (),
    generations: int = 20,
    round_to: int = 1,
    say: Callable[[str], object] = lambda text: None,
) -> Shrunk:
    """Cut, prove, fine-tune, write files, audit before and after.

    Args:
        subject: a network with its data; the training split scores and fine-tunes, the validation split searches, the
            test split only measures.
        out: folder of the files: `weights.safetensors`, `network.pt2`, `network.onnx` (and `network-int8.onnx`),
            `index_map.json`, `plan.json`.
        target: what to reach: a share (up to 1) or a number of "macs", "params" or "bytes", or milliseconds an input.
        method: "one-shot" (importance and one cut) or "evolve" (the two-phase search; `generations` in each phase).
        criterion: of importance.
        epochs: of fine-tuning.
        int8: write and measure an 8-bit file too.
        checks: of the audits; all by default.
        frozen: modules that stay whole.
        round_to: widths are multiples of this (8 is faster on most machines); one-shot only.
        say: told about each step.

    Raises:
        InputError: a target that can't be reached, unknown options.
        SurgeryError: the result isn't equal to its masked original.
        MissingExtraError: `int8` without the packages that write it.
    """
    name, value = target
    if name not in TARGETS or method not in METHODS:
        raise InputError(
            "shrink",
            given=f"target {name!r}, method {method!r}",
            expected=f"{', '.join(TARGETS)}; {', '.join(METHODS)}",
        )
    if int8:
        require_export(int8=True)
    say("audit of the network as it is")
    before = audit(subject, checks=checks)
    example = subject.data.test.inputs(slice(0, 2)).to(subject.device)
    say("groups of coupled units")
    graph = ShrinkGraph.from_module(subject.model, example, frozen=frozen)
    if not graph.groups:
        raise InputError("the network", given="no group that can be pruned", expected="one", hint=graph.describe())
    notes: list[str] = []
    try:
        chosen = _choose(graph, subject, name, value, method, criterion, generations, frozen, round_to, say)
        result = shrink(subject.model, chosen, verify_with=(example,))
    except SurgeryError as error:
        say(
            f"the cut doesn't equal its masked original ({error.given}): looking for the groups that the code doesn't let go"
        )
        graph, unsafe = freeze_unsafe(graph)
        notes += [f"{g.name} stays whole: {reason}" for g, reason in unsafe.items()]
        chosen = _choose(
            graph, subject, name, value, method, criterion, generations, graph.options["frozen"], round_to, say
        )
        result = shrink(subject.model, chosen, verify_with=(example,))
    assert result.verification is not None
    say(f"cut; equal to the masked original within {result.verification.error:.2g}")
    notes += [f"inexact: {n}" for n in result.verification.inexact]
    if epochs:
        _fine_tune(result.model, subject, epochs)
    result.model.eval()
    smaller = replace(subject, model=result.model, name=f"{subject.name} shrunk")
    say("audit of the shrunk network")
    after = audit(smaller, checks=checks)
    after.comparison = compare(before.findings, after.findings)
    table = _write(out, subject, result, chosen, example, int8, notes, say)
    return Shrunk(result, chosen, before, after, table, notes)


def _batches(subject: Subject, limit: int) -> list[tuple[Tensor, Tensor]]:
    return list(subject.data.train.take(limit).batches(subject.batch_size))


def _choose(
    graph: ShrinkGraph,
    subject: Subject,
    name: str,
    value: float,
    method: str,
    criterion: str,
    generations: int,
    frozen: Sequence[str],
    round_to: int,
    say: Callable[[str], object],
) -> Plan:
    if method == "evolve":
        return _evolve(graph, subject, name, value, criterion, generations, frozen, say)
    needs = criterion in ("taylor", "hessian_diag")
    scores = importance(graph, criterion, _batches(subject, 512) if needs else None)
    if name == "latency-ms":
        return plan_for_latency(graph, scores, value, round_to=round_to)
    return plan(graph, scores, target={name: value}, round_to=round_to)


def _evolve(
    graph: ShrinkGraph,
    subject: Subject,
    name: str,
    value: float,
    criterion: str,
    generations: int,
    frozen: Sequence[str],
    say: Callable[[str], object],
) -> Plan:
    if name == "latency-ms":
        raise InputError("target", given="latency-ms with method 'evolve'", expected="macs, params or bytes")
    needs = criterion in ("taylor", "hessian_diag")
    search = EvolutionaryPruner(
        graph.model,
        graph.example,
        objectives=("error", name),
        importance=criterion,
        data=_batches(subject, 512) if needs else None,
        phase1={"pop": 24, "gen": generations},
        phase2={"pop": 24, "gen": generations},
        seed=subject.seed,
        frozen=frozen,
    )
    x, y = subject.data.validation.inputs(), subject.data.validation.y
    front = search.fit(
        accuracy_on(x.to(subject.device), y), racing=True, test=(subject.data.test.inputs(), subject.data.test.y)
    )
    share = value if value <= 1 else value / Plan(graph, np.ones(graph.units, bool)).cost()[name]
    fitting = [i for i in range(len(front)) if front.F[i, 1] <= share]
    if not fitting:
        raise InputError(
            f"target {name}",
            given=f"{share:.3g} of the dense network",
            expected=f"at least {front.F[:, 1].min():.3g}, the cheapest found",
        )
    best = min(fitting, key=lambda i: (front.F[i, 0], front.F[i, 1]))
    say(f"search: {front.evaluations:.0f} evaluations, hypervolume {front.hypervolume():.4f}; {'; '.join(front.log)}")
    return Plan(graph, front.masks[best])


def _fine_tune(model: nn.Module, subject: Subject, epochs: int) -> None:
    """Train on, keep the epoch that is best on the validation split."""
    data = subject.data

    def validate(network: nn.Module) -> dict[str, float]:
        out = logits_of(network, (x for x, _ in data.validation.batches(subject.batch_size)))
        return {"accuracy": float((out.argmax(1) == data.validation.y).double().mean())}

    fit(
        model,
        (data.train.inputs(), data.train.y),
        epochs=epochs,
        batch_size=min(64, max(8, len(data.train) // 20)),
        optimizer=adamw(1e-3),
        scheduler=one_cycle(1e-3),
        selection=Selection(validate, "accuracy"),
        seed=subject.seed,
        description="fine-tune",
    )


def _write(
    out: Path,
    subject: Subject,
    result: ShrinkResult,
    chosen: Plan,
    example: Tensor,
    int8: bool,
    notes: list[str],
    say: Callable[[str], object],
) -> Table:
    """Files, and a table of what each is worth."""
    from safetensors.torch import save

    model = result.model
    data = save({k: v.contiguous() for k, v in _own_tensors(model).items()})
    write_bytes(out / "weights.safetensors", data)
    write_text(out / "index_map.json", index_map_to_json(result.index_map))
    assert result.verification is not None
    write_json(
        out / "plan.json",
        {
            "widths": {k: list(v) for k, v in chosen.widths().items()},
            "cost": chosen.cost(),
            "verification": vars(result.verification),
            "repaired": [list(r) for r in result.repaired],
            "frozen": [list(f) for f in result.graph.frozen_axes()],
        },
    )
    _save_program(model, example, out / "network.pt2")
    rows: list[list[Any]] = []
    one = example[:1]
    for label, network in (("before", subject.model), ("after", model)):
        size = sum(p.numel() * p.element_size() for p in network.parameters())
        latency = measure_latency(network, one, min_run_time=0.3)
        rows.append([label, "torch", size, *_accuracy(subject, network), 1e3 * latency.median])
    try:
        written = export(model, example, out / "network.onnx")
        rows.append(
            [
                "after",
                "ONNX float",
                written.size,
                *_file_accuracy(subject, written.path),
                _file_latency(written.path, one),
            ]
        )
        if int8:
            calibration = [x for x, _ in _batches(subject, 256)]
            eighth = export(model, example, out / "network-int8.onnx", quant="int8", calibration=calibration)
            rows.append(
                [
                    "after",
                    "ONNX int8",
                    eighth.size,
                    *_file_accuracy(subject, eighth.path),
                    _file_latency(eighth.path, one),
                ]
            )
            say(f"int8: {100 * eighth.agreement:.2f} % of outputs within one step of the quantised program")
    except MissingExtraError as error:
        if int8:
            raise
        notes.append(f"no ONNX file: {error}")
    columns = ["network", "form", "bytes", "test accuracy", "low", "high", "ms for one input"]
    return Table(columns, rows, f"{len(subject.data.test)} test samples, 95 % intervals; median latency")


def _own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state dict without second names of tied tensors."""
    seen: set[int] = set()
    found = {}
    for key, value in model.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            seen.add(id(value))
            found[key] = value.detach()
    return found


def _save_program(model: nn.Module, example: Tensor, path: Path) -> None:
    program = export_program(model, (example,), dynamic_batch=True)
    write_atomic(path, lambda stream: torch.export.save(program, stream))


def _accuracy(subject: Subject, model: nn.Module) -> list[float]:
    split = subject.data.test
    out = logits_of(model, (x for x, _ in split.batches(subject.batch_size)))
    return _share(out, split.y)


def _file_accuracy(subject: Subject, path: Path) -> list[float]:
    runtime, split = session(path), subject.data.test
    rows = [torch.from_numpy(run(runtime, (x,))[0]) for x, _ in split.batches(subject.batch_size)]
    return _share(torch.cat(rows), split.y)


def _share(out: Tensor, y: Tensor) -> list[float]:
    interval = wilson(int((out.argmax(1) == y).sum()), len(y))
    return [interval.value, interval.low, interval.high]


def _file_latency(path: Path, x: Tensor) -> float:
    runtime = session(path, torch.get_num_threads())
    return 1e3 * measure_latency(lambda batch: run(runtime, (batch,)), x, min_run_time=0.3).median


def describe(result: Shrunk) -> dict[str, Any]:
    """Plain data of a shrink, for `--json`."""
    return {
        "plan": {k: list(v) for k, v in result.plan.widths().items()},
        "cost": result.plan.cost(),
        "verification": vars(result.surgery.verification) if result.surgery.verification else None,
        "table": json.loads(json.dumps(vars(result.table))),
        "notes": result.notes,
        "before": result.before.to_dict(),
        "after": result.after.to_dict(),
    }
