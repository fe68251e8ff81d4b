"""Rules of operations that sum over an axis: convolutions, products of matrices, attention, embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.fx import Node

from deepwright.compress.coupling.axes import Block, Ids, Labels
from deepwright.compress.coupling.nodes import args, bound, op_name, shape_of
from deepwright.compress.coupling.walk import Inexact, Walk


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
            walk.contract(node, 1, (sides[0][0], sides[1][0]), sides[0][1], full[0], full[1], place=0)
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
