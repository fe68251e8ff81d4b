"""A guarded network as files that were run and compared with it before they are called done."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.errors import MismatchError
from deepwright.compress.exporting import export_program, quiet
from deepwright.compress.files import onnx_bytes, require_export, run, session
from deepwright.core.devices import copy_on_cpu
from deepwright.core.files import write_atomic, write_bytes, write_json
from deepwright.core.randomness import generator
from deepwright.nets import load_exported

NAMES = ("output", "score", "is_foreign")
TOLERANCE = 1e-4
"""Largest difference of outputs and of scores, relative to the largest of them."""
_LEAST = 1e-6  # what float32 leaves of a difference of numbers around 1
_SIZES = (1, 2, 7)


@dataclass(frozen=True)
class GuardFiles:
    """The files of a guarded network, and how far they are from it.

    Attributes:
        program: the `.pt2` file of `torch.export`.
        onnx: the ONNX file.
        facts: the JSON file: threshold, what it was calibrated on, acceptance, hashes of the two files.
        difference: largest difference of outputs or scores to the module, relative to the largest of them, by file.
        compared: inputs on which all three were run.
    """

    program: Path
    onnx: Path
    facts: Path
    difference: dict[str, float]
    compared: int


def write_guard(guarded: nn.Module, inputs: Tensor, facts: dict[str, Any], folder: Path | str) -> GuardFiles:
    """Write `guard.pt2`, `guard.onnx` and `guard.json`; the first two are run, and nothing is written if they differ.

    Args:
        guarded: gives (output, score, is_foreign), and has its `threshold`.
        inputs: (n, ...) real inputs, two at least.
        facts: for the JSON.
        folder: of the files.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime isn't installed.
        ExportError: the network can't be exported.
        MismatchError: a file computes something else.
    """
    require_export()
    module, inputs = copy_on_cpu(guarded), inputs.cpu()
    with quiet():
        program = export_program(module, (inputs[:2],), dynamic_batch=True)
        data = onnx_bytes(program, NAMES)
    with tempfile.TemporaryDirectory() as place:
        held = write_atomic(Path(place) / "guard.pt2", lambda stream: torch.export.save(program, stream)).read_bytes()
        opened = load_exported(Path(place) / "guard.pt2").graph
    runtime = session(data)
    runs: dict[str, Callable[[Tensor], Any]] = {
        "guard.pt2": opened,
        "guard.onnx": lambda x: tuple(map(torch.from_numpy, run(runtime, (x,)))),
    }
    batches = list(_batches(inputs))
    with torch.no_grad():
        wanted = [module(x) for x in batches]
        difference = {
            name: _difference(name, wanted, [call(x) for x in batches], float(module.threshold))  # type: ignore[arg-type]
            for name, call in runs.items()
        }
    out = Path(folder)
    files = {"guard.pt2": held, "guard.onnx": data}
    for name, content in files.items():
        write_bytes(out / name, content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    compared = sum(map(len, batches))
    about = {"outputs": NAMES, "sha256": hashes, "difference": difference, "compared": compared}
    written = write_json(out / "guard.json", {**facts, **about})
    return GuardFiles(out / "guard.pt2", out / "guard.onnx", written, difference, compared)


def _batches(inputs: Tensor) -> Iterator[Tensor]:
    """Real inputs, and these with their values shuffled, which are foreign to most; a batch of each size and all."""
    flat = inputs.flatten(1)
    order = torch.randperm(flat.shape[1], generator=generator(0, "guard"))
    for x in (inputs, flat[:, order].reshape(inputs.shape)):
        yield from (x[:size] for size in _SIZES if size < len(x))
        yield x


def _difference(name: str, wanted: list[Any], found: list[Any], threshold: float) -> float:
    """The largest relative difference of outputs and scores.

    Raises:
        MismatchError: it is above the tolerance, or a decision differs away from the threshold.
    """
    (outs, scores, flags), (outs_, scores_, flags_) = _joined(wanted), _joined(found)
    scales = [max(float(values.abs().max()), _LEAST / TOLERANCE) for values in (outs, scores)]
    gaps = [float((a - b).abs().max()) / scale for a, b, scale in zip((outs, scores), (outs_, scores_), scales)]
    beside = (scores.double() - threshold).abs() <= TOLERANCE * scales[1]
    decided = bool(((flags == flags_) | beside).all())
    if not (max(gaps) <= TOLERANCE and decided):
        other = "" if decided else ", and other inputs are foreign"
        given = f"outputs are off by {gaps[0]:.3g} and scores by {gaps[1]:.3g} of the largest{other}"
        hint = "nothing was written; please report the network"
        raise MismatchError(f"{name} differs from the network", given=given, expected=f"{TOLERANCE:g}", hint=hint)
    return max(gaps)


def _joined(parts: list[Any]) -> list[Tensor]:
    return [torch.cat([torch.as_tensor(values).flatten() for values in column]) for column in zip(*parts)]
