"""Rules of recurrent layers: a hidden unit is its rows in every gate, its column in what the next step reads.

`nn.LSTM` and its like keep one `hidden_size` for all layers and both directions, so unit j goes in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from deepwright.compress.coupling.axes import Ids, Labels
from deepwright.compress.coupling.nodes import FRESH, args, bound, op_name, shape_of, static
from deepwright.compress.coupling.walk import Contraction, Walk


def recurrent_layer(walk: Walk, node: Node) -> Any:
    """lstm, gru, rnn_tanh, rnn_relu over whole sequences."""
    values = bound(node)
    if "params" not in values or "input" not in values:
        return walk.give_up(node, "packed sequences")
    x, params, biased = values["input"], list(values["params"]), bool(values["has_biases"])
    directions, count = (2 if values["bidirectional"] else 1), 4 if biased else 2
    if len(params) != count * directions * int(values["num_layers"]):
        return walk.give_up(node, "a projected LSTM (proj_size)")
    _freeze_all_but_last(walk, x)
    tops = [_gates(walk, params[k : k + count]) for k in range(0, len(params), count)]
    unit: Ids | None = tops[0]
    for other in tops[1:]:
        unit = walk.space.tie(unit, other)
    _start(walk, values["hx"], unit)
    for k, top in enumerate(tops):
        w_in, w_back = params[k * count], params[k * count + 1]
        _read_back(walk, node, 2, k * count + 1, w_back, top)
        if k < directions:
            last = len(walk.of(x).shape) - 1
            walk.contract(node, 0, (x, w_in), last, walk.axis(x, last, (last,)), walk.axis(w_in, 1))
        else:
            _read_below(walk, node, k * count, w_in, tops, directions * (k // directions - 1), directions)
    shapes = [static(v.shape) for v in node.meta["val"]]
    joined = _joined(tops[-directions:])
    out = [Labels.of_axes(shapes[0], {len(shapes[0]) - 1: joined})]
    return tuple(out + [Labels.of_axes(s, {len(s) - 1: unit}) for s in shapes[1:]])


def recurrent_cell(walk: Walk, node: Node) -> Any:
    """lstm_cell, gru_cell, rnn_tanh_cell, rnn_relu_cell: one step, whose states the code carries on."""
    x, state, w_in, w_back, *biases = args(node)
    _freeze_all_but_last(walk, x)
    unit = _gates(walk, [w_in, w_back, *(b for b in biases if isinstance(b, Node))])
    last = len(walk.of(x).shape) - 1
    walk.contract(node, 0, (x, w_in), last, walk.axis(x, last, (last,)), walk.axis(w_in, 1))
    _start(walk, state, unit)
    _read_back(walk, node, 3, None, w_back, unit)
    values = node.meta["val"]
    if isinstance(values, tuple | list):
        return tuple(Labels.of_axes(static(v.shape), {len(v.shape) - 1: unit}) for v in values)
    return Labels.of_axes(shape_of(node), {len(shape_of(node)) - 1: unit})


def _gates(walk: Walk, tensors: Sequence[Node]) -> Ids | None:
    """(hidden,) the unit of each hidden value: the same row of every gate, in weights and biases."""
    hidden = walk.of(tensors[1]).shape[1]
    unit: Ids | None = None
    for k, tensor in enumerate(tensors):
        rows = walk.produce(walk.axis(tensor, 0))
        if rows is None:
            unit = None if k == 0 else walk.space.tie(unit, None)
            continue
        for gate in rows.reshape(-1, hidden):
            unit = gate if k == 0 and unit is None else walk.space.tie(unit, gate)
    return unit


def _read_back(walk: Walk, node: Node, operand: int, place: int | None, weight: Node, unit: Ids | None) -> None:
    """The weight that reads the state of the step before."""
    _consume(walk, node, operand, place, walk.axis(weight, 1), unit)


def _read_below(
    walk: Walk, node: Node, place: int, weight: Node, tops: list[Ids | None], first: int, directions: int
) -> None:
    """The weight of a layer that reads the layer below, both directions of it side by side."""
    _consume(walk, node, 2, place, walk.axis(weight, 1), _joined(tops[first : first + directions]))


def _consume(walk: Walk, node: Node, operand: int, place: int | None, columns: Ids | None, unit: Ids | None) -> None:
    walk.space.tie(columns, unit)
    if columns is not None and unit is not None:
        walk.contractions.append(Contraction(node, operand, 1, columns, place))
        walk.consumed.append(columns)


def _joined(parts: Sequence[Ids | None]) -> Ids | None:
    known = [p for p in parts if p is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _start(walk: Walk, states: Any, unit: Ids | None) -> None:
    """A first state goes with the units; one that the code makes anew follows their number by itself."""
    for state in states if isinstance(states, list | tuple) else [states]:
        if not isinstance(state, Node) or op_name(state.target) in FRESH:
            continue
        last = len(walk.of(state).shape) - 1
        walk.space.tie(walk.axis(state, last), unit)


def _freeze_all_but_last(walk: Walk, x: Node) -> None:
    labels = walk.of(x)
    for axis in range(len(labels.shape) - 1):
        walk.space.freeze_axis(labels, axis)
