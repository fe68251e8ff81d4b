"""What is told of foreign inputs: in words where nothing can be told, and of the same sets everywhere."""

import pytest
import subjects
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.core.tasks import Classification


def test_a_confidence_that_cannot_be_read_is_told_in_words():
    """Probabilities that the user calls logits: no detector takes them, and the check says so."""
    model, made, _ = subjects.classification()
    soft = nn.Sequential(model, nn.Softmax(1)).eval()
    task = Classification(3, outputs="logits")
    found = audit(Subject(soft, made, task=task, **subjects.LIMITS), checks=["ood"])["ood"]
    assert "look like probabilities" in found.summary
    assert "KeyError" not in found.summary


def test_mean_and_worst_of_the_table_are_of_the_sets_that_are_judged(audited):
    found = audited("classification")[1]["ood"]
    assert set(found.conditions["judged"]) < set(found.conditions["foreign sets"])
    table = found.tables[0]
    row = next(row for row in table.rows if row[0] == "MSP")
    assert row[table.columns.index("mean")] == pytest.approx(found.number("auroc_mean"))
    assert row[table.columns.index("worst")] == pytest.approx(found.number("auroc_worst"))
