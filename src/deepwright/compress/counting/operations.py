"""The operations of a network that multiply and accumulate, with their sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.coupling.nodes import args, bound, module_of, op_name, shape_of, static
from deepwright.compress.coupling.rules.table import RECURRENT
from deepwright.compress.exporting import export_program

KINDS = ("conv", "pointwise", "depthwise", "linear", "matmul")


@dataclass(frozen=True)
class Layer:
    """One operation that multiplies and accumulates, for one input sample.

    Attributes:
        name: its module.
        kind: one of `KINDS`.
        macs: multiply-accumulates.
        weights: elements of its weight.
        inputs: elements.
        outputs: elements.
        tile: elements of the smallest working set: the input rows under one kernel, one row of outputs, the weights of
            one output channel.
    """

    name: str
    kind: str
    macs: int
    weights: int
    inputs: int
    outputs: int
    tile: int


def layers(model: nn.Module, example: Any) -> list[Layer]:
    """Every convolution, linear map, matrix product and recurrent layer of the exported graph, in order, per sample.

    Args:
        model: left as found.
        example: a batch, or a tuple of inputs.
    """
    inputs = example if isinstance(example, tuple) else (example,)
    program = export_program(model, inputs, {})
    batch = next((len(e) for e in inputs if isinstance(e, Tensor) and e.ndim), 1)
    found = (layer_of(node, max(batch, 1)) for node in program.graph.nodes if node.op == "call_function")
    return [layer for layer in found if layer is not None]


def layer_of(node: Node, batch: int) -> Layer | None:
    """The layer that a node of an exported graph is, or None where it does no multiplications.

    Args:
        node: of a program.
        batch: samples of the program's example, which sizes are divided by.
    """
    name = op_name(node.target)
    out = shape_of(node) if isinstance(node.meta.get("val"), Tensor) else ()
    if name.startswith("conv"):
        w, x = shape_of(bound(node)["weight"]), shape_of(args(node)[0])
        spatial = math.prod(w[2:])
        transposed = "transpose" in name
        macs = math.prod(x if transposed else out) * w[1] * spatial
        groups = int(bound(node).get("groups", 1))
        kind = "depthwise" if groups > 1 and w[1] == 1 else "pointwise" if spatial == 1 else "conv"
        rows = w[2] * x[-1] * w[1] if len(w) == 4 else w[2] * w[1]
        tile = rows + out[-1] + w[1] * spatial
        return Layer(
            module_of(node), kind, macs // batch, math.prod(w), math.prod(x) // batch, math.prod(out) // batch, tile
        )
    if name == "linear":
        w, x = shape_of(args(node)[1]), shape_of(args(node)[0])
        macs = math.prod(out) * w[1]
        return Layer(
            module_of(node),
            "linear",
            macs // batch,
            math.prod(w),
            math.prod(x) // batch,
            math.prod(out) // batch,
            2 * w[1] + 1,
        )
    if name in ("mm", "bmm", "matmul", "addmm", "baddbmm"):
        start = 1 if name in ("addmm", "baddbmm") else 0
        x, y = shape_of(args(node)[start]), shape_of(args(node)[start + 1])
        inner = x[-1]
        moved = (math.prod(x) + math.prod(y)) // batch
        return Layer(
            module_of(node), "matmul", math.prod(out) * inner // batch, 0, moved, math.prod(out) // batch, 2 * inner + 1
        )
    if name == "scaled_dot_product_attention":
        q, k, v = (shape_of(a) for a in args(node)[:3])
        macs = math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
        moved = (math.prod(q) + math.prod(k) + math.prod(v)) // batch
        return Layer(module_of(node), "matmul", macs // batch, 0, moved, math.prod(out) // batch, 2 * q[-1] + 1)
    if name == "einsum" and len(args(node)[1]) == 2:
        return _einsum(node, batch)
    if name in RECURRENT:
        x = shape_of(args(node)[0])
        weights = [
            math.prod(w) for n in node.all_input_nodes[1:] if n.op == "placeholder" and len(w := shape_of(n)) == 2
        ]
        made = node.meta["val"][0] if isinstance(node.meta["val"], tuple | list) else node.meta["val"]
        macs = math.prod(x[:-1]) * sum(weights)
        out_size = math.prod(static(made.shape))
        return Layer(
            module_of(node),
            "linear",
            macs // batch,
            sum(weights),
            math.prod(x) // batch,
            out_size // batch,
            2 * x[-1] + 1,
        )
    return None


def _einsum(node: Node, batch: int) -> Layer | None:
    """A product of two tensors over all letters, where each letter is an axis."""
    terms = str(args(node)[0]).replace(" ", "").partition("->")[0].split(",")
    shapes = [shape_of(n) for n in args(node)[1]]
    if any(len(t) != len(s) for t, s in zip(terms, shapes)):
        return None
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes):
        for letter, size in zip(term, shape):
            sizes[letter] = max(size, sizes.get(letter, 1))
    moved, out = sum(map(math.prod, shapes)) // batch, math.prod(shape_of(node))
    macs = math.prod(sizes.values())
    return Layer(module_of(node), "matmul", macs // batch, 0, moved, out // batch, 2 * macs // max(out, 1) + 1)
