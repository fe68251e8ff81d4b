"""CIFAR-10: the binary release (pickled batches, read without unpickling code) or the zip of images."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import require_plain_file
from deepwright.data.dataset import Data, Split, stratified_order
from deepwright.data.files.archives import Decoding, ImageSource, decode

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_VALIDATION = 5000


class _ArraysOnly(pickle.Unpickler):
    """Reads the batches' dictionaries of NumPy arrays and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
        if (module, name) not in allowed:
            raise InputError(
                "a CIFAR-10 batch file", given=f"it wants to load {module}.{name}", expected="plain arrays"
            )
        return super().find_class(module, name)


def load_cifar10(root: Path, *, limit: int | None = None, train_limit: int | None = None, seed: int = 0) -> Data:
    """CIFAR-10 from a data root.

    Args:
        root: a folder with `cifar10-images.zip` (or `cifar10/{train,test}/<class>/*.jpg`), or `cifar-10-batches-py/`.
        limit: decode at most so many test images, and as many validation images.
        train_limit: decode at most so many training images.
        seed: which ones.

    The last 5,000 of the training images (stratified, fixed) are the validation split.
    """
    batches = root / "cifar-10-batches-py"
    if batches.is_dir():
        return _from_batches(batches).limited(limit, train_limit, seed)
    for candidate in (root / "cifar10-images.zip", root / "cifar10"):
        if candidate.exists():
            return _from_images(candidate, limit, train_limit, seed)
    raise InputError(
        "CIFAR-10",
        given=f"nothing in {root}",
        expected="cifar10-images.zip, cifar10/ or cifar-10-batches-py/",
        hint="point --data-root (or DEEPWRIGHT_DATA) at the folder that holds one of them",
    )


def _from_images(path: Path, limit: int | None, train_limit: int | None, seed: int) -> Data:
    source = ImageSource(path)
    parts: dict[str, Split] = {}
    names = source.images()
    pools = {}
    for part in ("train", "test"):
        chosen = [n for n in names if part in Path(n).parts[:-1]]
        unknown = {Path(n).parts[-2] for n in chosen} - set(CLASSES)
        if unknown or not chosen:
            raise InputError(
                f"{path}", given=f"{part}: {sorted(unknown) or 'no images'}", expected=f"{part}/<class>/<n>.jpg"
            )
        pools[part] = (chosen, torch.tensor([CLASSES.index(Path(n).parts[-2]) for n in chosen]))
    order = stratified_order(pools["train"][1], 0)
    rows = {
        "train": order[:-_VALIDATION],
        "validation": order[-_VALIDATION:],
        "test": torch.arange(len(pools["test"][1])),
    }
    for part, row in rows.items():
        pool, labels = pools["test" if part == "test" else "train"]
        most = train_limit if part == "train" else limit
        if most is not None and most < len(row):
            row = row[stratified_order(labels[row], seed)[:most].sort().values]
        pixels, _, _ = decode(source, [pool[i] for i in row.tolist()], Decoding())
        parts[part] = Split(pixels, labels[row])
    note = "images are JPEG re-encoded: numbers can differ from the binary release by a few tenths of a point"
    return Data("cifar10", "image", CLASSES, parts["train"], parts["validation"], parts["test"], notes=(note,))


def _from_batches(folder: Path) -> Data:
    def read(name: str) -> tuple[Tensor, Tensor]:
        path = folder / name
        require_plain_file(path, f"cannot read {path}")
        try:
            content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
            pixels = torch.from_numpy(np.ascontiguousarray(content[b"data"], dtype=np.uint8)).view(-1, 3, 32, 32)
            return pixels, torch.tensor(content[b"labels"])
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"cannot read {path}", given=f"{type(error).__name__}: {error}") from error

    xs, ys = zip(*(read(f"data_batch_{i}") for i in range(1, 6)))
    x, y = torch.cat(xs), torch.cat(ys)
    order = stratified_order(y, 0)
    train, validation = order[:-_VALIDATION], order[-_VALIDATION:]
    return Data(
        "cifar10",
        "image",
        CLASSES,
        Split(x[train], y[train]),
        Split(x[validation], y[validation]),
        Split(*read("test_batch")),
    )
