"""An ONNX file as a network: by its torch twin where that was found to be the same, else by ONNX Runtime."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import dtype_of
from deepwright.core.errors import InputError, first_line
from deepwright.core.randomness import generator
from deepwright.nets.onnx_files.interface import Interface
from deepwright.nets.onnx_files.node import TooLargeError, UnsupportedError
from deepwright.nets.onnx_files.reading import Graph, Port, read_graph
from deepwright.nets.onnx_files.runtime import session
from deepwright.nets.onnx_files.twin import OnnxTwin, Operation, missing_operators

TOLERANCE, LOOSEST = 1e-5, 1e-4  # relative to the largest output
_ROWS = 5
_SIDES = (32, 64, 224)  # tried for sizes that are free in the file
_LEAST_AGREEMENT = 0.97  # of a quantised file's scores: a last bit can become a step


class Runtime:
    """A file in ONNX Runtime, on the CPU; it is loaded when it is first called.

    Args:
        path: of the file.
        digest: of all that it is made of, by which two of them are told apart.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self.path, self.fingerprint = path, digest
        self._session: Any = None

    def __call__(self, x: Tensor) -> list[Any]:
        """The file's outputs.

        Args:
            x: its input.

        Raises:
            InputError: the runtime fails on it.
        """
        if self._session is None:
            self._session = session(self.path, threads=torch.get_num_threads())
        array = x.detach().cpu()
        if array.dtype == torch.bfloat16:
            raise InputError("ONNX Runtime", given="inputs in bfloat16", expected="float32, float16 or float64")
        try:
            found = self._session.run(None, {self._session.get_inputs()[0].name: array.contiguous().numpy()})
        except Exception as error:  # its errors have no base of their own
            raise InputError(
                "ONNX Runtime failed on the input", given=f"shape {tuple(x.shape)}: {first_line(error)}"
            ) from error
        return [_rows(out) for out in found]

    def unload(self) -> None:
        """Give the memory back until the next call."""
        self._session = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Runtime:
        return Runtime(self.path, self.fingerprint)


def _rows(out: Any) -> Any:
    """An output as a tensor; a list of {class: probability}, as scikit-learn's converter gives, in columns."""
    if isinstance(out, list) and out and isinstance(out[0], dict):
        return torch.tensor([list(row.values()) for row in out], dtype=torch.float32)
    return torch.from_numpy(np.array(out)) if isinstance(out, np.ndarray) and out.dtype.kind in "biuf" else out


class Told:
    """What to tell about a network, by subject; it is no part of what the network is."""

    fingerprint = "what is told about a network"

    def __init__(self, **lines: str) -> None:
        self.lines = lines


