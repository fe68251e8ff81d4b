"""What a unified operator is held against: persistence, extrapolation, and operators that go frame by frame.

Sources: arXiv 2010.08895 (Fourier neural operator; PDEBench's setting has width 20, 12 modes and four layers),
1505.04597 (U-Net).
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.physics.pde_data import PDEBatch

CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOLS: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def persistence(data: PDEBatch) -> Float[Tensor, "b c t x y z"]:
    """The last context frame again and again.

    Args:
        data: trajectories.
    """
    u = data.u.clone()
    u[:, :, data.context :] = u[:, :, data.context - 1 : data.context]
    return u


def extrapolation(data: PDEBatch) -> Float[Tensor, "b c t x y z"]:
    """On with the last change.

    Args:
        data: trajectories with two frames of context or more.

    Raises:
        InputError: one frame of context.
    """
    if data.context < 2:
        raise InputError("context", given=data.context, expected="2 frames or more")
    u = data.u.clone()
    last, change = u[:, :, data.context - 1], u[:, :, data.context - 1] - u[:, :, data.context - 2]
    for k in range(data.context, u.shape[2]):
        u[:, :, k] = last + (k - data.context + 1) * change
    return u


class NextFrame(nn.Module):
    """(B, C * context, *space) -> (B, C, *space), the next frame from the last ones.

    Args:
        channels: C.
        context: frames.
        dim: axes of space.

    Raises:
        InputError: a dimension other than 1, 2 or 3; no channels or context.
    """

    def __init__(self, channels: int, context: int, dim: int) -> None:
        super().__init__()
        if dim not in CONVOLUTIONS:
            raise InputError("dim", given=dim, expected="1, 2 or 3")
        if channels < 1 or context < 1:
            raise InputError("NextFrame", given=f"channels={channels}, context={context}", expected="1 or more each")
        self.channels, self.context, self.dim = channels, context, dim

    def windows(
        self, data: PDEBatch, ahead: int = 1
    ) -> tuple[Float[Tensor, "n before *space"], Float[Tensor, "n after *space"]]:
        """All contexts and what follows them, of all trajectories.

        Args:
            data: trajectories.
            ahead: frames that follow.

        Returns:
            (n, C * context, *space) and (n, C * ahead, *space).

        Raises:
            InputError: too few frames; other channels or axes than the network's.
        """
        self._check(data, "windows")
        space = tuple(data.u.shape[3 : 3 + self.dim])
        starts = range(data.u.shape[2] - self.context - ahead + 1)
        if len(starts) == 0:
            raise InputError("data", given=f"{data.u.shape[2]} frames", expected=f"{self.context + ahead} or more")

        def cut(start: int, stop: int) -> Tensor:
            return data.u[:, :, start:stop].transpose(1, 2).reshape(len(data), -1, *space)

        x = torch.cat([cut(s, s + self.context) for s in starts])
        return x, torch.cat([cut(s + self.context, s + self.context + ahead) for s in starts])

    @torch.no_grad()
    def rollout(self, data: PDEBatch) -> Float[Tensor, "b c t x y z"]:
        """All frames after the context, one by one, where the data are.

        Args:
            data: trajectories.

        Raises:
            InputError: fewer frames of context, or other axes or channels than the network was made for.
        """
        self._check(data, "rollout", data.context)
        u = data.u.clone()
        space = tuple(u.shape[3 : 3 + self.dim])
        for k in range(data.context, u.shape[2]):
            seen = u[:, :, k - self.context : k].transpose(1, 2).reshape(len(u), -1, *space)
            u[:, :, k] = self(to_model(seen, self)).reshape(u[:, :, k].shape).to(u)
        return u

    def _check(self, data: PDEBatch, what: str, context: int | None = None) -> None:
        have = self.context if context is None else context
        if have < self.context or data.dim != self.dim or len(data.channels) != self.channels:
            given = f"{have} frames of {len(data.channels)} channels on {data.dim} axes"
            raise InputError(what, given=given, expected=f"{self.context} or more of {self.channels} on {self.dim}")


class SpectralConv(nn.Module):
    """A linear map of the lowest modes of every axis, channel by channel.

    Args:
        width: channels in and out.
        modes: kept on each axis.
        dim: axes of space.
    """

    def __init__(self, width: int, modes: int, dim: int) -> None:
        super().__init__()
        self.modes, self.dim = modes, dim
        corners = 2 ** (dim - 1)
        self.weight = nn.Parameter(torch.randn(corners, width, width, *[modes] * dim, dtype=torch.cfloat) / width**2)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """The product in Fourier space.

        Args:
            x: a field.
        """
        axes = tuple(range(-self.dim, 0))
        spectrum = torch.fft.rfftn(x, dim=axes)
        out = torch.zeros_like(spectrum)
        sizes = spectrum.shape[2:]
        kept = [min(self.modes, n if i == self.dim - 1 else n // 2) for i, n in enumerate(sizes)]
        for weight, ends in zip(self.weight, itertools.product((0, 1), repeat=self.dim - 1)):
            cut = tuple(slice(None, m) if e == 0 else slice(-m, None) for e, m in zip((*ends, 0), kept))
            part = weight[(slice(None), slice(None), *(slice(None, m) for m in kept))].to(spectrum.dtype)
            out[(slice(None), slice(None), *cut)] = torch.einsum(
                "bi...,io...->bo...", spectrum[(slice(None), slice(None), *cut)], part
            )
        return torch.fft.irfftn(out, s=x.shape[-self.dim :], dim=axes)


class FNO(NextFrame):
    """A Fourier neural operator; it says the change from the last frame to the next.

    Args:
        channels: C.
        context: frames.
        dim: axes of space.
        width: of the operator.
        modes: of each axis.
        layers: of the operator.
        seed: of the weights.
    """

    def __init__(
        self, channels: int, context: int, dim: int, width: int = 20, modes: int = 12, layers: int = 4, seed: int = 0
    ) -> None:
        super().__init__(channels, context, dim)
        kind = CONVOLUTIONS[dim]
        with local_rng(seed):
            self.lift = kind(channels * context + dim, width, 1)
            self.spectral = nn.ModuleList(SpectralConv(width, modes, dim) for _ in range(layers))
            self.local = nn.ModuleList(kind(width, width, 1) for _ in range(layers))
            self.read = nn.Sequential(kind(width, 128, 1), nn.GELU(), kind(128, channels, 1))

    def forward(self, x: Float[Tensor, "b before *space"]) -> Float[Tensor, "b c *space"]:
        """The next frame.

        Args:
            x: the last ones.
        """
        axes = [torch.linspace(0, 1, n, device=x.device, dtype=x.dtype) for n in x.shape[2:]]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        h = self.lift(torch.cat([x, places.expand(len(x), *places.shape)], 1))
        for i, (far, near) in enumerate(zip(self.spectral, self.local)):
            h = far(h) + near(h)
            h = F.gelu(h) if i < len(self.spectral) - 1 else h
        return x[:, -self.channels :] + self.read(h)


class _Pair(nn.Module):
    """Two normalised convolutions beside a linear path: norms forget how large a field is, and the path carries it."""

    def __init__(self, kind: Any, inputs: int, outputs: int, mode: str) -> None:
        super().__init__()

        def one(i: int) -> list[nn.Module]:
            groups = nn.GroupNorm(min(8, outputs), outputs)
            return [kind(i, outputs, 3, padding=1, padding_mode=mode), groups, nn.GELU()]

        self.path = kind(inputs, outputs, 1)
        self.body = nn.Sequential(*one(inputs), *one(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Both, added."""
        return self.path(x) + self.body(x)


