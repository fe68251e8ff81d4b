"""Every format on a disk that fails at any call: the old content stays or the new one is there, and it is said."""

import json
import re
import threading
from pathlib import Path

import pytest
import torch
from faulty_disk import FAULTS, Disk
from torch import nn

from deepwright.core import files
from deepwright.core.errors import InputError
from deepwright.core.journal import Journal
from deepwright.core.resume import DamagedFileError, DamagedFileWarning, ForeignFileError, Resume
from deepwright.core.shards import Shards
from deepwright.core.spreadsheets import csv_text, read_csv
from deepwright.core.trials import run
from deepwright.nets import write_weights


def twice(x):
    return {"x": torch.full((300,), 2.0 * x)}


def _resumed(folder, value):
    with Resume(folder / "a.pt", {"data": 1}, kind="work") as kept:
        kept.save({"x": value})


def _taken_up(folder):
    with Resume(folder / "a.pt", {"data": 1}, kind="work") as kept:
        return (kept.load() or {"x": None})["x"]


def _added(folder, value):
    rows = Journal(folder / "a.jsonl", {"data": 1}, durable=True)
    rows.add(f"row {value}", value)


def _rows(folder):
    return max(Journal(folder / "a.jsonl", {"data": 1}, durable=True).rows.values(), default=None)


def _sharded(folder, value):
    with Shards(folder / "store", {"net": 1}, 1) as kept:
        for x in range(value):
            state = {"y": x + 1} if kept.needs(torch.tensor([x])) else None
            kept.end(state)


def _shards(folder):
    with Shards(folder / "store", {"net": 1}, 1) as kept:
        x = 0
        while (folder / "store" / f"shard-{x:06d}.pt").exists():
            if kept.needs(torch.tensor([x])):
                return None
            kept.end(None)
            assert kept.states[-1] == {"y": x + 1}
            x += 1
    return x or None


def _trial(folder, value):
    run(twice, [{"x": value}], store=folder / "store")


def _trials(folder):
    found = [files.read_sealed(path)[1]["result"]["x"][0].item() for path in (folder / "store").glob("*.pt")]
    return max(found, default=0) / 2 or None


# Name -> (writes a value, reads the latest value). Values are 1, then 2.
FORMATS = {
    "state": (lambda f, v: files.save_state(f / "a.pt", {"x": v}), lambda f: files.load_state(f / "a.pt")["x"]),
    "checkpoint": (_resumed, _taken_up),
    "journal": (_added, _rows),
    "shards": (_sharded, _shards),
    "trials": (_trial, _trials),
    "json": (
        lambda f, v: files.write_json(f / "a.json", {"x": v}),
        lambda f: json.loads((f / "a.json").read_text())["x"],
    ),
    "csv": (
        lambda f, v: files.write_text(f / "a.csv", csv_text([["x"], [v]])),
        lambda f: int(read_csv(f / "a.csv", "a", "a CSV")[0]["x"]),
    ),
    "weights": (
        lambda f, v: write_weights(f / "a.safetensors", filled(v)),
        lambda f: int(weights(f / "a.safetensors")["weight"][0, 0]),
    ),
}


def filled(value):
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, value)
    return layer


def weights(path):
    from safetensors.torch import load_file

    return load_file(path)


