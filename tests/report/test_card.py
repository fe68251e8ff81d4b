"""The model card is read by the hub's own parser, whatever the names in it."""

import pytest
from huggingface_hub import ModelCard

from deepwright.checks import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.report import as_card
from deepwright.report.card import MARK
from deepwright.workflows import AuditOptions


def findings():
    measured = {"accuracy": Interval(0.9, 0.8, 0.95)}
    return [
        Finding("accuracy", "A", "Good.", measured, graded_by=("accuracy",), higher_is_better=("accuracy",)),
        Finding("fragility", "E", "No bound.", {"fi": float("inf")}),
        Finding("cost", "info", "Cheap.", {"latency_ms": 2.5}),
    ]


def test_the_hub_reads_the_numbers(report):
    subject = {**report.subject, "name": "my net", "data": "My Data", "kind": "image", "task": "binary classification"}
    card = ModelCard(as_card(AuditReport(subject, findings())))
    assert card.data.model_name == "my net"
    accuracy, latency = card.data.eval_results  # an infinite number is none that the hub could show
    assert (accuracy.task_type, accuracy.dataset_type, accuracy.dataset_name) == (
        "image-classification",
        "my-data",
        "My Data",
    )
    assert (accuracy.metric_type, accuracy.metric_value, accuracy.dataset_split) == ("accuracy", 0.9, "test")
    assert accuracy.metric_args == {"interval": 0.95, "low": 0.8, "high": 0.95}
    assert accuracy.metric_name == "Right answers (95 % interval 80.0 to 95.0 %)"
    assert (latency.metric_type, latency.metric_value) == ("latency_ms", 2.5)
    assert "Not stated" in card.text


@pytest.mark.parametrize("name", ["a: b", "- x", "'q'", '"', "#c", "---", "\u2028 \x85 \0", "{}", "yes", "1.0", "é 😀"])
def test_names_stay_names(report, evil, name):
    subject = {**report.subject, "name": name, "data": name + evil}
    card = ModelCard(as_card(AuditReport(subject, findings())))
    kept = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    assert card.data.model_name == kept
    assert card.data.eval_results[0].dataset_name == (kept + evil).strip()
    assert "<script" not in card.text


def test_without_numbers_there_are_no_results(report):
    content = as_card(AuditReport(report.subject, [Finding.not_applicable("ood", "no classes")]))
    assert "results: []" in content
    assert "model-index" in content


def test_a_readme_of_somebody_is_left_alone(report, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("My own words.")
    with pytest.raises(InputError, match="something else wrote"):
        AuditOptions(card=readme)
    readme.write_text(as_card(report))
    AuditOptions(card=readme)
    readme.write_text(as_card(report).replace(MARK, ""))
    with pytest.raises(InputError, match="something else wrote"):
        AuditOptions(card=readme)
