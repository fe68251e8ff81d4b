"""One transformer for the equations of one, two and three dimensions, trained by conditional flow matching.

Context frames enter as clean tokens beside noisy target tokens; a global vector of equation, parameters, spacing,
boundary and flow time modulates every block (adaLN-Zero).

Source: "UniFluids: Unified Neural Operator Learning with Conditional Flow-matching", arXiv 2603.22309. Sizes, patches
and the training recipe are ours: the paper's aren't public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_number, require_whole
from deepwright.physics.pde_data import ChannelRegistry, Patchify, PDEBatch
from deepwright.physics.unifluids import forecasting, weights
from deepwright.physics.unifluids.conditioning import Conditioning
from deepwright.physics.unifluids.flow_matching import Parameterization, TimeSampler
from deepwright.physics.unifluids.tokens import SensorMap, TokenLayout, TokenMap
from deepwright.physics.unifluids.transformer import Block, rotations, waves
from deepwright.physics.unifluids.units import FieldUnits

SIZES = {
    "tiny": (64, 3, 4),
    "nano": (96, 4, 4),
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}
PATCHES: dict[int, tuple[int, int, int, int]] = {1: (4, 16, 1, 1), 2: (2, 8, 8, 1), 3: (2, 4, 4, 4)}
ATTENTIONS = ("full", "axial")
DROP = 0.1  # share of conditions that are withheld in training


class UniFluids(nn.Module):
    """See the module.

    Args:
        registry: of channels.
        pdes: names of equations (others get the null embedding).
        size: of `SIZES`, or (width, layers, heads).
        patch: for each dimension, (times, points along x, y and z).
        prediction: what the network says, "x", "v" or "eps": see `Parameterization`.
        loss: what the loss is measured on, alike.
        times: (how many, generator) -> flow times; `TimeSampler()` by default.
        noise: 0 turns the model into a single-pass regression of the same make.
        embed: "per_channel" or "pad": see `TokenMap`.
        target: "field", "change" or "auto": see `FieldUnits`.
        attention: "full" over all tokens, or "axial": blocks look in turn over places at one time and over times at one
            place.
        max_tokens: more are refused.
        seed: of the weights.

    Raises:
        InputError: an unknown size, embedding, target, attention or prediction; a width that doesn't fit the heads.
    """

    def __init__(
        self,
        registry: ChannelRegistry,
        pdes: Sequence[str],
        size: str | tuple[int, int, int] = "nano",
        *,
        patch: Mapping[int, tuple[int, int, int, int]] | None = None,
        prediction: str = "x",
        loss: str = "x",
        times: Callable[[int, torch.Generator], Tensor] | None = None,
        noise: float = 1.0,
        embed: str = "per_channel",
        target: str = "auto",
        attention: str = "full",
        max_tokens: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise InputError("attention", given=repr(attention), expected="'full' or 'axial'")
        width, depth, heads = _dimensions(size)
        require_whole(1, max_tokens=max_tokens)
        require_number(0, noise=noise)
        if isinstance(pdes, str) or not len(pdes) or len(set(pdes)) != len(pdes):
            raise InputError("pdes", given=pdes, expected="names of equations, at least one, none twice")
        patch = dict(patch or PATCHES)
        self.settings: dict[str, Any] = {
            "size": size if isinstance(size, str) else list(size),
            "patch": {str(d): list(p) for d, p in patch.items()},
            "prediction": prediction,
            "loss": loss,
            "noise": noise,
            "embed": embed,
            "target": target,
            "attention": attention,
            "max_tokens": max_tokens,
        }
        self.registry, self.pdes, self.width, self.heads = registry, tuple(pdes), width, heads
        self.attention, self.noise, self.max_tokens = attention, noise, max_tokens
        self.patch = {d: Patchify(p) for d, p in patch.items()}
        self.parameterization, self.times = Parameterization(prediction, loss), times or TimeSampler()
        with local_rng(seed):
            self.tokens = TokenMap(self.patch, len(registry), width, embed)
            self.condition = Conditioning(self.pdes, width)
            self.sensors = SensorMap(self.patch, len(registry), width)
            self.when = nn.Linear(64, width)
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
            self.last = nn.Linear(width, 2 * width)
            for layer in (self.last, *self.tokens.outputs.values(), *self.sensors.missing.values()):
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)
        self.units = FieldUnits(self.pdes, len(registry), target)

    @property
    def place(self) -> Tensor:
        """A tensor of the model, whose device and dtype are the model's."""
        return self.last.weight

    def fit_units(self, sets: Sequence[PDEBatch]) -> None:
        """Learn the units of the data: see `FieldUnits.fit`.

        Args:
            sets: training data.
        """
        self.units.fit(sets)

    def layout(self, data: PDEBatch) -> TokenLayout:
        """The tokens of a batch.

        Args:
            data: trajectories.

        Raises:
            InputError: a dimension that the model has no patch for.
        """
        if data.dim not in self.patch:
            raise InputError("dim", given=data.dim, expected=f"one of {', '.join(map(str, self.patch))}")
        return TokenLayout(self.patch[data.dim], data)

    def forward(
        self, tokens: Float[Tensor, "b n c p"], t: Float[Tensor, " b"], cond: Float[Tensor, "b w"], data: PDEBatch
    ) -> Float[Tensor, "b n c p"]:
        """What the network says of every token.

        Args:
            tokens: values; those of the context must be clean.
            t: flow times.
            cond: what `condition` gives.
            data: whose tokens they are.

        Raises:
            InputError: more tokens than `max_tokens`; a context that isn't a whole number of patches.
        """
        n, layout = tokens.shape[1], self.layout(data)
        if n > self.max_tokens:
            hint = "larger patches, or fewer points"
            raise InputError("tokens", given=n, expected=f"at most {self.max_tokens}", hint=hint)
        window = self.units.window(data)
        places = layout.patch.positions(layout.frames, data.spacing, data.extent, window).to(tokens)
        h = self.tokens(tokens, data) + self.tokens.flag[layout.is_target().long().to(tokens.device)]
        # rotations tell distances only; how far ahead a token is, it has to know by itself
        h = h + self.when(waves(places[:, 0] / 10))
        if data.seen is not None:
            h = h + self.sensors(layout, self.units(data), self.tokens.sensing)
        c, turn, times = self.condition.timed(cond, t), rotations(places, self.width // self.heads), layout.counts[0]
        for i, block in enumerate(self.blocks):
            h = block(h, c, turn, None if self.attention == "full" else (times, n // times, i % 2 == 1))
        shift, scale = self.last(c)[:, None].chunk(2, 2)
        return self.tokens.read(F.layer_norm(h, (self.width,)) * (1 + scale) + shift, data)

    def loss(self, data: PDEBatch, generator: torch.Generator, drop: float = DROP) -> Float[Tensor, ""]:
        """Mean over the batch's own unknown values, so that one with many tokens doesn't outweigh the others.

        Args:
            data: trajectories.
            generator: of noise, times and dropped conditions; its numbers are moved to where the model is.
            drop: share of withheld conditions.
        """
        layout, place = self.layout(data), self.place
        shift, scale = self.units(data)
        x = layout.patch(((data.u - shift) / scale).to(place))
        known = layout.known().to(place.device).expand_as(x)
        t = self.times(len(data), generator).to(place) if self.noise else place.new_zeros(len(data))
        noise = self.noise * _normal(x.shape, generator).to(place)
        s = t[:, None, None, None]
        z = torch.where(known, x, s * x + (1 - s) * noise)
        out = self(z, t, self.condition(data, _withheld(len(data), generator, drop).to(place.device)), data)
        return self.parameterization.error(out, x, noise, z, s)[~known].square().mean()

    # --- forecasts ----------------------------------------------------------------------------------------------

    def sample(
        self,
        data: PDEBatch,
        *,
        steps: int = 10,
        solver: str = "euler",
        members: int = 1,
        conserve: bool = False,
        shift: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "members b c t x y z"]:
        """Forecasts in physical units, where the data are.

        Only the context frames of `data.u` are looked at, and only where they are `seen`: the rest of them is filled in
        like the frames to come.

        Args:
            data: trajectories.
            steps: of the sampler (1: the conditional mean's forecast).
            solver: "euler" or "heun".
            members: of the ensemble.
            conserve: keep the mean over space of every channel as in the last context frame.
            shift: above 1 puts more of the steps near pure noise: see `flow_times`.
            generator: of the noise.

        Raises:
            InputError: an unknown solver; no steps or members; `conserve` with sensors.
        """
        flow = forecasting.Flow(steps, solver, conserve, shift)
        return forecasting.sample(self, data, flow, members, generator)

    def predict(
        self, data: PDEBatch, *, conserve: bool = False, generator: torch.Generator | None = None
    ) -> Float[Tensor, "b c t x y z"]:
        """One step: the point forecast.

        Args:
            data: trajectories.
            conserve: see `sample`.
            generator: of the noise.
        """
        return self.sample(data, steps=1, conserve=conserve, generator=generator)[0]

    def rollout(
        self,
        data: PDEBatch,
        windows: int,
        *,
        steps: int = 10,
        solver: str = "euler",
        conserve: bool = False,
        shift: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b c t x y z"]:
        """Further windows, each from the last context frames of the one before; the frames after the first context.

        Args:
            data: trajectories.
            windows: how many.
            steps: see `sample`.
            solver: see `sample`.
            conserve: see `sample`; a first window from sensors can't.
            shift: see `sample`.
            generator: of the noise.

        Raises:
            InputError: no windows.
        """
        flow = forecasting.Flow(steps, solver, conserve, shift)
        return forecasting.rollout(self, data, windows, flow, generator)

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Weights with what they belong to, under a checksum.

        Args:
            path: the file.
        """
        return weights.write(path, self._made(), self.state_dict())

    def _made(self) -> dict[str, Any]:
        return {"registry": list(self.registry.names), "pdes": list(self.pdes), "settings": self.settings}

    @classmethod
    def read(cls, path: Path | str) -> UniFluids:
        """A model from a file of `save` (the sampler of flow times is the default one).

        Args:
            path: the file.

        Raises:
            InputError: a file that isn't one, or is damaged.
        """
        made, state = weights.read(path)
        model = cls(ChannelRegistry(tuple(made["registry"])), made["pdes"], **weights.options(made["settings"]))
        model.load_state_dict(state)
        return model.eval()

    def load(self, path: Path | str) -> None:
        """Weights of a model with the same channels and equations in the same order, made alike.

        Args:
            path: a file of `save`.

        Raises:
            InputError: other ones.
        """
        self.load_state_dict(weights.read_for(path, self._made()))


def _dimensions(size: str | tuple[int, int, int]) -> tuple[int, int, int]:
    """(width, layers, heads)."""
    if isinstance(size, str) and size not in SIZES:
        raise InputError("size", given=repr(size), expected=f"{', '.join(SIZES)}, or (width, layers, heads)")
    width, depth, heads = SIZES[size] if isinstance(size, str) else size
    if min(width, depth, heads) < 1 or width % heads or (width // heads) % 8:
        expected = "a width that is a multiple of 8 heads: rotary positions have four even parts"
        raise InputError("size", given=(width, depth, heads), expected=expected)
    return width, depth, heads


def _normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, device=generator.device)


def _withheld(n: int, generator: torch.Generator, share: float) -> Bool[Tensor, " n"]:
    return torch.rand(n, generator=generator, device=generator.device) < share
