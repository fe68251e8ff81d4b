"""How samples go into an ONNX file and scores come out: types, layout, batch sizes that are fixed in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.nets.fixed_batches import in_full_batches
from deepwright.nets.onnx_files.reading import Graph, Port


@dataclass
class Interface:
    """The one input and the scores of a file.

    Attributes:
        port: the input.
        output: which of the outputs the scores are.
        channels_last: pixels (N, C, H, W) are given as (N, H, W, C).
        batch: the only batch size that it takes; None where it takes any.
    """

    port: Port
    output: int
    channels_last: bool = False
    batch: int | None = None

    @classmethod
    def of(cls, graph: Graph, channels_last: bool) -> Interface:
        """Of a file that was read.

        Args:
            graph: the file.
            channels_last: see `Interface`.

        Raises:
            InputError: no input or several, an input that is no tensor, no output of scores.
        """
        if len(graph.inputs) != 1:
            raise InputError(
                str(graph.path),
                given=f"{len(graph.inputs)} inputs ({', '.join(p.name for p in graph.inputs)})",
                expected="one input of samples",
                hint="export the network with the others fixed",
            )
        port = graph.inputs[0]
        if port.dtype is None or not port.shape:
            raise InputError(str(graph.path), given=f"an input of type {port.kind}", expected="a tensor of samples")
        return cls(port, _scores_among(graph), channels_last, port.shape[0])

    def fitted(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Samples as the file takes them.

        Args:
            x: a batch.
            dtype: of floats, in place of the file's.

        Raises:
            InputError: another shape, channels first where the file has them last, floats for whole numbers.
        """
        if self.channels_last and x.ndim == 4:
            x = x.permute(0, 2, 3, 1)
        if not self._takes(tuple(x.shape)):
            raise self._misfit(x)
        kind = self.port.dtype
        assert kind is not None
        if kind.is_floating_point:
            return x.to(kind if dtype is None else dtype)
        if kind == torch.uint8 and x.is_floating_point():
            return (x * 255).round().to(kind)
        if x.is_floating_point():
            raise InputError("input of the ONNX network", given=f"{x.dtype}", expected=f"{kind}, as the file has it")
        return x.to(kind)

    def _takes(self, shape: tuple[int, ...]) -> bool:
        wanted = self.port.shape
        return len(shape) == len(wanted) and all(w in (None, n) for n, w in zip(shape[1:], wanted[1:]))

    def _misfit(self, x: Tensor) -> InputError:
        wanted = ", ".join("any" if n is None else str(n) for n in self.port.shape[1:])
        turned = x.ndim == 4 and not self.channels_last and self._takes(tuple(x.permute(0, 2, 3, 1).shape))
        return InputError(
            "input of the ONNX network",
            given=f"shape {tuple(x.shape)}",
            expected=f"(N, {wanted})" + (", channels last (N, H, W, C)" if turned else ""),
            hint="from Python: open_onnx(path, channels_last=True) turns pixels (N, C, H, W) round" if turned else None,
        )

    def in_pieces(self, x: Tensor, call: Callable[[Tensor], Tensor]) -> Tensor:
        """What `call` gives on batches of the size that is fixed; the last one is filled up, and what it adds dropped.

        Args:
            x: a batch of any size, fitted.
            call: takes batches of that size.
        """
        if self.batch is None:
            return call(x)
        found: Tensor = in_full_batches(x, self.batch, call, "an ONNX file", "export it with a free batch size")
        return found

    def chosen(self, out: Any) -> Any:
        """The scores among a file's outputs.

        Args:
            out: one output, or all of them.
        """
        return out[self.output] if isinstance(out, tuple | list) else out


def _scores_among(graph: Graph) -> int:
    """Which output holds scores: the first of floats, or what scikit-learn's converter makes of probabilities."""
    for i, port in enumerate(graph.outputs):
        if port.dtype is not None and port.dtype.is_floating_point:
            return i
    for i, port in enumerate(graph.outputs):
        if port.kind == 0:
            return i
    raise InputError(
        str(graph.path),
        given=f"outputs {', '.join(p.name for p in graph.outputs)} of whole numbers: labels alone",
        expected="an output of scores",
        hint="export the scores before the arg max",
    )
