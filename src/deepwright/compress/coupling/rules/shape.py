"""Rules of operations that move, join, cut or reduce axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from deepwright.compress.coupling.axes import Block, Ids, Labels, LabelSpace, sole_axis
from deepwright.compress.coupling.nodes import args, bound, op_name, shape_of, static
from deepwright.compress.coupling.rules.pointwise import pointwise
from deepwright.compress.coupling.walk import Walk, frozen_like


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
    """Repeated axes are frozen; those of a mask or another constant may go with what it meets, all being alike."""
    x, shape = walk.of(args(node)[0]), shape_of(node)
    shift = len(shape) - len(x.shape)
    where = {a: a + shift for a in range(len(x.shape))}
    if any(b.ids is not None for b in x.blocks):
        return x.moved(shape, where)
    grown = [a for a in range(shift, len(shape)) if shape[a] > x.shape[a - shift]]
    return Labels.of_axes(shape, {a: walk.space.fresh(shape[a]) for a in grown})


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
    """chunk, split: equal pieces are tied position by position, since the cut is read again from the new width."""
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
    if "other" in values:  # max and min of two tensors
        return pointwise(walk, node)
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


def triangle(walk: Walk, node: Node) -> Labels:
    """Which entries stay depends on their positions along the last two axes."""
    x = walk.of(args(node)[0])
    last = {len(x.shape) - 2, len(x.shape) - 1}
    for axis in last:
        walk.space.freeze_axis(x, axis)
    return Labels(shape_of(node), [b for b in x.blocks if b.ids is not None and not set(b.axes) & last])


def glu(walk: Walk, node: Node) -> Labels:
    """Two halves of an axis, one gates the other."""
    x = walk.of(args(node)[0])
    axis = int(bound(node).get("dim", -1)) % len(x.shape)
    ids = walk.space.axis(x, axis, (axis,))
    halves: list[Ids | None] = [None, None] if ids is None else list(np.split(ids, 2))
    tie_equal_pieces(walk.space, halves)
    rest = {a: walk.space.axis(x, a) for a in range(len(x.shape)) if a != axis}
    return Labels.of_axes(shape_of(node), {**rest, axis: halves[0]})


def pixel_shuffle(walk: Walk, node: Node) -> Labels:
    """Blocks of r^2 channels become one channel of a finer image: a block goes together."""
    x, r = walk.of(args(node)[0]), int(args(node)[1])
    axis = len(x.shape) - 3
    ids = walk.space.axis(x, axis, (axis,))
    first = None
    if ids is not None:
        blocks = ids.reshape(-1, r * r)
        walk.space.tie(np.repeat(blocks[:, :1], r * r, 1), blocks)
        first = blocks[:, 0]
    return _over_space(walk, node, x, axis, first)


def pixel_unshuffle(walk: Walk, node: Node) -> Labels:
    """Every channel becomes r^2 of a coarser image."""
    x, r = walk.of(args(node)[0]), int(args(node)[1])
    axis = len(x.shape) - 3
    ids = walk.space.axis(x, axis, (axis,))
    return _over_space(walk, node, x, axis, None if ids is None else np.repeat(ids, r * r))


def channel_shuffle(walk: Walk, node: Node) -> Labels:
    """Channels dealt out over groups: the same channel of every group goes together."""
    x, groups = walk.of(args(node)[0]), int(args(node)[1])
    ids = walk.space.axis(x, 1, (1,))
    if ids is not None:
        rows = ids.reshape(groups, -1)
        tie_equal_pieces(walk.space, list(rows))
        ids = rows.T.ravel()
    return _over_space(walk, node, x, 1, ids)


def _over_space(walk: Walk, node: Node, x: Labels, axis: int, ids: Ids | None) -> Labels:
    """Channels with new labels; the axes before them pass, those behind are space and stay."""
    for behind in range(axis + 1, len(x.shape)):
        walk.space.freeze_axis(x, behind)
    before = {a: walk.space.axis(x, a) for a in range(axis)}
    return Labels.of_axes(shape_of(node), {**before, axis: ids})


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
