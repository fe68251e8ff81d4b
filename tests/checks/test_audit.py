"""The main job end to end on small subjects: findings, grades, gates, comparison, resumption, bad input."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

import deepwright as dw
from deepwright.checks import Finding, NearestMean, Subject, audit, compare, evaluate, grade_down, grade_up, load_checks
from deepwright.checks.findings.gates import parse, read_config
from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.data import load
from deepwright.nets import mlp

FAST = ["accuracy", "calibration", "fragility", "cost"]


def batches(n=200, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 3, 12, 12, generator=rng)
    y = (x.mean((1, 2, 3)) > 0.5).long()
    x = (x * 0.5 + 0.5 * y[:, None, None, None]).clamp(0, 1)
    return [(x[i : i + 50], y[i : i + 50]) for i in range(0, n, 50)]


class Brightness(nn.Module):
    """Knows bright from dark."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[-6.0] * 3, [6.0] * 3]))
            self.fc.bias.copy_(torch.tensor([9.0, -9.0]))

    def forward(self, x):
        return self.fc(torch.relu(x).mean((2, 3)))


@pytest.fixture(scope="module")
def report():
    return dw.audit(Brightness(), test=batches(), attack_limit=40, corruption_limit=20)


def test_every_check_runs_on_any_module_and_loader(report):
    assert [f.check for f in report.findings] == [
        "accuracy",
        "calibration",
        "fragility",
        "robustness",
        "corruptions",
        "ood",
        "cost",
        "duplicates",
        "labels",
        "slices",
        "drift",
        "groups",
    ]
    assert "failed" not in {f.grade for f in report.findings}, [f.summary for f in report.findings]
    assert report["accuracy"].number("accuracy") > 0.95
    for finding in report.findings:
        assert finding.summary
        assert finding.grade == "n/a" or finding.rule
        assert finding.grade == "n/a" or finding.remedy
    data = json.loads(json.dumps(report.to_dict()))
    assert set(data) >= {"subject", "findings", "gates"}
    assert set(data["findings"][0]) >= {"check", "grade", "values", "remedy"}
    assert Finding.from_dict(data["findings"][2]).to_dict() == data["findings"][2]


def test_a_perfect_and_a_useless_network_are_graded_so():
    useless = nn.Sequential(nn.Flatten(), nn.Linear(3 * 144, 2))
    with torch.no_grad():
        useless[1].weight.zero_()
    bad = audit(useless, batches(), checks=["accuracy", "fragility"])
    good = audit(Brightness(), batches(), checks=["accuracy", "fragility"])
    assert bad["accuracy"].grade in "DE"
    assert good["accuracy"].grade in "ABC"
    assert good["accuracy"].grade < bad["accuracy"].grade


def test_tables_are_audited():
    data = load("breast-cancer")
    model = mlp(30, 2)
    from deepwright.core.fit import fit

    fit(model, (data.train.x, data.train.y), epochs=20, batch_size=32)
    report = audit(Subject(model, data, attack_limit=20, corruption_limit=40, ood_limit=40, eps=(0.1, 0.4)))
    assert "failed" not in {f.grade for f in report.findings}, [f.summary for f in report.findings]
    assert "standardised features" in report["corruptions"].summary
    assert any("standard deviations" in note for note in report.subject["notes"])


def test_grades_have_order():
    assert [grade_down(v, (1, 2, 3, 4)) for v in (0.5, 2, 2.5, 4, 9, float("nan"))] == ["A", "B", "C", "D", "E", "E"]
    assert grade_up(0.95, (0.9, 0.8, 0.6, 0.3)) == "A"


def test_gates():
    finding = Finding("fragility", "D", "s", {"fi": Interval(0.7, 0.6, 0.8), "nfi": float("nan")})
    gates = evaluate(["fi>0.5", "fragility.fi>0.9", "fragility.grade>C", "nfi>5"], [finding])
    assert [g.failed for g in gates] == [True, False, True, True]  # NaN fails every gate
    with pytest.raises(InputError, match=r"one of fi"):
        evaluate(["fj>0.5"], [finding])
    with pytest.raises(InputError, match="gate"):
        parse("fi is large")


def test_toml(tmp_path):
    (tmp_path / "deepwright.toml").write_text('[gates]\nfail-on = ["fi>0.5"]\n')
    assert read_config(tmp_path / "deepwright.toml") == ["fi>0.5"]
    (tmp_path / "deepwright.toml").write_text("fail-on = 3")
    with pytest.raises(InputError, match="fail-on"):
        read_config(tmp_path / "deepwright.toml")


def test_comparison_knows_noise():
    before = Finding(
        "a", "C", "s", {"error": Interval(0.30, 0.25, 0.35), "size": 100}, lower_is_better=("error", "size")
    )
    after = Finding("a", "B", "s", {"error": Interval(0.28, 0.23, 0.33), "size": 50}, lower_is_better=("error", "size"))
    rows = {row[1]: row[-1] for row in compare([before], [after]).rows}
    assert rows == {"grade": "better", "error": "within noise", "size": "better"}
    after.values["error"] = Interval(0.1, 0.08, 0.12)
    assert {row[1]: row[-1] for row in compare([before], [after]).rows}["error"] == "better"