class UNet(NextFrame):
    """Convolutions on ever coarser grids and back, with the finer ones beside; it says the change from the last frame.

    Args:
        channels: C.
        context: frames.
        dim: axes of space.
        width: of the finest grid, doubled at each halving.
        levels: halvings.
        bc: "periodic" wraps, any other repeats the edge.
        seed: of the weights.
    """

    def __init__(
        self,
        channels: int,
        context: int,
        dim: int,
        width: int = 16,
        levels: int = 3,
        bc: str = "periodic",
        seed: int = 0,
    ) -> None:
        super().__init__(channels, context, dim)
        kind, mode = CONVOLUTIONS[dim], "circular" if bc == "periodic" else "replicate"

        widths = [width * 2**k for k in range(levels + 1)]
        with local_rng(seed):
            self.down = nn.ModuleList(_Pair(kind, i, o, mode) for i, o in zip([channels * context, *widths], widths))
            self.up = nn.ModuleList(_Pair(kind, 2 * w + w, w, mode) for w in reversed(widths[:-1]))
            self.read = kind(width, channels, 1)

    def forward(self, x: Float[Tensor, "b before *space"]) -> Float[Tensor, "b c *space"]:
        """The next frame.

        Args:
            x: the last ones.

        Raises:
            InputError: a grid that can't be halved as often as there are levels.
        """
        parts = 2 ** len(self.up)
        if any(n % parts for n in x.shape[2:]):
            raise InputError("grid", given=tuple(x.shape[2:]), expected=f"multiples of {parts}", hint="fewer levels")
        h, beside = x, []
        for k, block in enumerate(self.down):
            h = block(POOLS[self.dim](h, 2) if k else h)
            beside.append(h)
        for block, finer in zip(self.up, reversed(beside[:-1])):
            h = block(torch.cat([F.interpolate(h, scale_factor=2.0, mode="nearest"), finer], 1))
        return x[:, -self.channels :] + self.read(h)
