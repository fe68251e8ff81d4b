"""A node of an ONNX graph as its operator sees it, and what operators share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError

Operator = Callable[..., Any]
"""(node, *inputs) -> a tensor, or a tuple of them; an input that is left out is None."""

Numbers = Tensor | Sequence[Any]
"""Axes, shapes, scales and the like: a tensor where they are computed, Python's numbers where they are known."""

LARGEST = 2**31
"""Numbers in one tensor: what a file asks for beyond it is taken for an attack on the memory."""

CONVERTED = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""ONNX's number of a type -> torch's."""


class TooLargeError(InputError):
    """A tensor that no memory is meant to hold."""


class UnsupportedError(Exception):
    """A node that no operator here computes, in words."""


@dataclass
class Precision:
    """The floating type that a file computes in, and the one that its twin was moved to.

    Attributes:
        file: of the file's input.
        now: of the inputs of the running pass.
        device: of the running pass.
    """

    file: torch.dtype = torch.float32
    now: torch.dtype = torch.float32
    device: torch.device | str = "cpu"

    @property
    def fingerprint(self) -> str:
        """What it is made from; not of the last pass."""
        return f"precision {self.file}"


@dataclass
class Node:
    """What an operator knows beside its inputs.

    Attributes:
        kind: the operator's name.
        name: of the node.
        opset: of the file.
        attributes: by name; tensors as torch's.
        outputs: how many are asked for.
        precision: shared by all nodes of a graph.
    """

    kind: str
    name: str
    opset: int
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    precision: Precision = field(default_factory=Precision)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or what holds where the file doesn't give it.

        Args:
            name: of the attribute.
            default: ONNX's own.
        """
        return self.attributes.get(name, default)

    def dtype(self, number: int) -> torch.dtype:
        """A type by ONNX's number; the file's own precision stands for the one that the twin was moved to.

        Args:
            number: of `onnx.TensorProto`.
        """
        found = CONVERTED.get(number)
        if found is None:
            raise UnsupportedError(f"{self.kind} to the type {number}")
        return self.precision.now if found == self.precision.file else found


def whole(values: Numbers | None) -> list[Any] | None:
    """Numbers of axes, shapes, scales and the like, as Python has them.

    Args:
        values: a tensor, a sequence, or None, which stays.
    """
    if values is None:
        return None
    return values.reshape(-1).tolist() if isinstance(values, Tensor) else list(values)


def axes_of(node: Node, given: Numbers | None) -> list[int] | None:
    """The axes that an operator names as an input, or (in older files) as an attribute.

    Args:
        node: with the attribute `axes`, or without.
        given: the input.
    """
    return whole(given if given is not None else node.get("axes"))


def require_size(shape: Sequence[int], what: str) -> None:
    """Refuse a tensor that no memory is meant to hold, before it is made.

    Args:
        shape: of the tensor.
        what: makes it.

    Raises:
        TooLargeError: more numbers than `LARGEST`, or a negative size.
    """
    if any(n < 0 for n in shape) or math.prod(shape) > LARGEST:
        raise TooLargeError(
            f"the ONNX file's {what}",
            given=f"a tensor of shape {tuple(shape)}",
            expected=f"at most {LARGEST:,} numbers in one tensor",
        )
