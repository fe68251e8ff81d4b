"""What each operation does to axis labels.

A rule takes the walk and a node of a `torch.export` graph, ties what must go together, and gives the labels of the
node's output. What has no rule freezes its inputs and is listed: nothing is guessed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from deepwright.compress.labels import Block, Ids, Labels, LabelSpace, sole_axis

Rule = Callable[["Walk", Node], Any]


@dataclass(frozen=True)
class Contraction:
    """A node that sums over a live axis of its operand: where removed units are cut."""

    node: Node
    operand: int
    axis: int
    ids: Ids


@dataclass(frozen=True)
class Inexact:
    """A node whose arithmetic changes with the width of a live axis (a norm's statistics, an attention's scale)."""

    node: Node
    axis: int
    ids: Ids


class Walk:
    """The state of one pass over a graph."""

    def __init__(self, space: LabelSpace, on_norm: str) -> None:
        self.space, self.on_norm = space, on_norm
        self.labels: dict[Node, Any] = {}
        self.contractions: list[Contraction] = []
        self.inexact: list[Inexact] = []
        self.consumed: list[Ids] = []  # weights' axes that are summed over
        self.summed: list[Ids] = []  # sums of two activations
        self.parameters: set[Node] = set()
        self.produced: list[Ids] = []
        self.notes: dict[Node, str] = {}
        self.unsupported: list[Node] = []

    def of(self, value: Any) -> Labels:
        """The labels of an argument."""
        return self.labels[value]

    def axis(self, node: Node, axis: int, avoid: Sequence[int] = ()) -> Ids | None:
        """One axis of a node's output."""
        return self.space.axis(self.of(node), axis, avoid)

    def contract(
        self, node: Node, operand: int, sides: tuple[Node, Node], axis: int, x: Ids | None, other: Ids | None
    ) -> None:
        """Tie the two sides of a sum over an axis of the first, and remember where it is and which side is a weight."""
        self.space.tie(x, other)
        if x is None or other is None:
            return
        self.contractions.append(Contraction(node, operand, axis % len(self.of(sides[0]).shape), x))
        weights = [ids for side, ids in zip(sides, (x, other)) if self.is_weight(side)]
        (self.consumed if weights else self.summed).extend(weights or [x])

    def is_weight(self, node: Node) -> bool:
        """Whether a node is a parameter, perhaps transposed."""
        while node.op == "call_function" and op_name(node.target) in ("t", "transpose", "permute", "numpy_T", "to"):
            node = args(node)[0]
        return node in self.parameters

    def produce(self, ids: Ids | None) -> Ids | None:
        """Remember a weight's output axis."""
        if ids is not None:
            self.produced.append(ids)
        return ids

    def visit(self, node: Node) -> Any:
        """The labels of a call's output."""
        name = op_name(node.target)
        rule = RULES.get(name)
        if rule is None and is_pointwise(node.target):
            rule = pointwise
        if rule is None:
            return self.give_up(node)
        return rule(self, node)

    def give_up(self, node: Node, note: str = "") -> Any:
        """Freeze every input; the output is frozen too."""
        for used in node.all_input_nodes:
            for labels in flat_labels(self.labels.get(used)):
                self.space.freeze_all(labels)
        if has_tensors(node.meta.get("val")):
            if note:
                self.notes[node] = note
            else:
                self.unsupported.append(node)
        return frozen_like(node.meta.get("val"))


def op_name(target: Any) -> str:
    """relu for aten.relu.default and aten.relu_.default; getitem for Python's."""
    if target is operator.getitem:
        return "getitem"
    packet = getattr(target, "_overloadpacket", None)
    name = packet.__name__ if packet is not None else getattr(target, "__name__", str(target))
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def is_pointwise(target: Any) -> bool:
    """Whether torch itself calls the operation element-wise."""
    return torch.Tag.pointwise in getattr(target, "tags", ())


def has_tensors(value: Any) -> bool:
    """Whether a node's value holds a tensor."""
    if isinstance(value, tuple | list):
        return any(has_tensors(v) for v in value)
    return isinstance(value, Tensor)


def frozen_like(value: Any) -> Any:
    """Frozen labels for a value or a tuple of values."""
    if isinstance(value, tuple | list):
        return tuple(frozen_like(v) for v in value)
    return Labels(static(value.shape)) if isinstance(value, Tensor) else None


def static(shape: Any) -> tuple[int, ...]:
    """Sizes as integers (a size that depends on data counts as its hint)."""
    return tuple(int(s) if not hasattr(s, "node") else int(s.node.hint or 1) for s in shape)


def flat_labels(value: Any) -> list[Labels]:
    """The labels inside a possibly nested value."""
    if isinstance(value, tuple | list):
        return [one for v in value for one in flat_labels(v)]
    return [value] if isinstance(value, Labels) else []


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


