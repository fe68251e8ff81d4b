"""Rules of element-wise operations and of norms: axes stay where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.fx import Node

from deepwright.compress.coupling.axes import Block, Labels
from deepwright.compress.coupling.nodes import args, bound, shape_of
from deepwright.compress.coupling.walk import Inexact, Walk


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
        where = _together(operands, offsets, axis, shape)
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


def _together(operands: list[Labels], offsets: list[int], axis: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The result's axes that share this one's labels: those of an operand's joint block, or itself alone."""
    for o, off in zip(operands, offsets):
        if _full(o, off, axis, shape) and len(o.block(axis - off).axes) > 1:
            return tuple(a + off for a in o.block(axis - off).axes)
    return (axis,)


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
