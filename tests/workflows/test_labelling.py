"""`deepwright label`: from a file, one by one, and played through on known labels."""

import csv
import json

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

from deepwright.cli import main
from deepwright.labels import read_labels
from deepwright.nets import cifar_resnet
from deepwright.workflows import LabelOptions, label


def call(*words, **more):
    return CliRunner().invoke(main, ["label", *map(str, words)], **more)


@pytest.fixture
def pool(image_folder, tmp_path):
    """The two-class pictures in one folder, without their classes."""
    flat = tmp_path / "pool"
    flat.mkdir()
    for i, file in enumerate(sorted(image_folder.rglob("*.png"))):
        file.rename(flat / f"{i:02d}-{file.parent.name}.png")
    return flat


def fill(path):
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["index", "file", "label"])
        writer.writeheader()
        writer.writerows({**r, "label": "bright" if "bright" in r["file"] else "dark"} for r in rows)
    return [int(r["index"]) for r in rows]


def test_files_go_back_and_forth(pool, tmp_path):
    out = tmp_path / "out"
    words = [pool, "--budget", 12, "--round-size", 4, "--classes", "bright,dark", "--epochs", 2, "--out", out]
    asked = []
    done = call(*words)
    for _ in range(3):
        assert done.exit_code == 0, done.output
        asked.append(fill(out / "to-label.csv"))
        done = call(*words, "--labels", out / "to-label.csv")
    assert done.exit_code == 0, done.output
    assert [len(a) for a in asked] == [4, 4, 4]
    with (out / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(r["index"]) for r in rows] == [i for a in asked for i in a]
    assert all(r["label"] in r["file"] for r in rows)
    cifar_resnet(20, classes=2).load_state_dict(load_file(out / "weights.safetensors"))


@pytest.mark.parametrize(
    "text", ["index,label\nabc,dark\n", "index,file,label\n,none.png,dark\n", "index,label\n-3,dark\n"]
)
def test_a_file_that_names_no_sample(text, pool, tmp_path):
    words = [pool, "--budget", 12, "--classes", "bright,dark", "--epochs", 1, "--out", tmp_path / "out"]
    assert call(*words).exit_code == 0
    (tmp_path / "mine.csv").write_text(text)
    done = call(*words, "--labels", tmp_path / "mine.csv")
    assert done.exit_code == 2, done.output
    assert "an index or file of to-label.csv" in done.output


def test_file_names_with_commas_and_quotes(pool, tmp_path):
    out = tmp_path / "out"
    for file in sorted(pool.glob("*.png")):
        file.rename(
            pool / f'a, "{file.name}"'.replace('"', "'")
            if file.name.startswith("0")
            else pool / f'b "{file.stem}",.png'
        )
    assert call(pool, "--budget", 12, "--round-size", 12, "--classes", "bright,dark", "--out", out).exit_code == 0
    with (out / "to-label.csv").open() as stream:
        assert {r["file"] for r in csv.DictReader(stream)} <= {f.name for f in pool.iterdir()}


def test_answers_one_by_one_are_kept(pool, tmp_path):
    out = tmp_path / "out"
    words = [
        pool,
        "--budget",
        3,
        "--classes",
        "bright,dark",
        "--epochs",
        1,
        "--out",
        out,
        "--round-size",
        3,
        "--interactive",
    ]
    done = call(*words, input="bright\nnonsense\n1\nq\n")
    assert done.exit_code == 0, done.output
    assert "unknown class" in done.output
    assert len(read_labels(out / "labels.jsonl")) == 2
    done = call(*words, input="0\n")
    assert done.exit_code == 0, done.output
    assert (out / "labels.csv").exists()


@pytest.mark.slow
def test_known_labels_are_played_through(tmp_path):
    done = call(
        "digits",
        "--simulate",
        "--budget",
        60,
        "--round-size",
        20,
        "--epochs",
        2,
        "--strategy",
        "margin",
        "--t-sync",
        1,
        "--out",
        tmp_path / "out",
        "--json",
        tmp_path / "r.json",
    )
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(set(result["indices"])) == 60
    assert 0 <= result["test_accuracy"] <= 1
    assert [r[2] for r in result["rounds"]] == [20, 20, 20]


def test_bad_input(pool, tmp_path):
    out = tmp_path / "out"
    for words, message in (
        ((pool, "--budget", 5), "--classes"),
        ((pool, "--budget", 5, "--classes", "one"), "two different"),
        ((tmp_path / "none", "--budget", 5, "--classes", "a,b"), "does not exist"),
        ((pool, "--budget", 0, "--classes", "a,b"), "--budget"),
        ((pool, "--budget", 5, "--classes", "a,b", "--strategy", "marginal"), "did you mean"),
        ((pool, "--budget", 5, "--classes", "a,b", "--labels", tmp_path / "no.csv"), "CSV"),
    ):
        done = call(*words, "--out", out)
        assert done.exit_code == 2, done.output
        assert message in done.output
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    done = call(pool, "--budget", 5, "--classes", "a,b", "--labels", tmp_path / "odd.csv", "--out", out)
    assert "columns a, b" in done.output


def test_a_network_with_tied_weights_is_kept(tmp_path):
    layer = nn.Linear(16, 16)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), layer, nn.ReLU(), layer, nn.Linear(16, 10))
    options = LabelOptions("digits", simulate=True, budget=20, round_size=10, epochs=1, model=network, out=tmp_path)
    found = label(options)
    kept = load_file(tmp_path / "weights.safetensors")
    assert set(kept) == {k for k, _ in found.network.named_parameters()}
