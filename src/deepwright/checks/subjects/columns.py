"""A network that takes a table's columns as they are, measured in deviations of each column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of
from deepwright.core.rows import column_moments, moved, pieces
from deepwright.data import Data, Split

_SNAP = 1e-4  # how near a whole number of a column of whole numbers counts as that number


class FromDeviations(nn.Module):
    """Deviations back to the columns' own units, then the network: attacks and corruptions act before it.

    Columns of whole numbers (codes, yes or no) come back as the very numbers that they were: a code of 2 that rounding
    makes 1.9999999 would be another code.

    Args:
        network: takes columns in their own units.
        center: of each column.
        scale: the deviation of each column.
        whole: whether each column holds whole numbers only.
    """

    center: Tensor
    scale: Tensor
    whole: Tensor

    def __init__(
        self,
        network: nn.Module,
        center: Float[Tensor, " columns"],
        scale: Float[Tensor, " columns"],
        whole: Tensor,
    ) -> None:
        super().__init__()
        self.network = network
        place = device_of(network)
        dtype = _dtype_of_columns(network)
        self.register_buffer("center", center.to(place, dtype))
        self.register_buffer("scale", scale.to(place, dtype))
        self.register_buffer("whole", whole.to(place))
        self.training = network.training

    def forward(self, z: Float[Tensor, "n ... columns"]) -> Any:
        """The network on rows (or series) in their own units, in the dtype that they came in."""
        return self.network(_in_units(z, self.center, self.scale, self.whole).to(z.dtype))


def _in_units(z: Tensor, center: Tensor, scale: Tensor, whole: Tensor) -> Tensor:
    x = z * scale + center
    nearest = x.detach().round()
    snap = whole & ((x.detach() - nearest).abs() < _SNAP)
    return torch.where(snap, x + (nearest - x.detach()), x)


def _whole_columns(rows: Any, center: Tensor, scale: Tensor) -> Tensor:
    """Which columns hold whole numbers only, in their own units."""
    whole = torch.ones(rows.shape[1], dtype=torch.bool, device=center.device)
    for piece in pieces(rows):
        x = piece.double() * scale.double() + center.double()
        whole &= ((x - x.round()).abs() < _SNAP).all(0) & (x.abs() < 1 / _SNAP).all(0)
    return whole


def _dtype_of_columns(network: nn.Module) -> torch.dtype:
    """In which centers and scales are held: half precision would round a column of thousands to whole numbers."""
    return torch.float64 if dtype_of(network) == torch.float64 else torch.float32


def in_deviations(model: nn.Module, data: Data) -> tuple[nn.Module, Data]:
    """The same network and table, with rows in deviations of each column and the way back inside the network.

    Args:
        model: takes the columns as they are.
        data: a table; its rows are standardised by the training rows (by the measured ones where there are none),
            unless they are already.

    Returns:
        the network on standardised rows, and those rows.
    """
    if data.center is None or data.scale is None:
        data = _standardised(data, _dtype_of_columns(model))
    assert data.center is not None
    assert data.scale is not None
    rows = data.train if len(data.train) else data.test
    whole = _whole_columns(rows.x, data.center, data.scale)
    own = "training rows" if len(data.train) else "measured rows themselves"
    note = (
        "the network gets the columns as they are; attacks and corruptions act in standard deviations of each column "
        f"(of the {own})"
    )
    notes = (note, *(text for text in data.notes if not text.startswith("inputs are standardised")))
    return FromDeviations(model, data.center, data.scale, whole), replace(data, notes=notes)


def in_own_units(data: Data) -> Data:
    """A standardised table's rows as they were, whole numbers (codes, yes or no) exactly; other data as they are.

    Args:
        data: a table.
    """
    if data.center is None or data.scale is None:
        return data
    center, scale = data.center.double(), data.scale.double()
    whole = _whole_columns((data.train if len(data.train) else data.test).x, center, scale)

    def back(x: Tensor) -> Tensor:
        return _in_units(x.double(), center, scale, whole).to(x.dtype)

    parts: dict[str, Any] = {part: replace(split, x=moved(split.x, back)) for part, split in _parts(data).items()}
    return replace(data, ood={name: back(x) for name, x in data.ood.items()}, center=None, scale=None, **parts)


def _parts(data: Data) -> dict[str, Split]:
    return {"train": data.train, "validation": data.validation, "test": data.test}


def _standardised(data: Data, dtype: torch.dtype) -> Data:
    """Rows in deviations; a column that never moves keeps its unit.

    Center and scale are rounded to the dtype of the way back before anything is divided by them: at 1e6 the rounding
    is a good part of a deviation, and the rows must come back as they were.
    """
    known = data.train if len(data.train) else data.test
    center, scale = column_moments(moved(known.x, Tensor.double, torch.float64))
    scale = torch.where(scale > 1e-7 * center.abs(), scale, 1.0)
    center, scale = center.to(dtype), scale.to(dtype)

    def standard(x: Tensor) -> Tensor:
        return ((x.double() - center) / scale).to(x.dtype)

    ood = {name: standard(x) for name, x in data.ood.items()}
    parts: dict[str, Any] = {part: replace(split, x=moved(split.x, standard)) for part, split in _parts(data).items()}
    return replace(data, ood=ood, center=center, scale=scale, **parts)
