"""What trackers get, from the trackers' own readers; nothing leaves the machine."""

import builtins
import importlib.util
import sys
import types

import pytest

from deepwright.checks import Finding, Gate
from deepwright.checks.running import AuditReport
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.statistics import Interval
from deepwright.report import log_report
from deepwright.report.tracking import numbers_of
from deepwright.workflows import AuditOptions


@pytest.fixture
def audited(report):
    findings = [
        Finding("accuracy", "B", "", {"accuracy": Interval(0.9, 0.8, 0.95)}, could_be=("A",)),
        Finding("robustness", "E", "", {"robust_accuracy_at_8/255": 0.1, "eps_half": float("inf"), "a:b<c>": 1}),
    ]
    return AuditReport(report.subject, findings, [Gate("accuracy<0.8", 0.9, False)])


EXPECTED = {
    "accuracy.accuracy": 0.9,
    "accuracy.accuracy.low": 0.8,
    "accuracy.accuracy.high": 0.95,
    "robustness.robust_accuracy_at_8/255": 0.1,
    "robustness.a_b_c_": 1.0,
}


def test_numbers_with_their_intervals(audited):
    assert numbers_of(audited.findings) == EXPECTED


def test_a_missing_tracker_names_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deepwright\[mlflow\]'"):
        AuditOptions(log=["mlflow"])


def test_a_tracker_that_cannot_be_imported_says_why(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    before = builtins.__import__

    def broken(name, *rest):
        if name == "wandb":
            raise ImportError("protobuf is too new")
        return before(name, *rest)

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(InputError, match="protobuf is too new"):
        AuditOptions(log=["wandb"])


def test_what_a_server_says_is_told(audited, monkeypatch):
    def refuse(**_):
        raise RuntimeError("403 from your server")

    stub = types.SimpleNamespace(start_run=refuse, active_run=lambda: None, __spec__=object())
    monkeypatch.setitem(sys.modules, "mlflow", stub)
    with pytest.raises(InputError, match="403 from your server"):
        log_report(audited, "mlflow")


@pytest.mark.parametrize(("names", "mode"), [((), "offline"), (("WANDB_API_KEY",), None), (("WANDB_MODE",), None)])
def test_wandb_goes_online_only_where_it_is_asked_to(audited, monkeypatch, names, mode):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in names:
        monkeypatch.setenv(name, "x")
    asked, said = {}, {}
    run = types.SimpleNamespace(summary=said, log_artifact=lambda _: None, finish=lambda: said.update(finished=True))
    files = types.SimpleNamespace(add_dir=lambda _: None)
    stub = types.SimpleNamespace(
        run=None, init=lambda **words: asked.update(words) or run, Artifact=lambda *_, **__: files, __spec__=object()
    )
    monkeypatch.setitem(sys.modules, "wandb", stub)
    log_report(audited, "wandb")
    assert asked["mode"] == mode
    assert said["finished"]
    assert said["accuracy.accuracy.low"] == 0.8


@pytest.mark.slow
def test_mlflow_holds_it(audited, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    log_report(audited, "mlflow")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs(["0"])
    assert run.data.metrics == EXPECTED
    assert run.data.tags["grade.accuracy"] == "B or A"
    assert run.data.tags["gate.1"] == "fails when accuracy<0.8: passed"
    assert {f.path for f in client.list_artifacts(run.info.run_id, "deepwright")} == {
        "deepwright/index.html",
        "deepwright/report.json",
    }


@pytest.mark.slow
def test_wandb_holds_it_offline(audited, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", exc_type=ImportError)
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    log_report(audited, "wandb")
    assert wandb.run is None
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (records,) = folder.glob("*.wandb")  # which syncs read
    content = records.read_bytes()
    assert [
        name for name in (*EXPECTED, "grade.accuracy", "B or A", "index.html") if name.encode() not in content
    ] == []
