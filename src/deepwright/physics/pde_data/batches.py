"""Fields of one, two and three dimensions as one kind of tensor: channels by name, absent axes of length one, patches as tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.physics.pde_data.trajectories import PDEDataset

AXES = ("t", "x", "y", "z")
BOUNDARIES = ("periodic", "neumann", "extrapolation")
DEFAULT_CHANNELS = ("u", "density", "pressure", "Vx", "Vy", "Vz", "height", "v", "vorticity")


@dataclass(frozen=True)
class ChannelRegistry:
    """Names of all variables that a model knows; a data set uses some of them."""

    names: tuple[str, ...] = DEFAULT_CHANNELS

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            raise InputError("channels", given=self.names, expected="different names, at least one")

    def __len__(self) -> int:
        return len(self.names)

    def indices(self, channels: tuple[str, ...]) -> tuple[int, ...]:
        """Numbers of some channels.

        Raises:
            InputError: a name that isn't there (the closest and all are told).
        """
        for c in channels:
            if c not in self.names:
                raise unknown_name("channel", c, self.names)
        return tuple(self.names.index(c) for c in channels)


@dataclass(frozen=True)
class PDEBatch:
    """Trajectories of one equation.

    Attributes:
        u: (B, C, T, X, Y, Z), physical units; channels: C numbers of the registry.
        spacing: (dt, dx, dy, dz), 1 on absent axes; extent: length of each axis of space.
        params: (B, p), p <= 4; pde: name; bc: boundary; dim: axes of space; context: frames that are given.
        seen: (B, X, Y, Z) places where the context frames are known, all where None.
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
        places = (len(self.u), *self.u.shape[3:])
        if self.seen is not None and (
            self.seen.shape != places or self.seen.dtype != torch.bool or not self.seen.any()
        ):
            raise InputError(
                "seen", given=f"{self.seen.dtype} {tuple(self.seen.shape)}", expected=f"bool {places}, some true"
            )
        if self.u.ndim != 6 or self.u.shape[1] != len(self.channels) or not 0 < self.context < self.u.shape[2]:
            raise InputError(
                "PDEBatch", given=f"u {tuple(self.u.shape)}, {len(self.channels)} channels, context {self.context}",
                expected="(B, C, T, X, Y, Z), C numbers, 0 < context < T",
            )  # fmt: skip
        bad = ~torch.isfinite(self.u).flatten(1).all(1)
        if bool(bad.any()):
            raise InputError(
                "PDEBatch", given=f"NaN or infinity in sample {int(bad.nonzero()[0, 0])}", expected="finite values"
            )

    def __len__(self) -> int:
        return len(self.u)

    def known_moments(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """Mean and deviation of each channel over what is known of the context."""
        context = self.u[:, :, : self.context].transpose(1, 2)
        known = context.permute(0, 3, 4, 5, 1, 2) if self.seen is None else context.permute(0, 3, 4, 5, 1, 2)[self.seen]
        values = known.reshape(-1, len(self.channels))
        return values.mean(0), values.std(0).clamp_min(1e-6)

    def rows(self, index: Tensor) -> PDEBatch:
        """Some trajectories."""
        seen = None if self.seen is None else self.seen[index]
        return replace(self, u=self.u[index], params=self.params[index], seen=seen)

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
        """The same, known only at random places (this share of them, one at least) that differ by trajectory."""
        if not 0 < share <= 1:
            raise InputError("share", given=share, expected="in (0, 1]")
        space = tuple(self.u.shape[3:])
        order = torch.rand(len(self), math.prod(space), generator=generator).argsort(1).argsort(1)
        return replace(self, seen=(order < max(1, round(share * math.prod(space)))).reshape(-1, *space))


def fill_in(
    values: Float[Tensor, "b k x y z"], known: Float[Tensor, "b 1 x y z"], periodic: bool, sweeps: int = 12
) -> Float[Tensor, "b k x y z"]:
    """Values between known places, nearly harmonic: coarser grids know everything in the end, finer ones smooth what they get.

    Args:
        values: 0 where unknown; known: 1 or 0; periodic: axes wrap, else edges repeat; sweeps: of smoothing on each grid.
    """
    axes = [i for i in range(2, 5) if values.shape[i] > 1]
    if not axes or bool((known > 0).all()):
        return values
    if all(values.shape[i] % 2 == 0 for i in axes):
        coarse, weight = values, known
        for i in axes:
            coarse, weight = (t.unflatten(i, (-1, 2)).sum(i + 1) for t in (coarse, weight))
        guess = fill_in(coarse / weight.clamp_min(1), (weight > 0).to(known), periodic, sweeps)
        for i in axes:
            guess = guess.repeat_interleave(2, i)
    else:
        total = tuple(range(2, 5))
        guess = (values.sum(total, keepdim=True) / known.sum(total, keepdim=True).clamp_min(1)).expand_as(values)
    for _ in range(sweeps):
        u = torch.where(known > 0, values, guess)
        parts = [_beside(u, i, step, periodic) for i in axes for step in (1, -1)]
        guess = torch.stack(parts).mean(0)
    return torch.where(known > 0, values, guess)


def _beside(u: Tensor, axis: int, step: int, periodic: bool) -> Tensor:
    moved = u.roll(step, axis)
    if periodic:
        return moved
    index = torch.arange(u.shape[axis], device=u.device)
    edge = index == (0 if step == 1 else u.shape[axis] - 1)
    return torch.where(edge.reshape(-1, *[1] * (u.ndim - 1 - axis)), u, moved)


def to_unified(data: PDEDataset, registry: ChannelRegistry, context: int) -> PDEBatch:
    """A data set as one batch.

    Raises:
        InputError: unknown channels, uneven grids, more than four parameters.
    """
    u = torch.from_numpy(np.ascontiguousarray(data.u)).float()
    u = u.permute(0, u.ndim - 1, *range(1, u.ndim - 1))
    u = u.reshape(*u.shape, *[1] * (3 - data.dim))
    spacing = [1.0] * 4
    extent = [1.0] * 3
    for i, axis in enumerate(AXES[: data.dim + 1]):
        c = np.asarray(data.coords[axis], dtype=float)
        steps = np.diff(c)
        if len(c) < 2 or not np.allclose(steps, steps[0], rtol=1e-4):
            raise InputError(
                f"coordinate {axis}", given="uneven spacing", expected="an even grid: others aren't supported"
            )
        spacing[i] = float(steps[0])
        if i:
            extent[i - 1] = float(steps[0]) * len(c)
    if data.params.shape[1] > 4:
        raise InputError("params", given=f"{data.params.shape[1]}", expected="at most 4")
    if data.bc not in BOUNDARIES:
        raise unknown_name("boundary", data.bc, BOUNDARIES)
    return PDEBatch(
        u, registry.indices(data.channels), tuple(spacing), tuple(extent), torch.from_numpy(data.params).float(),  # type: ignore[arg-type]
        data.pde, data.bc, data.dim, context,
    )  # fmt: skip


def from_unified(batch: PDEBatch) -> np.ndarray:
    """(N, T, X[, Y[, Z]], C): the inverse."""
    u = batch.u.reshape(*batch.u.shape[: 3 + batch.dim])
    return u.permute(0, *range(2, u.ndim), 1).contiguous().numpy()


@dataclass(frozen=True)
class Patchify:
    """Blocks of (t, x, y, z) as tokens."""

    shape: tuple[int, int, int, int]

    @property
    def size(self) -> int:
        """Values a channel in one patch."""
        return math.prod(self.shape)

    def counts(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Patches along each axis.

        Raises:
            InputError: a grid that isn't a multiple of the patch.
        """
        if any(n % p for n, p in zip(grid, self.shape)):
            raise InputError(
                "grid",
                given=grid,
                expected=f"multiples of the patch {self.shape}",
                hint="pad or crop the data, or choose another patch",
            )
        return tuple(n // p for n, p in zip(grid, self.shape))

    def __call__(self, u: Float[Tensor, "b c t x y z"]) -> Float[Tensor, "b n c p"]:
        """Tokens, time first."""
        b, c = u.shape[:2]
        counts = self.counts(tuple(u.shape[2:]))
        split = [v for n, p in zip(counts, self.shape) for v in (n, p)]
        return u.reshape(b, c, *split).permute(0, 2, 4, 6, 8, 1, 3, 5, 7, 9).reshape(b, math.prod(counts), c, self.size)

    def undo(self, tokens: Float[Tensor, "b n c p"], grid: tuple[int, ...]) -> Float[Tensor, "b c t x y z"]:
        """The inverse."""
        b, _, c, _ = tokens.shape
        counts = self.counts(grid)
        parts = tokens.reshape(b, *counts, c, *self.shape).permute(0, 5, 1, 6, 2, 7, 3, 8, 4, 9)
        return parts.reshape(b, c, *grid)

    def positions(
        self, grid: tuple[int, ...], spacing: tuple[float, ...], extent: tuple[float, ...], period: float
    ) -> Float[Tensor, "n 4"]:
        """Middles of the patches: time as a share of a period, space as a share of the domain; 0 on absent axes."""
        counts, whole = self.counts(grid), (period, *extent)
        axes = []
        for i, (n, p) in enumerate(zip(counts, self.shape)):
            middle = (torch.arange(n, dtype=torch.float32) + 0.5) * p - 0.5
            axes.append(torch.zeros(n) if grid[i] == 1 else middle * spacing[i] / whole[i])
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 4)
