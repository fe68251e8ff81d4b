"""ONNX files of a network with an exit: two files for a small machine, or one with an `If` for a server.

"split": `front.onnx` gives the exit's logits and the map, `rest.onnx` goes on from the map; the caller compares and
decides. "single": one file, batch 1, with the decision inside.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.errors import MismatchError
from deepwright.compress.exits.adaptive import AdaptiveModel
from deepwright.compress.exits.inputs import magnitude, require_frames
from deepwright.compress.exits.policy import ExitPolicy, certify
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
        threshold: of readiness, that the files' decisions are to be taken at.
        agreement: share of the frames that took the same decision as the network.
        frames: how many were compared.
        leaving: share of these frames that leave (the network, the files).
        policy: certified on the int8 files' own logits; None where nothing was.
    """

    paths: dict[str, Path]
    threshold: float
    agreement: float
    frames: int
    leaving: tuple[float, float] = (0.0, 0.0)
    policy: ExitPolicy | None = None


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
    relevant: Tensor | None = None,
    check: Tensor | None = None,
) -> ExportedExit:
    """Write the files, run them, and compare every decision.

    After quantisation the logits have moved, and what was certified for the float network isn't certified for the
    files. With `relevant` the threshold is certified again on the files' own logits (written as `policy.json`); without
    it a warning tells how many frames leave at the float network's threshold before and after.

    Args:
        model: with one exit that answers "blank".
        folder: for `front.onnx` and `rest.onnx`, or `single.onnx`.
        layout: "split" or "single" (float, batch 1).
        threshold: of readiness; the policy's by default.
        quant: None or "int8", for "split".
        calibration: batches of inputs, for "int8".
        relevant: (N,) flags of the calibration inputs, for "int8": see `calibrate_exits`.
        check: frames to compare decisions on (the model's example by default).

    Raises:
        InputError: more than one exit, no threshold, unknown layout; `relevant` without "int8", without a policy whose
            share is to be certified again, or beside a threshold.
        CalibrationError: too few relevant samples to certify the policy's share.
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
    if relevant is not None and (quant is None or model.policy is None or threshold is not None):
        raise InputError(
            "relevant",
            given=f"quant={quant!r}, threshold={threshold}, {'a' if model.policy else 'no'} policy",
            expected="quant='int8' and a policy, whose share is certified again, and no threshold",
        )
    if threshold is None:
        if model.policy is None:
            raise InputError("threshold", given="none, and no policy", expected="a number, or calibrate_exits first")
        threshold = model.policy.thresholds[0]
    if threshold != threshold:
        raise InputError("threshold", given=threshold, expected="a number")
    batches = None if calibration is None else list(calibration)
    require_export()
    frames = to_model(model.example if check is None else check, model)
    require_frames(frames, model.example)
    with without_gradients(model), evaluating(model), torch.no_grad():
        first, second = model.pieces()
        front, rest = _Front(first, model.heads[0]).eval(), _Rest(second).eval()
        z, h = front(frames)
        with quiet():
            if layout == "single":
                files = {"single": _single_bytes(front, rest, threshold, frames[:1], h[:1])}
            else:
                files = _split_bytes(front, rest, frames, h, quant, batches)
    paths = {role: write_bytes(Path(folder) / f"{role}.onnx", data) for role, data in files.items()}
    leaves = (-z[:, 0] >= threshold).cpu().numpy()
    policy = None
    if relevant is not None:
        assert model.policy is not None
        assert batches is not None
        policy = _certified(files, batches, relevant, model.policy)
        threshold = policy.thresholds[0]
        policy.save(Path(folder) / "policy.json")
    found = _decisions(files, frames, threshold)
    leaving = float(leaves.mean()), float(found.mean())
    if quant is not None and policy is None:
        warnings.warn(
            f"the threshold {threshold:.4g} is the float network's: {leaving[0]:.1%} of {len(frames)} frames leave it, "
            f"{leaving[1]:.1%} leave the int8 files, and no certificate holds for these; pass relevant= (flags of the "
            "calibration inputs) to certify the files' own threshold",
            stacklevel=2,
        )
    agreement = float((found == leaves).mean())
    if quant is None and agreement < 1:
        raise MismatchError(
            "exported exits",
            given=f"{100 * (1 - agreement):.1f} % of the frames decide otherwise",
            expected="the network's decisions",
        )
    return ExportedExit(paths, threshold, agreement, len(frames), leaving, policy)


def _certified(files: dict[str, bytes], batches: list[Tensor], relevant: Tensor, policy: ExitPolicy) -> ExitPolicy:
    """The policy's share certified on the files' logits; it belongs to the files, by their content."""
    front = session(files["front"])
    ready = torch.cat([torch.from_numpy(-run(front, (x,))[0][:, 0]) for x in batches])
    threshold, events, bound = certify(
        ready, relevant, relevant, max_harm=policy.max_harm, confidence=policy.confidence
    )
    return replace(
        policy,
        thresholds=(threshold,),
        harmful=(events,),
        bounds=(bound,),
        relevant=int((relevant == 1).sum()),
        goal="max_false_skip",
        model_hash=hashlib.sha256(files["front"] + files["rest"]).hexdigest(),
        largest=max(magnitude(x) for x in batches),
    )


def _split_bytes(
    front: nn.Module, rest: nn.Module, x: Tensor, h: Tensor, quant: str | None, calibration: list[Tensor] | None
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
