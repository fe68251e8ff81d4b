"""Loaders: shapes, splits that don't overlap, and every kind of broken file named."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import (
    Decoding,
    boxes_ood,
    load,
    load_cifar10,
    load_folder,
    make_confident_error_data,
    ood_companions,
    stratified_order,
)


def test_mnist_splits_are_fixed_and_disjoint():
    a, b = load("mnist"), load("mnist")
    assert (len(a.train), len(a.validation), len(a.test)) == (3500, 500, 1000)
    assert torch.equal(a.test.x, b.test.x)
    rows = torch.cat([s.x.flatten(1) for s in (a.train, a.validation, a.test)])
    assert len(torch.unique(rows, dim=0)) == 5000
    assert a.test.y.bincount().tolist() == [100] * 10
    small = load("mnist", limit=50, train_limit=100)
    assert (len(small.test), len(small.train)) == (50, 100)
    assert small.test.y.bincount().tolist() == [5] * 10


@pytest.mark.parametrize("name", ["digits", "breast-cancer", "confident-error"])
def test_embedded(name):
    data = load(name)
    assert data.test.y.max() < len(data.classes)
    if data.kind == "tabular":
        assert torch.allclose(data.train.x.mean(0), torch.zeros(data.train.x.shape[1]), atol=1e-4)


def test_stratified_prefixes():
    labels = torch.tensor([0] * 80 + [1] * 20)[torch.randperm(100)]
    order = stratified_order(labels, 0)
    assert sorted(order.tolist()) == list(range(100))
    for n in (10, 50):
        assert abs(int(labels[order[:n]].sum()) - n // 5) <= 1


def test_folder(image_folder):
    data = load(image_folder)
    assert data.classes == ("bright", "dark")
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    assert data.shape == (3, 12, 12)
    assert load(image_folder, size=8, mode="L").shape == (1, 8, 8)


def test_zip_and_parts(image_folder, tmp_path):
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(image_folder.rglob("*.png")):
            part = "test" if int(file.stem) < 5 else "train"
            archive.write(file, f"top/{part}/{file.parent.name}/{file.name}")
        archive.writestr("../../escape.png", b"not read, not written")
    with pytest.raises(InputError):
        load(path)  # the odd entry is no class/image
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(image_folder.rglob("*.png")):
            part = "test" if int(file.stem) < 5 else "train"
            archive.write(file, f"top/{part}/{file.parent.name}/{file.name}")
    data = load(path)
    assert len(data.test) == 10
    assert len(data.train) + len(data.validation) == 30
    assert not (tmp_path.parent / "escape.png").exists()


def test_broken_image_is_named(image_folder):
    (image_folder / "dark" / "7.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(InputError, match=r"dark/7\.png.*--skip-broken"):
        load(image_folder)
    data = load(image_folder, skip_broken=True)
    assert any("dark/7.png" in note for note in data.notes)
    assert len(data.train) + len(data.validation) + len(data.test) == 39


def test_empty_class_is_named(image_folder):
    (image_folder / "nothing").mkdir()
    with pytest.raises(InputError, match="'nothing'"):
        load(image_folder)


def test_sizes_and_modes_must_agree(image_folder):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(image_folder / "dark" / "odd.png")
    with pytest.raises(InputError, match="--size"):
        load(image_folder)
    assert load(image_folder, size=10).shape == (3, 10, 10)
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(image_folder / "dark" / "odd.png")
    with pytest.raises(InputError, match="sizes or modes"):
        load(image_folder)


def test_sixteen_bit_images_are_scaled(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(8):
            Image.fromarray(np.full((9, 9), 65535 if name == "a" else 32768, np.uint16)).save(
                tmp_path / name / f"{i}.png"
            )
    data = load_folder(tmp_path, Decoding(mode="keep"))
    assert sorted(torch.cat([data.train.x, data.test.x]).unique().tolist()) == [127, 255]


@pytest.mark.parametrize("layout", ["plain", "medmnist", "floats", "table"])
def test_npz(tmp_path, layout):
    x, y = np.random.default_rng(0).integers(0, 255, (60, 10, 10), dtype=np.uint8), np.arange(60) % 3
    path = tmp_path / "d.npz"
    if layout == "plain":
        np.savez(path, x=x, y=y)
    elif layout == "medmnist":
        np.savez(
            path,
            train_images=x,
            train_labels=y[:, None],
            val_images=x,
            val_labels=y[:, None],
            test_images=x,
            test_labels=y[:, None],
        )
    elif layout == "floats":
        np.savez(path, x_train=x[..., None] / 255, y_train=y, x_test=x[..., None] / 255, y_test=y)
    else:
        np.savez(path, x=np.random.default_rng(1).random((60, 4)), y=y)
    data = load(path)
    assert len(data.classes) == 3
    assert data.kind == ("tabular" if layout == "table" else "image")
    if layout == "table":
        assert "inputs are standardised features" in data.notes[0]
        assert torch.allclose(data.train.x.mean(0), torch.zeros(4), atol=1e-6)
        assert torch.allclose(data.train.x.std(0), torch.ones(4), atol=1e-6)
    else:
        assert data.test.inputs().max() <= 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (dict(x=np.zeros((9, 8, 8), np.uint8), y=np.full(9, 0.5)), "looks like regression"),
        (dict(x=np.full((9, 8, 8), np.nan), y=np.zeros(9, int)), "NaN"),
        (dict(x=np.full((9, 8, 8), 99.0), y=np.zeros(9, int)), "255"),
        (dict(a=np.zeros(3)), "keys"),
        (dict(x=np.array([object()]), y=np.zeros(1, int)), "cannot read"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        load(path)


def test_csv(tmp_path):
    path = tmp_path / "t.csv"
    rows = ["age,city,target"] + [
        f"{20 + i % 50},{'north' if i % 2 else 'south'},{'yes' if i % 3 else 'no'}" for i in range(60)
    ]
    path.write_text("\n".join(rows))
    data = load(path, target="target")
    assert data.classes == ("no", "yes")
    assert data.features == ("age", "city_north", "city_south")
    with pytest.raises(InputError, match=r"one of age, city, target"):
        load(path, target="nothing")
    with pytest.raises(InputError, match="--target"):
        load(path)
    path.write_text("\n".join([*rows[:5], ",north,yes", *rows[5:]]))
    with pytest.raises(InputError, match=r"'age' at lines \[6\]"):
        load(path, target="target")
    assert load(path, target="target", skip_broken=True).notes[-1].startswith("1 rows with missing")


def test_paths_and_names():
    with pytest.raises(InputError, match="did you mean 'mnist'"):
        load("mnis")
    with pytest.raises(InputError, match="does not exist"):
        load("nowhere/at/all")
    with pytest.raises(InputError, match="limit"):
        load("mnist", limit=0)


def test_broken_idx(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(struct.pack(">4I", 1234, 1, 28, 28)))
    with pytest.raises(InputError, match="magic"):
        load("mnist", root=tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(InputError, match="t10k-images"):
        load("mnist", root=tmp_path)


def test_cifar_pickles_cannot_run_code(tmp_path):
    import os
    import pickle

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    batch = {b"data": np.zeros((20, 3072), np.uint8), b"labels": list(range(10)) * 2}
    for i in range(1, 6):
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    assert load_cifar10(tmp_path).test.x.shape == (20, 3, 32, 32)

    class Evil:
        def __reduce__(self):
            return os.system, ("touch /tmp/deepwright-was-here",)

    (folder / "test_batch").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="wants to load"):
        load_cifar10(tmp_path)


def test_companions():
    data = load("mnist", limit=60)
    sets = ood_companions(data, 50)
    assert {"far uniform noise", "near letters", "near class blends"} <= set(sets)
    for x in sets.values():
        assert tuple(x.shape[1:]) == (1, 28, 28)
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
    assert set(ood_companions(load("breast-cancer"))) == {"near shuffled columns", "far beyond the range"}


def test_synthetic():
    x, y = make_confident_error_data(20_000, minority=0.12)
    assert x.shape == (20_000, 12)
    assert 0.3 < float(y.double().mean()) < 0.6
    train, test, ood = boxes_ood(0)
    assert len(train) == 2000
    assert len(ood) == len(test) == 1000


@pytest.mark.realdata
def test_real_data(data_root):
    cifar = load("cifar10", root=data_root, limit=40, train_limit=50)
    assert cifar.test.x.shape == (40, 3, 32, 32)
    sample = load("imagenet-sample", root=data_root, limit=20)
    assert sample.test.x.shape == (20, 3, 224, 224)
    assert set((sample.test.y % 2).tolist()) == {0}
    assert load("heart-failure", root=data_root).classes == ("survived", "died")
    camvid = load("camvid", root=data_root, limit=2, train_limit=2)
    assert camvid.test.y.shape == (2, 360, 480)
    assert set(camvid.test.y.unique().tolist()) <= {*range(11), 255}
    small = load("camvid", root=data_root, limit=2, train_limit=2, size=120)
    assert small.test.x.shape == (2, 3, 120, 160)
    assert torch.equal(small.test.y, camvid.test.y[:, 1::3, 1::3])  # the label of each new pixel's centre


def test_memory_zip_is_read_in_place(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.txt", "no images")
    path = tmp_path / "z.zip"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="no class folders"):
        load(path)
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match="cannot read"):
        load(path)
