"""Peak activation memory, from the lives of tensors in the exported graph."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from deepwright.compress.errors import ShapeError
from deepwright.compress.exporting import export_program
from deepwright.core.errors import InputError


def peak_activation_bytes(model: nn.Module, x: Tensor) -> tuple[int | None, str]:
    """Peak bytes of live activations (input included) in the exported graph's order, or None and the reason.

    A tensor lives from the node that makes it to its last use; views and in-place results share their source's storage.

    Args:
        model: left as found.
        x: an input batch.
    """
    try:
        program = export_program(model, (x,))
    except ShapeError:
        raise
    except InputError as error:
        return None, f"peak activation memory unknown: torch.export failed ({str(error.given).splitlines()[0][:160]})"
    graph = program.graph
    inputs = set(program.graph_signature.user_inputs)
    storage: dict[Any, Any] = {}
    size: dict[Any, int] = {}
    last: dict[Any, int] = {}
    nodes = list(graph.nodes)
    for i, node in enumerate(nodes):
        if node.op == "placeholder" and node.name not in inputs:
            continue
        if node.op in ("placeholder", "call_function"):
            source = _aliased(node)
            storage[node] = storage.get(source, node) if source is not None else node
            if storage[node] is node:
                size[node] = _bytes(node.meta.get("val"))
        for used in node.all_input_nodes:
            if used in storage:
                last[storage[used]] = i
    alive, peak = 0, 0
    ends: dict[int, list[Any]] = {}
    for owner, i in last.items():
        ends.setdefault(i, []).append(owner)
    for i, node in enumerate(nodes):
        if node in size:
            alive += size[node]
        peak = max(peak, alive)
        for owner in ends.get(i, []):
            alive -= size.get(owner, 0)
    return peak, ""


def _aliased(node: Any) -> Any:
    """The node whose storage this one's result shares, if any."""
    if node.op != "call_function":
        return None
    if "getitem" in str(node.target):
        return node.args[0] if not isinstance(node.args[0].meta.get("val"), tuple | list) else None
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.returns or schema.returns[0].alias_info is None:
        return None
    return node.args[0] if node.args and hasattr(node.args[0], "op") else None


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return math.prod(value.shape) * value.element_size()
    return 0
