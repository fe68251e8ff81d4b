"""Arrays of other libraries as tensors, and what MAITE wants to know of every object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite
from deepwright.data import to_float


def images_of(inputs: Sequence[Any]) -> Tensor:
    """Float images (N, C, H, W); 8-bit ones in [0, 1].

    Args:
        inputs: (C, H, W) arrays of one shape.

    Raises:
        InputError: other shapes, or none.
    """
    rows = [to_float(array_of(row, "images", keep=True)) for row in inputs]
    if not rows or any(row.ndim != 3 or row.shape != rows[0].shape for row in rows):
        given = ", ".join(sorted({str(tuple(row.shape)) for row in rows})) or "none"
        raise InputError("images", given=given, expected="(C, H, W) arrays of one shape", hint="resize them first")
    return torch.stack(rows)


def array_of(value: Any, name: str, keep: bool = False) -> Tensor:
    """An array-like as a tensor of finite floats.

    Args:
        value: anything that NumPy takes for an array.
        name: how the user knows it.
        keep: leave 8-bit values as they are.
    """
    tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    return tensor if keep and tensor.dtype == torch.uint8 else require_finite(tensor.float(), name)


def metadata_of(name: str, classes: Sequence[str]) -> dict[str, Any]:
    """An `id`, and the classes by number where there are some.

    Args:
        name: the id.
        classes: names, index = label.
    """
    return {"id": name, **({"index2label": dict(enumerate(classes))} if classes else {})}
