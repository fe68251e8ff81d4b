"""The check of percepts on a user's network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from deepwright.checks import perception
from deepwright.checks.findings.finding import NotApplicableError
from deepwright.checks.perception import check_perception
from deepwright.checks.subjects.subject import Subject
from deepwright.data import load
from deepwright.interpret.mindset import Plan


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.head = nn.Linear(54, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.mark.slow
def test_a_grey_network_of_28_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Plan(items=10, train=60, held_out=20, refits=10)
    monkeypatch.setattr(perception, "Plan", lambda **given: replace(small, size=given["size"], seed=given["seed"]))
    torch.manual_seed(0)
    data = load("mnist")
    finding = check_perception(Subject(Digits(), data))
    finding.require_numbers()
    assert finding.conditions["pixels a side"] == 28
    assert finding.values["experiments"] == 4
    assert len(finding.tables[0].rows) == 4
    assert finding.figures[0].kind == "strips"
    assert "Of 4 effects" in finding.summary


@pytest.mark.slow
def test_what_no_figure_can_be_shown_to() -> None:
    data = load("digits")  # of 8 x 8 pixels
    with pytest.raises(NotApplicableError, match="28 pixels"):
        check_perception(Subject(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), data))
