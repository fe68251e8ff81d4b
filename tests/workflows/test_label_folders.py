"""A folder of labels: nothing that a person wrote is overwritten, swapped or lost."""

import csv
import subprocess
import sys

import pytest
import torch
from PIL import Image
from torch import nn

from deepwright import InputError
from deepwright.core.files import write_atomic
from deepwright.core.lock import LockedError
from deepwright.core.resume import OtherWorkError
from deepwright.labels import read_labels
from deepwright.workflows import LabelOptions, label

CLASSES = ("bright", "dark")


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (4, 4), (20 * i, 0, 0)).save(folder / f"{'=' if i == 3 else ''}{i:02d}.png")
    return folder


def step(pool, *, classes=CLASSES, labels=None, **more):
    """One call, drawn at random and with a small network."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, len(classes)))
    options = {"budget": 8, "round_size": 4, "strategy": "random", "epochs": 1, **more}
    return label(LabelOptions(pool, model=network, classes=classes, labels=labels, out=pool.parent / "out", **options))


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def save(path, found):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


def fill(path, count=None):
    found = rows(path)
    save(
        path,
        [{**row, "label": "dark" if i % 2 else "bright"} for i, row in enumerate(found[:count])]
        + found[len(found[:count]) :],
    )
    return path.read_bytes()


def test_a_filled_file_is_never_overwritten(pool):
    path = step(pool).to_label
    filled = fill(path)
    with pytest.raises(InputError, match=r"4 labels in it that weren't taken.*--labels"):
        step(pool)
    assert path.read_bytes() == filled
    step(pool, labels=path)  # the remedy
    assert len(read_labels(path.with_name("labels.jsonl"))) == 4


def test_nor_is_a_half_filled_one_beside_another_files_labels(pool):
    path = step(pool).to_label
    mine = path.with_name("mine.csv")
    save(mine, [{**row, "label": "dark"} for row in rows(path)[:1]])
    found = rows(path)
    save(path, [found[0], {**found[1], "label": "bright"}, *found[2:]])
    before = path.read_bytes()
    with pytest.raises(InputError, match="1 labels in it"):
        step(pool, labels=mine)
    assert path.read_bytes() == before
    assert len(read_labels(path.with_name("labels.jsonl"))) == 1  # what was given is kept all the same


def test_a_file_whose_labels_were_taken_makes_room_for_the_next_round(pool):
    path = step(pool).to_label
    fill(path, 2)
    step(pool, labels=path)
    assert [row["label"] for row in rows(path)] == ["", ""]
    step(pool)
    fill(path)
    step(pool, labels=path)
    assert len(rows(path)) == 4


def test_classes_in_another_order_are_refused(pool):
    path = step(pool).to_label
    fill(path)
    step(pool, labels=path)
    with pytest.raises(OtherWorkError, match=r"class names.*'dark', 'bright'.*was.*'bright', 'dark'"):
        step(pool, classes=("dark", "bright"))


def test_a_sorted_column_is_noticed(pool):
    path = step(pool).to_label
    fill(path)
    found = rows(path)
    names = sorted((row["file"] for row in found), reverse=True)
    assert names != [row["file"] for row in found]
    save(path, [{**row, "file": name} for row, name in zip(found, names)])
    with pytest.raises(InputError, match=r"row \d; given: index \d+, which is .*beside file.*sort whole rows"):
        step(pool, labels=path)
    assert read_labels(path.with_name("labels.jsonl")) == {}


@pytest.mark.parametrize("kept", ["index", "file"])
def test_either_column_alone_names_the_sample(kept, pool):
    path = step(pool).to_label
    fill(path)
    found = rows(path)
    save(path, [{kept: row[kept], "label": row["label"]} for row in found])
    step(pool, labels=path)
    stored = read_labels(path.with_name("labels.jsonl"))
    assert stored == {int(row["index"]): CLASSES.index(row["label"]) for row in found}


def test_a_formula_for_a_name_is_guarded_and_comes_back(pool):
    path = step(pool, round_size=12, budget=12).to_label
    assert [row["file"] for row in rows(path) if "03" in row["file"]] == ["'=03.png"]
    fill(path)
    assert step(pool, round_size=12, budget=12, labels=path).done
    assert len({row["file"] for row in rows(path.with_name("labels.csv"))}) == 12


def test_one_process_at_a_time(pool):
    step(pool)
    code = (
        "import sys, time; from deepwright.core.lock import lock; from pathlib import Path; "
        "kept = lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    out = pool.parent / "out" / "labels.jsonl"
    other = subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {other.pid} "):
            step(pool)
    finally:
        other.kill()
        other.wait()
    step(pool)  # a dead process holds no lock


def test_a_full_disk_keeps_the_file_of_before(pool, monkeypatch):
    path = step(pool).to_label
    fill(path)

    def full(target, write):
        if target.name == "to-label.csv":
            raise InputError(f"cannot write {target}", given="No space left on device")
        return write_atomic(target, write)

    monkeypatch.setattr("deepwright.core.files.write_atomic", full)
    with pytest.raises(InputError, match="No space left"):
        step(pool, labels=path)
    monkeypatch.undo()
    assert len(read_labels(path.with_name("labels.jsonl"))) == 4
    assert [row["label"] != "" for row in rows(path)] == [True] * 4
