"""`.npz` files and folders of `.npy`: `x` and `y`, `x_train` and `y_train` ..., or MedMNIST's keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.rows import STREAMED, pieces, value_range
from deepwright.data.dataset import Data, Split, to_float
from deepwright.data.files.class_order import require_names
from deepwright.data.files.labels import class_labels
from deepwright.data.files.members import Members
from deepwright.data.files.parts import data_of_parts
from deepwright.data.files.pieces import FOR_TRAINING
from deepwright.data.files.tables import standardised

_KEYS = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train"), ("X_train", "y_train")),
    "validation": (("val_images", "val_labels"), ("x_val", "y_val"), ("X_val", "y_val")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test"), ("X_test", "y_test")),
}


def load_npz(
    path: Path | str,
    *,
    classes: Sequence[str] | None = None,
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
    stream: bool | None = None,
) -> Data:
    """An `.npz` (or a folder of `.npy`) with `x` and `y`, with `x_train`/`y_train`/..., or in MedMNIST's layout.

    Images may be (N, H, W), (N, H, W, C) or (N, C, H, W); uint8, or floats in [0, 1]. Vectors (N, d) are a
    table, which is standardised as that of a .csv.

    Args:
        path: the file or the folder.
        classes: names, index = label; there may be more of them than occur.
        shares: of the training and the validation part, where the samples come in one piece.
        split: "test" makes such samples the test part, all of them.
        limit: at most so many test and validation samples each.
        train_limit: at most so many training samples.
        seed: of splits and limits.
        stream: read samples from the file when they are needed; None does so where it holds over 512 MiB. A compressed
            file is unpacked to one without a name first.

    Raises:
        InputError: other keys, types, shapes or ranges; unlike numbers of inputs and labels; labels that are no
            classes.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("data", given=f"{path} does not exist", expected="an .npz file")
    arrays = Members(path)
    stream = arrays.nbytes > STREAMED if stream is None else stream
    found = {}
    for part, options in _KEYS.items():
        keys = next((k for k in options if set(k) <= set(arrays.names)), None)
        if keys:
            found[part] = _pair(arrays, *keys, stream)
    if not found and {"x", "y"} <= set(arrays.names):
        found["train"] = _pair(arrays, "x", "y", stream)
    if not found:
        raise InputError(
            f"{path.name}",
            given=f"keys {sorted(arrays.names)}",
            expected="x and y, or train_images, train_labels, test_images, ...",
        )
    shapes = {part: tuple(s.x.shape[1:]) for part, s in found.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"{path.name}", given=f"samples of shapes {shapes}", expected="one shape in all parts")
    kind = "image" if len(next(iter(shapes.values()))) == 3 else "tabular"
    data = data_of_parts(path, kind, _names(found, classes, path), found, shares=shares, split=split, seed=seed)
    data = standardised(data) if data.test.x.ndim == 2 else data
    return data.limited(limit, train_limit, seed)


def holds_arrays(path: Path) -> bool:
    """Whether a path is a folder of `.npy` files.

    Args:
        path: of the folder.
    """
    return path.is_dir() and next(path.glob("*.npy"), None) is not None


def _pair(members: Members, x: str, y: str, stream: bool) -> Split:
    path = members.path
    inputs = _images(members, x, stream)
    labels = class_labels(members.array(y), f"{path.name}:{y}")
    if len(inputs) != len(labels):
        given = f"{len(inputs)} in {x!r} and {len(labels)} in {y!r}"
        raise InputError(f"{path.name}", given=given, expected="one label a sample")
    if len(labels) == 0:
        raise InputError(f"{path.name}:{x}", given="no sample", expected="at least one")
    return Split(inputs, labels)


def _names(parts: dict[str, Split], classes: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    highest = max(int(s.y.max()) for s in parts.values() if len(s))
    if classes is None:
        return tuple(str(i) for i in range(1 + highest))
    names = require_names(classes, "classes")
    if highest >= len(names):
        raise InputError(
            "classes", given=f"{len(names)} names", expected=f"{1 + highest}, for the labels of {path.name}"
        )
    return names


def _images(members: Members, key: str, stream: bool) -> Any:
    """The inputs under a key, in memory or left where they are; checked in the same way, some at a time."""
    name = f"{members.path.name}:{key}"
    change = partial(_tensor, name=name)
    x: Any = members.rows(key, change) if stream else None
    shape = None if x is None else x.stored
    if x is None:
        array = members.array(key)
        x, shape = change(array), array.shape
    if x.is_floating_point() and not all(bool(torch.isfinite(piece).all()) for piece in pieces(x)):
        raise InputError(name, given="NaN or infinity (as float32)", expected="finite numbers")
    if x.ndim not in (2, 4) or 0 in x.shape[1:]:
        raise InputError(name, given=f"shape {shape}", expected="(N, d), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if x.ndim == 4 and x.is_floating_point() and len(x):
        low, high = value_range(x)
        if low < 0 or high > 1:
            given, hint = f"range {low:.3g}..{high:.3g}", "store uint8, or divide by 255"
            raise InputError(name, given=given, expected="[0, 1]", hint=hint)
    return x


def _tensor(array: np.ndarray, name: str) -> Tensor:
    """Rows as they are used: images as (N, C, H, W), uint8 or float32; columns as float32."""
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(name, given=str(array.dtype), expected="uint8 or floats")
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        x = torch.from_numpy(np.ascontiguousarray(array) if array.dtype == np.uint8 else array.astype(np.float32))
    if x.ndim == 2:
        return to_float(x)
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[-1] in (1, 3) and x.shape[1] not in (1, 3):
        return x.permute(0, 3, 1, 2).contiguous()
    return x
