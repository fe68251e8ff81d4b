"""The same findings from two processes, and from a cluster, as from one."""

import json
import os
import signal
import sys
import threading
import types
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deepwright.checks import Finding, Subject, audit
from deepwright.core.errors import InputError
from deepwright.core.rows import Rows
from deepwright.core.spreading import ClusterError, RankError, on_ray, spread_map
from deepwright.data import Data, Split
from deepwright.workflows import AuditOptions
from deepwright.workflows.subjects import build_subject

SMALL = {"attack_limit": 16, "corruption_limit": 16, "ood_limit": 24, "batch_size": 7}


class Dies(nn.Module):
    """A network that ends the second process where a file says so."""

    def __init__(self, flag):
        super().__init__()
        self.flag, self.net = str(flag), nn.Linear(4, 2)

    def forward(self, x):
        if os.environ.get("LOCAL_RANK") == "1" and Path(self.flag).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return self.net(x)


class DiesOnce(nn.Module):
    """A network that ends a worker the first time that it is asked there."""

    def __init__(self, flag, driver):
        super().__init__()
        self.flag, self.driver, self.net = str(flag), driver, nn.Linear(4, 2)

    def forward(self, x):
        if os.getpid() != self.driver and not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.net(x)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


def batches():
    g = torch.Generator().manual_seed(0)
    y = torch.arange(96) % 3
    x = (torch.rand(96, 1, 8, 8, generator=g) * 0.7 + y[:, None, None, None] * 0.1).clamp(0, 1)
    return [(x[i : i + 24], y[i : i + 24]) for i in range(0, 96, 24)]


def own_check(subject):
    """A check of a user's, whose result depends on the process."""
    return Finding("own", "info", "measured", {"right": float(subject.right.double().mean())}, rule="", remedy="")


def numbers(report):
    """The findings but for what is timed."""
    found = {}
    for finding in report.to_dict()["findings"]:
        found[finding["check"]] = json.loads(json.dumps(finding))
        found[finding["check"]].pop("seconds")
        assert finding["grade"] != "failed", finding["summary"]
    if "cost" in found:
        cost = found.pop("cost")
        found["cost"] = {k: cost["values"][k] for k in ("macs", "params", "activation_bytes")}
    return found


@pytest.fixture(scope="module")
def alone():
    return numbers(audit(network(), batches(), **SMALL))


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    here = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}  # for the networks of this file
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=here)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (path / name).mkdir()
        for i in range(24):
            pixels = rng.integers(0, 200, (8, 8), dtype=np.uint8) + (50 if name == "b" else 0)
            Image.fromarray(pixels).save(path / name / f"{i}.png")
    return path


def table(net, tmp_path, **options):
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    split = Split(x, (x[:, 0] > 0).long())
    data = Data("table", "tabular", ("a", "b"), split, split, split)
    subject = Subject(net, data, batch_size=8)
    return audit(subject, checks=["accuracy", "calibration"], journal=tmp_path / "findings.jsonl", **options)


def pictures(folder, **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2)).eval()
    subject = build_subject(AuditOptions(net, data=folder, stream=True), trains=False)
    assert isinstance(subject.data.test.x, Rows)
    checks = ["accuracy", "calibration", "ood", "drift", own_check]
    return numbers(audit(replace(subject, batch_size=5, ood_limit=20), checks=checks, **options))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"devices": 0}, "devices; given: 0"),
        ({"backend": "dask"}, "unknown backend.*local, ray"),
        ({"backend": "ray", "devices": 2}, "2 beside backend='ray'"),
    ],
)
def test_what_cannot_be_had_is_refused_first(options, word):
    with pytest.raises(InputError, match=word):
        audit(network(), batches(), checks=["accuracy"], **options)
    with pytest.raises(InputError, match=word):
        AuditOptions("resnet8-mnist", **options)


def test_more_gpus_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr("deepwright.core.devices._count", lambda kind: 1 if kind == "cuda" else 0)
    with pytest.raises(InputError, match="devices; given: 2 from cuda on; expected: at most the 1"):
        AuditOptions("resnet8-mnist", devices=2, device="cuda")


@pytest.mark.slow
def test_two_processes_find_what_one_finds(alone):
    assert numbers(audit(network(), batches(), devices=2, **SMALL)) == alone


@pytest.mark.slow
def test_streamed_pictures_are_read_by_both(folder):
    assert pictures(folder, devices=2) == pictures(folder)


@pytest.mark.slow
def test_a_killed_process_ends_the_audit_and_the_next_one_goes_on(tmp_path):
    torch.manual_seed(0)
    net, flag = Dies(tmp_path / "flag"), tmp_path / "flag"
    with pytest.raises(RankError, match=r"process 1 of 2 was killed \(SIGKILL\)"):
        table(net, tmp_path, devices=2, on_finding=lambda finding: flag.touch())
    # calibration needs the validation outputs, which weren't there yet
    flag.unlink()
    kept = (tmp_path / "findings.jsonl").read_text()
    assert '"accuracy ' in kept
    assert '"calibration ' not in kept
    found = numbers(table(net, tmp_path))
    assert found == numbers(table(net, tmp_path / "afresh"))


@pytest.mark.slow
def test_a_cluster_finds_what_one_process_finds(cluster, alone):
    assert numbers(audit(network(), batches(), backend="ray", **SMALL)) == alone


@pytest.mark.slow
def test_a_cluster_reads_streamed_pictures(cluster, folder):
    assert pictures(folder, backend="ray") == pictures(folder)


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(cluster, tmp_path):
    torch.manual_seed(0)
    net = DiesOnce(tmp_path / "flag", os.getpid())
    found = numbers(table(net, tmp_path / "ray", backend="ray"))
    assert (tmp_path / "flag").exists()
    assert found == numbers(table(net, tmp_path / "one"))


@pytest.mark.slow
def test_a_worker_that_lacks_a_module_ends_the_audit(cluster, tmp_path):
    """It would fail in every check, and none of them is at fault."""
    module = types.ModuleType("a_module_of_this_process")
    exec("import torch\nclass Net(torch.nn.Linear): pass", vars(module))
    module.Net.__module__ = module.__name__
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        with pytest.raises(ClusterError, match="No module named 'a_module_of_this_process'"):
            table(module.Net(4, 2), tmp_path, backend="ray")
    assert '"accuracy' not in (tmp_path / "findings.jsonl").read_text()


@pytest.mark.slow
def test_work_that_cannot_be_sent_to_workers_is_refused(cluster):
    held = threading.Lock()
    with on_ray(torch.device("cpu")), pytest.raises(InputError, match="can't be sent to another process"):
        spread_map(lambda: held, [1, 2])  # type: ignore[arg-type]


class Drawing(torch.nn.Module):
    """Draws random numbers when it is asked."""

    def forward(self, x):
        return x.flatten(1)[:, :2] + torch.rand(len(x), 2)


@pytest.mark.parametrize(("network", "devices", "said"), [(Drawing(), 2, 1), (Drawing(), 1, 0), (None, 2, 0)])
def test_a_network_that_draws_is_told_where_several_processes_work(monkeypatch, network, devices, said):
    @contextmanager
    def in_one(subject, run, devices, backend):
        yield lambda name, check, own: run(name, check, subject)

    monkeypatch.setattr("deepwright.checks.running.running_on", in_one)
    x, y = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    model = network or torch.nn.Linear(3, 2)
    report = audit(model, [(x, y)], split="test", checks=["accuracy"], devices=devices)
    assert sum("draws random numbers" in note for note in report.subject["notes"]) == said
