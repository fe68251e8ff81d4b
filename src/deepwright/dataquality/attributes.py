"""What samples can be sorted by: columns of a table, classes, files, and simple statistics of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.dataquality.hashes import grey
from deepwright.dataquality.values import column_of_values, is_unknown, name_of_value, names_of_ends

_MOST_VALUES = 20  # of a column that is taken value by value


def picture_statistics(images: Float[Tensor, "n channels height width"]) -> dict[str, Float[Tensor, " n"]]:
    """Brightness, contrast, sharpness and (of three channels) colourfulness of each picture.

    Brightness is the mean of the grey picture, contrast its deviation, sharpness the deviation of its discrete
    Laplacian (of the picture at 32 x 32), and colourfulness s + 0.3 m with s and m the root sums of squares of the
    deviations and of the means of R - G and (R + G) / 2 - B.

    Args:
        images: in [0, 1].

    Source: D. Hasler and S. Süsstrunk, "Measuring colourfulness in natural images", 2003.
    """
    small = grey(images)
    inner = small[:, 1:-1, 1:-1]
    waves = small[:, :-2, 1:-1] + small[:, 2:, 1:-1] + small[:, 1:-1, :-2] + small[:, 1:-1, 2:] - 4 * inner
    found = {
        "brightness": small.mean((1, 2)),
        "contrast": small.flatten(1).std(1, correction=0),
        "sharpness": waves.flatten(1).std(1, correction=0),
    }
    if images.shape[1] == 3:
        red, green, blue = images.float().flatten(2).unbind(1)
        against = torch.stack([red - green, (red + green) / 2 - blue])
        spread = against.std(2, correction=0).square().sum(0).sqrt()
        found["colourfulness"] = spread + 0.3 * against.mean(2).square().sum(0).sqrt()
    return found


def statistics_of(batches: Iterable[Tensor]) -> dict[str, Float[Tensor, " n"]]:
    """`picture_statistics` of many pictures, batch by batch.

    Args:
        batches: pictures in [0, 1].
    """
    parts = [picture_statistics(batch) for batch in batches]
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]} if parts else {}


@dataclass(frozen=True)
class Literals:
    """Yes-or-no statements about samples.

    Attributes:
        words: what each says, as "brightness < 0.31".
        of: the attribute that each is about.
        holds: (N, literals) whether it holds.
    """

    words: tuple[str, ...]
    of: tuple[str, ...]
    holds: Bool[Tensor, "n literals"]


def literals_of(attributes: Mapping[str, Any], *, bins: int = 4, least: int = 1) -> Literals:
    """Statements about each attribute: one a value where there are few, else one a quantile bin.

    Args:
        attributes: name -> N numbers, texts or booleans; of what is unknown (NaN, infinities, None, "") no statement
            holds.
        bins: quantile bins of a column of many numbers.
        least: samples for which a statement must hold to be one.

    Raises:
        InputError: columns of different lengths; a column that isn't one.
    """
    require_whole(2, bins=bins)
    require_whole(1, least=least)
    words, of, columns = [], [], []
    length = None
    for name, values in attributes.items():
        column = column_of_values(values, f"attribute {name!r}")
        length = len(column) if length is None else length
        if len(column) != length:
            raise InputError(
                f"attribute {name!r}", given=f"shape {column.shape}", expected=f"({length},) as the others"
            )
        for text, holds in _statements(name, column, bins):
            if least <= int(holds.sum()) < len(holds):
                words.append(text)
                of.append(name)
                columns.append(holds)
    table = torch.from_numpy(np.stack(columns, axis=1)) if columns else torch.zeros(length or 0, 0, dtype=torch.bool)
    return Literals(tuple(words), tuple(of), table)


def _statements(name: str, column: np.ndarray, bins: int) -> Iterable[tuple[str, np.ndarray]]:
    known = column[~is_unknown(column)]
    values, counts = np.unique(known, return_counts=True)
    if column.dtype.kind in "fiu":
        if len(values) > min(_MOST_VALUES, 2 * bins):
            yield from _bins(name, column.astype(float), known.astype(float), bins)
            return
        yield from ((f"{name} = {name_of_value(value)}", column == value) for value in values)
        return
    for value in values[np.argsort(-counts, kind="stable")][:_MOST_VALUES]:
        yield f"{name} = {value}", column == value


def _bins(name: str, numbers: np.ndarray, known: np.ndarray, bins: int) -> Iterable[tuple[str, np.ndarray]]:
    """Quantile bins; of a column with one very frequent value some ends fall together."""
    ends = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    names = names_of_ends(ends, known)
    for i, low in enumerate([-np.inf, *ends]):
        high = ends[i] if i < len(ends) else np.inf
        inside = np.isfinite(numbers) & (numbers > low) & (numbers <= high)
        left = "" if i == 0 else f"{names[i - 1]} < "
        right = "" if i == len(ends) else f" <= {names[i]}"
        yield (f"{left}{name}{right}" if right else f"{name} > {names[i - 1]}"), inside
