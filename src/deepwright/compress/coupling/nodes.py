"""What can be read off one node of a `torch.export` graph: its operation, arguments, shape, module and source line."""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor
from torch.fx import Node

FRESH = frozenset(["zeros", "ones", "full", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like"])
"""Operations that make a tensor of sizes that the code gives, whatever its inputs hold."""


def op_name(target: Any) -> str:
    """relu for aten.relu.default and aten.relu_.default; getitem for Python's."""
    if target is operator.getitem:
        return "getitem"
    packet = getattr(target, "_overloadpacket", None)
    name = packet.__name__ if packet is not None else getattr(target, "__name__", str(target))
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def has_tensors(value: Any) -> bool:
    """Whether a node's value holds a tensor."""
    if isinstance(value, tuple | list):
        return any(has_tensors(v) for v in value)
    return isinstance(value, Tensor)


def static(shape: Any) -> tuple[int, ...]:
    """Sizes as integers (a size that depends on data counts as its hint)."""
    return tuple(int(s) if not hasattr(s, "node") else int(s.node.hint or 1) for s in shape)


def bound(node: Node) -> dict[str, Any]:
    """A call's arguments by their schema's names, defaults included."""
    target: Any = node.target
    schema = target._schema
    values = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    values |= {a.name: v for a, v in zip(schema.arguments, node.args)}
    return values | dict(node.kwargs)


def args(node: Node) -> list[Any]:
    """A call's positional arguments."""
    return list(node.args)


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of a node's output."""
    return static(node.meta["val"].shape)


def module_of(node: Node) -> str:
    """The fully qualified name of the innermost module that ran a node."""
    stack = node.meta.get("nn_module_stack") or {}
    return list(stack.values())[-1][0] if stack else ""


def source_of(node: Node) -> str:
    """The innermost line of user code behind a node, as `file:line: text`."""
    return last_line(node.meta.get("stack_trace") or "")


def last_line(trace: str) -> str:
    """The last frame of a stack trace, in one line."""
    lines = [line.strip() for line in trace.strip().splitlines() if line.strip()]
    places = [i for i, line in enumerate(lines) if line.startswith('File "')]
    if not places:
        return ""
    own = [i for i in places if "/torch/" not in lines[i]]
    at = (own or places)[-1]
    file, _, rest = lines[at].removeprefix('File "').partition('", line ')
    number = rest.split(",")[0]
    return f"{file}:{number}: {lines[at + 1] if at + 1 < len(lines) else ''}"
