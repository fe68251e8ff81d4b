"""Texts from files: every form gives the same texts, parts stay parts, and what is wrong is named."""

import json

import pandas
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.texts import joined_codes, to_codes, to_texts
from deepwright.data import load, load_strings, load_texts, ood_companions

ROWS = [(f'text {i}, with a "quote"\nand a line\u2028of its own; é日', ["no", "yes"][i % 2]) for i in range(20)]


def as_csv(path, delimiter=",", rows=ROWS, head=("body", "answer")):
    def cell(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [delimiter.join(head), *(delimiter.join(map(cell, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def as_jsonl(path, rows=ROWS):
    lines = [json.dumps({"body": a, "answer": b, "more": 1}, ensure_ascii=False) for a, b in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def as_folder(path, rows=ROWS):
    for i, (text, label) in enumerate(rows):
        (path / label).mkdir(parents=True, exist_ok=True)
        (path / label / f"{i:03}.txt").write_text(text, encoding="utf-8")
    return path


def read(path, **options):
    return load_texts(path, text="body", target="answer", split="test", **options)


def pairs(data):
    return sorted(zip(to_texts(data.test.x), (data.classes[k] for k in data.test.y.tolist())))


def test_every_form_gives_the_same_texts(tmp_path):
    for path in (
        as_csv(tmp_path / "a.csv"),
        as_csv(tmp_path / "a.tsv", "\t"),
        as_jsonl(tmp_path / "a.jsonl"),
        as_folder(tmp_path / "folders"),
    ):
        data = read(path)
        assert pairs(data) == sorted(ROWS), path
        assert (data.kind, data.classes) == ("text", ("no", "yes"))


def as_parquet(path, rows=ROWS):
    pandas.DataFrame({"body": [t for t, _ in rows], "answer": [y for _, y in rows], "more": 1}).to_parquet(path)
    return path


def as_arrow(path, rows=ROWS, names=("yes", "no")):
    """As `save_to_disk` of `datasets` writes it; the class labels are in an order of their own."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    kinds = datasets.Features({"body": datasets.Value("string"), "answer": datasets.ClassLabel(names=list(names))})
    columns = {"body": [t for t, _ in rows], "answer": [names.index(y) for _, y in rows]}
    datasets.Dataset.from_dict(columns, features=kinds).save_to_disk(str(path))
    return path


def test_parquet_and_folders_of_datasets_give_the_same_texts(tmp_path):
    data = read(as_parquet(tmp_path / "a.parquet"))
    assert (pairs(data), data.classes) == (sorted(ROWS), ("no", "yes"))
    data = read(as_arrow(tmp_path / "arrow"))
    assert (pairs(data), data.classes) == (sorted(ROWS), ("yes", "no"))
    named = load(tmp_path / "a.parquet", text=("body",), target="answer", split="test")
    assert named.kind == load(tmp_path / "arrow", text="body", target="answer").kind == "text"
    with pytest.raises(InputError, match=r"'text'.*body, answer.*--text"):
        load(tmp_path / "arrow", text="text")


def test_targets_of_texts_are_numbers_or_labels_where_they_are_named_so(tmp_path):
    rows = [(f"text {i}", i / 4, i % 2, i % 3 == 0) for i in range(20)]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps(dict(zip("tnab", row))) for row in rows))
    numbers = load(file, text="t", target="n", task="regression", split="test").test
    assert {t: y for t, y in zip(to_texts(numbers.x), numbers.y.flatten().tolist())} == {r[0]: r[1] for r in rows}
    labels = load(file, text="t", target=("a", "b"), split="test")
    assert (labels.classes, labels.test.y.dtype) == (("a", "b"), torch.int64)
    both = {t: y for t, y in zip(to_texts(labels.test.x), labels.test.y.tolist())}
    assert both == {r[0]: [int(r[2]), int(r[3])] for r in rows}
    assert load(file, text="t", target=("n", "a")).test.y.dtype == torch.float32
    with pytest.raises(InputError, match=r"column 'n'.*'0.25' in row 2.*0 and 1"):
        load(file, text="t", target=("n", "a"), task="multilabel")


def test_load_knows_texts_by_their_column_or_ending(tmp_path):
    as_csv(tmp_path / "a.csv")
    assert load(tmp_path / "a.csv", text="body", target="answer").kind == "text"
    as_jsonl(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match=r"'text'.*body, answer, more.*--text"):
        load(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="holds no texts"):
        load(as_npz(tmp_path), text="body")
    with pytest.raises(InputError, match="no file"):
        load("digits", text="body")


def as_npz(folder):
    import numpy as np

    np.savez(folder / "a.npz", x=np.zeros((20, 1, 8, 8), "uint8"), y=np.arange(20) % 2)
    return folder / "a.npz"


def test_parts_stay_parts_and_a_missing_one_is_cut(tmp_path):
    for part in ("train", "test"):
        as_csv(tmp_path / f"{part}.csv", rows=[(f"{part} {t}", y) for t, y in ROWS], head=("text", "label"))
    data = load(tmp_path)
    assert all(t.startswith("test") for t in to_texts(data.test.x))
    assert all(t.startswith("train") for t in to_texts(data.train.x) + to_texts(data.validation.x))
    assert (len(data.train) + len(data.validation), len(data.test)) == (20, 20)
    assert data.seen_validation
    assert any("taken out of the train part" in note for note in data.notes)


def test_folders_of_parts(tmp_path):
    for part in ("train", "dev", "test"):
        as_folder(tmp_path / part, [(f"{part} {i}", y) for i, (_, y) in enumerate(ROWS)])
    data = load(tmp_path)
    for name, split in (("train", data.train), ("dev", data.validation), ("test", data.test)):
        assert all(t.startswith(name) for t in to_texts(split.x))
    assert not data.seen_validation


def test_rows_without_a_text_are_named_or_left_out(tmp_path):
    path = as_csv(tmp_path / "a.csv", rows=[*ROWS, ("  ", "yes"), ("words", "")])
    with pytest.raises(InputError, match=r"2 rows, first \[21, 22\].*--skip-broken"):
        read(path)
    data = read(path, skip_broken=True)
    assert len(data.test) == 20
    assert any("2 rows" in note for note in data.notes)


def test_long_texts_are_cut_and_it_is_said(tmp_path):
    data = read(as_csv(tmp_path / "a.csv", rows=[*ROWS, ("x" * 30_000, "yes")]))
    assert data.test.x.shape[1] == 20_000
    assert any("1 texts were cut" in note for note in data.notes)


def test_classes_by_a_list_and_a_single_class(tmp_path):
    path = as_csv(tmp_path / "a.csv")
    assert read(path, classes=("yes", "maybe", "no")).classes == ("yes", "maybe", "no")
    with pytest.raises(InputError, match="isn't in the list"):
        read(path, classes=("yes", "maybe"))
    with pytest.raises(InputError, match="classes of a"):
        read(as_csv(tmp_path / "a.csv", rows=[(t, "yes") for t, _ in ROWS]))


def test_codes_and_back(unchecked):
    texts = ["", "a", "Ünï😀", "two\nlines ", "half \ud800", "zero\0byte"]
    assert to_texts(to_codes(texts)) == [*texts[:4], "half \ufffd", "zero byte"]
    wide = joined_codes([to_codes(["a"]), to_codes(["longer"])])
    assert to_texts(wide) == ["a", "longer"]
    assert to_texts(to_codes(["a", "b"])[:0]) == []
    for bad in ("text", [], [1]):
        with pytest.raises(InputError, match="texts"):
            to_codes(bad)


def test_foreign_texts(tmp_path):
    (tmp_path / "o.txt").write_text("first line\n\n second \n")
    assert to_texts(load_strings(tmp_path / "o.txt")) == ["first line", "second"]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="at least one"):
        load_strings(tmp_path / "empty.txt")


def test_companions_are_words_out_of_order_and_letters():
    data = load("sentences", limit=30)
    sets = ood_companions(data, 20, seed=1)
    assert set(sets) == {"near words out of order", "far random letters"}
    known = {tuple(sorted(t.split())) for t in to_texts(data.test.x)}
    shuffled = to_texts(sets["near words out of order"])
    assert all(tuple(sorted(t.split())) in known for t in shuffled)
    assert len(set(shuffled) - set(to_texts(data.test.x))) > 15
    lengths = {tuple(map(len, t.split())) for t in to_texts(data.test.x)}
    assert all(tuple(map(len, t.split())) in lengths for t in to_texts(sets["far random letters"]))
    assert torch.equal(sets["far random letters"], ood_companions(data, 20, seed=1)["far random letters"])


def test_columns_that_come_twice_and_commas_without_quotes_are_refused(tmp_path):
    """The last of two columns would be read, and what follows a comma in a text would be its class."""
    twice = as_csv(tmp_path / "twice.csv", rows=[(a, a, b) for a, b in ROWS], head=("body", "body", "answer"))
    with pytest.raises(InputError, match="'body' 2 times"):
        read(twice)
    (tmp_path / "wide.csv").write_text("body,answer\ngood, really,yes\nbad,no\n")
    with pytest.raises(InputError, match="in 1 rows, first"):
        read(tmp_path / "wide.csv")
    (tmp_path / "none.csv").write_text("body,answer\n")
    with pytest.raises(InputError, match="no row with a text"):
        read(tmp_path / "none.csv")


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(b"good", "yes"), (b"bad", "no")], r"b'good' \(bytes\) in row 1"),
        ([(3.5, "yes"), (4.5, "no")], r"3\.5 \(float\) in row 1"),
        ([("good", b"yes"), ("bad", b"no")], r"b'yes' \(bytes\) in row 1"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, rows, words, skip):
    with pytest.raises(InputError, match=words):
        read(as_parquet(tmp_path / "a.parquet", rows), skip_broken=skip)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (("train.csv", "train.tsv", "test.csv"), "train.csv and train.tsv, both the train part"),
        (("train.csv", "dev.csv", "val.csv"), "dev.csv and val.csv, both the validation part"),
    ],
)
def test_two_tables_of_one_part_are_refused(tmp_path, places, words):
    """One of them would be passed over."""
    for name in places:
        as_csv(tmp_path / name, delimiter="\t" if name.endswith(".tsv") else ",")
    with pytest.raises(InputError, match=words):
        read(tmp_path)


def test_two_folders_of_one_part_are_refused(tmp_path):
    for part in ("train", "dev", "val"):
        as_folder(tmp_path / part)
    with pytest.raises(InputError, match="dev and val, both the validation part"):
        load(tmp_path)
