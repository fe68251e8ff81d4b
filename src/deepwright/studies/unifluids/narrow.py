"""What a narrow network can predict: data of few degrees of freedom, but not noise of many."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.fit import adamw, fit_drawn, one_cycle
from deepwright.core.randomness import local_rng
from deepwright.physics.unifluids import (
    LogitNormal,
    Parameterization,
    euler_sample,
    flow_times,
)


class _Residual(nn.Module):
    """Two residual blocks of a narrow width on (z, condition, t)."""

    def __init__(self, size: int, condition: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(size + condition + 1, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            for _ in range(2)
        )
        self.out = nn.Linear(width, size)

    def forward(self, z: Tensor, c: Tensor, t: Tensor) -> Tensor:
        """(B, size)."""
        h = self.into(torch.cat([z, c, t], 1))
        for block in self.blocks:
            h = h + block(h)
        return self.out(h)


NARROW = (("x", "v", 64), ("v", "v", 64), ("x", "x", 64), ("x", "v", 256))
"""What is predicted, what the loss is measured on, and the network's width."""


def narrow_trial(kind: tuple[str, str, int], steps: int, seed: int) -> dict[str, Any]:
    """Four numbers decide a field of 512 values; a network of width 64 can pass on those, but not as much noise.

    Args:
        kind: of `NARROW`.
        steps: of the training.
        seed: of everything.
    """
    torch.set_num_threads(1)
    prediction, loss, width = kind
    rng = torch.Generator().manual_seed(seed)

    def fields(n: int) -> tuple[Tensor, Tensor]:
        c = torch.rand(n, 4, generator=rng) * 2 - 1
        t, x = torch.arange(16) / 16, torch.arange(32) / 32
        speed, decay = 0.5 + 0.5 * c[:, 2:3, None], 1 + c[:, 3:4, None]
        phase = 2 * math.pi * (x[None, None] - speed * t[None, :, None])
        u = torch.exp(-decay * t[None, :, None]) * (
            c[:, 0, None, None] * torch.sin(phase) + c[:, 1, None, None] * torch.cos(2 * phase)
        )
        return c, u.reshape(n, -1)

    (c, x), (ct, xt) = fields(2000), fields(200)
    scale = x.std()
    x, xt = x / scale, xt / scale
    how = Parameterization(prediction, loss)
    with local_rng(seed):
        net = _Residual(512, 4, width)

    class Objective(nn.Module):
        """One batch's loss."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, numbers: Tensor) -> Tensor:
            own = torch.Generator().manual_seed(int(numbers[0]) + 7919 * seed)
            pick = torch.randint(len(x), (128,), generator=own)
            t = LogitNormal()(128, own)[:, None]
            noise = torch.randn(128, 512, generator=own)
            z = t * x[pick] + (1 - t) * noise
            return how.error(self.net(z, c[pick], t), x[pick], noise, z, t).square().mean()

    fit_drawn(
        Objective(), steps, optimizer=adamw(4e-3, 0.0), scheduler=one_cycle(4e-3), seed=seed, description="bottleneck"
    )
    net.eval()

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        out = net(z, ct, t.expand(len(z), 1))
        return how.convert(out, z, t, "v")

    with torch.no_grad():
        found = euler_sample(velocity, torch.randn(200, 512, generator=rng), flow_times(10))
    return {"error": float(((found - xt).square().mean(1).sqrt() / xt.square().mean(1).sqrt().clamp_min(0.1)).mean())}
