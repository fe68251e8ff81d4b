"""`deepwright shrink`: files that can be used, targets that are met, a before-and-after that tells what broke."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from deepwright.checks import Subject
from deepwright.cli import main
from deepwright.cli.shrinking import parse_goal
from deepwright.compress import ShrinkGraph, index_map_from_json, shrink
from deepwright.compress.surgery.plans import Plan
from deepwright.core.errors import InputError
from deepwright.core.inference import logits_of
from deepwright.data import load as load_data
from deepwright.nets import load
from deepwright.workflows import ShrinkOptions
from deepwright.workflows import shrink as shrink_workflow


def words(tmp_path, *more):
    return ["shrink", "--check", "accuracy", "--limit", "200", "--out", str(tmp_path / "s"), *more]


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
    assert adaptive >= whole - 0.04  # two exits, each certified at 2 % on 500 samples
    assert sum(r[1] for r in rows[2:]) == pytest.approx(1.0)
    assert result["cost"]["macs"] < result["cost"]["worst"]
    assert (tmp_path / "e" / "policy.json").exists()
    done = CliRunner().invoke(main, ["exits", "--epochs", "0", "--max-harm", "0.001", "--out", str(tmp_path / "f")])
    assert done.exit_code == 2
    assert "at least" in done.output


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