@pytest.mark.parametrize(("fault", "lasting"), [("full", True), ("broken", False)], ids=["full", "broken once"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_fault_at_any_call_leaves_the_old_or_the_new(name, fault, lasting, tmp_path, monkeypatch):
    write, read = FORMATS[name]
    for call in range(100):
        folder = tmp_path / str(call)
        folder.mkdir()
        write(folder, 1)
        disk, told = Disk(call, FAULTS[fault], lasting), None
        with disk.mounted(monkeypatch):
            try:
                write(folder, 2)
            except InputError as error:
                told = error
        assert read(folder) in ((1, 2) if told else (2,))
        assert told is None or "cannot write" in str(told)
        write(folder, 2)  # the disk is whole again
        assert read(folder) == 2
        assert list(folder.rglob("*.tmp")) == []
        if disk.calls <= call:
            break
    assert call > 1, "no call of the disk was seen"


@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_takes_little_at_a_time_takes_all(name, tmp_path, monkeypatch):
    write, read = FORMATS[name]
    with Disk().mounted(monkeypatch):
        write(tmp_path, 1)
        write(tmp_path, 2)
    assert read(tmp_path) == 2


def test_a_row_after_one_that_could_not_be_taken_back_stands_alone(tmp_path, monkeypatch):
    """The disk fails in the middle of a row, and then at giving back what it took of it."""
    rows = Journal(tmp_path / "a.jsonl", {}, durable=True)
    rows.add("first", 1)
    with monkeypatch.context() as patch, Disk(1, FAULTS["broken"], lasting=True).mounted(monkeypatch):
        patch.setattr("os.ftruncate", lambda *_: Disk(0, FAULTS["broken"]).ask())
        with pytest.raises(InputError, match="cannot write"):
            rows.add("lost", 2)
    assert not (tmp_path / "a.jsonl").read_bytes().endswith(b"\n")
    rows.add("next", 3)
    rows.close()
    assert Journal(tmp_path / "a.jsonl", {}, durable=True).rows == {"first": 1, "next": 3}


def test_a_reader_sees_one_writer_or_the_other(tmp_path):
    path, contents = tmp_path / "a", [bytes([65 + i]) * 200_000 for i in range(4)]
    files.write_bytes(path, contents[0])
    writers = [threading.Thread(target=lambda c=c: [files.write_bytes(path, c) for _ in range(5)]) for c in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


SEALED = {
    "checkpoint": (_resumed, _taken_up, "a.pt"),
    "journal": (_added, _rows, "a.jsonl"),
    "shards": (_sharded, _shards, "store/shard-000000.pt"),
}


def _found(read, folder, name):
    """What is loaded; None where the damage was noticed, by the file's name."""
    try:
        return read(folder)
    except (DamagedFileError, ForeignFileError) as error:
        return None if name in str(error) else str(error)


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.filterwarnings("ignore::deepwright.core.resume.DamagedFileWarning")
def test_no_flipped_bit_is_loaded(name, tmp_path):
    """Named and refused, or set aside and gone: never another value."""
    write, read, file = SEALED[name]
    write(tmp_path, 1)
    path = tmp_path / file
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), max(1, len(content) // 12) | 1):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert _found(read, tmp_path, path.name) is None
        for aside in Path(path.parent).glob("*.damaged-*"):
            aside.unlink()
    path.write_bytes(content)
    assert read(tmp_path) == 1


def test_a_trial_with_a_flipped_bit_is_computed_again(tmp_path):
    run(twice, [{"x": 3}], store=tmp_path)
    (path,) = tmp_path.glob("*.pt")
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 1997):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.warns(DamagedFileWarning, match=r"\.pt is damaged"):
            assert run(twice, [{"x": 3}], store=tmp_path)[0]["x"][0] == 6


WRITES = re.compile(r"""\.write_(text|bytes)\(|\bopen\([^)\n]*["']([wax]\+?b?|r\+b?)["']|h5py\.File\([^)]*.w.\)""")
ELSEWHERE = {
    "core/files.py",
    "core/journal.py",  # appends, and takes back what the disk didn't take
    "compress/files/runtime.py",  # in a temporary folder, for a library that reads files
    "nets/programs/archive.py",  # in memory
    "physics/pde_data/pdebench.py",  # HDF5, which is written in place and renamed
}


def test_nothing_is_written_but_through_this_layer():
    source = Path(files.__file__).parents[1]
    found = {p.relative_to(source).as_posix() for p in source.rglob("*.py") if WRITES.search(p.read_text())}
    assert found - ELSEWHERE == set()
    assert found & {"core/files.py", "core/journal.py"}, "the pattern finds nothing"
