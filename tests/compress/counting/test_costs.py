"""Rows of the cost report against its total, for modules that do products of their own beside their children."""

from __future__ import annotations

import torch
from torch import nn

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
