"""The user's own images: a folder or zip of `class/image`, with or without train/val/test on top; and `.npz` files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.archives import Decoding, ImageSource, decode
from deepwright.data.dataset import Data, Split, split_three, stratified_order

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def load_folder(
    path: Path | str, how: Decoding, *, limit: int | None = None, train_limit: int | None = None, seed: int = 0
) -> Data:
    """Images in one folder a class.

    `class/image.png` is split 70/10/20 (stratified, seeded); `train|val|test/class/image.png` is taken as it is, and a
    missing part is cut from the training images. Class index = alphabetical order of the folders.

    Args:
        path: a folder or a zip file.
        how: size, mode, and what to do with broken images.
        limit: at most so many test and validation images each.
        train_limit: at most so many training images.
        seed: of splits and limits.

    Raises:
        InputError: a class without images, a broken image (both named), images of different sizes without `size`.
    """
    path = Path(path)
    source = ImageSource(path)
    images, folders = _layout(source)
    classes = tuple(sorted({name for _, name in folders}))
    if len(classes) < 2:
        raise InputError(
            f"{path}", given=f"class folders {list(classes)}", expected="at least two folders, one a class"
        )
    pools: dict[str, list[tuple[str, int]]] = {"train": [], "validation": [], "test": []}
    for part, class_name, name in images:
        pools[part].append((name, classes.index(class_name)))
    for part, class_name in folders:
        if not any(label == classes.index(class_name) for _, label in pools[part]):
            where = class_name if not _has_parts(source) else f"{part}/{class_name}"
            raise InputError(f"class folder {where!r} of {path}", given="no image", hint="fill it or remove it")
    pools = _complete(pools, seed)
    notes: list[str] = []
    parts = {}
    for part, items in pools.items():
        most = train_limit if part == "train" else limit
        labels = torch.tensor([label for _, label in items])
        rows = stratified_order(labels, seed)[:most].sort().values if most is not None else torch.arange(len(items))
        names = [items[i][0] for i in rows.tolist()]
        pixels, kept, skipped = decode(source, names, how)
        notes += [f"skipped {line}" for line in skipped]
        parts[part] = Split(pixels, labels[rows][kept])
    return Data(path.stem, "image", classes, parts["train"], parts["validation"], parts["test"], notes=tuple(notes))


def load_images(path: Path | str, how: Decoding, limit: int | None = None) -> Tensor:
    """All images under a folder or zip, without classes: uint8 (N, C, H, W).

    Args:
        path: a folder or a zip file.
        how: size, mode, and what to do with broken images.
        limit: at most so many, by name.
    """
    source = ImageSource(path)
    return decode(source, source.images()[:limit], how)[0]


def _strip(source: ImageSource) -> int:
    """How many leading folders all files share (a zip often holds one folder with everything in it)."""
    parents = [PurePosixPath(n).parts[:-1] for n in source.images()]
    shared = 0
    while parents and len({p[: shared + 1] for p in parents}) == 1 and all(len(p) > shared + 1 for p in parents):
        if parents[0][shared].lower() in _PARTS:
            break
        shared += 1
    return shared


def _has_parts(source: ImageSource) -> bool:
    shared = _strip(source)
    return any(
        len(p) > shared + 1 and p[shared].lower() in _PARTS for p in (PurePosixPath(n).parts for n in source.images())
    )


def _layout(source: ImageSource) -> tuple[list[tuple[str, str, str]], set[tuple[str, str]]]:
    """(part, class, file) of every image, and every (part, class) folder, empty ones too."""
    shared, with_parts = _strip(source), _has_parts(source)
    images = []
    for name in source.images():
        parts = PurePosixPath(name).parts[shared:]
        part, rest = (_PARTS.get(parts[0].lower(), ""), parts[1:]) if with_parts else ("train", parts)
        if part and len(rest) > 1:
            images.append((part, rest[0], name))
    if not images:
        raise InputError(f"{source.path}", given="no class folders with images", expected="class/image.png")
    folders = {(part, name) for part, name, _ in images}
    if source.path.is_dir() and shared == 0:
        for folder in source.path.iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                if not with_parts:
                    folders.add(("train", folder.name))
                elif folder.name.lower() in _PARTS:
                    folders |= {(_PARTS[folder.name.lower()], f.name) for f in folder.iterdir() if f.is_dir()}
    return images, folders


def _complete(pools: dict[str, list[tuple[str, int]]], seed: int) -> dict[str, list[tuple[str, int]]]:
    """Cut missing parts from those that are there."""
    missing = [part for part, items in pools.items() if not items]
    if not missing:
        return pools
    source = "train" if pools["train"] else "test"
    pool = pools[source]
    order = [pool[i] for i in stratified_order(torch.tensor([label for _, label in pool]), seed).tolist()]
    if len(order) < 10:
        raise InputError(
            "images", given=f"{len(order)} to split into train, validation and test", expected="at least 10"
        )
    shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
    start = 0
    filled = dict(pools)
    total = sum(shares[p] for p in (*missing, source))
    for part in (*missing, source):
        stop = len(order) if part == source else start + max(1, round(len(order) * shares[part] / total))
        filled[part] = order[start:stop]
        start = stop
    return filled


_NPZ_KEYS = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train"), ("X_train", "y_train")),
    "validation": (("val_images", "val_labels"), ("x_val", "y_val"), ("X_val", "y_val")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test"), ("X_test", "y_test")),
}


def load_npz(path: Path | str, *, limit: int | None = None, train_limit: int | None = None, seed: int = 0) -> Data:
    """An `.npz` with `x` and `y`, with `x_train`/`y_train`/..., or in MedMNIST's layout.

    Images may be (N, H, W), (N, H, W, C) or (N, C, H, W); uint8, or floats in [0, 1]. Vectors (N, d) are a table.

    Args:
        path: the file.
        limit: at most so many test and validation samples each.
        train_limit: at most so many training samples.
        seed: of splits and limits.

    Raises:
        InputError: other keys, types, shapes or ranges.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("data", given=f"{path} does not exist", expected="an .npz file")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise InputError(f"cannot read {path}", given=str(error), expected="an .npz of plain arrays") from error
    found = {}
    for part, options in _NPZ_KEYS.items():
        keys = next((k for k in options if set(k) <= set(arrays)), None)
        if keys:
            found[part] = (
                _images(arrays[keys[0]], f"{path.name}:{keys[0]}"),
                _labels(arrays[keys[1]], f"{path.name}:{keys[1]}"),
            )
    if not found and {"x", "y"} <= set(arrays):
        found["train"] = (_images(arrays["x"], f"{path.name}:x"), _labels(arrays["y"], f"{path.name}:y"))
    if not found:
        raise InputError(
            f"{path.name}",
            given=f"keys {sorted(arrays)}",
            expected="x and y, or train_images, train_labels, test_images, ...",
        )
    parts = _split_missing(found, seed)
    classes = tuple(str(i) for i in range(1 + max(int(s.y.max()) for s in parts.values())))
    kind = "image" if parts["test"].x.ndim == 4 else "tabular"
    return Data(path.stem, kind, classes, parts["train"], parts["validation"], parts["test"]).limited(
        limit, train_limit, seed
    )


