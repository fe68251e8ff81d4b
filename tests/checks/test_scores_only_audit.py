"""Audits of networks without gradients, and of ONNX files: every check runs, or says why it doesn't apply."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from deepwright import audit
from deepwright.adversarial import APGD
from deepwright.checks import robustness
from deepwright.checks.grading import Graded
from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.workflows import AuditOptions, build_subject
from onnx_networks import made, write

X, Y = load_iris(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(150)
TRAIN, TEST = ORDER[:90], ORDER[90:]


def batches(rows):
    return [(torch.from_numpy(X[rows]).float(), torch.from_numpy(Y[rows]))]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(robustness, "_QUERIES", 20)
    monkeypatch.setattr(robustness, "_DECISIONS", 150)
    monkeypatch.setattr(robustness, "_DRAWS", 3)


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X[TRAIN], Y[TRAIN])


def test_an_estimator_says_what_it_gives_of_a_table_too(pipeline, tmp_path):
    """Its columns are turned back from deviations, which is wrapped around it and hides no word of its own."""
    lines = [",".join(f"{value:.3f}" for value in row) + f",{label}" for row, label in zip(X, Y, strict=True)]
    (tmp_path / "iris.csv").write_text("\n".join(["a,b,c,d,kind", *lines]))
    subject = build_subject(AuditOptions(pipeline, data=tmp_path / "iris.csv", target="kind"), trains=False)
    assert subject.task.outputs == "probabilities"


def test_a_pipeline_from_end_to_end(pipeline, quick):
    report = audit(pipeline, batches(TEST), train=batches(TRAIN), attack_limit=30, corruption_limit=30, ood_limit=30)
    grades = {finding.check: finding.grade for finding in report.findings}
    assert "failed" not in grades.values()
    assert grades["cost"] == "n/a"
    right = float((pipeline.predict(X[TEST]) == Y[TEST]).mean())
    assert report["accuracy"].values["accuracy"].value == pytest.approx(right)
    robust = report["robustness"]
    assert "upper bound" in robust.summary
    assert "gradient masking" not in robust.summary.lower()
    assert robust.grade in ("info", "D", "E")
    assert robust.conditions["attack"] == "by scores, 20 queries"
    table = {row[0] for row in report["ood"].tables[0].rows}
    assert "MSP" in table
    assert "Energy" not in table  # of probabilities it is rounding noise
    assert "ODIN" not in table  # it needs gradients


def test_probabilities_are_read_as_such(pipeline):
    report = audit(pipeline, batches(TEST), train=batches(TRAIN), checks=["calibration"])
    p = torch.from_numpy(pipeline.predict_proba(X[TEST]))
    y = torch.from_numpy(Y[TEST])
    assert report["calibration"].values["nll"].value == pytest.approx(
        float(nn.functional.nll_loss(p.log(), y)), rel=1e-4
    )


def test_labels_alone_are_not_taken_for_certainty(quick):
    class Nearest:
        classes_, n_features_in_ = np.arange(3), 4

        def fit(self, x, y):
            return self

        def predict(self, x):
            means = np.stack([X[TRAIN][Y[TRAIN] == k].mean(0) for k in range(3)])
            return ((x[:, None] - means) ** 2).sum(2).argmin(1)

    report = audit(
        Nearest(), batches(TEST), train=batches(TRAIN), checks=["accuracy", "calibration", "fragility", "ood"]
    )
    assert report["accuracy"].grade not in ("n/a", "failed")
    for check in ("calibration", "fragility", "ood"):
        assert report[check].grade == "n/a"
        assert "labels and no scores" in report[check].summary


def test_labels_alone_are_attacked_by_decisions(quick):
    class Above:
        classes_, n_features_in_ = np.arange(2), 4

        def fit(self, x, y):
            return self

        def predict(self, x):
            return (x[:, 0] > x[:, 1]).astype(int)

    rows = X[TEST][:12]
    loader = [(torch.as_tensor(rows).float(), torch.as_tensor(Above().predict(rows)))]
    robust = audit(Above(), loader, checks=["robustness"])["robustness"]
    assert robust.conditions["attack"] == "by decisions, 150 queries"
    assert "HopSkipJump with 150 queries" in robust.summary


def test_a_function_and_its_randomness():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="fix its seed"):
        audit(lambda x: rng.random((len(x), 3)), batches(TEST), checks=["accuracy"])
    report = audit(
        lambda x: -((x[:, None] - X[:3].mean(0)) ** 2).sum(2).repeat(3, 1), batches(TEST), checks=["accuracy"]
    )
    assert report["accuracy"].grade != "failed"


@pytest.mark.slow
def test_attacks_by_scores_bound_those_by_gradients_from_above():
    """The same network with and without gradients: what the weaker attacks leave standing is no less."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    x, y = torch.from_numpy(X).float(), torch.from_numpy(Y)
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    options = {"checks": ["robustness"], "attack_limit": 40, "eps": (0.2, 0.5)}
    data = batches(TEST)

    def function(rows: torch.Tensor):
        return network(rows.float())

    by_scores = audit(function, data, train=batches(TRAIN), **options)["robustness"].values
    by_gradients = audit(network, data, train=batches(TRAIN), **options)["robustness"].values
    for eps in ("0.2", "0.5"):
        name = f"robust_accuracy_at_{eps}"
        assert by_scores[name].value >= by_gradients[name].value - 0.1  # in four columns a search by scores is no worse
    assert by_scores["clean_accuracy"].value == by_gradients["clean_accuracy"].value
    assert by_scores["robust_accuracy_at_0.5"].value < by_scores["clean_accuracy"].value  # it does search


@pytest.mark.parametrize("letter", "ABCDE")
def test_an_upper_bound_is_graded_only_where_it_is_bad(letter):
    found, rule = robustness._bounded(Graded(letter, ("B",)), "the rule." + Graded(letter, ("B",)).words)
    assert found.grade == (letter if letter in "DE" else "info")
    assert found.could_be == (("E",) if letter == "D" else ())
    assert ("upper bound" in rule) == (letter in "DE")
    assert "could be" not in rule


def test_an_onnx_file_is_audited_as_the_network_that_it_was_written_from(tmp_path):
    network, shape = made("perceptron")
    path = write(network, shape, tmp_path / "n.onnx")
    from deepwright.nets.onnx_files import open_onnx

    options = {"checks": ["accuracy", "calibration", "robustness"], "attack_limit": 20, "eps": (0.1, 0.3)}
    one, two = (audit(m, batches(TEST), **options) for m in (open_onnx(path), network))
    for check in options["checks"]:
        for name, value in one[check].values.items():
            other = two[check].values[name]
            assert getattr(value, "value", value) == pytest.approx(getattr(other, "value", other), rel=1e-3, abs=1e-6)
        assert one[check].grade == two[check].grade
    assert any("equal to ONNX Runtime on 8 real inputs" in note for note in one.subject["notes"])


@pytest.mark.slow
def test_an_onnx_file_on_the_command_line(tmp_path, monkeypatch):
    """All checks, pictures, attacks by gradients through the twin."""
    from deepwright.nets import load

    path = write(load("resnet8-mnist"), (1, 28, 28), tmp_path / "digits.onnx")
    words = ["audit", str(path), "--data", "mnist", "--limit", "100", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    grades = {f["check"]: f["grade"] for f in report["findings"]}
    assert "failed" not in grades.values()
    assert {name for name, grade in grades.items() if grade == "n/a"} <= {"slices", "groups"}  # few samples, no column
    assert any("torch twin" in note for note in report["subject"]["notes"])
    assert APGD.__name__ in json.dumps(report)
