"""Published sets with a shortcut in the layouts they are released in, and anybody's list of groups."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import (
    gaussian_spurious,
    load,
    load_celeba,
    load_features,
    load_metashift,
    load_waterbirds,
    mnist_5k,
    mnist_dominoes,
    read_column,
    with_column,
)
from deepwright.data.files.archives import Decoding

SMALL = Decoding((8, 8))


def picture(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(path)


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def waterbirds(root):
    rows = [("img_id", "img_filename", "y", "split", "place")]
    for i in range(12):
        name = f"{i % 2}.Bird/{i}.png"
        picture(root / name, 20 * i)
        rows.append((i, name, i % 2, i // 4, i // 2 % 2))
    write(root / "metadata.csv", rows)


def test_waterbirds(tmp_path):
    waterbirds(tmp_path)
    data = load_waterbirds(tmp_path, how=SMALL)
    assert data.classes == ("landbird", "waterbird")
    for part, split in enumerate((data.train, data.validation, data.test)):
        numbers = [int(str(f).split("/")[1].split(".")[0]) for f in split.columns["file"]]
        assert sorted(numbers) == list(range(4 * part, 4 * part + 4))
        assert split.y.tolist() == [i % 2 for i in numbers]
        assert split.columns["attribute"].tolist() == [("land", "water")[i // 2 % 2] for i in numbers]
        assert split.x[:, 0, 0, 0].tolist() == [20 * i for i in numbers]


@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_celeba(tmp_path, ending):
    marks = [(f"{i}.png", (-1, 1)[i % 2], (-1, 1)[i // 2 % 2]) for i in range(12)]
    for i in range(12):
        picture(tmp_path / "img_align_celeba" / f"{i}.png", 10 * i)
    if ending == "csv":
        write(tmp_path / "list_attr_celeba.csv", [("image_id", "Blond_Hair", "Male"), *marks])
        parts = [("image_id", "partition"), *((f"{i}.png", i // 4) for i in range(12))]
        write(tmp_path / "list_eval_partition.csv", parts)
    else:
        lines = ["12", "Blond_Hair Male ", *(f"{n}  {a} {b}" for n, a, b in marks)]
        (tmp_path / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
        (tmp_path / "list_eval_partition.txt").write_text("".join(f"{i}.png {i // 4}\n" for i in range(12)))
    data = load_celeba(tmp_path, how=SMALL)
    assert data.classes == ("not Blond_Hair", "Blond_Hair")
    numbers = [int(str(f).split("/")[1].split(".")[0]) for f in data.test.columns["file"]]
    assert sorted(numbers) == [8, 9, 10, 11]
    assert data.test.y.tolist() == [i % 2 for i in numbers]
    assert data.test.columns["attribute"].tolist() == [("not Male", "Male")[i // 2 % 2] for i in numbers]


def test_metashift(tmp_path):
    for part in ("train", "val", "test"):
        for kind, place in (("cat", "sofa"), ("cat", "bed"), ("dog", "bench"), ("dog", "bike")):
            picture(tmp_path / part / kind / f"{kind}({place})" / f"{part}-{place}.png", 50)
    data = load_metashift(tmp_path, how=SMALL)
    assert data.classes == ("cat", "dog")
    assert sorted(data.train.columns["attribute"]) == ["bed", "bench", "bike", "sofa"]
    picture(tmp_path / "train" / "cat" / "stray.png", 5)
    with pytest.raises(InputError, match="stray"):
        load_metashift(tmp_path, how=SMALL)


def test_a_part_without_pictures_is_refused(tmp_path):
    waterbirds(tmp_path)
    lines = (tmp_path / "metadata.csv").read_text().splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join(lines[:9]) + "\n")
    with pytest.raises(InputError, match="no test picture"):
        load_waterbirds(tmp_path, how=SMALL)


def test_a_list_of_groups_joins_by_file_or_by_its_last_part(tmp_path):
    waterbirds(tmp_path)
    data = load_waterbirds(tmp_path, how=SMALL)
    write(tmp_path / "groups.csv", [("file", "camera"), *((f"{i}.png", f"c{i % 3}") for i in range(12))])
    name, found = read_column(tmp_path / "groups.csv")
    more = with_column(data, name, found)
    wanted = [f"c{int(str(f).split('/')[1].split('.')[0]) % 3}" for f in data.test.columns["file"]]
    assert more.test.columns["camera"].tolist() == wanted
    del found["3.png"]
    with pytest.raises(InputError, match="none for 1 of 4 files"):
        with_column(data, name, found)
    with pytest.raises(InputError, match="without files"):
        with_column(gaussian_spurious(0, n=(4, 4, 4)).data, name, found)
    write(tmp_path / "groups.csv", [("file", "a", "b"), (1, 2, 3)])
    with pytest.raises(InputError, match="two, 'file'"):
        read_column(tmp_path / "groups.csv")


def test_one_name_of_two_files_in_two_splits_is_refused(tmp_path):
    data = gaussian_spurious(0, n=(4, 4, 4)).data
    files = {"train": "train/a/1.png", "validation": "train/a/2.png", "test": "test/a/1.png"}
    parts = {
        name: type(data.train)(getattr(data, name).x[:1], getattr(data, name).y[:1], {"file": np.array([file])})
        for name, file in files.items()
    }
    filed = replace(data, **parts)
    with pytest.raises(InputError, match="several files share"):
        with_column(filed, "place", {"1.png": "land", "2.png": "water"})
    whole = with_column(filed, "place", {file: file[:5] for file in files.values()})
    assert whole.test.columns["place"].tolist() == ["test/"]


@pytest.mark.parametrize("row", [("2.png",), ("2.png", ""), ("2.png", "land", "more"), ("", "land")])
def test_a_row_of_a_list_without_its_value_is_refused(tmp_path, row):
    write(tmp_path / "groups.csv", [("file", "place"), ("1.png", "land"), row])
    with pytest.raises(InputError, match="1 rows without a value"):
        read_column(tmp_path / "groups.csv")


def test_codes_and_pictures_that_tables_do_not_know_are_refused(tmp_path):
    waterbirds(tmp_path)
    table = (tmp_path / "metadata.csv").read_text().splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join([*table[:-1], table[-1][:-1] + "2"]) + "\n")
    with pytest.raises(InputError, match="'2'"):
        load_waterbirds(tmp_path, how=SMALL)
    write(tmp_path / "list_attr_celeba.csv", [("image_id", "Blond_Hair", "Male"), ("1.png", 1, 1), ("2.png", 1, -1)])
    write(tmp_path / "list_eval_partition.csv", [("image_id", "partition"), ("1.png", 0)])
    with pytest.raises(InputError, match="no part of 1 pictures"):
        load_celeba(tmp_path, how=SMALL)


def test_feature_files(tmp_path):
    x = np.arange(24, dtype=np.float32).reshape(8, 3)
    arrays = {"features": x, "y": np.arange(8) % 2, "split": np.arange(8) % 3, "group": np.array(list("abababab"))}
    np.savez(tmp_path / "clip.npz", **arrays)
    data = load_features(tmp_path / "clip.npz")
    assert data.validation.x.tolist() == x[[1, 4, 7]].tolist()
    assert data.validation.y.tolist() == [1, 0, 1]
    assert data.validation.columns["group"].tolist() == ["b", "a", "b"]
    for change, words in (
        ({"split": np.zeros(8)}, "split"),
        ({"y": np.arange(8) - 1}, "classes from 0"),
        ({"features": x * np.nan}, "finite"),
        ({"features": x.astype(np.float64) + 1e300}, "finite"),
        ({"features": x[:5]}, "lengths"),
    ):
        np.savez(tmp_path / "bad.npz", **(arrays | change))
        with pytest.raises(InputError, match=words):
            load_features(tmp_path / "bad.npz")


def test_drawn_features_have_the_moments_that_are_said():
    made = gaussian_spurious(5, p_val=0.9, n=(20000, 2000, 20000))
    train, test = made.data.train, made.data.test
    sign = 2.0 * test.y - 1
    a = torch.as_tensor(test.columns["attribute"])
    assert float(made.core @ made.shortcut) == pytest.approx(0, abs=1e-6)
    assert float((test.x @ made.core * sign).mean()) == pytest.approx(1.2, abs=0.03)
    assert float((test.x @ made.shortcut * (2.0 * a - 1)).mean()) == pytest.approx(3, abs=0.03)
    assert float((test.x @ made.core * sign).std()) == pytest.approx((0.25 + 0.49) ** 0.5, abs=0.03)
    same = (torch.as_tensor(train.columns["attribute"]) == train.y).double().mean()
    assert float(same) == pytest.approx(0.95, abs=0.01)
    blind = ((test.x @ made.core > 0) == (test.y == 1)).double().mean()
    assert float(blind) == pytest.approx(made.best_accuracy, abs=0.01)


def test_no_digit_of_dominoes_crosses_splits():
    data = mnist_dominoes(2, n=(300, 200, 200))
    x, labels = mnist_5k()
    known = {bytes(p.numpy().tobytes()): int(k) for p, k in zip(x, labels)}
    seen = []
    for split in (data.train, data.validation, data.test):
        assert split.x.shape[1:] == (1, 56, 28)
        upper = [p[:, :28].contiguous().numpy().tobytes() for p in split.x]
        lower = [p[:, 28:].contiguous().numpy().tobytes() for p in split.x]
        assert [known[p] for p in lower] == [(3, 5)[k] for k in split.y.tolist()]
        assert [str(known[p]) for p in upper] == split.columns["attribute"].tolist()
        seen.append(set(upper) | set(lower))
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    with pytest.raises(InputError, match="four different"):
        mnist_dominoes(core=(3, 0))


@pytest.mark.parametrize("name", ["gaussian-spurious", "mnist-dominoes"])
def test_data_with_a_shortcut_are_in_the_catalogue(name):
    data = load(name, limit=200, train_limit=300)
    attribute = np.asarray(data.train.columns["attribute"]).astype(int)
    assert (len(data.train), len(data.test)) == (300, 200)
    assert float((attribute == data.train.y.numpy()).mean()) > 0.9
