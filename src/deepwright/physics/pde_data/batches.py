"""Fields of one, two and three dimensions as one kind of tensor: channels by number, absent axes of length one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.physics.pde_data.channels import ChannelRegistry
from deepwright.physics.pde_data.filling import fill_in
from deepwright.physics.pde_data.trajectories import PDEDataset

AXES = ("t", "x", "y", "z")
BOUNDARIES = ("periodic", "neumann", "extrapolation")
MOST_PARAMETERS = 4


@dataclass(frozen=True)
class PDEBatch:
    """Trajectories of one equation.

    Attributes:
        u: (B, C, T, X, Y, Z), physical units.
        channels: C numbers of the registry.
        spacing: (dt, dx, dy, dz), 1 on absent axes.
        extent: length of each axis of space.
        params: (B, p), p <= 4.
        pde: name of the equation.
        bc: name of the boundary.
        dim: axes of space.
        context: frames that are given.
        seen: (B, X, Y, Z) places where the context frames are known, all where None.

    Raises:
        InputError: shapes that don't fit, or values that aren't finite.
    """

    u: Tensor
    channels: tuple[int, ...]
    spacing: tuple[float, float, float, float]
    extent: tuple[float, float, float]
    params: Tensor
    pde: str
    bc: str
    dim: int
    context: int
    seen: Tensor | None = None

    def __post_init__(self) -> None:
        if self.u.ndim != 6 or self.u.shape[1] != len(self.channels) or not 0 < self.context < self.u.shape[2]:
            given = f"u {tuple(self.u.shape)}, {len(self.channels)} channels, context {self.context}"
            raise InputError("PDEBatch", given=given, expected="(B, C, T, X, Y, Z), C numbers, 0 < context < T")
        if self.params.ndim != 2 or len(self.params) != len(self.u) or self.params.shape[1] > MOST_PARAMETERS:
            expected = f"({len(self.u)}, {MOST_PARAMETERS} or fewer)"
            raise InputError("params", given=tuple(self.params.shape), expected=expected)
        places = (len(self.u), *self.u.shape[3:])
        if self.seen is not None and (
            self.seen.shape != places or self.seen.dtype != torch.bool or not self.seen.any()
        ):
            given = f"{self.seen.dtype} {tuple(self.seen.shape)}"
            raise InputError("seen", given=given, expected=f"bool {places}, some true")
        bad = ~torch.isfinite(self.u).flatten(1).all(1)
        if bool(bad.any()):
            given = f"NaN or infinity in sample {int(bad.nonzero()[0, 0])}"
            raise InputError("PDEBatch", given=given, expected="finite values")

    def __len__(self) -> int:
        return len(self.u)

    def known_moments(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """Mean and deviation of each channel over what is known of the context."""
        context = self.u[:, :, : self.context].transpose(1, 2)
        known = context.permute(0, 3, 4, 5, 1, 2) if self.seen is None else context.permute(0, 3, 4, 5, 1, 2)[self.seen]
        values = known.reshape(-1, len(self.channels))
        return values.mean(0), values.std(0).clamp_min(1e-6)

    def rows(self, index: Tensor) -> PDEBatch:
        """Some trajectories.

        Args:
            index: which, as indices or a mask.
        """
        seen = None if self.seen is None else self.seen[index]
        return replace(self, u=self.u[index], params=self.params[index], seen=seen)

    def to(self, device: torch.device | str) -> PDEBatch:
        """The same elsewhere.

        Args:
            device: where to.
        """
        seen = None if self.seen is None else self.seen.to(device)
        return replace(self, u=self.u.to(device), params=self.params.to(device), seen=seen)

    def filled(self) -> Float[Tensor, "b c t x y z"]:
        """The context frames with what isn't seen filled in smoothly from the sensors; the other frames are 0."""
        context = torch.zeros_like(self.u)
        context[:, :, : self.context] = self.u[:, :, : self.context]
        if self.seen is None:
            return context
        known = self.seen[:, None].to(self.u)
        frames = context[:, :, : self.context].flatten(1, 2)
        context[:, :, : self.context] = fill_in(frames * known, known, self.bc == "periodic").reshape(
            len(self), -1, self.context, *self.u.shape[3:]
        )
        return context

    def with_sensors(self, share: float, generator: torch.Generator) -> PDEBatch:
        """The same, known only at random places that differ by trajectory.

        Args:
            share: of the places, one at least.
            generator: of the draw; its numbers are moved to where the data are.

        Raises:
            InputError: a share out of (0, 1].
        """
        if not 0 < share <= 1:
            raise InputError("share", given=share, expected="in (0, 1]")
        space = tuple(self.u.shape[3:])
        drawn = torch.rand(len(self), math.prod(space), generator=generator, device=generator.device)
        seen = drawn.argsort(1).argsort(1) < max(1, round(share * math.prod(space)))
        return replace(self, seen=seen.reshape(-1, *space).to(self.u.device))


def to_unified(data: PDEDataset, registry: ChannelRegistry, context: int) -> PDEBatch:
    """A data set as one batch, in float32 on the CPU.

    Args:
        data: trajectories.
        registry: of channels.
        context: frames that are given.

    Raises:
        InputError: unknown channels, uneven grids, more than four parameters.
    """
    u = torch.from_numpy(np.ascontiguousarray(data.u)).float()
    u = u.permute(0, u.ndim - 1, *range(1, u.ndim - 1))
    u = u.reshape(*u.shape, *[1] * (3 - data.dim))
    steps = [_step(axis, data.coords[axis]) for axis in AXES[: data.dim + 1]]
    lengths = [dx * len(data.coords[axis]) for dx, axis in zip(steps[1:], AXES[1:])]
    if data.params.shape[1] > MOST_PARAMETERS:
        raise InputError("params", given=f"{data.params.shape[1]}", expected=f"at most {MOST_PARAMETERS}")
    if data.bc not in BOUNDARIES:
        raise unknown_name("boundary", data.bc, BOUNDARIES)
    absent = [1.0] * (3 - data.dim)
    dt, dx, dy, dz = (*steps, *absent)
    x, y, z = (*lengths, *absent)
    params, channels = torch.from_numpy(data.params).float(), registry.indices(data.channels)
    return PDEBatch(u, channels, (dt, dx, dy, dz), (x, y, z), params, data.pde, data.bc, data.dim, context)


def _step(axis: str, coordinate: np.ndarray) -> float:
    """The spacing of an even axis."""
    c = np.asarray(coordinate, dtype=float)
    steps = np.diff(c)
    if len(c) < 2 or not np.allclose(steps, steps[0], rtol=1e-4):
        expected = "an even grid: others aren't supported"
        raise InputError(f"coordinate {axis}", given="uneven spacing", expected=expected)
    return float(steps[0])


def from_unified(batch: PDEBatch) -> np.ndarray:
    """The inverse.

    Args:
        batch: trajectories.

    Returns:
        (N, T, X[, Y[, Z]], C).
    """
    u = batch.u.reshape(*batch.u.shape[: 3 + batch.dim])
    return u.permute(0, *range(2, u.ndim), 1).contiguous().cpu().numpy()