# --- element-wise -----------------------------------------------------------------------------------------------


def pointwise(walk: Walk, node: Node) -> Labels:
    """Broadcast: equal positions are tied, sides of length 1 are not."""
    nodes = [a for a in _tensor_args(node) if isinstance(walk.labels.get(a), Labels)]
    operands = [walk.of(n) for n in nodes]
    shape = shape_of(node)
    if len(operands) == 1 and operands[0].shape == shape:
        return operands[0]
    offsets = [len(shape) - len(o.shape) for o in operands]
    for o, off in zip(operands, offsets):
        _settle_joint(walk, o, off, operands, offsets, shape)
    blocks, done = [], set()
    for axis in range(len(shape)):
        if axis in done:
            continue
        sides = [o.block(axis - off) for o, off in zip(operands, offsets) if _full(o, off, axis, shape)]
        where = tuple(a for a in (axis,))
        joint = next(((o, off) for o, off in zip(operands, offsets)
                      if _full(o, off, axis, shape) and len(o.block(axis - off).axes) > 1), None)  # fmt: skip
        if joint is not None:
            o, off = joint
            where = tuple(a + off for a in o.block(axis - off).axes)
        done |= set(where)
        ids = sides[0].ids if sides else None
        for side in sides[1:]:
            ids = walk.space.tie(ids, side.ids)
        if ids is not None:
            blocks.append(Block(where, ids))
    return Labels(shape, blocks)


def _tensor_args(node: Node) -> list[Node]:
    found: list[Node] = []
    for value in (*node.args, *node.kwargs.values()):
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [v for v in value if isinstance(v, Node)]
    return found


def _full(o: Labels, off: int, axis: int, shape: tuple[int, ...]) -> bool:
    return axis >= off and o.shape[axis - off] == shape[axis] and shape[axis] > 1


def _settle_joint(
    walk: Walk, o: Labels, off: int, operands: list[Labels], offsets: list[int], shape: tuple[int, ...]
) -> None:
    """Decide joint blocks that the other operands don't share as they are."""
    for block in [b for b in o.blocks if len(b.axes) > 1]:
        where = {a + off for a in block.axes}
        avoid, shared = set(), True
        for other, other_off in zip(operands, offsets):
            if other is o:
                continue
            present = {a for a in where if _full(other, other_off, a, shape)}
            if not present:
                continue
            theirs = other.block(next(iter(present)) - other_off)
            if tuple(a + other_off for a in theirs.axes) != tuple(a + off for a in block.axes):
                shared = False
                avoid |= {a - off for a in present if other.block(a - other_off).ids is None}
        if not shared:
            walk.space.commit(o, block, avoid)


def keep(walk: Walk, node: Node) -> Any:
    """The labels of the first operand."""
    return walk.of(args(node)[0])


def prelu(walk: Walk, node: Node) -> Labels:
    """One slope a channel, or one in all."""
    x, weight = walk.of(args(node)[0]), walk.of(args(node)[1])
    if weight.shape[0] > 1:
        walk.space.tie(walk.space.axis(x, 1), walk.space.axis(weight, 0))
    return x


# --- contractions -----------------------------------------------------------------------------------------------


def convolution(walk: Walk, node: Node) -> Labels:
    """Plain, grouped, depthwise and transposed convolutions of any dimension."""
    values = bound(node)
    transposed = bool(values.get("transposed", "transpose" in op_name(node.target)))
    x, weight, bias = args(node)[0], values["weight"], values.get("bias")
    groups = int(values.get("groups", 1))
    space, w = walk.space, walk.of(weight)
    for axis in range(2, len(w.shape)):
        space.freeze(space.axis(w, axis))
    channel_axis = len(walk.of(x).shape) - (len(w.shape) - 2) - 1
    x_ids = walk.axis(x, channel_axis, (channel_axis,))
    axis_in, axis_out = (0, 1) if transposed else (1, 0)
    shape = shape_of(node)
    out_axis = len(shape) - (len(w.shape) - 2) - 1
    if groups == 1:
        walk.contract(node, 0, (x, weight), channel_axis, x_ids, space.axis(w, axis_in))
        out = walk.produce(space.axis(w, axis_out))
    else:
        out = _grouped(walk, x_ids, w, groups, transposed)
    if isinstance(bias, Node):
        out = space.tie(out, space.axis(walk.of(bias), 0))
    return _carry(walk, node, x, channel_axis, out_axis, out)


