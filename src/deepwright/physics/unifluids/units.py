"""Units: what a network sees of a field, as (u - shift) / scale, learned from training data by equation and channel.

Of frames to come it sees the field itself, or its change since the last context frame in units of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import PDEBatch

TARGETS = ("field", "change", "auto")
TINY = 1e-8  # scales below this are taken for constants


class FieldUnits(nn.Module):
    """Units of every equation's channels.

    Args:
        pdes: names of equations; others get the mean of all that are known, or units of their own context.
        channels: of the registry.
        target: "field"; "change" since the last context frame; or "auto": the change of those channels whose change
            holds less than half of the field's variance.

    Raises:
        InputError: an unknown target.
    """

    def __init__(self, pdes: Sequence[str], channels: int, target: str = "auto") -> None:
        super().__init__()
        if target not in TARGETS:
            raise InputError("target", given=repr(target), expected="'field', 'change' or 'auto'")
        self.pdes, self.target = tuple(pdes), target
        self.mean: Tensor
        self.std: Tensor
        self.change: Tensor
        self.period: Tensor
        self.register_buffer("mean", torch.zeros(len(pdes) + 1, channels))
        self.register_buffer("std", torch.ones(len(pdes) + 1, channels))
        self.register_buffer("change", torch.ones(len(pdes) + 1, channels))
        self.register_buffer("period", torch.zeros(len(pdes) + 1))

    def index(self, pde: str) -> int:
        """Row of an equation; the last one stands for all that aren't known.

        Args:
            pde: its name.
        """
        return self.pdes.index(pde) if pde in self.pdes else len(self.pdes)

    def window(self, data: PDEBatch) -> float:
        """Length in time of the windows that an equation was trained on (the data's own where it wasn't).

        Args:
            data: trajectories.
        """
        return float(self.period[self.index(data.pde)]) or data.spacing[0] * data.u.shape[2]

    def fit(self, sets: Sequence[PDEBatch]) -> None:
        """Learn mean and deviation of every equation's channels, how much they change, and the window's length.

        Constant channels keep a scale of 1, with a warning.

        Args:
            sets: training data.
        """
        for data in sets:
            row, index = self.index(data.pde), torch.tensor(data.channels, device=self.mean.device)
            since = data.u[:, :, data.context :] - data.u[:, :, data.context - 1 : data.context]
            std = data.u.std((0, 2, 3, 4, 5))
            if bool((std < TINY).any()):
                warnings.warn(f"{data.pde}: a channel is constant; its scale stays 1", stacklevel=3)
            self.mean[row, index] = data.u.mean((0, 2, 3, 4, 5)).to(self.mean)
            for scale, value in ((self.std, std), (self.change, since.square().mean((0, 2, 3, 4, 5)).sqrt())):
                scale[row, index] = torch.where(value < TINY, torch.ones_like(value), value).to(scale)
            self.period[row] = data.spacing[0] * data.u.shape[2]
        known = [self.index(s.pde) for s in sets]
        for units in (self.mean, self.std, self.change, self.period):
            units[-1] = units[known].mean(0)

    def forward(self, data: PDEBatch) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        """(shift, scale), where the data are, broadcast over (B, C, T, X, Y, Z).

        Args:
            data: trajectories; only their context is looked at, and only for equations that aren't known.
        """
        row = self.index(data.pde)
        known, index = row < len(self.pdes), torch.tensor(data.channels, device=self.mean.device)
        pair = (self.mean[row, index], self.std[row, index]) if known else data.known_moments()
        shift, scale = (m.to(data.u).reshape(1, -1, 1, 1, 1, 1) for m in pair)
        if self.target == "field" or data.seen is not None:  # a change needs the whole of the last frame
            return shift, scale
        last = data.u[:, :, data.context - 1 : data.context]
        step = self.change[row, index].to(data.u).reshape(1, -1, 1, 1, 1, 1) if known else _guessed_change(data, scale)
        late = (torch.arange(data.u.shape[2], device=data.u.device) >= data.context).reshape(1, 1, -1, 1, 1, 1)
        if self.target == "auto":  # whichever varies less
            late = late & (step.square() < 0.5 * scale.square())
        return torch.where(late, last, shift), torch.where(late, step, scale)


def _guessed_change(data: PDEBatch, scale: Tensor) -> Tensor:
    """The change of an equation that isn't known: as if every frame changed as much as the last one."""
    last = data.u[:, :, data.context - 1 : data.context]
    before = data.u[:, :, max(data.context - 2, 0) : max(data.context - 1, 1)]
    ahead = data.u.shape[2] - data.context + 1
    step = (last - before).square().mean((0, 2, 3, 4, 5), keepdim=True).sqrt() * ahead / 2
    return torch.minimum(step, 2 * scale).clamp_min(TINY)
