"""From a graph to factors: what each node does to flat vectors, and where branches meet in an addition."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx, nn

from deepwright.interpret.tunnel import activations
from deepwright.interpret.tunnel.graphs import Graph, is_hooked
from deepwright.interpret.tunnel.layers import Affine, Chain, Diagonal, Element, Opaque, Pointwise, Residual
from deepwright.interpret.tunnel.norms import DENSE, convolution_norm, largest, pooled_norm

ADDS = ("add", "iadd")
_PASS = (
    "flatten",
    "view",
    "reshape",
    "contiguous",
    "dropout",
    "dropout_",
    "identity",
    "clone",
    "detach",
    "alias",
    "to",
    "_to_copy",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "size",
    "_unsafe_view",
)
_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "convolution",
    "addmm",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "mean",
    "sum",
    "permute",
    "transpose",
    "t",
    "neg",
    "matmul",
    "mm",
    "getitem",
    "select",
    "slice",
    "_adaptive_avg_pool2d",
)
_LINEAR_MODULES = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
)
_SQUASH = ("sigmoid", "softmax", "_softmax", "log_softmax", "_log_softmax", "logsoftmax", "logsigmoid", "log_sigmoid")


def word(graph: Graph, node: fx.Node) -> str:
    """What a node does, in lower case and without the form in which it was written.

    Args:
        graph: of it.
        node: any.
    """
    leaf = graph.leaf(node)
    if leaf is not None:
        return type(leaf).__name__.lower()
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        name = target._schema.name.split("::")[-1]
    else:
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return name.rstrip("_").lower()


def label(graph: Graph, node: fx.Node) -> str:
    """The module in whose forward a node stands.

    Args:
        graph: of it.
        node: any.
    """
    stack = node.meta.get("nn_module_stack")
    if node.op == "call_module":
        return str(node.target)
    names = [value[0] if isinstance(value, tuple) else str(value) for value in stack.values()] if stack else []
    name = names[-1] if names else ""
    return name.replace("L['self'].", "").replace("L['self']", "") or node.name


def squashed(graph: Graph) -> tuple[fx.Node, str]:
    """The node of the logits, and what comes after it ("" where nothing does).

    Args:
        graph: of a network.
    """
    node, what = graph.output, ""
    while node in graph.dominator and graph.parents[node] == [graph.dominator[node]]:
        name = word(graph, node)
        if is_hooked(graph.leaf(node)):
            break
        if name in _SQUASH:
            return graph.dominator[node], name.strip("_")
        if name not in (*_PASS, "identity"):
            break
        node = graph.dominator[node]
    return graph.output, what


def take_apart(graph: Graph, target: fx.Node | None = None, source: fx.Node | None = None) -> Chain:
    """The factors from one node to another.

    Args:
        graph: of a network.
        target: the output when None.
        source: which dominates it; the input when None.
    """
    source, node = source or graph.input, target or graph.output
    found: list[Element] = []
    while node is not source:
        before = graph.dominator[node]
        found += reversed(_elements(graph, node, before))
        node = before
    return tuple(reversed(found))


def _elements(graph: Graph, node: fx.Node, before: fx.Node) -> list[Element]:
    parents, name = graph.parents[node], word(graph, node)
    if name in ADDS and len(parents) == 2 and _plain_sum(graph, node):
        skip, branch = branches(graph, node)
        width = _count(graph, before)
        skips, residuals = take_apart(graph, skip, before), take_apart(graph, branch, before)
        return [Residual(label(graph, node), skips, residuals, width)]
    if len(parents) == 1 and sum(a is parents[0] for a in node.all_input_nodes) == 1 and _once(node, parents[0]):
        return _unary(graph, node, before, name)
    return [_opaque(graph, node, before, "more than one branch meets in it, and not by addition")]


def _once(node: fx.Node, parent: fx.Node) -> bool:
    """Whether the input stands in a node's arguments once: x * x isn't a multiple of x."""
    seen: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), lambda n: seen.append(n) or n)  # type: ignore[func-returns-value]
    return sum(n is parent for n in seen) == 1


def _plain_sum(graph: Graph, node: fx.Node) -> bool:
    same = len({graph.shapes.get(p) for p in (*graph.parents[node], node)}) == 1
    return same and bool(node.kwargs.get("alpha", 1) == 1) and len(node.args) == 2


def branches(graph: Graph, node: fx.Node) -> tuple[fx.Node, fx.Node]:
    """The skip (fewer parametrised nodes, then fewer nodes) and the residual of an addition.

    Args:
        graph: of it.
        node: the addition.
    """
    before = graph.dominator[node]

    def weight(end: fx.Node) -> tuple[int, int]:
        inside = graph.between(before, end)
        return sum(_has_weights(graph, n) for n in inside), len(inside)

    a, b = graph.parents[node]
    return (a, b) if weight(a) <= weight(b) else (b, a)


def _has_weights(graph: Graph, node: fx.Node) -> bool:
    leaf = graph.leaf(node)
    if leaf is not None:
        return any(True for _ in leaf.parameters())
    return any(n.op == "get_attr" for n in node.all_input_nodes)


def _count(graph: Graph, node: fx.Node) -> int:
    return math.prod(graph.shapes[node])


def _opaque(graph: Graph, node: fx.Node, before: fx.Node, why: str, upper: float = math.inf) -> Opaque:
    return Opaque(f"{label(graph, node)} ({word(graph, node)})", why, _count(graph, before), _count(graph, node), upper)


def _unary(graph: Graph, node: fx.Node, before: fx.Node, name: str) -> list[Element]:
    leaf, where = graph.leaf(node), label(graph, node)
    if node not in graph.shapes or before not in graph.shapes:
        return [Opaque(where, "it gives no tensor", 0, 0)]
    if is_hooked(leaf):
        return [_opaque(graph, node, before, "a hook may change what it gives")]
    passes = name in _PASS or name.startswith("dropout") or isinstance(leaf, nn.Flatten | nn.Identity | nn.Unflatten)
    if passes and _count(graph, node) == _count(graph, before):
        return []
    activation = activations.of_module(leaf) if leaf is not None else _function(node, name)
    if activation is not None:
        return [Pointwise(activation, _count(graph, node), where)]
    try:
        if _is_diagonal(leaf, name):
            return [_diagonal(graph, node, before, where)]
        if isinstance(leaf, _LINEAR_MODULES) or (leaf is None and name in _LINEAR):
            return [_affine(graph, node, before, where)]
    except (RuntimeError, TypeError, IndexError):  # sizes that were written into the graph
        return [_opaque(graph, node, before, "it takes no other batch")]
    upper = pooled_norm(leaf) if leaf is not None else math.inf
    return [_opaque(graph, node, before, "its kind isn't taken apart", upper)]


def _function(node: fx.Node, name: str) -> activations.Activation | None:
    plain = len(node.args) == 1 and not any(v for v in node.kwargs.values() if v not in ("none", False, None))
    return activations.ACTIVATIONS.get(name) if plain or (name == "relu" and len(node.args) == 2) else None


def _is_diagonal(leaf: nn.Module | None, name: str) -> bool:
    if leaf is not None:
        return isinstance(leaf, nn.modules.batchnorm._BatchNorm)
    return name in (
        "mul",
        "imul",
        "div",
        "truediv",
        "itruediv",
        "neg",
        "sub",
        "isub",
        "batch_norm",
        "_native_batch_norm_legit_no_training",
        *ADDS,
    )


def _probe(graph: Graph, node: fx.Node, before: fx.Node, x: Tensor) -> Tensor:
    out = graph.apply(node, x.view(len(x), *graph.shapes[before]))
    return (out[0] if isinstance(out, tuple) else out).reshape(len(x), -1)


def _numbers(graph: Graph) -> dict[str, Any]:
    first = next((p for p in graph.module.parameters()), None)
    return {"dtype": torch.float64, "device": "cpu" if first is None else first.device}


def _diagonal(graph: Graph, node: fx.Node, before: fx.Node, where: str) -> Element:
    """What acts feature by feature and affinely is known from two inputs; a third one must agree."""
    width = _count(graph, before)
    x = torch.zeros(3, width, **_numbers(graph))
    x[1], x[2] = 1, torch.linspace(-3, 2, width, **_numbers(graph))
    out = _probe(graph, node, before, x)
    if out.shape != x.shape:
        return _opaque(graph, node, before, "it changes the shape")
    factor = out[1] - out[0]
    if not torch.allclose(out[2], factor * x[2] + out[0], rtol=1e-9, atol=1e-9):
        return _opaque(graph, node, before, "it isn't affine")
    return Diagonal(factor, out[0], where)


def _affine(graph: Graph, node: fx.Node, before: fx.Node, where: str) -> Element:
    """A linear map as its matrix where that fits; else its norm alone."""
    leaf, inputs, outputs = graph.leaf(node), _count(graph, before), _count(graph, node)
    if inputs * outputs > DENSE:
        if isinstance(leaf, nn.Conv1d | nn.Conv2d | nn.Conv3d) and leaf.padding_mode == "zeros":
            return _opaque(
                graph, node, before, "too large for a matrix", convolution_norm(leaf, graph.shapes[before][1:])
            )
        upper = largest(leaf.weight.double()) if isinstance(leaf, nn.Linear) else math.inf
        return _opaque(graph, node, before, "too large for a matrix", upper)
    numbers = _numbers(graph)
    bias = _probe(graph, node, before, torch.zeros(1, inputs, **numbers))[0]
    columns = [_probe(graph, node, before, rows) - bias for rows in torch.eye(inputs, **numbers).split(512)]
    weight = torch.cat(columns).T
    x = torch.linspace(-3, 2, inputs, **numbers)[None]
    if not torch.allclose(_probe(graph, node, before, x), x @ weight.T + bias, rtol=1e-8, atol=1e-8):
        return _opaque(graph, node, before, "it isn't affine")
    return Affine(weight.contiguous(), bias, where)
