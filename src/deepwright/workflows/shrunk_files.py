"""The files of a shrunk network, and a table of what each is worth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.checks import Subject
from deepwright.compress import Latency, Plan, ShrinkResult, export, index_map_to_json
from deepwright.compress.counting.latency import LEAST_ROUNDS
from deepwright.compress.exporting import export_program
from deepwright.compress.exporting import quiet as silent
from deepwright.compress.files import Exported, onnx_bytes, run, session
from deepwright.core.devices import copy_on_cpu, to_model
from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic, write_json, write_text
from deepwright.core.inference import read_outputs
from deepwright.core.results import Table
from deepwright.core.tasks import mean_score
from deepwright.nets import write_weights
from deepwright.workflows.options import Say
from deepwright.workflows.shrunk_times import Form, times

_CALIBRATION = 256  # training samples that 8-bit ranges are taken from


def write_files(
    out: Path, subject: Subject, result: ShrinkResult, plan: Plan, *, int8: bool, say: Say
) -> tuple[Table, dict[Form, Latency], list[str]]:
    """Weights, program, ONNX, index map and plan.

    Args:
        out: the folder.
        subject: the network as it was, with its data.
        result: the shrunk one.
        plan: which units stayed.
        int8: whether an 8-bit file is written too.
        say: told how well that one agrees.

    Returns:
        a row for each form (size, score, latency), the latencies, and notes for the reader.

    Raises:
        InputError: `int8` where it can't be written.
    """
    model, example = result.model, to_model(subject.data.test.inputs(slice(0, 2)), result.model)
    _write_plan(out, result, plan)
    write_weights(out / "weights.safetensors", model)
    write_program(out / "network.pt2", model, example)
    rows: dict[Form, list[Any]] = {}
    calls: dict[Form, Callable[[Tensor], Any]] = {}
    for when, network in (("before", subject.model), ("after", model)):
        rows[when, "torch"], calls[when, "torch"] = _row(subject, network), network
    notes: list[str] = []
    try:
        written = export(model, example, out / "network.onnx")
        rows["after", "ONNX float"] = _file_row(subject, written.path)
        calls["after", "ONNX float"] = _file_call(written.path)
        dense, reason = _before_as_file(subject, example)
        if dense is not None:
            rows["before", "ONNX float"] = _file_row(subject, dense)
            calls["before", "ONNX float"] = _file_call(dense)
        notes += reason
        if int8:
            written = _write_int8(out, subject, model, example, say)
            rows["after", "ONNX int8"] = _file_row(subject, written.path)
            calls["after", "ONNX int8"] = _file_call(written.path)
    except InputError as error:  # a package that is missing, or a network that ONNX Runtime can't run
        if int8:
            raise
        notes.append(f"no ONNX file: {error}")
    say("latencies, in turns")
    measured = times(calls, example[:1])
    columns = ["network", "form", "bytes", f"test {subject.score_name}", "95 % from", "95 % to"]
    columns += ["ms for one input", "ms from", "ms to"]
    order = [(when, form) for form in ("torch", "ONNX float", "ONNX int8") for when in ("before", "after")]
    table = [
        [*form, *rows[form], 1e3 * measured[form].median, 1e3 * measured[form].low, 1e3 * measured[form].high]
        for form in order
        if form in rows
    ]
    caption = f"{len(subject.data.test)} test samples, 95 % intervals; median latency of {LEAST_ROUNDS} turns, 96 %"
    return Table(columns, table, caption), measured, notes


def _before_as_file(subject: Subject, example: Tensor) -> tuple[bytes | None, list[str]]:
    """The network as it was in the form of a file, so that files are compared with files."""
    try:
        with silent():
            return onnx_bytes(export_program(subject.model, (example,), dynamic_batch=True)), []
    except InputError as error:
        return None, [f"no ONNX row of the network as it was: {error}"]


def _write_plan(out: Path, result: ShrinkResult, plan: Plan) -> None:
    assert result.verification is not None
    write_text(out / "index_map.json", index_map_to_json(result.index_map))
    write_json(
        out / "plan.json",
        {
            "widths": {k: list(v) for k, v in plan.widths().items()},
            "cost": plan.cost(),
            "verification": vars(result.verification),
            "repaired": [list(r) for r in result.repaired],
            "frozen": [list(f) for f in result.graph.frozen_axes()],
        },
    )


def write_program(path: Path, model: nn.Module, example: Tensor) -> None:
    """A program of the CPU: the file shall open where there is no such device as here.

    Args:
        path: the `.pt2` file.
        model: left as found.
        example: inputs.

    Raises:
        ExportError: the network can't be exported.
    """
    program = export_program(copy_on_cpu(model), (example.cpu(),), dynamic_batch=True)
    write_atomic(path, lambda stream: torch.export.save(program, stream))


def _write_int8(out: Path, subject: Subject, model: nn.Module, example: Tensor, say: Say) -> Exported:
    batches = subject.data.train.take(_CALIBRATION).batches(subject.batch_size)
    written = export(model, example, out / "network-int8.onnx", quant="int8", calibration=[x for x, _ in batches])
    agreement = f"{100 * written.agreement:.2f} %"
    say(f"int8: {agreement} of outputs within one step of the quantised program")
    return written


def _row(subject: Subject, model: nn.Module) -> list[Any]:
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    split = subject.data.test
    parts = read_outputs(model, split.batches(subject.batch_size).inputs, subject.task.read)
    return [size, *_score(subject, parts)]


def _file_row(subject: Subject, file: Path | bytes) -> list[Any]:
    runtime, split = session(file), subject.data.test
    batches = (to_model(x, subject.model) for x, _ in split.batches(subject.batch_size))  # in the file's dtype
    parts = [subject.task.read(run(runtime, (x,))[0], len(x), strict=False) for x in batches]
    return [len(file) if isinstance(file, bytes) else file.stat().st_size, *_score(subject, parts)]


def _file_call(file: Path | bytes) -> Callable[[Tensor], Any]:
    alone = session(file, torch.get_num_threads())
    return lambda batch: run(alone, (batch,))


def _score(subject: Subject, parts: list[Any]) -> list[float]:
    """The mean score with its interval, of outputs that the task has read batch by batch; no number scores nothing."""
    task, out = subject.task, subject.task.join(parts)
    interval = mean_score(task.score(out, subject.data.test.y) * task.finite(out), subject.seed)
    return [interval.value, interval.low, interval.high]
