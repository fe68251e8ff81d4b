"""`deepwright shrink`: files that can be used, targets that are met, a before-and-after that tells what broke."""

import json
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

from deepwright.checks import Subject
from deepwright.cli import main
from deepwright.cli.shrinking import parse_goal
from deepwright.compress import CalibrationError, ShrinkGraph, index_map_from_json, shrink
from deepwright.compress.surgery.plans import Plan
from deepwright.core.errors import InputError
from deepwright.core.files import read_sealed, write_sealed
from deepwright.core.inference import logits_of
from deepwright.core.tasks import Binary, MultiLabel, Regression
from deepwright.data import Data, Split
from deepwright.data import load as load_data
from deepwright.nets import load
from deepwright.workflows import ExitOptions, ShrinkOptions, exits
from deepwright.workflows import shrink as shrink_workflow


def words(tmp_path, *more):
    return ["shrink", "--check", "accuracy", "--limit", "200", "--out", str(tmp_path / "s"), *more]


@pytest.mark.slow
def test_one_shot_from_the_command(tmp_path):
    done = CliRunner().invoke(
        main, words(tmp_path, "--goal", "macs=0.5", "--epochs", "1", "--json", str(tmp_path / "r.json"))
    )
    assert done.exit_code == 0, done.output
    folder = tmp_path / "s"
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["verification"]["error"] <= 1e-9
    assert result["cost"]["macs"] <= 0.5 * 9_346_250
    assert (folder / "index.html").exists()
    assert (folder / "before" / "report.json").exists()
    assert "before and after" in (folder / "report.json").read_text()
    # the index map rebuilds the architecture, and the weights fit it
    model = load("resnet8-mnist")
    graph = ShrinkGraph.from_module(model, torch.rand(2, 1, 28, 28))
    widths = json.loads((folder / "plan.json").read_text())["widths"]
    kept = index_map_from_json((folder / "index_map.json").read_text())
    units = {
        g.name: np.asarray(kept[g.producers[0][0]][g.producers[0][1]])
        for g in graph.groups
        if kept[g.producers[0][0]][g.producers[0][1]] is not None
    }
    small = shrink(model, Plan.of(graph, units)).model
    assert Plan.of(graph, units).widths() == {k: tuple(v) for k, v in widths.items()}
    small.load_state_dict(load_file(folder / "weights.safetensors"))
    # so does the program, with its own forward
    data = load_data("mnist").limited(200)
    program = load(str(folder / "network.pt2"))
    assert torch.allclose(
        logits_of(program, [data.test.inputs()]), logits_of(small.eval(), [data.test.inputs()]), atol=1e-4
    )
    rows = {(r[0], r[1]): r for r in result["table"]["rows"]}
    assert rows["after", "ONNX float"][3] == pytest.approx(rows["after", "torch"][3], abs=0.011)
    assert rows["after", "torch"][2] < rows["before", "torch"][2]


@pytest.mark.slow
def test_search_and_int8(tmp_path):
    done = CliRunner().invoke(
        main,
        words(tmp_path, "--method", "evolve", "--generations", "3", "--goal", "params=0.5", "--epochs", "1", "--int8"),
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "s" / "network-int8.onnx").stat().st_size < (tmp_path / "s" / "network.onnx").stat().st_size
    cost = json.loads((tmp_path / "s" / "plan.json").read_text())["cost"]
    assert cost["params"] <= 0.5 * 77_754


@pytest.mark.slow
def test_latency_is_a_goal(tmp_path):
    data = load_data("mnist").limited(100, 300)
    subject = Subject(load("resnet8-mnist"), data)
    from deepwright.compress import measure_latency

    x = data.test.inputs(slice(0, 1))
    dense = 1e3 * measure_latency(subject.model, x, min_run_time=0.3).median
    with pytest.raises(InputError, match="below the network's own"):
        shrink_workflow(ShrinkOptions(subject, goal=("latency-ms", 2 * dense), checks=["accuracy"], out=tmp_path))


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_exits_are_trained_in_the_precision_that_was_asked_for(precision, tmp_path):
    torch.manual_seed(0)
    layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)
    model, dtype = nn.Sequential(*layers).eval(), torch.float64 if precision == "64-true" else torch.float32
    found = exits(ExitOptions(model, data=rows(), epochs=1, max_harm=0.5, precision=precision, out=tmp_path))
    assert {p.dtype for p in found.model.parameters()} == {dtype}
    assert {v.dtype for v in load_file(tmp_path / "heads.safetensors").values()} == {dtype}


def test_exits_are_the_same_for_the_same_seed(tmp_path):
    torch.manual_seed(0)
    layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)
    options = ExitOptions(nn.Sequential(*layers).eval(), data=rows(), epochs=1, max_harm=0.5, out=tmp_path)
    exits(options)
    first = (tmp_path / "heads.safetensors").read_bytes()
    torch.manual_seed(9)
    exits(options)
    assert (tmp_path / "heads.safetensors").read_bytes() == first


