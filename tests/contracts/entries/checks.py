"""Calls of the checks and of the reports: networks on the device, findings as numbers.

A subject keeps its data on the CPU, so what it reads from the network comes back there.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

from deepwright.checks import (
    BUILTIN,
    Finding,
    NearestMean,
    Subject,
    TrivialPredictor,
    at_best,
    audit,
    compare,
    evaluate,
    grade_down,
    grade_up,
    graph_subject,
    load_checks,
    read_config,
    read_findings,
    read_report,
    require_alike,
    resolve,
    run_check,
    subject_from_loaders,
    task_activations,
)
from deepwright.core.randomness import local_rng
from deepwright.core.results import Claim, StudyResult, Table
from deepwright.core.tasks import Binary, MultiLabel, Regression, Segmentation
from deepwright.data import Data, Split
from deepwright.graphs import motif_ood
from deepwright.ood import WeightedGIN
from deepwright.report import (
    as_card,
    as_evidence,
    as_fragment,
    as_junit,
    as_markdown,
    evidence_of,
    evidence_table,
    keep,
    png,
    print_audit,
    print_finding,
    print_study,
    print_table,
    render,
    svg,
    write_history,
    write_report,
    write_study,
)
from entries import Entry, normal, uniform

LIMITS = {"attack_limit": 8, "corruption_limit": 6, "ood_limit": 10, "batch_size": 20}
TIMED = ("latency_ms", "onnx_latency_ms", "seconds")


def linear(inputs, outputs, device):
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs)).eval()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(normal(*p.shape, seed=i))
    return model.to(device)


def data(kind, x, y, classes, device):
    thirds = [Split(x[i::3].to(device), y[i::3].to(device)) for i in range(3)]
    return Data("made up", kind, classes, *thirds)


def table_subject(device, where="cpu", task=None, outputs=3):
    x = normal(90, 4)
    y = {1: torch.arange(90) % 2, 3: torch.arange(90) % 3}[outputs]
    if isinstance(task, MultiLabel):
        y = (normal(90, 3, seed=5) > 0).long()
    if isinstance(task, Regression):
        y = x[:, :3] + 0.1 * normal(90, 3, seed=5)
    classes = ("a", "b", "c") if task is None else ()
    return Subject(linear(4, outputs, device), data("tabular", x, y, classes, where), task=task, **LIMITS)


def image_subject(device, where="cpu"):
    x = uniform(60, 1, 6, 6)
    return Subject(linear(36, 3, device), data("image", x, torch.arange(60) % 3, ("a", "b", "c"), where), **LIMITS)


def graph_logits(device, where="cpu"):
    """A network of graphs on a device, graphs elsewhere: logits, and what the baseline says."""
    graphs = motif_ood(0, 6)
    with local_rng(0):
        network = WeightedGIN(1, 4, 2).eval().to(device)
    made = graph_subject(network, graphs.test.to(where), train=graphs.train.to(where))
    return made.logits(), made.baseline_outputs


def pixel_subject(device, where="cpu"):
    x = uniform(30, 1, 6, 6)
    model = nn.Conv2d(1, 2, 1).eval()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([-4.0, 4.0]).reshape(2, 1, 1, 1))
        model.bias.copy_(torch.tensor([2.0, -2.0]))
    made = data("image", x, (x[:, 0] > 0.4).long(), (), where)
    return Subject(model.to(device), made, task=Segmentation(2), **LIMITS)


def numbers(finding):
    """What a finding measured, but for times."""
    values = {name: finding.number(name) for name in finding.values if name not in TIMED}
    return finding.check, finding.grade, values


def checked(make, check):
    def call(device):
        return numbers(run_check(check, BUILTIN[check], make(device)))

    return call


def tasks_of(device):
    for task, outputs in ((Binary(), 1), (MultiLabel(3), 3), (Regression(3), 3)):
        yield table_subject(device, task=task, outputs=outputs)
    yield pixel_subject(device)


def audited_tasks(device):
    checks = ["accuracy", "calibration", "fragility", "ood"]
    return [[numbers(f) for f in audit(s, checks=checks).findings] for s in tasks_of(device)]


def on_device(device):
    """Data that live on the device too are brought to the CPU."""
    report = audit(table_subject(device, device), checks=["accuracy", "calibration"])
    return [numbers(f) for f in report.findings]


def subject(device):
    made = image_subject(device)
    read = [made.outputs(part) for part in ("train", "validation", "test")]
    return read, made.logits(), made.right, made.score, made.chance, made.baseline_outputs, made.ood


def activations(device):
    acts = task_activations(linear(4, 3, device), [normal(12, 4).to(device)])
    return acts.features, acts.labels, acts.logits


def loaders(device):
    x, y = normal(60, 4), torch.arange(60) % 3
    made = subject_from_loaders(linear(4, 3, device), [(x.to(device), y.to(device))], batch_size=20)
    return made.logits(), made.data.test.y


def nearest(device):
    x, y = normal(30, 4), torch.arange(30) % 3
    model = NearestMean.fit(Split(x.to(device), y.to(device)), 3)
    return model, model(x.to(device))


def trivial(device):
    model = TrivialPredictor(Regression(2), normal(20, 2).to(device))
    return model, model(normal(5, 4).to(device))


def plain(device):
    """What only handles numbers that came from the device."""
    made = table_subject(device)
    found = audit(made, checks=["accuracy", "calibration"]).findings
    table = compare(found, found, (made.describe(), made.describe()))
    require_alike(made.describe(), made.describe())
    gates = evaluate(["accuracy<0.1", "accuracy.grade>D"], found)
    grades = grade_down(0.3, (0.1, 0.2, 0.4, 0.8)), grade_up(0.3, (0.9, 0.8, 0.6, 0.3)), at_best("A", "D")
    return table.rows, [g.failed for g in gates], grades


def files(device):
    """What goes through files: reports, configuration and checks of one's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "own.py").write_text(
            "from deepwright.checks import Finding\n"
            "def check_mean(subject):\n"
            "    return Finding('mean', 'info', '', {'mean': float(subject.logits().mean())})\n"
        )
        (folder / "deepwright.toml").write_text('fail-on = ["mean>99"]')
        own = load_checks(folder / "own.py")
        report = audit(
            table_subject(device), checks=list(own.values()), fail_on=read_config(folder / "deepwright.toml")
        )
        write_report(report, folder)
        read = read_findings(folder / "report.json")
        again = read_report(folder / "report.json")[1]
        names = list(resolve([*own.values(), "cost"]))
        return [numbers(f) for f in read], [numbers(f) for f in again], names, report.failed


