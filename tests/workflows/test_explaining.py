"""Explanations: questions, attributes, one page, resumed, refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.checks import ON_REQUEST, NotApplicableError, run_check
from deepwright.core.errors import InputError
from deepwright.core.resume import OtherWorkError
from deepwright.data import Data, Split
from deepwright.workflows import ExplainOptions, explain
from deepwright.workflows.explaining import QUESTIONS


class Plain(nn.Module):
    """A narrow network whose blocks fold nothing: every factor is invertible."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def rows(n=120, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=g)
    place = np.arange(n) % 3
    return Split(x, (x[:, 0] > 0).long(), {"place": place})


@pytest.fixture
def asked():
    data = Data("points", "tabular", ("left", "right"), rows(), rows(60, 1), rows(80, 2))
    torch.manual_seed(0)
    return {"model": Plain(), "data": data, "out": None}


def test_every_question_has_a_check():
    assert set(QUESTIONS.values()) <= set(ON_REQUEST)


def test_one_question_one_answer_one_page(asked, tmp_path):
    report = explain(ExplainOptions(**asked | {"out": tmp_path}, questions=["forbids"]))
    assert [f.check for f in report.findings] == ["embedding"]
    assert report.kind == "explanation"
    assert json.loads((tmp_path / "report.json").read_text())["kind"] == "explanation"
    page = (tmp_path / "index.html").read_text()
    assert "Deepwright explanation" in page
    assert "What does its shape forbid?" in page
    assert "can't be judged" not in page  # answers have no grades
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.html", "report.json"]


def test_attributes_are_asked_for_and_unknown_ones_refused(asked):
    with pytest.raises(InputError, match="place"):
        explain(ExplainOptions(**asked, questions=["costs"], attributes=["plaice"]))
    seen = []
    report = explain(ExplainOptions(**asked, questions=["costs"], attributes=["place"]), on_finding=seen.append)
    assert [f.check for f in seen] == ["attribute_cost"]
    finding = report["attribute_cost"]
    assert finding.grade == "n/a" or "cost_of_place" in finding.values


def test_words_are_refused_before_anything_runs():
    for words in (
        {"questions": ["uses", "why"]},
        {"questions": "uses"},
        {"attributes": "place"},
        {"eps": (0.1,)},
        {"ood": "x"},
    ):
        with pytest.raises(InputError):
            ExplainOptions(**words)


def test_it_goes_on_where_it_was_and_not_with_another_network(asked, tmp_path, monkeypatch):
    def stopped(subject):
        raise KeyboardInterrupt

    asked["out"] = tmp_path
    monkeypatch.setitem(ON_REQUEST, "perception", stopped)
    with pytest.raises(KeyboardInterrupt):
        explain(ExplainOptions(**asked, questions=["forbids", "sees"]))
    assert (tmp_path / ".unfinished").exists()
    torch.manual_seed(1)
    with pytest.raises(OtherWorkError):
        explain(ExplainOptions(**asked | {"model": Plain()}, questions=["forbids", "sees"]))

    def refused(subject):
        raise AssertionError("asked again")

    monkeypatch.setitem(ON_REQUEST, "perception", lambda subject: run_check("perception", _none, subject))
    said = []
    report = explain(ExplainOptions(**asked, questions=["forbids", "sees"]), say=said.append)
    assert any("going on" in words for words in said)
    assert [f.check for f in report.findings] == ["embedding", "perception"]
    assert not Path(tmp_path / ".unfinished").exists()


def _none(subject):
    raise NotApplicableError("not here")
