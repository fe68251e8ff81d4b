"""Recurrent layers, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Operator, UnsupportedError

State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State, Tensor, Tensor], State]
"""(projected input, state, recurrent weights, recurrent bias) -> next state; the first of it is the output."""

_PLAIN = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def _lstm_cell(x: Tensor, state: State, r: Tensor, b: Tensor) -> State:
    """Gates in ONNX's order: input, output, forget, cell."""
    h, c = state
    i, o, f, g = (x + F.linear(h, r, b)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _rnn_cell(x: Tensor, state: State, r: Tensor, b: Tensor) -> State:
    return (torch.tanh(x + F.linear(state[0], r, b)),)


def _gru_cell(reset_after: bool) -> Cell:
    """Gates in ONNX's order: update, reset, hidden; the reset acts before or after the recurrent product."""

    def cell(x: Tensor, state: State, r: Tensor, b: Tensor) -> State:
        h, n = state[0], r.shape[1]
        z, s = torch.sigmoid(x[..., : 2 * n] + F.linear(h, r[: 2 * n], b[: 2 * n])).chunk(2, -1)
        inner = F.linear(h, r[2 * n :], b[2 * n :]) * s if reset_after else F.linear(s * h, r[2 * n :], b[2 * n :])
        return ((1 - z) * torch.tanh(x[..., 2 * n :] + inner) + z * h,)

    return cell


_CELLS: dict[str, Callable[[Node], Cell]] = {
    "GRU": lambda node: _gru_cell(bool(node.get("linear_before_reset", 0))),
    "LSTM": lambda node: _lstm_cell,
    "RNN": lambda node: _rnn_cell,
}


def _layer(
    node: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    bias: Tensor | None = None,
    lengths: Any = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """All directions over all steps: what comes out at each step, and the last states; an LSTM alone has c."""
    plain = _PLAIN[node.kind] * w.shape[0]
    given = node.get("activations")
    strange = [name for name in ("clip", "input_forget", "layout") if node.get(name)]
    strange += [] if peepholes is None else ["peepholes"]
    if strange or lengths is not None or (given is not None and [_word(g) for g in given] != plain):
        raise UnsupportedError(f"{node.kind} with {', '.join(strange) or 'lengths or activations of its own'}")
    cell, start = _CELLS[node.kind](node), [h, c] if node.kind == "LSTM" else [h]
    outputs, last = [], []
    direction = node.get("direction", "forward")
    for d in range(w.shape[0]):
        width = w.shape[1]
        own, back = (w.new_zeros(width),) * 2 if bias is None else (bias[d, :width], bias[d, width:])
        zero = x.new_zeros(x.shape[1], r.shape[2])
        state = tuple(zero if s is None else s[d] for s in start)
        steps, turned = F.linear(x, w[d], own), direction == "reverse" or d == 1
        rows = []
        for step in reversed(steps.unbind(0)) if turned else steps.unbind(0):
            state = cell(step, state, r[d], back)
            rows.append(state[0])
        outputs.append(torch.stack(rows[::-1] if turned else rows))
        last.append(state)
    return torch.stack(outputs, 1), *(torch.stack(part) for part in zip(*last))


def _word(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


RECURRENT: dict[str, Operator] = dict.fromkeys(_CELLS, _layer)
