"""An ONNX file as plain parts: what goes in and out, its constants, its nodes in order; looked at before it is run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError, first_line
from deepwright.nets.onnx_files.external import content_digest, read_proto, require_beside
from deepwright.nets.onnx_files.node import CONVERTED, LARGEST, Node, Precision


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: in the file.
        kind: ONNX's number of its type; 0 for what is no tensor.
        shape: sizes; None where they are free.
    """

    name: str
    kind: int
    shape: tuple[int | None, ...]

    @property
    def dtype(self) -> torch.dtype | None:
        """Torch's word for the type; None where it has none."""
        return CONVERTED.get(self.kind)


@dataclass(frozen=True)
class Step:
    """A node and the names of what goes through it.

    Attributes:
        node: what its operator knows.
        domain: of the operator; empty for ONNX's own.
        inputs: names; empty where one is left out.
        outputs: names.
        inner: whether it holds a graph of its own (If, Loop, Scan).
    """

    node: Node
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inner: bool


@dataclass
class Graph:
    """An ONNX file, read.

    Attributes:
        path: of the file.
        digest: SHA-256 of the file and of those beside it that hold its weights.
        opset: of ONNX's own operators.
        inputs: without those that have a constant.
        outputs: in order.
        constants: by name; those of types that torch lacks are left out.
        steps: nodes in an order in which they can run.
        precision: what its operators compute in.
        lacking: types of constants that torch lacks, in words.
    """

    path: Path
    digest: str
    opset: int
    inputs: list[Port]
    outputs: list[Port]
    constants: dict[str, Tensor]
    steps: list[Step]
    precision: Precision
    lacking: list[str] = field(default_factory=list)


def read_graph(path: Path | str) -> Graph:
    """Read and check an ONNX file; nothing in it is run.

    Args:
        path: of the file.

    Raises:
        MissingExtraError: onnx is missing.
        InputError: no such file, tensors outside of its folder, a graph with circles or without what a node needs,
            tensors that no memory is meant to hold.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("ONNX file", given=str(path), expected="a file")
    proto = read_proto(path)
    import onnx.inliner

    require_beside(proto, path.resolve().parent, str(path))
    _require_modest(proto.graph.initializer, str(path))
    try:
        model = onnx.inliner.inline_local_functions(onnx.load(str(path))) if proto.functions else onnx.load(str(path))
        onnx.checker.check_model(str(path))
        _require_known_shapes(model, str(path))
        return graph_of(path, model, content_digest(path, proto))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # the checker's and protobuf's errors have no base of their own
        raise InputError(f"cannot read {path}", given=_said(error), expected="a sound ONNX file") from error


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or first_line(error)


def _require_modest(tensors: Any, what: str) -> None:
    for tensor in tensors:
        _require_numbers(list(tensor.dims), what, tensor.name)


def _require_numbers(shape: list[int], what: str, name: str) -> None:
    if any(n < 0 for n in shape) or math.prod(shape) > LARGEST:
        raise InputError(
            what, given=f"{name!r} of shape {tuple(shape)}", expected=f"at most {LARGEST:,} numbers in one tensor"
        )


def _require_known_shapes(model: Any, what: str) -> None:
    """Refuse what the sizes in the file say already to be too large; the runtime would make it while it loads."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model) if model.ByteSize() < 2**28 else None
    if not bare.ByteSize():
        return
    inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    for value in [*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input]:
        sizes = [d.dim_value if d.HasField("dim_value") else 1 for d in value.type.tensor_type.shape.dim]
        _require_numbers(sizes, what, value.name)


def graph_of(path: Path, model: Any, digest: str = "") -> Graph:
    """A model that was read and checked, as plain parts.

    Args:
        path: of its file.
        model: of onnx.
        digest: of all that it is made of.
    """
    graph, lacking = model.graph, []
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    constants: dict[str, Tensor] = {}
    for tensor in graph.initializer:
        value = _tensor(tensor)
        if value is None:
            lacking.append(f"constants of type {tensor.data_type}")
        else:
            constants[tensor.name] = value
    if graph.sparse_initializer:
        lacking.append("sparse constants")
    inputs = [_port(v) for v in graph.input if v.name not in constants]
    first = next((p.dtype for p in inputs if p.dtype is not None and p.dtype.is_floating_point), torch.float32)
    precision = Precision(first, first)
    steps = []
    for i, proto in enumerate(graph.node):
        step = _step(i, proto, opset, precision)
        if proto.op_type == "Constant" and not step.domain:
            value = _constant(step.node)
            if value is None:
                lacking.append("constants of other types")
            else:
                constants[step.outputs[0]] = value
        else:
            steps.append(step)
    outputs = [_port(v) for v in graph.output]
    return Graph(path, digest, opset, inputs, outputs, constants, steps, precision, sorted(set(lacking)))


def _port(value: Any) -> Port:
    tensor = value.type.tensor_type if value.type.HasField("tensor_type") else None
    if tensor is None:
        return Port(value.name, 0, ())
    sizes = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)
    return Port(value.name, tensor.elem_type, sizes)


def _tensor(proto: Any) -> Tensor | None:
    """A constant; None for a type that torch lacks."""
    import onnx

    _require_numbers(list(proto.dims), "the ONNX file", proto.name or "a constant")
    kind = CONVERTED.get(proto.data_type)
    if kind is None:
        return None
    array = onnx.numpy_helper.to_array(proto)
    if kind == torch.bfloat16:
        return torch.from_numpy(np.array(array, dtype=np.float32)).to(kind)
    return torch.from_numpy(np.array(array))  # a copy, which is writable and owns its memory


def _step(index: int, proto: Any, opset: int, precision: Precision) -> Step:
    from onnx import AttributeProto
    from onnx.helper import get_attribute_value

    attributes: dict[str, Any] = {}
    inner = False
    for attribute in proto.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            inner = True
            continue
        value = get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            value = _tensor(value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif attribute.type in (AttributeProto.FLOATS, AttributeProto.INTS):
            value = list(value)
        attributes[attribute.name] = value
    name = proto.name or f"{proto.op_type}_{index}"
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    node = Node(proto.op_type, name, opset, attributes, len(proto.output), precision)
    return Step(node, domain, tuple(proto.input), tuple(proto.output), inner)


def _constant(node: Node) -> Tensor | None:
    for word, value in node.attributes.items():
        if word == "value":
            return value
        if word in ("value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.float32)
        if word in ("value_int", "value_ints"):
            return torch.tensor(value, dtype=torch.int64)
    return None