def drawn(device):
    """Pages, pictures and tables of what was measured on the device."""
    report = audit(table_subject(device), checks=["accuracy"])
    figure = report.findings[0].figures[0]
    study = StudyResult("s", [Claim.at_least("a", [1.0], 0.5)], Table(["a"], [[1]]), [figure])
    with tempfile.TemporaryDirectory() as name:
        picture = png([figure], Path(name) / "f.png").stat().st_size > 0
        page = write_study(study, Path(name)).read_text()
        dated = keep(report, Path(name) / "runs")
        history = len(list(dated.iterdir())), write_history(dated.parent).name
    print_audit(report)
    print_finding(report.findings[0])
    print_table(report.table())
    print_study(study)
    whole = Finding.from_dict(report.findings[0].to_dict())
    summary = len(as_markdown(report).splitlines()), as_junit(report).count("<testcase"), as_fragment(report)[:4]
    told = [e.clause for e in evidence_of(report)], len(evidence_table(report).rows), as_evidence(report, ".csv")[:8]
    card = as_card(report).count("type:")
    return svg(figure), picture, page, "accuracy" in render(report), numbers(whole), summary, told, card, history


SLOW = {("images", "corruptions"), ("images", "cost"), ("tables", "cost"), ("tables", "robustness")}
CHECKED = [(kind, make, c) for kind, make in (("images", image_subject), ("tables", table_subject)) for c in BUILTIN]

ENTRIES = [
    *(Entry(f"check of {k}: {c}", checked(m, c), tolerance=1e-3, slow=(k, c) in SLOW) for k, m, c in CHECKED),
    Entry("check of pixels: corruptions", checked(pixel_subject, "corruptions"), tolerance=1e-3, slow=True),
    Entry("audit of each task", audited_tasks, tolerance=1e-3),
    Entry("audit, data on the device", on_device, tolerance=1e-3),
    Entry("Subject", subject, returns="cpu"),
    Entry("subject_from_loaders, data on the device", loaders, returns="cpu"),
    Entry("graph_subject", graph_logits, returns="cpu", tolerance=1e-3),
    Entry("task_activations", activations),
    Entry("NearestMean", nearest),
    Entry("TrivialPredictor", trivial),
    Entry("compare, require_alike, evaluate, grades", plain, tolerance=1e-3),
    Entry("read_report, read_findings, read_config, load_checks, resolve", files, tolerance=1e-3),
    Entry("report", drawn, tolerance=1e-3),
]