def test_too_few_samples_are_told_before_heads_are_trained(tmp_path):
    """ln(0.05 / 2) / ln(1 - 0.02 / 2) = 367.04 for two exits that share both."""
    torch.manual_seed(0)
    layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)
    with pytest.raises(CalibrationError, match="80 samples; expected: at least 368"):
        exits(ExitOptions(nn.Sequential(*layers).eval(), data=rows(), out=tmp_path))
    assert not list(tmp_path.rglob("heads*"))


@pytest.mark.slow
def test_exits_keep_what_the_network_knows(tmp_path):
    done = CliRunner().invoke(
        main,
        [
            "exits",
            "--epochs",
            "1",
            "--out",
            str(tmp_path / "e"),
            "--json",
            str(tmp_path / "r.json"),
        ],
    )
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "r.json").read_text())
    rows = result["table"]["rows"]
    whole, adaptive = rows[0][3], rows[1][3]
    assert adaptive >= whole - 0.02 - 0.02  # two exits, together certified at 2 % on 500 samples; 500 others
    assert sum(result["policy"]["bounds"]) <= result["policy"]["max_harm"] == 0.02
    assert "certified below 2.00%" in result["table"]["caption"]
    assert sum(r[1] for r in rows[2:]) == pytest.approx(1.0)
    assert result["cost"]["macs"] < result["cost"]["worst"]
    assert (tmp_path / "e" / "policy.json").exists()
    done = CliRunner().invoke(main, ["exits", "--epochs", "0", "--max-harm", "0.001", "--out", str(tmp_path / "f")])
    assert done.exit_code == 2
    assert "at least" in done.output


def rows():
    rng = torch.Generator().manual_seed(0)
    parts = []
    for _ in range(3):
        x = torch.randn(80, 4, generator=rng)
        parts.append(Split(x, (x[:, 0] > 0).long()))
    return Data("rows", "tabular", ("no", "yes"), *parts)


def small_options(tmp_path, **more):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    given = {"goal": ("params", 0.5), "importance": "l2", "epochs": 1, "checks": ["accuracy"], "out": tmp_path / "s"}
    return ShrinkOptions(model, data=rows(), **{**given, **more})


@pytest.mark.parametrize(
    ("task", "outputs", "given"),
    [
        (Binary(), 1, "binary classification, and outputs that aren't one column for each of 2 classes"),
        (Binary(threshold=0.2), 2, "a threshold of 0.2"),
        (MultiLabel(3), 3, "multi-label classification"),
        (Regression(1), 1, "regression"),
    ],
)
def test_exits_are_refused_where_no_largest_logit_decides(task, outputs, given, tmp_path):
    shrunk = task_options(task, outputs, tmp_path)
    with pytest.raises(InputError, match=rf"task; given: .*{given}"):
        exits(ExitOptions(shrunk.model, data=shrunk.data, task=task, out=tmp_path / "e"))


@pytest.mark.parametrize(
    ("name", "value"), [("eps", (0.1,)), ("attack_limit", 5), ("corruption_limit", 5), ("ood", "folder")]
)
def test_exits_refuse_what_they_do_not_look_at(name, value, tmp_path):
    with pytest.raises(InputError, match=f"{name}; given: .* beside exits"):
        ExitOptions(nn.Linear(4, 2), data=rows(), out=tmp_path, **{name: value})


def test_the_command_exits_offers_no_attacks():
    offered = {p.name for p in main.commands["exits"].params}
    assert not offered & {"eps", "attack_limit", "corruption_limit", "ood"}


def targets(task, x):
    """Something that a small network learns, in the form of the task."""
    if isinstance(task, Regression):
        return x[:, :1] + 0.5 * x[:, 1:2]
    return (x[:, :3] > 0).long() if isinstance(task, MultiLabel) else (x[:, 0] > 0).long()


def task_options(task, outputs, tmp_path, **more):
    rng = torch.Generator().manual_seed(0)
    inputs = [torch.randn(n, 4, generator=rng) for n in (400, 100, 100)]
    classes = {Binary: ("no", "yes"), MultiLabel: ("a", "b", "c"), Regression: ()}[type(task)]
    data = Data("rows", "tabular", classes, *(Split(x, targets(task, x)) for x in inputs))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, outputs)).eval()
    given = {"importance": "taylor", "epochs": 30, "checks": ["accuracy"], "out": tmp_path / "s"}
    return ShrinkOptions(model, data=data, task=task, **{**given, **more})


TASKS = [(Binary(), 1), (MultiLabel(3), 3), (Regression(1), 1)]


@pytest.mark.parametrize(("task", "outputs"), TASKS, ids=["binary", "multi-label", "regression"])
@pytest.mark.slow
def test_fine_tuning_learns_the_task(task, outputs, tmp_path):
    """The network starts untrained, so what the smaller one can do it was taught after the cut."""
    found = shrink_workflow(task_options(task, outputs, tmp_path))
    by_form = {(r[0], r[1]): r[3] for r in found.table.rows}
    assert by_form["after", "torch"] > max(0.8, by_form["before", "torch"] + 0.2)
    assert by_form["after", "ONNX float"] == pytest.approx(by_form["after", "torch"], abs=0.011)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "outputs"), TASKS, ids=["binary", "multi-label", "regression"])