def test_own_checks(tmp_path, report):
    file = tmp_path / "my_checks.py"
    file.write_text(
        "from deepwright.checks import Finding\n"
        "def check_size(subject):\n    'Is it small?'\n"
        "    n = sum(p.numel() for p in subject.model.parameters())\n"
        "    return Finding('size', 'A' if n < 100 else 'E', f'{n} parameters', {'n': n}, rule='under 100', remedy='none')\n"
        "def check_broken(subject):\n    raise RuntimeError('oh no')\n"
    )
    own = load_checks(file)
    result = audit(Brightness(), batches(), checks=[*own.values()])
    assert result["size"].grade == "A"
    assert result["broken"].grade == "failed"
    assert "oh no" in result["broken"].summary
    assert result.failed
    (tmp_path / "empty.py").write_text("x = 1")
    with pytest.raises(InputError, match="no function"):
        load_checks(tmp_path / "empty.py")


def test_baseline_is_the_nearest_mean():
    data = load("mnist", limit=200)
    base = NearestMean.fit(data.train, 10)
    means = torch.stack([data.train.inputs()[data.train.y == k].mean(0).flatten() for k in range(10)])
    x = data.test.inputs()
    expected = torch.cdist(x.flatten(1), means).argmin(1)
    assert float((base(x).argmax(1) == expected).double().mean()) == 1.0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("model", "test", "message"),
    [
        (lambda: Brightness(), lambda: [(x * 255, y) for x, y in batches()], r"\[0, 1\]"),
        (lambda: Brightness(), lambda: [(x * float("nan"), y) for x, y in batches()], "NaN"),
        (lambda: Brightness(), lambda: [(x, y + 5) for x, y in batches()], r"0\.\.1"),
        (lambda: Brightness(), lambda: [x for x, _ in batches()], "batches of"),
        (lambda: Brightness(), lambda: [], "no batch"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), lambda: batches(), "input size"),
        (lambda: len, lambda: batches(), "one row of scores a sample"),
        (lambda: nn.Linear, lambda: batches(), "nn.Module"),
    ],
)
def test_bad_input(model, test, message):
    with pytest.raises(InputError, match=message):
        audit(model(), test(), checks=["accuracy"])


def test_wrong_number_of_outputs():
    data = load("mnist", limit=20, train_limit=50)
    with pytest.raises(InputError, match=r"shape \(N, 3\).*\(N, 10\), one column for each class.*7 classes more"):
        Subject(nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), data)


def test_uint8_pixels_and_train_mode_are_handled():
    model = nn.Sequential(Brightness(), nn.Dropout(0.5)).train()
    raw = [((x * 255).round().to(torch.uint8), y) for x, y in batches()]
    report = audit(model, raw, checks=["accuracy"])
    assert report["accuracy"].number("accuracy") > 0.95
    assert model[1].training


def test_class_without_training_samples():
    only = [(x[y == 0], y[y == 0]) for x, y in batches()]
    report = audit(Brightness(), batches(), train=only, checks=["accuracy", "ood"])
    assert "failed" not in {f.grade for f in report.findings}, report["ood"].summary
    assert "baseline_accuracy" not in report["accuracy"].values


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, image_folder, monkeypatch):
    (tmp_path / "mypkg").mkdir()
    (tmp_path / "mypkg" / "__init__.py").write_text("")
    (tmp_path / "mypkg" / "models.py").write_text(
        "from torch import nn\n"
        "def build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
    )
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [m for m in sys.modules if m.split(".")[0] == "mypkg"]:
        del sys.modules[name]
    return tmp_path


def command(*words):
    return CliRunner().invoke(main, ["audit", *words])


def test_own_network_and_folder(project):
    result = command(
        "mypkg.models:build",
        "--weights",
        "w.safetensors",
        "--data",
        "images/",
        "--json",
        "out.json",
        "--check",
        "accuracy",
        "--check",
        "cost",
    )
    assert result.exit_code == 0, result.output
    assert "report/index.html" in result.output
    content = json.loads((project / "out.json").read_text())
    assert [f["check"] for f in content["findings"]] == ["accuracy", "cost"]
    assert (project / "report" / "report.json").exists()
    assert not (project / "report" / ".unfinished").exists()


def test_gates_set_the_exit_code(project):
    words = ["mypkg.models:build", "--data", "images/", "--check", "accuracy"]
    assert command(*words, "--fail-on", "accuracy<1.1").exit_code == 1
    assert command(*words, "--fail-on", "accuracy<0.001").exit_code == 0
    (project / "deepwright.toml").write_text('fail-on = ["accuracy<1.1"]')
    assert command(*words).exit_code == 1


