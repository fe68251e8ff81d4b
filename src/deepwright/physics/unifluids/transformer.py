"""Blocks of a diffusion transformer: attention and a perceptron modulated by a condition (adaLN-Zero).

Positions on four axes enter as rotations, flow time as waves.

Sources: arXiv 2212.09748 (adaLN-Zero), 2104.09864 (rotary positions), 2511.13720 (normalised queries and keys).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Attention over all tokens and a perceptron, each modulated and gated by the condition; the gates start at 0.

    Args:
        width: of a token.
        heads: of attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.body = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.gain = nn.Parameter(torch.ones(2, width // heads))
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(
        self,
        h: Float[Tensor, "b n w"],
        c: Float[Tensor, "b w"],
        turn: tuple[Tensor, Tensor],
        split: tuple[int, int, bool] | None = None,
    ) -> Float[Tensor, "b n w"]:
        """Tokens after the block.

        Args:
            h: tokens.
            c: condition.
            turn: see `rotations`.
            split: (times, places, whether to look over times) for axial attention; None looks over all.
        """
        shift_a, scale_a, gate_a, shift_b, scale_b, gate_b = self.modulate(c)[:, None].chunk(6, 2)
        x = F.layer_norm(h, (self.width,)) * (1 + scale_a) + shift_a
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (_rotate(F.rms_norm(s, (s.shape[-1],), g), turn) for s, g in zip((q, k), self.gain))
        if split is not None:  # (B, heads, times, places, d), with the axis that is looked over next to last
            q, k, v = (
                s.unflatten(2, split[:2]).transpose(2, 3) if split[2] else s.unflatten(2, split[:2]) for s in (q, k, v)
            )
        mixed = F.scaled_dot_product_attention(q, k, v)
        if split is not None:
            mixed = (mixed.transpose(2, 3) if split[2] else mixed).flatten(2, 3)
        mixed = mixed.transpose(1, 2).reshape(b, n, -1)
        h = h + gate_a * self.out(mixed)
        x = F.layer_norm(h, (self.width,)) * (1 + scale_b) + shift_b
        return h + gate_b * self.body(x)


def waves(t: Float[Tensor, " b"], count: int = 32) -> Float[Tensor, "b waves"]:
    """Sines and cosines of flow time, at falling frequencies.

    Args:
        t: flow times.
        count: of frequencies.
    """
    angle = 1000 * t[:, None] * torch.exp(-math.log(1e4) * torch.arange(count, device=t.device) / count)
    return torch.cat([angle.cos(), angle.sin()], 1).to(t)


def rotations(positions: Float[Tensor, "n 4"], head: int) -> tuple[Float[Tensor, "n half"], Float[Tensor, "n half"]]:
    """Cosines and sines: a quarter of the angles for each axis, at rising frequencies of physical position.

    Args:
        positions: on four axes.
        head: width of a head; half as many angles are given.
    """
    pairs = head // 8
    rates = 2 * math.pi * 2.0 ** torch.arange(pairs, device=positions.device)
    angle = (positions[:, :, None] * rates).reshape(len(positions), -1)
    return angle.cos().to(positions), angle.sin().to(positions)


def _rotate(x: Float[Tensor, "b h n d"], turn: tuple[Tensor, Tensor]) -> Float[Tensor, "b h n d"]:
    a, b = x.chunk(2, -1)
    cos, sin = turn
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
