"""ONNX files of a network with an exit: two files for a small machine, or one with an `If` for a server.

"split": `front.onnx` gives the exit's logits and the map, `rest.onnx` goes on from the map; the caller compares and
decides. "single": one file, batch 1, with the decision inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.errors import MismatchError
from deepwright.compress.exits.adaptive import AdaptiveModel
from deepwright.compress.exporting import export_program, quiet
from deepwright.compress.files import onnx_bytes, quantize, require_export, run, session
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.files import write_bytes
from deepwright.core.inference import evaluating, without_gradients


@dataclass(frozen=True)
class ExportedExit:
    """Written files.

    Attributes:
        paths: by role: "front" and "rest", or "single".
        threshold: of readiness, that the decision was compared at.
        agreement: share of the frames that took the same decision as the network.
        frames: how many were compared.
    """

    paths: dict[str, Path]
    threshold: float
    agreement: float
    frames: int


class _Front(nn.Module):
    """Up to the cut, with the head."""

    def __init__(self, piece: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.piece, self.head = piece, head

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(exit logits, map)."""
        h = self.piece(x)
        return self.head(h), h


class _Rest(nn.Module):
    """From the cut on; a tuple of tensors."""

    def __init__(self, piece: nn.Module) -> None:
        super().__init__()
        self.piece = piece

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        """The network's outputs, flat."""
        return tuple(self.piece(h))


class _Single(nn.Module):
    """Both, with the decision between them; zeros stand for an empty answer."""

    def __init__(self, front: _Front, rest: _Rest, threshold: float, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.front, self.rest, self.threshold, self.shapes = front, rest, threshold, shapes

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The exit's logit, then the outputs."""
        z, h = self.front(x)

        def skip(h: Tensor) -> tuple[Tensor, ...]:
            return tuple(h.new_zeros(s) for s in self.shapes)

        def go(h: Tensor) -> tuple[Tensor, ...]:
            return tuple(v.clone() for v in self.rest(h))

        return (z, *torch.cond(-z[0, 0] >= self.threshold, skip, go, (h,)))


def export_exits(
    model: AdaptiveModel,
    folder: Path | str,
    *,
    layout: str = "split",
    threshold: float | None = None,
    quant: str | None = None,
    calibration: Iterable[Tensor] | None = None,
    check: Tensor | None = None,
) -> ExportedExit:
    """Write the files, run them, and compare every decision.

    Args:
        model: with one exit that answers "blank".
        folder: for `front.onnx` and `rest.onnx`, or `single.onnx`.
        layout: "split" or "single" (float, batch 1).
        threshold: of readiness; the policy's by default. After quantisation the logits have moved: calibrate again on
            the files' own logits.
        quant: None or "int8", for "split".
        calibration: batches of inputs, for "int8".
        check: frames to compare decisions on (the model's example by default).

    Raises:
        InputError: more than one exit, no threshold, unknown layout.
        MissingExtraError: onnx, onnxscript or onnxruntime is missing.
        MismatchError: a float file decides otherwise than the network.
    """
    if len(model.cuts) != 1 or model.exit_output != "blank":
        raise InputError(
            "export_exits",
            given=f"{len(model.cuts)} exits, {model.exit_output!r}",
            expected="one exit that answers 'blank'",
        )
    if layout not in ("split", "single") or (layout == "single" and quant):
        raise InputError(
            "layout", given=f"{layout!r}, quant={quant!r}", expected="'split', or 'single' without quantisation"
        )
    if threshold is None:
        if model.policy is None:
            raise InputError("threshold", given="none, and no policy", expected="a number, or calibrate_exits first")
        threshold = model.policy.thresholds[0]
    require_export()
    frames = to_model(model.example if check is None else check, model)
    with without_gradients(model), evaluating(model), torch.no_grad():
        first, second = model.pieces()
        front, rest = _Front(first, model.heads[0]).eval(), _Rest(second).eval()
        z, h = front(frames)
        with quiet():
            if layout == "single":
                files = {"single": _single_bytes(front, rest, threshold, frames[:1], h[:1])}
            else:
                files = _split_bytes(front, rest, frames, h, quant, calibration)
    paths = {role: write_bytes(Path(folder) / f"{role}.onnx", data) for role, data in files.items()}
    leaves = (-z[:, 0] >= threshold).cpu().numpy()
    same = _decisions(files, frames, threshold) == leaves
    agreement = float(same.mean())
    if quant is None and agreement < 1:
        raise MismatchError(
            "exported exits",
            given=f"{100 * (1 - agreement):.1f} % of the frames decide otherwise",
            expected="the network's decisions",
        )
    return ExportedExit(paths, threshold, agreement, len(frames))


def _split_bytes(
    front: nn.Module, rest: nn.Module, x: Tensor, h: Tensor, quant: str | None, calibration: Iterable[Tensor] | None
) -> dict[str, bytes]:
    pair: list[nn.Module] = [front, rest]
    if quant is not None:
        if quant != "int8" or calibration is None:
            raise InputError(
                "quant",
                given=f"{quant!r}, calibration: {calibration is not None}",
                expected="'int8' with calibration batches",
            )
        seen = [batch.to(x.device) for batch in calibration]
        pair[0] = quantize(front, (x[:2],), seen)
        pair[1] = quantize(rest, (h[:2],), [front(batch)[1] for batch in seen])
    inputs = (x[:2], h[:2])
    return {
        role: onnx_bytes(export_program(m, (i,), dynamic_batch=True))
        for role, m, i in zip(("front", "rest"), pair, inputs)
    }


def _single_bytes(front: _Front, rest: _Rest, threshold: float, x: Tensor, h: Tensor) -> bytes:
    shapes = [tuple(v.shape) for v in rest(h)]
    return onnx_bytes(export_program(_Single(front, rest, threshold, shapes), (x,)))


def _decisions(files: dict[str, bytes], frames: Tensor, threshold: float) -> np.ndarray:
    """(N,) whether the files leave early; for a single file the outputs must be empty exactly then."""
    if "front" in files:
        return -run(session(files["front"]), (frames,))[0][:, 0] >= threshold
    runtime: Any = session(files["single"])
    found = []
    for frame in frames:
        z, *outputs = run(runtime, (frame[None],))
        leaves = bool(-z[0, 0] >= threshold)
        empty = all(not np.any(o) for o in outputs)
        if leaves != empty:
            raise MismatchError(
                "single.onnx", given="the other branch was run", expected="zeros exactly for frames that leave"
            )
        found.append(leaves)
    return np.array(found)
