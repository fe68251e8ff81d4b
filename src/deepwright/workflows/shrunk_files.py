"""The files of a shrunk network, and a table of what each is worth."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.checks import Subject
from deepwright.compress import Plan, ShrinkResult, export, index_map_to_json, measure_latency
from deepwright.compress.exporting import export_program
from deepwright.compress.files import Exported, run, session
from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic, write_json, write_text
from deepwright.core.inference import read_outputs
from deepwright.core.results import Table
from deepwright.core.tasks import mean_score
from deepwright.nets import write_weights
from deepwright.workflows.options import Say

_CALIBRATION = 256  # training samples that 8-bit ranges are taken from


def write_files(
    out: Path, subject: Subject, result: ShrinkResult, plan: Plan, *, int8: bool, say: Say
) -> tuple[Table, list[str]]:
    """Weights, program, ONNX, index map and plan.

    Args:
        out: the folder.
        subject: the network as it was, with its data.
        result: the shrunk one.
        plan: which units stayed.
        int8: whether an 8-bit file is written too.
        say: told how well that one agrees.

    Returns:
        a row for each form (size, score, latency), and notes for the reader.

    Raises:
        InputError: `int8` where it can't be written.
    """
    model, example = result.model, to_model(subject.data.test.inputs(slice(0, 2)), result.model)
    _write_plan(out, result, plan)
    write_weights(out / "weights.safetensors", model)
    _write_program(out / "network.pt2", model, example)
    one = example[:1]
    rows = [_row("before", subject, subject.model, one), _row("after", subject, model, one)]
    notes: list[str] = []
    try:
        written = export(model, example, out / "network.onnx")
        rows.append(_file_row("ONNX float", subject, written, one))
        if int8:
            rows.append(_file_row("ONNX int8", subject, _write_int8(out, subject, model, example, say), one))
    except InputError as error:  # a package that is missing, or a network that ONNX Runtime can't run
        if int8:
            raise
        notes.append(f"no ONNX file: {error}")
    columns = ["network", "form", "bytes", f"test {subject.score_name}", "low", "high", "ms for one input"]
    return Table(columns, rows, f"{len(subject.data.test)} test samples, 95 % intervals; median latency"), notes


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


def _write_program(path: Path, model: nn.Module, example: Tensor) -> None:
    """A program of the CPU: the file shall open where there is no such device as here."""
    program = export_program(_on_cpu(model), (example.cpu(),), dynamic_batch=True)
    write_atomic(path, lambda stream: torch.export.save(program, stream))


def _on_cpu(model: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers are on the CPU; tied ones stay tied."""
    if device_of(model).type == "cpu":
        return model
    copied = copy.deepcopy(model)
    moved: dict[int, nn.Parameter] = {}
    for module in copied.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            setattr(module, name, moved.setdefault(id(p), nn.Parameter(p.detach().cpu(), p.requires_grad)))
        for name, b in list(module.named_buffers(recurse=False)):
            setattr(module, name, b.cpu())
    return copied


def _write_int8(out: Path, subject: Subject, model: nn.Module, example: Tensor, say: Say) -> Exported:
    batches = subject.data.train.take(_CALIBRATION).batches(subject.batch_size)
    written = export(model, example, out / "network-int8.onnx", quant="int8", calibration=[x for x, _ in batches])
    agreement = f"{100 * written.agreement:.2f} %"
    say(f"int8: {agreement} of outputs within one step of the quantised program")
    return written


def _row(label: str, subject: Subject, model: nn.Module, one: Tensor) -> list[Any]:
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    split = subject.data.test
    parts = read_outputs(model, (x for x, _ in split.batches(subject.batch_size)), subject.task.read)
    latency = measure_latency(model, one, min_run_time=0.3)
    return [label, "torch", size, *_score(subject, parts), 1e3 * latency.median]


def _file_row(form: str, subject: Subject, written: Exported, one: Tensor) -> list[Any]:
    runtime, split = session(written.path), subject.data.test
    batches = (to_model(x, subject.model) for x, _ in split.batches(subject.batch_size))  # in the file's dtype
    parts = [subject.task.read(run(runtime, (x,))[0], len(x), strict=False) for x in batches]
    alone = session(written.path, torch.get_num_threads())
    latency = measure_latency(lambda batch: run(alone, (batch,)), one, min_run_time=0.3)
    return ["after", form, written.size, *_score(subject, parts), 1e3 * latency.median]


def _score(subject: Subject, parts: list[Any]) -> list[float]:
    """The mean score with its interval, of outputs that the task has read batch by batch; no number scores nothing."""
    task, out = subject.task, subject.task.join(parts)
    interval = mean_score(task.score(out, subject.data.test.y) * task.finite(out), subject.seed)
    return [interval.value, interval.low, interval.high]