def _grouped(walk: Walk, x_ids: Ids | None, w: Labels, groups: int, transposed: bool) -> Ids | None:
    """A group's input and output channels are one unit; in a depthwise convolution a group is one channel."""
    space = walk.space
    if transposed:  # rare: weight (in, out / groups, ...); all of it stays
        for axis in (0, 1):
            space.freeze(space.axis(w, axis))
        space.freeze(x_ids)
        return None
    space.freeze(space.axis(w, 1))
    out = space.axis(w, 0)
    if x_ids is None or out is None:
        space.freeze(x_ids)
        space.freeze(out)
        return None
    blocks_in, blocks_out = x_ids.reshape(groups, -1), out.reshape(groups, -1)
    first = blocks_out[:, :1]
    space.tie(np.repeat(first, blocks_out.shape[1], 1), blocks_out)
    space.tie(np.repeat(first, blocks_in.shape[1], 1), blocks_in)
    return out


def _carry(walk: Walk, node: Node, x: Node, channel_in: int, channel_out: int, out: Ids | None) -> Labels:
    """Batch axes pass; the axes behind the channels are space, which stays."""
    labels, ids = walk.of(x), {channel_out: out}
    for axis in range(len(labels.shape)):
        if axis < channel_in:
            ids[axis] = walk.axis(x, axis)
        elif axis > channel_in:
            walk.space.freeze_axis(labels, axis)
    return Labels.of_axes(shape_of(node), ids)


def linear(walk: Walk, node: Node) -> Labels:
    """y = x W^T + b."""
    x, weight = args(node)[0], args(node)[1]
    bias = args(node)[2] if len(node.args) > 2 else node.kwargs.get("bias")
    last = len(walk.of(x).shape) - 1
    w = walk.of(weight)
    walk.contract(node, 0, (x, weight), last, walk.axis(x, last, (last,)), walk.space.axis(w, 1))
    out = walk.produce(walk.space.axis(w, 0))
    if isinstance(bias, Node):
        out = walk.space.tie(out, walk.axis(bias, 0))
    shape = shape_of(node)
    kept = [b for b in walk.of(x).blocks if last not in b.axes]
    return Labels(shape, [*kept, Block((len(shape) - 1,), out)])


def matmul(walk: Walk, node: Node) -> Labels:
    """mm, bmm, matmul, and with a summand addmm and baddbmm."""
    start = 1 if op_name(node.target) in ("addmm", "baddbmm") else 0
    a, b = args(node)[start], args(node)[start + 1]
    left, right = walk.of(a), walk.of(b)
    la, lb = len(left.shape), len(right.shape)
    shape = shape_of(node)
    inner_b = max(lb - 2, 0)
    summed = walk.axis(a, la - 1, (la - 1,)), walk.axis(b, inner_b, (inner_b,))
    walk.contract(node, start, (a, b), la - 1, *summed)
    ids: dict[int, Ids | None] = {}
    if la > 1:
        rows = walk.axis(a, la - 2)
        ids[len(shape) - (2 if lb > 1 else 1)] = walk.produce(rows) if walk.is_weight(a) else rows
    if lb > 1:
        columns = walk.axis(b, lb - 1)
        ids[len(shape) - 1] = walk.produce(columns) if walk.is_weight(b) else columns
    batch = len(shape) - (la > 1) - (lb > 1)
    for axis in range(batch):
        sides = []
        for n, labels, size in ((a, left, la), (b, right, lb)):
            own = axis - (batch - max(size - 2, 0))
            if own >= 0 and labels.shape[own] == shape[axis] and shape[axis] > 1:
                sides.append(walk.axis(n, own))
        if len(sides) == 2:
            ids[axis] = walk.space.tie(*sides)
        elif sides:
            ids[axis] = sides[0]
    out = Labels.of_axes(shape, ids)
    return _added(walk, walk.of(args(node)[0]), out) if start else out


def _added(walk: Walk, summand: Labels, out: Labels) -> Labels:
    """Tie a broadcast summand to a result."""
    shift = len(out.shape) - len(summand.shape)
    ids: dict[int, Ids | None] = {}
    for axis in range(len(out.shape)):
        own = walk.space.axis(out, axis)
        if axis >= shift and summand.shape[axis - shift] == out.shape[axis] > 1:
            own = walk.space.tie(own, walk.space.axis(summand, axis - shift))
        ids[axis] = own
    return Labels.of_axes(out.shape, ids)


