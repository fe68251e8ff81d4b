"""The user's own images: a folder or zip of `class/image`, with or without train/val/test on top; and `.npz` files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data, Split, limit_note, stratified_order
from deepwright.data.files.archives import Decoding, ImageSource, Pictures, decode
from deepwright.data.files.class_order import Matched, Named, in_order, listed, matched, order_note
from deepwright.data.files.facts import picture_facts
from deepwright.data.files.pictures import pictures
from deepwright.data.files.pieces import (
    FOR_TRAINING,
    Cut,
    missing_part,
    one_piece,
    seen_validation,
)

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def load_folder(
    path: Path | str,
    how: Decoding,
    *,
    classes: Sequence[str] | None = None,
    outputs: Sequence[Named] | None = None,
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
    stream: bool | None = None,
) -> Data:
    """Images in one folder a class.

    `class/image.png` comes in one piece and is split (stratified, seeded); `train|val|test/class/image.png` is taken as
    it is, and a missing part is cut from another one; notes say so. Class index = order of the folders' names, whole
    numbers by their value, where neither `classes` nor `outputs` says otherwise.

    Args:
        path: a folder or a zip file.
        how: size, mode, and what to do with broken images.
        classes: names of all outputs in their order; the folders are some of them.
        outputs: a network's own classes, each under all its names; folders that bear such names are those classes.
        shares: of the training and the validation part, where the images come in one piece.
        split: "test" makes such images the test part, all of them.
        limit: at most so many test and validation images each.
        train_limit: at most so many training images.
        seed: of splits and limits.
        stream: leave the images in their files and decode them when they are needed; None does so where they are over
            512 MiB when decoded.

    Raises:
        InputError: a class without images, a broken image (both named), images of different sizes without `size`.
    """
    path = Path(path)
    source = ImageSource(path)
    images, folders = _layout(source)
    found = in_order(name for _, name in folders)
    if len(found) < 2:
        raise InputError(f"{path}", given=f"class folders {list(found)}", expected="at least two folders, one a class")
    order = _order(found, classes, outputs, path)
    pools: dict[str, list[tuple[str, int]]] = {"train": [], "validation": [], "test": []}
    for part, class_name, name in images:
        pools[part].append((name, order.index[class_name]))
    for part, class_name in folders:
        if not any(label == order.index[class_name] for _, label in pools[part]):
            where = class_name if not _has_parts(source) else f"{part}/{class_name}"
            raise InputError(f"class folder {where!r} of {path}", given="no image", hint="fill it or remove it")
    return labelled_pictures(source, pools, order, how, Cut(shares, split, limit, train_limit, seed, stream))


def labelled_pictures(
    source: Pictures,
    pools: dict[str, list[tuple[str, int]]],
    order: Matched,
    how: Decoding,
    cut: Cut,
) -> Data:
    """Data of pictures whose classes are known.

    Args:
        source: where the files are.
        pools: part -> (file, label) of its pictures; empty ones are cut from others.
        order: names of the classes.
        how: size, mode, and what to do with broken images.
        cut: how they are divided and limited.
    """
    seen = seen_validation(part for part, items in pools.items() if items)
    pools, told = _complete(pools, str(source.path), cut.shares, cut.split, cut.seed)
    labels = {part: torch.tensor([label for _, label in items], dtype=torch.long) for part, items in pools.items()}
    drawn = limit_note(labels["test"], cut.limit, cut.seed)
    notes = [*told, *([order.note] if order.note else []), *drawn]
    names = {}
    for part, items in pools.items():
        most = cut.train_limit if part == "train" else cut.limit
        if most is not None:
            rows = stratified_order(labels[part], cut.seed)[:most].sort().values
            items, labels[part] = [items[i] for i in rows.tolist()], labels[part][rows]
        names[part] = [name for name, _ in items]
    parts = {}
    for part, (pixels, kept, skipped) in pictures(source, names, how, cut.stream).items():
        notes += [f"skipped {line}" for line in skipped]
        files = [names[part][i] for i in kept]
        beside = picture_facts(source, files) if part == "test" else {"file": np.array(files, dtype=str)}
        parts[part] = Split(pixels, labels[part][kept], beside)
    nothing = Split(parts["test"].x[:0], parts["test"].y[:0])
    train, validation = (parts.get(part, nothing) for part in ("train", "validation"))
    return Data(
        source.path.stem,
        "image",
        order.classes,
        train,
        validation,
        parts["test"],
        notes=tuple(notes),
        seen_validation=seen,
    )


def _order(found: Sequence[str], classes: Sequence[str] | None, outputs: Sequence[Named] | None, path: Path) -> Matched:
    """Which output each folder is: by the user's list, by the network's names, else by the order of their names."""
    by_name = outputs_by_name(found, classes, outputs, f"class folder of {path}")
    return by_name or Matched(tuple(found), {name: i for i, name in enumerate(found)}, "".join(order_note(found)))


def outputs_by_name(
    found: Sequence[str], classes: Sequence[str] | None, outputs: Sequence[Named] | None, what: str
) -> Matched | None:
    """Which output each class is, by the user's list or by the network's names; None where neither tells it.

    Args:
        found: names of the classes.
        classes: names of all outputs in their order.
        outputs: a network's own classes, each under all its names.
        what: begins a message.
    """
    if classes is not None:
        return listed(found, classes, what)
    return None if outputs is None else matched(found, outputs, what)


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
        if parents[0][shared].lower() in PARTS:
            break
        shared += 1
    return shared


def _has_parts(source: ImageSource) -> bool:
    shared = _strip(source)
    return any(
        len(p) > shared + 1 and p[shared].lower() in PARTS for p in (PurePosixPath(n).parts for n in source.images())
    )


def _layout(source: ImageSource) -> tuple[list[tuple[str, str, str]], set[tuple[str, str]]]:
    """(part, class, file) of every image, and every (part, class) folder, empty ones too."""
    shared, with_parts = _strip(source), _has_parts(source)
    images = []
    for name in source.images():
        parts = PurePosixPath(name).parts[shared:]
        part, rest = (PARTS.get(parts[0].lower(), ""), parts[1:]) if with_parts else ("train", parts)
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
                elif folder.name.lower() in PARTS:
                    folders |= {(PARTS[folder.name.lower()], f.name) for f in folder.iterdir() if f.is_dir()}
    return images, folders


def _complete(
    pools: dict[str, list[tuple[str, int]]], name: str, shares: tuple[float, float], split: str | None, seed: int
) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
    """Cut missing parts from those that are there, and tell it."""
    there = [part for part, items in pools.items() if items]
    if len(there) == 1:
        pool = pools[there[0]]
        if len(pool) < 10 and split is None:
            raise InputError(
                "images", given=f"{len(pool)} to split into train, validation and test", expected="at least 10"
            )
        rows, note = one_piece(torch.tensor([label for _, label in pool]), shares, split, seed)
        return {part: [pool[i] for i in row.tolist()] for part, row in rows.items()}, [note]
    labels = {part: torch.tensor([label for _, label in pools[part]]) for part in there}
    cut, notes = missing_part(labels, f"images of {name}", split, seed)
    return {**pools, **{part: [pools[source][i] for i in rows.tolist()] for part, (source, rows) in cut.items()}}, notes
