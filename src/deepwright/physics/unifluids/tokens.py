"""Patches of fields as tokens of a transformer, and back: which are given, how they enter, how they are read.

Each channel has a linear map of its own for each dimension, so a missing variable costs nothing and a new one adds a
matrix; "pad" is the padded form that the paper describes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import Patchify, PDEBatch

EMBEDS = ("per_channel", "pad")


@dataclass(frozen=True)
class TokenLayout:
    """The tokens of a batch.

    Attributes:
        patch: of the batch's dimension.
        data: trajectories.
    """

    patch: Patchify
    data: PDEBatch

    @property
    def frames(self) -> tuple[int, ...]:
        """(T, X, Y, Z)."""
        return tuple(self.data.u.shape[2:])

    @property
    def counts(self) -> tuple[int, ...]:
        """Tokens along each axis."""
        return self.patch.counts(self.frames)

    def is_target(self) -> Bool[Tensor, " n"]:
        """Which tokens are to be forecast.

        Raises:
            InputError: a context that isn't a whole number of patches.
        """
        step = self.patch.shape[0]
        if self.data.context % step:
            expected = f"a multiple of {step}, the patch in time"
            raise InputError("context", given=self.data.context, expected=expected)
        counts = self.counts
        place = torch.arange(math.prod(counts), device=self.data.u.device)
        return (place // math.prod(counts[1:])) >= self.data.context // step

    def known(self) -> Bool[Tensor, "#b n 1 #p"]:
        """Which values are given: all of the context, or its sensors."""
        context = ~self.is_target()[None, :, None, None]
        if self.data.seen is None:
            return context
        seen = self.data.seen.to(context.device)
        every = seen[:, None, None].expand(-1, 1, self.data.u.shape[2], *seen.shape[1:])
        return self.patch(every.contiguous()) & context


class TokenMap(nn.Module):
    """Values of a token to its vector, and back.

    Args:
        patches: dimension -> patch.
        channels: of the registry.
        width: of the transformer.
        embed: "per_channel" or "pad".

    Raises:
        InputError: an unknown embedding.
    """

    def __init__(self, patches: Mapping[int, Patchify], channels: int, width: int, embed: str = "per_channel") -> None:
        super().__init__()
        if embed not in EMBEDS:
            raise InputError("embed", given=repr(embed), expected="'per_channel' or 'pad'")
        self.embed, self.channels = embed, channels
        self.sizes = {d: p.size for d, p in patches.items()}
        self.largest = max(self.sizes.values())
        if embed == "per_channel":
            keys = [(d, c) for d in self.sizes for c in range(channels)]
            self.inputs = nn.ModuleDict({f"{d}-{c}": nn.Linear(self.sizes[d], width, bias=False) for d, c in keys})
            self.outputs = nn.ModuleDict({f"{d}-{c}": nn.Linear(width, self.sizes[d]) for d, c in keys})
        else:
            self.inputs = nn.ModuleDict({"all": nn.Linear(self.largest * channels, width, bias=False)})
            self.outputs = nn.ModuleDict({"all": nn.Linear(width, self.largest * channels)})
        self.channel = nn.Parameter(0.02 * torch.randn(channels, width))
        self.flag = nn.Parameter(0.02 * torch.randn(2, width))  # of the context, of what is to be forecast
        self.sensing = nn.Parameter(torch.zeros(width))  # of data whose context is known at sensors only

    def forward(self, tokens: Float[Tensor, "b n c p"], data: PDEBatch) -> Float[Tensor, "b n w"]:
        """Vectors of tokens.

        Args:
            tokens: values of patches.
            data: whose they are.
        """
        index = list(data.channels)
        if self.embed == "per_channel":
            weight = torch.stack([next(self.inputs[f"{data.dim}-{c}"].parameters()) for c in index])
            return torch.einsum("bncp,cwp->bnw", tokens, weight) + self.channel[index].sum(0)
        padded = tokens.new_zeros(*tokens.shape[:2], self.channels, self.largest)
        padded[:, :, index, : tokens.shape[3]] = tokens
        return self.inputs["all"](padded.flatten(2)) + self.channel[index].sum(0)

    def read(self, h: Float[Tensor, "b n w"], data: PDEBatch) -> Float[Tensor, "b n c p"]:
        """Values of patches.

        Args:
            h: vectors of tokens.
            data: whose they are.
        """
        index = list(data.channels)
        if self.embed == "per_channel":
            return torch.stack([self.outputs[f"{data.dim}-{c}"](h) for c in index], 2)
        whole = self.outputs["all"](h).reshape(*h.shape[:2], self.channels, self.largest)
        return whole[:, :, index, : self.sizes[data.dim]]


class SensorMap(nn.Module):
    """What is said of a context known at sensors only: where it isn't known, and the field filled in between.

    Args:
        patches: dimension -> patch.
        channels: of the registry.
        width: of the transformer.
    """

    def __init__(self, patches: Mapping[int, Patchify], channels: int, width: int) -> None:
        super().__init__()
        self.missing = nn.ModuleDict({str(d): nn.Linear(p.size, width, bias=False) for d, p in patches.items()})
        self.hints = nn.ParameterDict(
            {f"{d}-{c}": nn.Parameter(torch.zeros(width, p.size)) for d, p in patches.items() for c in range(channels)}
        )

    def forward(
        self, layout: TokenLayout, units: tuple[Tensor, Tensor], sensing: Float[Tensor, " w"]
    ) -> Float[Tensor, "b n w"]:
        """An addition to the tokens' vectors.

        Args:
            layout: of the tokens.
            units: shift and scale of the fields.
            sensing: the vector that stands for data of this kind.
        """
        data, (shift, scale) = layout.data, units
        weight = torch.stack([self.hints[f"{data.dim}-{c}"] for c in data.channels])
        context = ~layout.is_target()[:, None]
        filled = layout.patch(((data.filled() - shift) / scale).contiguous()).to(weight)
        gaps = (~layout.known()[:, :, 0] & context).to(weight)
        hint = filled * context[:, :, None].to(weight)
        return sensing + self.missing[str(data.dim)](gaps) + torch.einsum("bncp,cwp->bnw", hint, weight)