def einsum(walk: Walk, node: Node) -> Any:
    """One or two operands; letters shared by both and absent from the result are summed over."""
    equation, operands = str(args(node)[0]).replace(" ", ""), list(args(node)[1])
    if "..." in equation or len(operands) > 2:
        return walk.give_up(node, "an einsum with an ellipsis or more than two operands")
    terms, _, result = equation.partition("->")
    letters = terms.split(",")
    if "->" not in equation:
        joined = "".join(letters)
        result = "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    if any(len(set(t)) != len(t) for t in letters):
        return walk.give_up(node, "an einsum that takes a diagonal")
    ids: dict[str, Ids | None] = {}
    for letter in dict.fromkeys("".join(letters)):
        sides = [(n, t.index(letter)) for n, t in zip(operands, letters) if letter in t]
        avoid = letter not in result
        found = [walk.axis(n, axis, (axis,) if avoid else ()) for n, axis in sides]
        sizes = [walk.of(n).shape[axis] for n, axis in sides]
        full = [f for f, size in zip(found, sizes) if size == max(sizes)]
        if avoid and len(full) == 2:
            walk.contract(node, -1, (sides[0][0], sides[1][0]), sides[0][1], *full)
        elif avoid:
            for f in full:
                walk.space.freeze(f)
        else:
            ids[letter] = walk.space.tie(*full) if len(full) == 2 else full[0]
            if len(full) == 1 and walk.is_weight(sides[0][0]):
                walk.produce(full[0])
    return Labels.of_axes(shape_of(node), {i: ids[c] for i, c in enumerate(result)})


def attention(walk: Walk, node: Node) -> Labels:
    """Scaled dot-product attention: heads are batch axes, q.d ~ k.d, the result is as wide as v."""
    values = bound(node)
    q, k, v = args(node)[0], args(node)[1], args(node)[2]
    space, rank = walk.space, len(walk.of(args(node)[0]).shape)
    last = rank - 1
    avoid = (last,) if space.attention == "heads" else ()
    qd, kd = walk.axis(q, last, avoid), walk.axis(k, last, avoid)
    scale = values.get("scale")
    walk.contract(node, 0, (q, k), last, qd, kd)
    if qd is not None and kd is not None and scale is None:
        walk.inexact.append(Inexact(node, last, qd))
    for side, axis in ((q, rank - 2), (k, rank - 2), (v, rank - 2)):
        space.freeze_axis(walk.of(side), axis)
    ids: dict[int, Ids | None] = {last: walk.axis(v, last)}
    for axis in range(rank - 2):
        ids[axis] = _attention_batch(walk, node, axis, rank, bool(values.get("enable_gqa")))
    mask = values.get("attn_mask")
    if isinstance(mask, Node):
        m = walk.of(mask)
        for axis in range(len(m.shape)):
            own = axis - len(m.shape) + rank
            if own >= rank - 2 or m.shape[axis] == 1:
                space.freeze_axis(m, axis)
            else:
                ids[own] = space.tie(ids[own], space.axis(m, axis))
    return Labels.of_axes(shape_of(node), ids)