def test_the_table_has_the_score_of_the_audit(task, outputs, tmp_path):
    options = task_options(task, outputs, tmp_path, importance="l2", epochs=1)
    found = shrink_workflow(options)
    subject = Subject(found.surgery.model, options.data, task=task)
    assert found.table.columns[3] == f"test {subject.score_name}"
    assert found.table.rows[1][3] == pytest.approx(float(subject.score.double().mean()))


@pytest.mark.parametrize("importance", ["taylor", "hessian_diag"])
@pytest.mark.slow
def test_units_are_scored_by_the_loss_of_the_task(importance, tmp_path):
    """The output reads four units: the squared error knows that, a softmax over its one column has no gradient."""
    read = [5, 11, 17, 23]
    options = task_options(Regression(1), 1, tmp_path, importance=importance, epochs=0, goal=("params", 0.1))
    with torch.no_grad():
        options.model[2].weight.zero_()
        options.model[2].weight[:, read] = 2.0
    plan = shrink_workflow(options).plan
    (group,) = plan.graph.groups
    assert set(plan.kept(group).tolist()) <= set(read)


@pytest.mark.slow
def test_a_search_counts_errors_as_the_task_does(tmp_path):
    """What a right number is only the subject's task knows: its tolerance comes from the training targets."""
    options = task_options(Regression(1), 1, tmp_path, method="evolve", generations=2, epochs=0, importance="taylor")
    assert shrink_workflow(options).plan.cost()["macs"] <= 0.5 * (4 * 32 + 32)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_int8_without_its_packages_stops_before_any_work(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["shrink", "--int8"])
    assert done.exit_code == 2
    assert "pip install 'deepwright[export]'" in done.output
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_a_note_says_which_file_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = shrink_workflow(small_options(tmp_path))
    assert [n for n in found.notes if "no ONNX file" in n]
    assert [r[1] for r in found.table.rows] == ["torch", "torch"]


@pytest.mark.slow
def test_a_double_network_stays_double_in_every_file(tmp_path):
    found = shrink_workflow(small_options(tmp_path, precision="64-true"))
    assert {v.dtype for v in load_file(tmp_path / "s" / "weights.safetensors").values()} == {torch.float64}
    by_form = {r[1]: r[3] for r in found.table.rows if r[0] == "after"}
    assert by_form["ONNX float"] == by_form["torch"]


def test_a_finished_run_leaves_no_state(tmp_path):
    shrink_workflow(small_options(tmp_path))
    assert not (tmp_path / "s" / ".unfinished").exists()


def test_a_refusal_leaves_no_folder(tmp_path):
    options = ShrinkOptions(nn.Linear(4, 2), data=tmp_path / "none.csv", out=tmp_path / "a" / "s")
    with pytest.raises(InputError):
        shrink_workflow(options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_stopped_after_the_cut_keeps_its_plan(tmp_path):
    """Whatever would be chosen today: the plan that was kept is the one that goes on."""

    def stop(text):
        if text == "audit of the shrunk network":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrink_workflow(small_options(tmp_path), say=stop)
    file = tmp_path / "s" / ".unfinished" / "plan.pt"
    header, state = read_sealed(file)
    state["keep"] = ~state["keep"]
    write_sealed(file, header, state)
    (file.parent / "fine-tune.pt").unlink()
    assert shrink_workflow(small_options(tmp_path)).plan.keep.tolist() == state["keep"].tolist()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"goal": ("flops", 0.5)}, "goal; given: 'flops'"),
        ({"goal": ("macs", 0.0)}, "goal; given: 0"),
        ({"method": "magic"}, "method; given: 'magic'"),
        ({"method": "evolv"}, "did you mean 'evolve'"),
        ({"epochs": -1}, "epochs"),
        ({"round_to": 0}, "round_to"),
        ({"generations": 3}, "generations; given: 3 with method 'one-shot'"),
        ({"method": "evolve", "goal": ("latency-ms", 1.0)}, "latency-ms with method 'evolve'"),
    ],
)
def test_options_are_checked_when_they_are_made(words, message, tmp_path):
    with pytest.raises(InputError, match=message):
        small_options(tmp_path, **words)


def test_bad_input(tmp_path):
    assert parse_goal("bytes=1000") == ("bytes", 1000.0)
    for text in ("macs", "macs=0", "flops=0.5", "macs=half"):
        with pytest.raises(InputError, match="macs=NUMBER"):
            parse_goal(text)
    for extra, message in (
        (("--goal", "macs=0.0001"), "at least"),
        (("--freeze", "nothing"), "nothing"),
        (("--check", "acuracy"), "did you mean"),
        (("--importance", "l3"), "unknown criterion"),
    ):
        done = CliRunner().invoke(main, words(tmp_path, "--epochs", "0", *extra))
        assert done.exit_code == 2
        assert message in done.output
