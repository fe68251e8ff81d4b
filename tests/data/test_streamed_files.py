"""The same files streamed and in memory: the same data, bit for bit; what is broken or changes is told by name."""

import dataclasses
import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from deepwright import InputError
from deepwright.core.rows import Rows
from deepwright.core.spreading.sending import sendable, unpacked
from deepwright.data import Data, Decoding, Split, load, load_folder, stratified_order
from deepwright.data.files import archives, pictures

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """48 JPEGs of three classes."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(48):
        place = root / "abc"[i % 3]
        place.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (10, 12, 3), dtype=np.uint8)).save(place / f"{i}.jpg")
    return root


def table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("uvw"))
    frame["count"] = rng.integers(0, 9, n)
    frame["member"] = rng.integers(0, 2, n).astype(bool)
    frame["town"] = rng.choice(["Ulm", "Bonn", "Köln"], n)
    frame["y"] = rng.integers(0, 3, n)
    return frame


def same(a, b):
    for part in PARTS:
        one, other = getattr(a, part), getattr(b, part)
        assert torch.equal(one.inputs(), other.inputs())
        assert torch.equal(one.y, other.y)
    assert a.classes == b.classes
    assert a.notes == b.notes
    assert a.features == b.features
    for name in ("center", "scale"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        assert x is None or torch.equal(x, y)


def both(path, **options):
    streamed, held = load(path, stream=True, **options), load(path, stream=False, **options)
    assert isinstance(streamed.test.x, Rows)
    assert isinstance(held.test.x, torch.Tensor)
    same(streamed, held)
    same(streamed.loaded(), held)
    same(unpacked(sendable(streamed, "data")), held)  # as another process reads them
    return streamed


@pytest.mark.parametrize("options", [{}, {"limit": 4, "train_limit": 9}, {"split": "test"}, {"size": 6, "mode": "L"}])
def test_a_folder_of_pictures(folder, options):
    both(folder, **options)


def test_data_are_streamed_by_their_size(folder, monkeypatch):
    assert isinstance(load(folder).test.x, torch.Tensor)
    monkeypatch.setattr(pictures, "STREAMED", 48 * 360 - 1)
    assert isinstance(load(folder).test.x, Rows)


def test_a_limit_decodes_only_what_it_keeps_and_says_so(folder, monkeypatch):
    seen = []
    read = archives.ImageSource.read
    monkeypatch.setattr(archives.ImageSource, "read", lambda self, name: seen.append(name) or read(self, name))
    data = load(folder, split="test", limit=6, stream=True, seed=3)
    assert len(set(seen)) == 6  # each for its pixels and for what else the file says
    assert torch.bincount(data.test.y).tolist() == [2, 2, 2]
    assert data.notes[-1] == "6 of 48 test samples, stratified by class, seed 3"


@pytest.mark.parametrize(
    ("y", "how"), [(torch.arange(9) % 3, "stratified by class"), (torch.rand(9), "drawn at random")]
)
def test_a_limit_of_any_data_says_so(y, how):
    part = Split(torch.zeros(9, 2), y)
    data = Data("rows", "tabular", tuple("abc"), part, part, part, notes=("first",))
    assert data.limited(6, seed=4).notes == ("first", f"6 of 9 test samples, {how}, seed 4")
    assert data.limited(9).notes == data.limited(None).notes == ("first",)


def test_a_broken_picture_is_named_before_anything_is_measured(folder, tmp_path):
    for file in folder.rglob("*.jpg"):
        place = tmp_path / file.relative_to(folder)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(file.read_bytes())
    whole = (tmp_path / "b" / "25.jpg").read_bytes()
    (tmp_path / "b" / "25.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"b/25\.jpg"):
        load(tmp_path, stream=True)
    streamed = both(tmp_path, skip_broken=True)
    assert any("skipped b/25.jpg" in note for note in streamed.notes)
    assert sum(len(getattr(streamed, part)) for part in PARTS) == 47
    (tmp_path / "b" / "25.jpg").unlink()
    data = load(tmp_path, stream=True, split="test")
    (tmp_path / "b" / "28.jpg").write_bytes((tmp_path / "b" / "31.jpg").read_bytes())
    with pytest.raises(InputError, match=r"b/28\.jpg .*changed while it was in use"):
        data.test.inputs()


def test_pictures_of_two_sizes_are_refused_at_once(folder, tmp_path):
    for name, size in (("a", (4, 4)), ("b", (5, 4))):
        (tmp_path / name).mkdir()
        for i in range(8):
            Image.new("RGB", size).save(tmp_path / name / f"{i}.png")
    with pytest.raises(InputError, match=r"4x4x3, 5x4x3.*--size"):
        load_folder(tmp_path, Decoding(), stream=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_arrays_stored_and_compressed(tmp_path, save, dtype):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 255, (60, 5, 4, 3)).astype(dtype)
    x = x if dtype == np.uint8 else x / 255
    save(tmp_path / "a.npz", x=x, y=np.arange(60) % 3)
    streamed = both(tmp_path / "a.npz", split="test", limit=50)
    rows = streamed.test.x.which
    expected = torch.from_numpy(x).permute(0, 3, 1, 2)[rows]
    assert torch.equal(streamed.test.x[:], expected if dtype == np.uint8 else expected.float())


def test_a_folder_of_arrays_and_columns_in_fortrans_order(tmp_path):
    x = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)
    np.save(tmp_path / "x_test.npy", x)
    np.save(tmp_path / "y_test.npy", np.arange(40) % 2)
    both(tmp_path)
    np.save(tmp_path / "x_test.npy", np.asfortranarray(x))  # rows don't lie together: held in memory
    same(load(tmp_path, stream=True), load(tmp_path, stream=False))


def test_an_array_that_changes_is_noticed(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((60, 4), np.float32), y=np.arange(60) % 2)
    data = load(tmp_path / "a.npz", stream=True)
    with (tmp_path / "a.npz").open("r+b") as file:
        file.seek(400)
        file.write(b"\1" * 8)
    with pytest.raises(InputError, match="changed while it was in use"):
        data.test.inputs()


@pytest.mark.parametrize("damage", [True, False])
def test_a_flipped_bit_in_a_stored_array_is_found_at_the_start(tmp_path, damage):
    np.savez(tmp_path / "a.npz", x=np.zeros((600, 4), np.uint8).reshape(600, 2, 2), y=np.arange(600) % 2)
    if damage:
        with (tmp_path / "a.npz").open("r+b") as file:
            file.seek(900)
            file.write(b"\1")
        with pytest.raises(InputError, match="CRC"):
            load(tmp_path / "a.npz", stream=True)
    else:
        load(tmp_path / "a.npz", stream=True)


@pytest.mark.parametrize("options", [{}, {"limit": 20}, {"split": "test"}])
def test_tables_in_csv_and_parquet_are_the_same_data(tmp_path, options):
    frame = table()
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False, row_group_size=64)
    one = both(tmp_path / "t.csv", target="y", **options)
    same(one, both(tmp_path / "t.parquet", target="y", **options))
    assert one.features == ("u", "v", "w", "count", "member", "town_Bonn", "town_Köln", "town_Ulm")


def test_rows_come_out_as_pandas_would_encode_them(tmp_path):
    frame = table(120)
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", target="y", split="test")
    read = pd.read_csv(tmp_path / "t.csv")
    expected = pd.get_dummies(read.drop(columns="y"), dtype=float).astype(float).to_numpy()
    found = data.test.inputs().double() * data.scale.double() + data.center.double()
    order = stratified_order(torch.tensor(read["y"].tolist()), 0)
    np.testing.assert_allclose(found.numpy(), expected[order], atol=1e-5)
    assert data.test.y.tolist() == read["y"][order.numpy()].tolist()


def test_a_table_of_many_frames_is_that_of_one(tmp_path, monkeypatch):
    frame = table(300)
    frame["mixed"] = [str(i % 4) if i < 200 else "none of them" for i in range(300)]  # numbers at first, texts later
    frame.loc[[20, 250], "u"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    one = load(tmp_path / "t.csv", target="y", skip_broken=True)
    monkeypatch.setattr("deepwright.data.files.frames.CHUNK", 64)
    same(one, load(tmp_path / "t.csv", target="y", skip_broken=True))
    with pytest.raises(InputError, match=r"2 rows, first in column 'u' at lines \[22, 252\]"):
        load(tmp_path / "t.csv", target="y")


@pytest.mark.parametrize("word", [5, 70, 199])
def test_values_of_a_text_column_are_the_files_own(tmp_path, monkeypatch, word):
    """`1.50` and `2` stay what they are wherever the word that makes them texts stands, in inputs, targets and aside."""
    codes = ["1.50" if i % 2 else "2" for i in range(200)]
    codes[word] = codes[word - 2] = codes[word - 4] = "x"
    rows = [f"{code},{i % 7},{code},{code},{i % 2 == 0}" for i, code in enumerate(codes)]
    (tmp_path / "t.csv").write_text("\n".join(["code,n,beside,y,even", *rows]))

    def read():
        return load(tmp_path / "t.csv", target="y", aside=["beside"], split="test")

    one = read()
    assert one.features == ("n", "even", "code_1.50", "code_2", "code_x")
    assert one.classes == ("1.50", "2", "x")
    assert sorted(set(one.test.columns["beside"])) == ["1.50", "2", "x"]
    assert "5 columns were fed, in this order: n, even, code_1.50, code_2, code_x" in one.notes
    monkeypatch.setattr("deepwright.data.files.frames.CHUNK", 64)
    many = read()
    same(one, many)
    assert many.test.columns["beside"].tolist() == one.test.columns["beside"].tolist()


def test_a_note_of_columns_names_thirty(tmp_path):
    header, row = ",".join(f"c{i}" for i in range(40)), ",".join("0" * 40)
    (tmp_path / "t.csv").write_text("\n".join([header + ",y", *(f"{row},{i % 2}" for i in range(20))]))
    note = next(note for note in load(tmp_path / "t.csv", target="y").notes if "were fed" in note)
    assert note.startswith("40 columns")
    assert note.endswith("c29, ...")


def test_types_of_parquet_that_are_numbers_or_text(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 60
    columns = {
        "small": pa.array([i % 3 for i in range(n)], pa.int8()),
        "price": pa.array([f"{i}.25" for i in range(n)]).cast(pa.decimal128(6, 2)),
        "kind": pa.array(["p", "q"] * 30).dictionary_encode(),
        "y": pa.array([i % 2 for i in range(n)], pa.uint8()),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    data = load(tmp_path / "t.parquet", target="y", split="test")
    assert data.features == ("small", "price", "kind_p", "kind_q")
    own = data.test.inputs() * data.scale + data.center
    row = stratified_order(torch.arange(n) % 2, 0).tolist().index(7)
    assert own[row].tolist() == pytest.approx([1, 7.25, 0, 1], abs=1e-5)


def arrow_folder(path, parts, names=("cat", "dog", "eel")):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rng = np.random.default_rng(0)
    features = datasets.Features({"picture": datasets.Image(), "species": datasets.ClassLabel(names=list(names))})

    def made(n):
        shown = [Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)) for _ in range(n)]
        return datasets.Dataset.from_dict({"picture": shown, "species": [i % 3 for i in range(n)]}, features=features)

    found = (
        datasets.DatasetDict({name: made(n) for name, n in parts.items()}) if len(parts) > 1 else made(*parts.values())
    )
    found.save_to_disk(path)
    return found


def test_a_folder_of_hugging_faces_datasets(tmp_path):
    stored = arrow_folder(tmp_path / "own", {"train": 20, "test": 9})
    streamed = both(tmp_path / "own")
    assert streamed.classes == ("cat", "dog", "eel")
    assert streamed.test.y.tolist() == stored["test"]["species"]
    pixels = np.stack([np.asarray(picture) for picture in stored["test"]["picture"]])
    assert torch.equal(streamed.test.x[:], torch.from_numpy(pixels).permute(0, 3, 1, 2))


def test_class_names_of_a_data_set_are_matched_to_outputs(tmp_path):
    arrow_folder(tmp_path / "own", {"train": 24})
    data = load(tmp_path / "own", split="test", classes=("eel", "dog", "cat", "fox"))
    assert data.test.y.tolist() == [2 - i % 3 for i in range(24)]
    assert data.classes == ("eel", "dog", "cat", "fox")


def test_a_table_of_hugging_faces_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    kinds = datasets.ClassLabel(names=["low", "high"])
    features = datasets.Features({"u": datasets.Value("float32"), "town": datasets.Value("string"), "risk": kinds})
    rows = {"u": [float(i) for i in range(40)], "town": ["p", "q"] * 20, "risk": [0, 1, 1, 0] * 10}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "own")
    data = both(tmp_path / "own", split="test")
    assert data.classes == ("low", "high")
    own = data.test.inputs() * data.scale + data.center
    assert {(round(row[0]), y) for row, y in zip(own.tolist(), data.test.y.tolist())} == set(
        zip(range(40), rows["risk"])
    )
    assert data.features == ("u", "town_p", "town_q")


def test_nothing_outside_a_data_sets_folder_is_read(tmp_path):
    arrow_folder(tmp_path / "own", {"train": 24})
    state = json.loads((tmp_path / "own" / "state.json").read_text())
    state["_data_files"] = [{"filename": "../elsewhere.arrow"}]
    (tmp_path / "own" / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match="save_to_disk"):
        load(tmp_path / "own")


def test_data_keep_their_fields_when_they_are_loaded(folder):
    data = load(folder, stream=True)
    held = data.loaded()
    assert {f.name: getattr(held, f.name) for f in dataclasses.fields(held) if f.name not in PARTS} == {
        f.name: getattr(data, f.name) for f in dataclasses.fields(data) if f.name not in PARTS
    }


def test_a_file_that_changed_is_not_taken_for_what_was_sent(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, x=np.random.default_rng(0).random((60, 4)).astype(np.float32), y=np.arange(60) % 3)
    message = sendable(load(path, stream=True), "data")
    os.utime(path, (0, 0))
    with pytest.raises(InputError, match="can't open"):
        unpacked(message)
