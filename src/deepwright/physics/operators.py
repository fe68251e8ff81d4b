"""What a unified operator is held against: persistence, extrapolation, and a Fourier neural operator frame by frame.

Source of the operator: arXiv 2010.08895; PDEBench's setting has width 20, 12 modes and four layers.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.fit import FitResult, adamw, fit, one_cycle
from deepwright.core.randomness import local_rng
from deepwright.physics.unified import PDEBatch


def persistence(data: PDEBatch) -> Float[Tensor, "b c t x y z"]:
    """The last context frame again and again."""
    u = data.u.clone()
    u[:, :, data.context :] = u[:, :, data.context - 1 : data.context]
    return u


def extrapolation(data: PDEBatch) -> Float[Tensor, "b c t x y z"]:
    """On with the last change."""
    u = data.u.clone()
    last, change = u[:, :, data.context - 1], u[:, :, data.context - 1] - u[:, :, data.context - 2]
    for k in range(data.context, u.shape[2]):
        u[:, :, k] = last + (k - data.context + 1) * change
    return u


class SpectralConv(nn.Module):
    """A linear map of the lowest modes of every axis, channel by channel."""

    def __init__(self, width: int, modes: int, dim: int) -> None:
        super().__init__()
        self.modes, self.dim = modes, dim
        corners = 2 ** (dim - 1)
        self.weight = nn.Parameter(torch.randn(corners, width, width, *[modes] * dim, dtype=torch.cfloat) / width**2)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """The product in Fourier space."""
        axes = tuple(range(-self.dim, 0))
        spectrum = torch.fft.rfftn(x, dim=axes)
        out = torch.zeros_like(spectrum)
        sizes = spectrum.shape[2:]
        kept = [min(self.modes, n if i == self.dim - 1 else n // 2) for i, n in enumerate(sizes)]
        for weight, ends in zip(self.weight, itertools.product((0, 1), repeat=self.dim - 1)):
            cut = tuple(slice(None, m) if e == 0 else slice(-m, None) for e, m in zip((*ends, 0), kept))
            part = weight[(slice(None), slice(None), *(slice(None, m) for m in kept))]
            out[(slice(None), slice(None), *cut)] = torch.einsum(
                "bi...,io...->bo...", spectrum[(slice(None), slice(None), *cut)], part
            )
        return torch.fft.irfftn(out, s=x.shape[-self.dim :], dim=axes)


class FNO(nn.Module):
    """(B, C * context, *space) -> (B, C, *space), the change from the last frame to the next.

    Args:
        channels: C; context: frames; dim: axes of space; width, modes, layers: of the operator.
    """

    def __init__(
        self, channels: int, context: int, dim: int, width: int = 20, modes: int = 12, layers: int = 4, seed: int = 0
    ) -> None:
        super().__init__()
        self.channels, self.context, self.dim = channels, context, dim
        kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}.get(dim)
        if kind is None:
            raise InputError("dim", given=dim, expected="1, 2 or 3")
        with local_rng(seed):
            self.lift = kind(channels * context + dim, width, 1)
            self.spectral = nn.ModuleList(SpectralConv(width, modes, dim) for _ in range(layers))
            self.local = nn.ModuleList(kind(width, width, 1) for _ in range(layers))
            self.read = nn.Sequential(kind(width, 128, 1), nn.GELU(), kind(128, channels, 1))

    def forward(self, x: Float[Tensor, "b i *space"]) -> Float[Tensor, "b c *space"]:
        """The next frame."""
        places = torch.stack(
            torch.meshgrid(*[torch.linspace(0, 1, n, device=x.device) for n in x.shape[2:]], indexing="ij")
        )
        h = self.lift(torch.cat([x, places.expand(len(x), *places.shape)], 1))
        for i, (far, near) in enumerate(zip(self.spectral, self.local)):
            h = far(h) + near(h)
            h = F.gelu(h) if i < len(self.spectral) - 1 else h
        return x[:, -self.channels :] + self.read(h)

    def rollout(self, data: PDEBatch) -> Float[Tensor, "b c t x y z"]:
        """All frames after the context, one by one."""
        u = data.u.clone()
        space = tuple(u.shape[3 : 3 + self.dim])
        for k in range(data.context, u.shape[2]):
            seen = u[:, :, k - self.context : k].transpose(1, 2).reshape(len(u), -1, *space)
            u[:, :, k] = self(seen).reshape(u[:, :, k].shape)
        return u


def train_fno(
    model: FNO, data: PDEBatch, *, epochs: int = 20, batch: int = 64, rate: float = 2e-3, seed: int = 0
) -> FitResult:
    """Teach the next frame from true contexts (all windows of every trajectory)."""
    space = tuple(data.u.shape[3 : 3 + model.dim])
    frames = data.u.shape[2]
    starts = range(frames - model.context)
    x = torch.cat([data.u[:, :, s : s + model.context].transpose(1, 2).reshape(len(data), -1, *space) for s in starts])
    y = torch.cat([data.u[:, :, s + model.context].reshape(len(data), -1, *space) for s in starts])

    def step(network: nn.Module, a: Tensor, b: Tensor) -> Tensor:
        size = b.flatten(1).square().mean(1).clamp_min(1e-8)
        return ((network(a) - b).flatten(1).square().mean(1) / size).mean()

    return fit(
        model,
        (x, y),
        epochs=epochs,
        batch_size=batch,
        step=step,
        optimizer=adamw(rate),
        scheduler=one_cycle(rate),
        seed=seed,
        description="FNO",
    )