def test_table_is_trained_and_audited(project):
    rows = ["a,b,DEATH_EVENT"] + [f"{i % 7},{i % 11},{int(i % 7 > 3)}" for i in range(200)]
    (project / "table.csv").write_text("\n".join(rows))
    result = command("--data", "table.csv", "--target", "DEATH_EVENT", "--check", "accuracy")
    assert result.exit_code == 0, result.output
    result = command("--data", "table.csv", "--target", "NOPE")
    assert result.exit_code == 2
    assert "one of a, b, DEATH_EVENT" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet8-mnits"], "did you mean"),
        (["mypkg.models:build"], "--data"),
        (["mypkg.models:build", "--data", "nowhere/"], "does not exist"),
        (["mypkg.models:build", "--data", "images/", "--weights", "none.pt"], "does not exist"),
        (["mypkg.models:build", "--data", "images/", "--fail-on", "accuracy is bad"], "gate"),
        (["mypkg.models:build", "--data", "images/", "--check", "nonsense"], "unknown check"),
        (["mypkg.models:build", "--data", "images/", "--compare", "none.json"], "cannot compare"),
        (["mypkg.models:build", "--data", "images/", "--eps", "a,b"], "--eps"),
        (["mypkg.models:build", "--data", "images/", "--device", "cuda:77"], "--device"),
        (["resnet20-cifar10"], "--data-root"),
        (["--data", "images/"], "deepwright list models"),
    ],
)
def test_wrong_words_end_in_one_line(project, words, message):
    result = command(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_read_only_folder(project):
    (project / "report").write_text("a file in the way")
    result = command("mypkg.models:build", "--data", "images/")
    assert result.exit_code == 2
    assert "--out" in result.output


def test_comparison_on_the_command_line(project):
    words = ["mypkg.models:build", "--weights", "w.safetensors", "--data", "images/", "--check", "accuracy"]
    command(*words, "--out", "before")
    result = command(*words, "--out", "after", "--compare", "before/report.json")
    assert result.exit_code == 0, result.output
    content = json.loads((project / "after" / "report.json").read_text())
    assert all(row[-1] == "same" for row in content["comparison"]["rows"])


@pytest.mark.slow
def test_interrupt_and_resume(tmp_path):
    own = tmp_path / "slow.py"
    own.write_text(
        "import time\nfrom deepwright.checks import Finding\n"
        "def check_a(subject):\n    return Finding('a', 'A', 'first', {'t': time.time()})\n"
        "def check_b(subject):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
    )
    words = [
        sys.executable,
        "-m",
        "deepwright",
        "audit",
        "--check",
        str(own),
        "--check",
        "accuracy",
        "--limit",
        "50",
        "--out",
        str(tmp_path / "r"),
    ]
    # a shell that runs the tests in the background ignores Ctrl-C, and so would its children
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, text=True, cwd=tmp_path, preexec_fn=heard, **pipes)
    while "waiting" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in error
    kept = [
        json.loads(line) for line in (tmp_path / "r" / ".unfinished" / "findings.jsonl").read_text().splitlines()[1:]
    ]
    assert {row["name"].split()[0] for row in kept} == {"accuracy", "a"}
    own.write_text(own.read_text().replace("time.sleep(60)", "return Finding('b', 'A', 'second', {})"))
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "going on" in done.stderr
    findings = json.loads((tmp_path / "r" / "report.json").read_text())["findings"]
    assert {f["check"]: f for f in findings}["a"]["values"] == {row["name"].split()[0]: row for row in kept}["a"][
        "value"
    ]["values"]


def test_help_is_quick():
    environment = {**os.environ}
    subprocess.run([sys.executable, "-m", "deepwright", "--help"], check=True, capture_output=True, env=environment)
    listing = "import sys, deepwright.cli; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'rich')))"
    assert subprocess.run([sys.executable, "-c", listing], check=False).returncode == 0


def test_listing(tmp_path):
    output = CliRunner().invoke(main, ["list"]).output
    for word in ("resnet8-mnist", "imagenet-sample", "fragility-index", "robustness"):
        assert word in output


@pytest.mark.slow
def test_the_main_job():
    """`deepwright audit` with no argument."""
    with CliRunner().isolated_filesystem():
        result = CliRunner().invoke(main, ["audit"])
        assert result.exit_code == 0, result.output
        content = json.loads(Path("report/report.json").read_text())
    grades = {f["check"]: f["grade"] for f in content["findings"]}
    assert "failed" not in grades.values()
    assert grades["accuracy"] == "A"


def test_no_temperature_is_advised_where_the_validation_data_determine_none(report):
    """The network is right on all of them: the likelihood grows for ever as T falls."""
    finding = report["calibration"]
    assert "temperature" not in finding.values
    assert "No temperature can be fitted" in finding.summary
    assert "Divide the logits" not in finding.remedy


def test_fragility_of_a_network_that_is_right_everywhere_is_graded_without_a_temperature(report):
    finding = report["fragility"]
    assert (finding.number("fi"), finding.grade) == (0.0, "A")
