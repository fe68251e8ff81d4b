"""Rows of the cost report against its total, for modules that do products of their own beside their children."""

from __future__ import annotations

import pytest
import torch
from networks import NETWORKS, build
from torch import nn
from torch.nn import functional as F

from deepwright.compress import cost
from deepwright.nets import cifar_resnet


class Beside(nn.Module):
    """A matrix product of its own (4 x 4) and a child's (4 x 4): 32 MACs a sample."""

    def __init__(self):
        super().__init__()
        self.child = nn.Linear(4, 4, bias=False)
        self.own = nn.Parameter(torch.eye(4))

    def forward(self, x):
        return self.child(x) @ self.own


def macs(model, x):
    report = cost(model, x)
    return report.macs, {name: row for name, *_, row in report.rows}


def test_a_module_with_a_child_has_its_own_macs():
    assert macs(nn.Sequential(Beside(), nn.Linear(4, 2)), torch.zeros(3, 4))[1] == {"0": 16, "0.child": 16, "1": 8}


def test_the_root_has_its_own_macs():
    assert macs(Beside(), torch.zeros(3, 4))[1] == {"Beside": 16, "child": 16}


def test_rows_add_up_to_the_total():
    total, rows = macs(cifar_resnet(8, channels=1), torch.zeros(2, 1, 8, 8))
    assert sum(rows.values()) == total > 0


class Last(nn.Module):
    """The outputs of a layer that gives states too."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recurrent_layers_count_every_gate_at_every_step(kind, gates, dtype):
    """An LSTM of 8 inputs and 32 units over 5 steps: 4 * 32 * (8 + 32) * 5 = 25,600."""
    report = cost(Last(kind(8, 32, batch_first=True)).to(dtype), torch.zeros(2, 5, 8))
    assert report.macs == gates * 32 * (8 + 32) * 5
    assert (report.not_counted, report.note) == ((), "")


def test_both_directions_and_layers_count():
    layer = nn.LSTM(8, 32, num_layers=2, bidirectional=True, batch_first=True)
    assert cost(Last(layer), torch.zeros(1, 5, 8)).macs == 2 * 4 * 32 * 5 * ((8 + 32) + (64 + 32))


class Calls(nn.Module):
    """One operation of two square matrices."""

    def __init__(self, call):
        super().__init__()
        self.w, self.call = nn.Parameter(torch.eye(4)), call

    def forward(self, x):
        return self.call(x, self.w)


@pytest.mark.parametrize(
    ("call", "macs"),
    [
        (lambda x, w: torch.mv(w, x[0]), 16),
        (lambda x, w: torch.addmv(x[0], w, x[0]), 16),
        (lambda x, w: torch.dot(w[0], x[0]), 4),
        (lambda x, w: torch.einsum("bi,oi->bo", x, w), 16),
        (lambda x, w: torch.addbmm(w, x[None], w[None]) if len(x) == 4 else x @ w, 16),
        (lambda x, w: F.bilinear(x, x, w[None]), None),
        (lambda x, w: torch.fft.rfft(x @ w).abs(), None),
        (lambda x, w: torch.cdist(x, w), None),
        (lambda x, w: x @ torch.linalg.inv(w), None),
    ],
)
def test_operations_are_counted_or_named(call, macs):
    report = cost(Calls(call), torch.ones(1, 4))
    if macs is None:
        assert report.not_counted
        assert report.note.startswith("MACs are at least these: not counted " + report.not_counted[0])
    else:
        assert (report.macs, report.not_counted) == (macs, ())


def test_known_networks_have_nothing_left_over():
    for name in NETWORKS:
        model, example = build(name)
        assert cost(model, example[0]).not_counted == (), name