def _split_missing(found: dict[str, tuple[Tensor, Tensor]], seed: int) -> dict[str, Split]:
    if set(found) == set(_NPZ_KEYS):
        return {part: Split(*pair) for part, pair in found.items()}
    if "test" in found and "train" in found:
        train, validation, _ = split_three(*found["train"], (0.9, 0.1), seed)
        return {"train": train, "validation": validation, "test": Split(*found["test"])}
    train, validation, test = split_three(*next(iter(found.values())), seed=seed)
    return {"train": train, "validation": validation, "test": test}


def _labels(array: np.ndarray, name: str) -> Tensor:
    flat = array.reshape(len(array), -1)
    if flat.shape[1] != 1 or not np.issubdtype(array.dtype, np.integer) or (flat < 0).any():
        raise InputError(
            name, given=f"{array.dtype} of shape {array.shape}", expected="integer labels from 0, one a sample"
        )
    return torch.from_numpy(flat[:, 0].astype(np.int64))


def _images(array: np.ndarray, name: str) -> Tensor:
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(name, given=str(array.dtype), expected="uint8 or floats")
    x = torch.from_numpy(array if array.dtype == np.uint8 else array.astype(np.float32))
    if not array.dtype == np.uint8 and not torch.isfinite(x).all():
        raise InputError(name, given="NaN or infinity", expected="finite numbers")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[-1] in (1, 3) and x.shape[1] not in (1, 3):
        x = x.permute(0, 3, 1, 2).contiguous()
    if x.ndim not in (2, 4):
        raise InputError(name, given=f"shape {array.shape}", expected="(N, d), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if x.ndim == 4 and x.is_floating_point() and (float(x.min()) < 0 or float(x.max()) > 1):
        raise InputError(
            name,
            given=f"range {float(x.min()):.3g}..{float(x.max()):.3g}",
            expected="[0, 1]",
            hint="store uint8, or divide by 255",
        )
    return x
