"""What modulates every block of the transformer: equation, parameters, spacing, dimension, boundary and flow time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.physics.pde_data import BOUNDARIES, PDEBatch
from deepwright.physics.unifluids.transformer import waves

SLOTS = 4  # parameters of an equation
DIMENSIONS = (1, 2, 3)


class Conditioning(nn.Module):
    """A global vector of a batch's equation and parameters.

    Args:
        pdes: names of equations; others get the null embedding.
        width: of the transformer.
    """

    def __init__(self, pdes: Sequence[str], width: int) -> None:
        super().__init__()
        self.pdes = tuple(pdes)
        self.equation = nn.Embedding(len(self.pdes) + 1, width)
        facts = 3 * SLOTS + 2 + len(DIMENSIONS) + len(BOUNDARIES)
        self.facts = nn.Sequential(nn.Linear(facts, width), nn.SiLU(), nn.Linear(width, width))
        self.clock = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, data: PDEBatch, drop: Bool[Tensor, " b"] | None = None) -> Float[Tensor, "b w"]:
        """The vector without flow time.

        Args:
            data: trajectories.
            drop: samples whose equation and parameters are withheld.
        """
        weight = self.equation.weight
        b, device = len(data), weight.device
        params = F.pad(data.params, (0, SLOTS - data.params.shape[1])).to(weight)
        given = (torch.arange(SLOTS, device=device) < data.params.shape[1]).to(weight).expand(b, -1)
        if drop is not None:
            params, given = params * ~drop[:, None], given * ~drop[:, None]
        logs = torch.where(params != 0, params.abs().clamp_min(1e-12).log() / 4, torch.zeros_like(params))
        known = [math.log(data.spacing[0]) / 4, math.log(data.spacing[1]) / 4]
        known += [float(data.dim == d) for d in DIMENSIONS] + [float(data.bc == n) for n in BOUNDARIES]
        rest = torch.tensor(known, device=device, dtype=weight.dtype).expand(b, -1)
        number = self.pdes.index(data.pde) if data.pde in self.pdes else len(self.pdes)
        equation = torch.full((b,), number, dtype=torch.long, device=device)
        if drop is not None:
            equation = torch.where(drop, len(self.pdes), equation)
        return self.facts(torch.cat([logs, params.sign(), given, rest], 1)) + self.equation(equation)

    def timed(self, cond: Float[Tensor, "b w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b w"]:
        """The vector with flow time.

        Args:
            cond: without it.
            t: flow times.
        """
        return F.silu(cond + self.clock(waves(t)))
