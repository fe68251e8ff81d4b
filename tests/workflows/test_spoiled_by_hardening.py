"""A training that ruins a network isn't kept, what it costs is told, and the comparison is printed last."""

import math
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from deepwright.checks import Finding, Subject
from deepwright.cli import main
from deepwright.core.fit import FitResult
from deepwright.data import Data, Split
from deepwright.workflows import HardenOptions, corruption_training, hardening, robust_training
from deepwright.workflows.recipes import Recipe, Unspoiled, lost

BEFORE = {"score": 0.99, "robust": 0.0, "corrupted": 0.5, "both": 0.745}


def kept_of(score, robust, chance=0.11, before=BEFORE):
    row = {"score": score, "robust": robust}
    return Unspoiled(lambda network: row, "robust", before, chance)(nn.Identity())["kept"]


@pytest.mark.parametrize(
    ("score", "robust", "kept"), [(0.95, 0.4, 0.4), (0.67, 0.6, 0.6), (0.203, 0.11, -1), (0.65, 0.64, -1)]
)
def test_an_epoch_that_gives_up_the_clean_score_is_none(score, robust, kept):
    assert kept_of(score, robust) == kept


def test_a_constant_that_stands_under_every_attack_is_none():
    """Nine of ten samples are of one class: who always names it loses little, and nothing under attack."""
    assert kept_of(0.9, 0.9, chance=0.9) == -1
    assert kept_of(0.93, 0.7, chance=0.9) == 0.7
    assert kept_of(0.9, 0.9, chance=math.nan) == 0.9
    weak = {"score": 0.8, "robust": 0.1}  # which was no better than the constant itself
    assert kept_of(0.85, 0.3, chance=0.9, before=weak) == 0.3


def test_a_loss_is_warned_of():
    assert lost("accuracy", 500, 0.99, 0.95) == []
    assert lost("accuracy", 500, 0.0, 0.0) == []
    (found,) = lost("accuracy", 500, 0.98, 0.784)
    assert "WARNING" in found
    assert "by 20% of what it was, from 98.0% to 78.4% on 500" in found


@pytest.fixture
def subject():
    rng = torch.Generator().manual_seed(0)
    parts = [Split(torch.rand(30, 1, 8, 8, generator=rng), torch.arange(30) % 3) for _ in range(3)]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    return Subject(model, Data("noise", "image", ("a", "b", "c"), *parts), attack_limit=8, corruption_limit=4)


def spoil(seen, rows):
    """In place of a training: writes noise into the weights, and tells of epochs whose best is the last."""

    def trained(model, subject, recipe, epochs, selection, **options):
        seen.update(options, selection=selection)
        with torch.no_grad():
            model[1].weight.add_(1.0)
        best = max(range(len(rows)), key=lambda i: rows[i]["kept"])
        return FitResult(history=rows, best_epoch=best, best_value=rows[best]["kept"])

    return trained


@pytest.mark.parametrize("method", ["trades", "adversarial_training"])
def test_a_collapsed_network_is_given_back_as_it_was(subject, tmp_path, monkeypatch, method):
    seen = {}
    rows = [{"score": 0.0, "robust": 0.9, "kept": -1.0}]
    monkeypatch.setattr(robust_training, "trained", spoil(seen, rows))
    found = getattr(robust_training, method)(subject, Recipe(None, None, tmp_path / "t.pt", None, lambda words: None))
    assert torch.equal(found.model[1].weight, subject.model[1].weight)
    assert "the network is as it was" in found.notes[0]
    assert "1 of 1 epochs gave up" in found.notes[0]
    assert seen["selection"].monitor == "kept"
    assert seen["step"].warm_up == 0.6


def test_no_warm_up_is_heard(subject, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(robust_training, "trained", spoil(seen, [{"score": 0.0, "robust": 0.9, "kept": -1.0}]))
    robust_training.trades(subject, Recipe(None, None, tmp_path / "t.pt", None, lambda words: None, warm_up=0.0))
    assert seen["step"].warm_up == 0


@pytest.mark.parametrize(("kept", "stays"), [(-1.0, True), (0.0, True), (0.99, False)])
def test_corruption_training_keeps_what_it_doesn_t_better(subject, tmp_path, monkeypatch, kept, stays):
    rows = [{"score": 0.01, "corrupted": 0.0, "both": 0.0, "kept": kept}]
    monkeypatch.setattr(corruption_training, "trained", spoil({}, rows))
    monkeypatch.setattr(
        corruption_training, "run_check", lambda name, check, subject: Finding(name, "info", "none", {})
    )
    recipe = Recipe(None, None, tmp_path / "t.pt", None, lambda words: None)
    found = corruption_training.corruption_training(subject, recipe)
    assert torch.equal(found.model[1].weight, subject.model[1].weight) is stays
    assert ("the network is as it was" in found.notes[0]) is stays
    assert any("WARNING" in note for note in found.notes) is not stays


@pytest.mark.parametrize("method", ["smoothing", "corruption-training"])
def test_fewer_samples_are_told_unless_they_are_named(subject, monkeypatch, method):
    monkeypatch.setattr(hardening, "build_subject", lambda options, **rest: subject)
    most = hardening._FEWER[method][0]
    asked = HardenOptions(method=method, attack_limit=8, corruption_limit=4)
    assert hardening._fewer(asked, subject) == []
    plain = HardenOptions(method=method)
    assert hardening._subject(plain, lambda words: None).attack_limit == min(8, most["attack_limit"])
    assert "--attack-limit" in hardening._fewer(plain, subject)[0]


def test_the_comparison_is_printed_last(monkeypatch, tmp_path):
    from deepwright import report, workflows

    said = []
    before, after = SimpleNamespace(table=lambda: "before"), SimpleNamespace(gates=[], findings=[])
    found = SimpleNamespace(before=before, after=after, notes=[])
    monkeypatch.setattr(workflows, "harden", lambda options, say: found)
    monkeypatch.setattr(report, "print_table", lambda table, title="": said.append(table))
    monkeypatch.setattr(report, "print_audit", said.append)
    CliRunner().invoke(main, ["harden", "--out", str(tmp_path)])
    assert said == ["before", after]
