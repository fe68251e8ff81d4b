"""Strings to code points and back: the form in which texts go through splits, batches and perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError

_NOT_TEXT = {code: 0xFFFD for code in range(0xD800, 0xE000)} | {0: 0x20}  # halves of characters; the sign of the end


def are_texts(value: Any) -> bool:
    """Whether something is a list or tuple of strings.

    Args:
        value: anything.
    """
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(each, str) for each in value)


def are_codes(x: Any) -> bool:
    """Whether a tensor has the form that `to_codes` gives.

    Args:
        x: anything.
    """
    return isinstance(x, Tensor) and x.dtype == torch.int32 and x.ndim == 2


def to_codes(texts: Sequence[Any], what: str = "texts") -> Int32[Tensor, "n characters"]:
    """Code points of texts, with zeros behind the end of each.

    What no text can hold becomes a space (the zero byte) or the replacement character (half of a surrogate pair).

    Args:
        texts: strings, at least one.
        what: they are, for messages.

    Raises:
        InputError: something else than strings.
    """
    if not are_texts(list(texts) if isinstance(texts, np.ndarray) else texts):
        raise InputError(what, given=_instead(texts), expected="a list of strings, at least one")
    clean = [str(text).translate(_NOT_TEXT) for text in texts]
    width = max(1, *map(len, clean))
    return torch.from_numpy(np.array(clean, dtype=f"U{width}").view(np.int32).reshape(len(clean), width).copy())


def _instead(texts: Any) -> str:
    """What there is in place of strings: the first that is none."""
    if isinstance(texts, str) or not isinstance(texts, list | tuple | np.ndarray):
        return repr(texts) if isinstance(texts, str) else type(texts).__name__
    strange = [(row, each) for row, each in enumerate(texts) if not isinstance(each, str)]
    if not strange:
        return f"an empty {type(texts).__name__}"
    row, each = strange[0]
    return f"{each!r:.40} ({type(each).__name__}) in row {row}, no string in {len(strange)} of {len(texts)}"


def to_texts(codes: Int32[Tensor, "n characters"]) -> list[str]:
    """The strings that code points are.

    Args:
        codes: as `to_codes` gives them, on any device.
    """
    if not are_codes(codes):
        given = f"{codes.dtype} of shape {tuple(codes.shape)}" if isinstance(codes, Tensor) else type(codes).__name__
        raise InputError("texts", given=given, expected="int32 code points (N, characters), as to_codes gives them")
    if not codes.numel():
        return [""] * len(codes)
    array = np.ascontiguousarray(codes.cpu().numpy())
    return array.view(f"U{array.shape[1]}").reshape(-1).tolist()


def joined_codes(parts: Sequence[Int32[Tensor, "n characters"]]) -> Int32[Tensor, "m width"]:
    """Batches of several widths as one.

    Args:
        parts: code points.
    """
    width = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (0, width - part.shape[1])) for part in parts])