class OnnxNetwork(nn.Module):
    """An ONNX file that takes one batch of samples and gives their scores.

    Attributes:
        twin: the file's operators in torch, with gradients; None where it can't be had or isn't the same.
        runtime: the file in ONNX Runtime.
        interface: how samples go in.
        told: what was compared, or why there are scores only.
    """

    def __init__(self, twin: OnnxTwin | None, runtime: Runtime, interface: Interface, told: Told) -> None:
        super().__init__()
        self.twin, self.runtime, self.interface, self.told = twin, runtime, interface, told
        self.train(False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell about it: what was compared, or why there are scores only."""
        return tuple(self.told.lines.values())

    @property
    def scores_only(self) -> bool:
        """Whether there are no gradients."""
        return self.twin is None

    def forward(self, x: Float[Tensor, "n ..."]) -> Tensor:
        """The file's scores.

        Args:
            x: samples.
        """
        return self._by_runtime(x) if self.twin is None else self._by_twin(x)

    def _by_twin(self, x: Tensor) -> Tensor:
        twin = self.twin
        assert twin is not None
        kind = self.interface.port.dtype
        x = self.interface.fitted(x, dtype_of(twin, kind or torch.float32))
        if self.interface.batch is None:
            return self.interface.chosen(twin(x))
        with torch._C.DisableTorchFunction():  # what watches functions would take a piece for the whole
            return self.interface.in_pieces(x, lambda piece: self.interface.chosen(twin(piece)))

    def _by_runtime(self, x: Tensor) -> Tensor:
        fitted = self.interface.fitted(x.detach())
        return self.interface.in_pieces(fitted, self._scores).to(x.device)

    def _scores(self, piece: Tensor) -> Tensor:
        found = self.interface.chosen(self.runtime(piece))
        if not isinstance(found, Tensor):
            raise InputError("the ONNX file's scores", given=type(found).__name__, expected="a tensor of numbers")
        return found

    def compare(self, x: Float[Tensor, "n ..."], what: str) -> None:
        """Compare the twin with ONNX Runtime on inputs; where they differ there are scores only from now on.

        Args:
            x: samples.
            what: they are, for the note.
        """
        if self.twin is None:
            return
        try:
            with torch.no_grad():
                gap, allowed, fine = self._gap(x)
        except TooLargeError:
            raise
        except (UnsupportedError, InputError) as error:
            self._distrust(first_line(error))
            return
        if fine:
            said = f"equal to ONNX Runtime on {len(x)} {what} within {gap:.2g} of the largest output"
            self.told.lines[what] = said
        else:
            self._distrust(
                f"its torch twin differs from ONNX Runtime on {what} by {gap:.2g} of the largest output "
                f"({allowed:.2g} is allowed)"
            )

    def _distrust(self, why: str) -> None:
        self.twin = None
        self.told.lines = {"file": f"scores only, by ONNX Runtime: {why}"}

    def _gap(self, x: Tensor) -> tuple[float, float, bool]:
        """(largest difference, what rounding explains, whether it is no more), relative to the largest output."""
        assert self.twin is not None
        want, got = self._by_runtime(x), self._by_twin(x)
        if got.shape != want.shape:
            return float("inf"), TOLERANCE, False
        size = float(want.double().abs().max()) or 1.0
        gaps = (got.double() - want.double()).abs() / size
        gap, allowed = float(gaps.max()), _allowed(want.dtype)
        if not np.isfinite(gap):
            same = torch.equal(torch.nan_to_num(got), torch.nan_to_num(want))
            return gap, allowed, same
        if gap > allowed and self._quantised():
            near = float((gaps <= 0.02).double().mean())
            return gap, allowed, bool(gaps.median() <= allowed) and near >= _LEAST_AGREEMENT
        if gap > allowed and want.dtype == torch.float32:
            allowed = self._rounding(x, got, size)
        return gap, allowed, gap <= allowed

    def _rounding(self, x: Tensor, single: Tensor, size: float) -> float:
        """Four times what single precision costs this network, found by its twin in double precision."""
        assert self.twin is not None
        exact = OnnxNetwork(copy.deepcopy(self.twin).double(), self.runtime, self.interface, Told())
        lost = float((exact._by_twin(x) - single.double()).abs().max()) / size
        return min(LOOSEST, max(TOLERANCE, 4 * lost))

    def _quantised(self) -> bool:
        assert self.twin is not None
        return any(cast(Operation, m).node.kind == "QuantizeLinear" for m in self.twin.operations.values())

    def train(self, mode: bool = True) -> OnnxNetwork:
        """Stay in eval mode: the file has one."""
        return super().train(False)


def _allowed(dtype: torch.dtype) -> float:
    """1e-5; in half precision eight roundings."""
    return max(TOLERANCE, 8 * torch.finfo(dtype).eps) if dtype in (torch.float16, torch.bfloat16) else TOLERANCE


def open_onnx(
    path: Path | str, *, example: Float[Tensor, "n ..."] | None = None, channels_last: bool = False
) -> OnnxNetwork:
    """An ONNX file as a network; with gradients where its torch twin gives what ONNX Runtime gives.

    The file is read without running anything, its torch twin is made, and both are run on random inputs (and on
    `example`) and compared: to 1e-5 of the largest output, or four times what single precision costs a deep network.
    Where an operator has no twin, or the outputs differ, the network gives scores only, and `notes` says why.

    Args:
        path: of the file; weights may lie in files of its own folder.
        example: some real inputs.
        channels_last: the file takes pixels (N, H, W, C); given are (N, C, H, W), as everywhere.

    Raises:
        MissingExtraError: onnx or onnxruntime is missing.
        InputError: a file that isn't sound or asks for too much memory; several inputs, or no scores.
    """
    graph = read_graph(path)
    interface = Interface.of(graph, bool(channels_last))
    lacking = _without_gradients(graph)
    runtime = Runtime(graph.path, graph.digest)
    if lacking:
        told = Told(file=f"scores only, by ONNX Runtime: no torch twin, for {', '.join(lacking)}")
        network = OnnxNetwork(None, runtime, interface, told)
    else:
        told = Told(file=f"an ONNX file of opset {graph.opset}, run by a torch twin of its operators")
        network = OnnxNetwork(OnnxTwin(graph), runtime, interface, told)
    x = _runnable(network, example)
    if x is not None:
        network.compare(x, "random inputs")
        _free_batch(network, x)
    elif example is None and network.twin is not None:
        network._distrust("sizes are free in the file and no random inputs of usual ones ran: give `example`")
    if example is not None:
        network.compare(example[:8], "real inputs")
    if network.twin is not None:
        runtime.unload()
    return network


def _without_gradients(graph: Graph) -> list[str]:
    """Why there is no twin, in words."""
    lacking = missing_operators(graph)
    kind = graph.inputs[0].dtype
    if kind is not None and not kind.is_floating_point:
        lacking.append(f"inputs of {kind}, which have no gradients")
    return lacking


def _runnable(network: OnnxNetwork, example: Tensor | None) -> Tensor | None:
    """Random inputs that the file takes; None where no size that was tried fits. A fixed batch is found here too."""
    for x in _random(network.interface.port, network.interface.channels_last, example):
        for rows in (_ROWS, 1):
            try:
                if network.twin is not None:  # first: it refuses what is too large before the runtime makes it
                    with torch.no_grad():
                        network._by_twin(x[:rows])
                network._by_runtime(x[:rows])
            except UnsupportedError as error:
                network._distrust(f"no torch twin, for {error}")
            except TooLargeError:
                raise
            except InputError:
                continue
            else:
                if rows == 1 and network.interface.batch is None:
                    network.interface.batch = 1
                return x
    return None


def _random(port: Port, channels_last: bool, example: Tensor | None) -> list[Tensor]:
    """Uniform and normal numbers, or zeros and ones, in the sizes of the file; free ones are the example's or usual."""
    rng, found = generator(0, "onnx inputs"), []
    sizes = port.shape[1:]
    if channels_last and len(sizes) == 3:
        sizes = (sizes[2], sizes[0], sizes[1])
    for side in _SIDES if None in sizes and example is None else _SIDES[:1]:
        like = (side,) * len(sizes) if example is None else tuple(example.shape[1:])
        shape = (2 * _ROWS, *(n or m for n, m in zip(sizes, like)))
        if port.dtype is not None and (port.dtype.is_floating_point or port.dtype == torch.uint8):
            x = torch.rand(shape, generator=rng)
            if port.dtype.is_floating_point:
                x[1::2] = torch.randn(x[1::2].shape, generator=rng)
            found.append(x)
        else:
            found.append(torch.randint(0, 2, shape, generator=rng))
    return found


def _free_batch(network: OnnxNetwork, x: Tensor) -> None:
    """Let the twin take batches of any size, where it gives the same as in pieces of the size that is fixed."""
    twin, size = network.twin, network.interface.batch
    if twin is None or size is None:
        return
    with torch.no_grad():
        pieces = network._by_twin(x)
        network.interface.batch = None
        try:
            whole = network._by_twin(x)
            same = whole.shape == pieces.shape and torch.allclose(whole, pieces, rtol=1e-5, atol=1e-6)
        except (InputError, UnsupportedError):
            same = False
    network.interface.batch = None if same else size