def _attention_batch(walk: Walk, node: Node, axis: int, rank: int, grouped: bool) -> Ids | None:
    q, k, v = (walk.axis(n, axis) for n in args(node)[:3])
    sizes = [walk.of(n).shape[axis] for n in args(node)[:3]]
    kv = walk.space.tie(k, v)
    if grouped and axis == rank - 3 and sizes[0] != sizes[1]:
        if q is None or kv is None:
            walk.space.freeze(q)
            walk.space.freeze(kv)
            return None
        return walk.space.tie(q, np.repeat(kv, sizes[0] // sizes[1]))
    return walk.space.tie(q, kv)


def embedding(walk: Walk, node: Node) -> Labels:
    """Rows are frozen, features live."""
    weight, index = walk.of(args(node)[0]), walk.of(args(node)[1])
    walk.space.freeze(walk.space.axis(weight, 0))
    walk.space.freeze_all(index)
    shape = shape_of(node)
    return Labels.of_axes(shape, {len(shape) - 1: walk.produce(walk.space.axis(weight, 1))})


# --- normalisation ----------------------------------------------------------------------------------------------


def batch_norm(walk: Walk, node: Node) -> Labels:
    """Weight, bias and running statistics go with the channel."""
    values = bound(node)
    x = walk.of(args(node)[0])
    ids = walk.space.axis(x, 1, (1,))
    for name in ("weight", "bias", "running_mean", "running_var"):
        if isinstance(values.get(name), Node):
            ids = walk.space.tie(ids, walk.axis(values[name], 0))
    x.block(1).ids = ids
    return x


def layer_norm(walk: Walk, node: Node) -> Labels:
    """Statistics over the last axis change with its width: live only where `on_norm` allows it."""
    values = bound(node)
    x = walk.of(args(node)[0])
    count = len(values["normalized_shape"])
    parameters = [values[n] for n in ("weight", "bias") if isinstance(values.get(n), Node)]
    if count > 1 or walk.on_norm == "freeze":
        for axis in range(len(x.shape) - count, len(x.shape)):
            walk.space.freeze_axis(x, axis)
        for p in parameters:
            walk.space.freeze_all(walk.of(p))
        walk.notes[node] = "a norm over these axes (on_norm='allow' prunes one axis, inexactly)"
        return x
    last = len(x.shape) - 1
    ids = walk.space.axis(x, last, (last,))
    for p in parameters:
        ids = walk.space.tie(ids, walk.axis(p, 0))
    if ids is not None:
        walk.inexact.append(Inexact(node, last, ids))
    x.block(last).ids = ids
    return x


def group_norm(walk: Walk, node: Node) -> Labels:
    """Channel j of every group goes together, so that the groups stay equally wide."""
    values = bound(node)
    x = walk.of(args(node)[0])
    groups = int(values.get("num_groups", values.get("group", 1)))
    ids = walk.space.axis(x, 1, (1,))
    for name in ("weight", "bias"):
        if isinstance(values.get(name), Node):
            ids = walk.space.tie(ids, walk.axis(values[name], 0))
    if ids is not None:
        if walk.on_norm == "freeze":
            walk.space.freeze(ids)
            walk.notes[node] = "a group norm (on_norm='allow' prunes it, inexactly)"
            ids = None
        else:
            rows = ids.reshape(groups, -1)
            walk.space.tie(np.repeat(rows[:1], groups, 0), rows)
            walk.inexact.append(Inexact(node, 1, ids))
    x.block(1).ids = ids
    return x


# --- shape ------------------------------------------------------------------------------------------------------


def reshape(walk: Walk, node: Node) -> Labels:
    """Axes that are merged or split are re-labelled element by element."""
    x, shape = walk.of(args(node)[0]), shape_of(node)
    if 0 in shape:
        walk.space.freeze_all(x)
        return Labels(shape)
    pieces = _aligned(x.shape, shape)
    for into, _ in pieces:
        for block in [b for b in x.blocks if len(b.axes) > 1]:
            inside = [a in into for a in block.axes]
            if any(inside) and not all(inside):
                walk.space.commit(x, block, set())
    blocks = []
    for into, out in pieces:
        live = [b for b in x.blocks if b.ids is not None and b.axes[0] in into]
        if not live:
            continue
        if len(live) > 1:
            for b in live:
                walk.space.freeze(b.ids)
            walk.notes[node] = "a reshape that merges two live axes"
            continue
        (block,) = live
        assert block.ids is not None
        order = tuple(np.argsort(block.axes))
        ids = block.ids.transpose(order)
        axes = [block.axes[k] for k in order]
        full = np.broadcast_to(
            ids.reshape([x.shape[a] if a in axes else 1 for a in into]), [x.shape[a] for a in into]
        ).reshape([shape[a] for a in out])
        wide = [k for k, a in enumerate(out) if shape[a] > 1]
        full = full.reshape([full.shape[k] for k in wide])
        alone = sole_axis(full)
        if alone is not None:
            blocks.append(Block((out[wide[alone]],), np.moveaxis(full, alone, 0).reshape(full.shape[alone], -1)[:, 0]))
        else:
            walk.space.joint.append(full)
            blocks.append(Block(tuple(out[k] for k in wide), full))
    return Labels(shape, blocks)


def _aligned(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The finest pairs of axis runs of equal size."""
    pieces, i, j = [], 0, 0
    while i < len(a) or j < len(b):
        left, right, p, q = [], [], 1, 1
        if i < len(a):
            left.append(i)
            p, i = a[i], i + 1
        if j < len(b):
            right.append(j)
            q, j = b[j], j + 1
        while p != q:
            if p < q and i < len(a):
                left.append(i)
                p, i = p * a[i], i + 1
            else:
                right.append(j)
                q, j = q * b[j], j + 1
        pieces.append((left, right))
    return pieces


def permute(walk: Walk, node: Node) -> Labels:
    """permute, transpose, t, movedim: read off the strides of a small example."""
    x = walk.of(args(node)[0])
    sizes = torch.empty(tuple(range(2, 2 + len(x.shape))), device="meta")
    moved = node.target(sizes, *args(node)[1:], **node.kwargs)  # type: ignore[operator]
    where = {s - 2: position for position, s in enumerate(moved.shape)}
    return x.moved(shape_of(node), where)


def unsqueeze(walk: Walk, node: Node) -> Labels:
    """A new axis of length 1."""
    x = walk.of(args(node)[0])
    at = int(args(node)[1]) % (len(x.shape) + 1)
    return x.moved(shape_of(node), {a: a + (a >= at) for a in range(len(x.shape))})


def squeeze(walk: Walk, node: Node) -> Labels:
    """Axes of length 1 go."""
    x = walk.of(args(node)[0])
    dims = args(node)[1] if len(node.args) > 1 else None
    dims = list(range(len(x.shape))) if dims is None else [dims] if isinstance(dims, int) else list(dims)
    gone = {d % len(x.shape) for d in dims if x.shape[d] == 1}
    left = [a for a in range(len(x.shape)) if a not in gone]
    return x.moved(shape_of(node), {a: i for i, a in enumerate(left)})


def expand(walk: Walk, node: Node) -> Labels:
    """Repeated axes are frozen."""
    x, shape = walk.of(args(node)[0]), shape_of(node)
    shift = len(shape) - len(x.shape)
    where = {a: a + shift for a in range(len(x.shape))}
    return x.moved(shape, where)


def repeat(walk: Walk, node: Node) -> Labels:
    """Labels are tiled."""
    x, shape = walk.of(args(node)[0]), shape_of(node)
    shift = len(shape) - len(x.shape)
    ids: dict[int, Ids | None] = {}
    for axis in range(len(x.shape)):
        own = walk.space.axis(x, axis)
        ids[axis + shift] = None if own is None else np.tile(own, shape[axis + shift] // x.shape[axis])
    return Labels.of_axes(shape, ids)


def repeat_interleave(walk: Walk, node: Node) -> Any:
    """Labels are repeated one by one."""
    values = bound(node)
    dim, count = values.get("dim"), values.get("repeats")
    if not isinstance(dim, int) or not isinstance(count, int):
        return walk.give_up(node, "repeat_interleave without one count and one dim")
    x = walk.of(args(node)[0])
    ids = {a: walk.space.axis(x, a) for a in range(len(x.shape))}
    at = dim % len(x.shape)
    own = ids[at]
    ids[at] = None if own is None else np.repeat(own, count)
    return Labels.of_axes(shape_of(node), ids)


def cat(walk: Walk, node: Node) -> Labels:
    """Labels one behind the other; the other axes are tied."""
    nodes = [n for n in args(node)[0] if math.prod(walk.of(n).shape) > 0 or len(walk.of(n).shape) > 1]
    dim = bound(node).get("dim", 0)
    shape = shape_of(node)
    at = int(dim) % len(shape)
    ids: dict[int, Ids | None] = {}
    for axis in range(len(shape)):
        sides = [walk.axis(n, axis, (at,)) for n in nodes]
        if axis == at:
            filled = [s if s is not None else np.zeros(walk.of(n).shape[axis], int) for s, n in zip(sides, nodes)]
            joined = np.concatenate(filled)
            ids[axis] = joined if joined.any() else None
            continue
        ids[axis] = sides[0]
        for side in sides[1:]:
            ids[axis] = walk.space.tie(ids[axis], side)
    return Labels.of_axes(shape, ids)


def stack(walk: Walk, node: Node) -> Labels:
    """A new frozen axis; the others are tied."""
    nodes = list(args(node)[0])
    shape = shape_of(node)
    at = int(bound(node).get("dim", 0)) % len(shape)
    ids: dict[int, Ids | None] = {}
    for axis in range(len(shape) - 1):
        own = walk.axis(nodes[0], axis)
        for n in nodes[1:]:
            own = walk.space.tie(own, walk.axis(n, axis))
        ids[axis + (axis >= at)] = own
    return Labels.of_axes(shape, ids)


def _without(x: Labels, axis: int, shape: tuple[int, ...], position: int) -> Labels:
    """One slice of an axis, the axis itself gone; inside a joint block the slice is exact."""
    blocks = []
    for b in x.blocks:
        if b.ids is None or b.axes == (axis,):
            continue
        ids, axes = b.ids, b.axes
        if axis in axes:
            k = axes.index(axis)
            ids, axes = ids.take(position, axis=k), axes[:k] + axes[k + 1 :]
        blocks.append(Block(tuple(a - (a > axis) for a in axes), ids))
    return Labels(shape, blocks)


def select(walk: Walk, node: Node) -> Labels:
    """One slice."""
    x = walk.of(args(node)[0])
    axis = int(args(node)[1]) % len(x.shape)
    if len(x.block(axis).axes) == 1:
        walk.space.freeze(x.block(axis).ids)
    return _without(x, axis, shape_of(node), int(args(node)[2]))


def unbind(walk: Walk, node: Node) -> tuple[Labels, ...]:
    """All slices."""
    x = walk.of(args(node)[0])
    axis = int(bound(node).get("dim", 0)) % len(x.shape)
    if len(x.block(axis).axes) == 1:
        walk.space.freeze(x.block(axis).ids)
    return tuple(_without(x, axis, static(v.shape), i) for i, v in enumerate(node.meta["val"]))


def split(walk: Walk, node: Node) -> tuple[Labels, ...]:
    """chunk, split: pieces of equal size are tied position by position, since the cut is read again from the new width."""
    x = walk.of(args(node)[0])
    axis = int(bound(node).get("dim", 0)) % len(x.shape)
    values = node.meta["val"]
    sizes = [static(v.shape)[axis] for v in values]
    ids = walk.space.axis(x, axis, (axis,))
    if ids is not None and len(set(sizes)) > 1:
        walk.space.freeze(ids)
        walk.notes[node] = f"a split into unequal pieces {sizes}"
        ids = None
    pieces = [None] * len(sizes) if ids is None else np.split(ids, len(sizes))
    tie_equal_pieces(walk.space, pieces)
    rest = {a: walk.space.axis(x, a) for a in range(len(x.shape)) if a != axis}
    return tuple(Labels.of_axes(static(v.shape), {**rest, axis: p}) for v, p in zip(values, pieces))


def tie_equal_pieces(space: LabelSpace, pieces: Sequence[Ids | None]) -> None:
    """The same positions of every piece go together."""
    for piece in pieces[1:]:
        space.tie(pieces[0], piece)


def slice_(walk: Walk, node: Node) -> Labels:
    """A whole axis passes; an equal part is a chunk; any other cut freezes the axis."""
    x, shape = walk.of(args(node)[0]), shape_of(node)
    values = bound(node)
    axis = int(values.get("dim") or 0) % len(x.shape)
    size, part = x.shape[axis], shape[axis]
    if part == size:
        return x
    ids = walk.space.axis(x, axis, (axis,))
    start = int(values.get("start") or 0) % size if isinstance(values.get("start"), int | None) else -1
    piece = None
    if ids is not None:
        if int(values.get("step") or 1) == 1 and start >= 0 and size % part == 0 and start % part == 0:
            pieces = np.split(ids, size // part)
            tie_equal_pieces(walk.space, pieces)
            piece = pieces[start // part]
        else:
            walk.space.freeze(ids)
            walk.notes[node] = "a slice at fixed positions"
    rest = {a: walk.space.axis(x, a) for a in range(len(x.shape)) if a != axis}
    return Labels.of_axes(shape, {**rest, axis: piece})


def pad(walk: Walk, node: Node) -> Labels:
    """New entries are frozen, old ones keep their labels."""
    x, shape = walk.of(args(node)[0]), shape_of(node)
    amounts = list(args(node)[1])
    ids = {}
    for axis in range(len(x.shape)):
        own = walk.space.axis(x, axis)
        at = 2 * (len(x.shape) - 1 - axis)
        if own is not None and at < len(amounts) and any(amounts[at : at + 2]):
            before, after = int(amounts[at]), int(amounts[at + 1])
            if min(before, after) < 0:
                walk.space.freeze(own)
                own = None
            else:
                own = np.concatenate([np.zeros(before, int), own, np.zeros(after, int)])
        ids[axis] = own
    return Labels.of_axes(shape, ids)


def spatial(walk: Walk, node: Node) -> Any:
    """Pools, resizing and padding of space: batch and channels pass, the last axes stay."""
    x = walk.of(args(node)[0])
    name = op_name(node.target)
    digits = [c for c in name if c.isdigit()]
    count = int(digits[-1]) if digits else len(x.shape) - 2
    for axis in range(len(x.shape) - count, len(x.shape)):
        walk.space.freeze_axis(x, axis)
    kept = [b for b in x.blocks if b.ids is not None and max(b.axes) < len(x.shape) - count]
    value = node.meta["val"]
    if isinstance(value, tuple | list):
        return tuple(Labels(static(v.shape), kept) for v in value)
    return Labels(shape_of(node), kept)


def reduction(walk: Walk, node: Node) -> Any:
    """Sums, means, extrema: the axes that go are frozen."""
    x = walk.of(args(node)[0])
    values = bound(node)
    dims = values.get("dim")
    if dims is None or dims == []:
        walk.space.freeze_all(x)
        return frozen_like(node.meta["val"])
    gone = {int(d) % len(x.shape) for d in ([dims] if isinstance(dims, int) else dims)}
    for axis in gone:
        walk.space.freeze_axis(x, axis)
    left = [a for a in range(len(x.shape)) if a not in gone]
    keepdim = bool(values.get("keepdim", False))
    where = {a: a if keepdim else i for i, a in enumerate(left)}

    def out(value: Tensor) -> Labels:
        blocks = [b for b in x.blocks if b.ids is not None and not set(b.axes) & gone]
        return Labels(static(value.shape), [Block(tuple(where[a] for a in b.axes), b.ids) for b in blocks])

    value = node.meta["val"]
    return tuple(out(v) for v in value) if isinstance(value, tuple | list) else out(value)


def along(walk: Walk, node: Node) -> Any:
    """Softmax, cumulative sums, sorting, flips: the axis itself stays, the others pass."""
    x = walk.of(args(node)[0])
    dims = bound(node).get("dim", bound(node).get("dims", -1))
    value = node.meta["val"]
    for axis in [dims] if isinstance(dims, int) else list(dims):
        walk.space.freeze_axis(x, axis)
    frozen = {int(d) % len(x.shape) for d in ([dims] if isinstance(dims, int) else dims)}
    kept = [b for b in x.blocks if b.ids is not None and not set(b.axes) & frozen]
    if isinstance(value, tuple | list):
        return tuple(Labels(static(v.shape), kept) for v in value)
    return Labels(shape_of(node), kept)


def glu(walk: Walk, node: Node) -> Labels:
    """Two halves of an axis, one gates the other."""
    x = walk.of(args(node)[0])
    axis = int(bound(node).get("dim", -1)) % len(x.shape)
    ids = walk.space.axis(x, axis, (axis,))
    halves: list[Ids | None] = [None, None] if ids is None else list(np.split(ids, 2))
    tie_equal_pieces(walk.space, halves)
    rest = {a: walk.space.axis(x, a) for a in range(len(x.shape)) if a != axis}
    return Labels.of_axes(shape_of(node), {**rest, axis: halves[0]})


def getitem(walk: Walk, node: Node) -> Any:
    """One of several outputs."""
    return walk.labels[args(node)[0]][args(node)[1]]


def index_select(walk: Walk, node: Node) -> Labels:
    """The indexed axis stays, the others pass."""
    x = walk.of(args(node)[0])
    axis = int(args(node)[1]) % len(x.shape)
    walk.space.freeze_axis(x, axis)
    kept = [b for b in x.blocks if b.ids is not None and axis not in b.axes]
    return Labels(shape_of(node), kept)


def index(walk: Walk, node: Node) -> Any:
    """x[:, i]: one index tensor on a frozen axis; the axes before and behind it pass."""
    x = walk.of(args(node)[0])
    places = list(args(node)[1])
    used = [a for a, p in enumerate(places) if p is not None]
    for p in places:
        if isinstance(p, Node):
            walk.space.freeze_all(walk.of(p))
    for axis in used:
        walk.space.freeze_axis(x, axis)
    if len(used) != 1 or walk.of(places[used[0]]).shape == () or x.shape == ():
        walk.space.freeze_all(x)
        return Labels(shape_of(node))
    (axis,) = used
    shape = shape_of(node)
    grown = len(shape) - len(x.shape)
    where = {a: a if a < axis else a + grown for a in range(len(x.shape)) if a != axis}
    return x.moved(shape, where)


def free(walk: Walk, node: Node) -> Any:
    """New tensors of given sizes and values."""
    return frozen_like(node.meta.get("val"))


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution"),
        convolution,
    ),
    "linear": linear,
    **dict.fromkeys(("mm", "bmm", "matmul", "addmm", "baddbmm", "mv", "dot"), matmul),
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    "embedding": embedding,
    **dict.fromkeys(
        ("batch_norm", "instance_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), batch_norm
    ),
    **dict.fromkeys(("layer_norm", "rms_norm"), layer_norm),
    "group_norm": group_norm,
    "prelu": prelu,
    **dict.fromkeys(
        ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "clone", "contiguous", "alias", "detach",
         "to", "_to_copy", "lift_fresh_copy", "type_as", "rrelu", "hardtanh", "softplus", "lift_fresh", "native_dropout",
         "logical_not", "fill", "zeros_like", "ones_like"), keep,
    ),
    **dict.fromkeys(("reshape", "view", "flatten", "unflatten", "_unsafe_view", "view_as", "_reshape_alias"), reshape),
    **dict.fromkeys(("permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "numpy_T"), permute),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("repeat", "tile"), repeat),
    "repeat_interleave": repeat_interleave,
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "stack": stack,
    "select": select,
    "unbind": unbind,
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split"), split),
    **dict.fromkeys(("slice", "narrow"), slice_),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    **dict.fromkeys(
        [f"{n}{d}d" for d in (1, 2, 3) for n in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool",
         "reflection_pad", "replication_pad")]
        + ["max_pool2d_with_indices", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
           "upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d",
           "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"], spatial,
    ),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "norm", "linalg_vector_norm", "logsumexp",
         "argmax", "argmin", "any", "all", "var_mean", "std_mean", "aminmax", "median"), reduction,
    ),
    **dict.fromkeys(
        ("softmax", "log_softmax", "_softmax", "_log_softmax", "cumsum", "cumprod", "sort", "topk", "flip", "roll",
         "softmin", "logcumsumexp"), along,
    ),
    "glu": glu,
    "getitem": getitem,
    "index_select": index_select,
    "index": index,
    **dict.fromkeys(
        ("arange", "zeros", "ones", "full", "empty", "eye", "linspace", "scalar_tensor", "new_zeros", "new_ones",
         "new_full", "rand", "randn", "tensor"), free,
    ),
}  # fmt: skip
