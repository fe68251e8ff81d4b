"""One transformer for the equations of one, two and three dimensions, trained by conditional flow matching.

Context frames enter as clean tokens beside noisy target tokens; a global vector of equation, parameters, spacing, boundary and
flow time modulates every block (adaLN-Zero). Each channel has a linear map of its own for each dimension, so a missing
variable costs nothing and a new one adds a matrix; `embed="pad"` is the padded form that the paper describes.

Source: "UniFluids: Unified Neural Operator Learning with Conditional Flow-matching", arXiv 2603.22309. Sizes, patches and the
training recipe are ours: the paper's aren't public.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state
from deepwright.core.randomness import local_rng
from deepwright.physics.pde_data.batches import BOUNDARIES, ChannelRegistry, Patchify, PDEBatch
from deepwright.physics.unifluids.flow_matching import Parameterization, TimeSampler, euler_sample, grid, heun_sample
from deepwright.physics.unifluids.transformer import Block, rotations, waves

SIZES = {
    "tiny": (64, 3, 4),
    "nano": (96, 4, 4),
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}
PATCHES: dict[int, tuple[int, int, int, int]] = {1: (4, 16, 1, 1), 2: (2, 8, 8, 1), 3: (2, 4, 4, 4)}
TINY = 1e-8
SLOTS = 4  # parameters of an equation


class UniFluids(nn.Module):
    """See the module.

    Args:
        registry: of channels; pdes: names of equations (others get the null embedding).
        size: of `SIZES`, or (width, layers, heads).
        patch: for each dimension.
        prediction, loss: see `Parameterization`; times: sampler of flow times; noise: 0 turns the model into a single-pass
            regression of the same make.
        embed: "per_channel" or "pad".
        target: "field"; "change" since the last context frame, in units of its own; or "auto": the change of those channels
            whose change holds less than half of the field's variance.
        attention: "full" over all tokens, or "axial": blocks look in turn over places at one time and over times at one place.
        max_tokens: more are refused.
        seed: of the weights.
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
        if attention not in ("full", "axial"):
            raise InputError("attention", given=repr(attention), expected="'full' or 'axial'")
        if target not in ("field", "change", "auto"):
            raise InputError("target", given=repr(target), expected="'field', 'change' or 'auto'")
        self.attention, self.target = attention, target
        patch = dict(patch or PATCHES)
        self.settings: dict[str, Any] = {
            "size": size if isinstance(size, str) else list(size), "patch": {str(d): list(p) for d, p in patch.items()},
            "prediction": prediction, "loss": loss, "noise": noise, "embed": embed, "target": target, "attention": attention,
            "max_tokens": max_tokens,
        }  # fmt: skip
        if isinstance(size, str) and size not in SIZES:
            raise InputError("size", given=repr(size), expected=f"{', '.join(SIZES)}, or (width, layers, heads)")
        width, depth, heads = SIZES[size] if isinstance(size, str) else size
        if width % heads or (width // heads) % 8:
            raise InputError(
                "size",
                given=(width, depth, heads),
                expected="a width that is a multiple of 8 heads: rotary positions have four even parts",
            )
        if embed not in ("per_channel", "pad"):
            raise InputError("embed", given=repr(embed), expected="'per_channel' or 'pad'")
        self.registry, self.pdes, self.width, self.heads, self.embed = registry, tuple(pdes), width, heads, embed
        self.patch = {d: Patchify(p) for d, p in patch.items()}
        self.parameterization = Parameterization(prediction, loss)
        self.times, self.noise, self.max_tokens = times or TimeSampler(), noise, max_tokens
        with local_rng(seed):
            if embed == "per_channel":
                keys = [(d, c) for d in self.patch for c in range(len(registry))]
                self.inputs = nn.ModuleDict(
                    {f"{d}-{c}": nn.Linear(self.patch[d].size, width, bias=False) for d, c in keys}
                )
                self.outputs = nn.ModuleDict({f"{d}-{c}": nn.Linear(width, self.patch[d].size) for d, c in keys})
            else:
                largest = max(p.size for p in self.patch.values()) * len(registry)
                self.inputs = nn.ModuleDict({"all": nn.Linear(largest, width, bias=False)})
                self.outputs = nn.ModuleDict({"all": nn.Linear(width, largest)})
            self.channel = nn.Parameter(0.02 * torch.randn(len(registry), width))
            self.flag = nn.Parameter(0.02 * torch.randn(2, width))
            self.equation = nn.Embedding(len(self.pdes) + 1, width)
            self.facts = nn.Sequential(
                nn.Linear(3 * SLOTS + 2 + 3 + len(BOUNDARIES), width), nn.SiLU(), nn.Linear(width, width)
            )
            self.clock = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
            self.missing = nn.ModuleDict({str(d): nn.Linear(p.size, width, bias=False) for d, p in self.patch.items()})
            self.hints = nn.ParameterDict(
                {
                    f"{d}-{c}": nn.Parameter(torch.zeros(width, p.size))
                    for d, p in self.patch.items()
                    for c in range(len(registry))
                }
            )
            self.sensing = nn.Parameter(torch.zeros(width))  # units are those of fields then, see `_units`
            self.when = nn.Linear(64, width)
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
            self.last = nn.Linear(width, 2 * width)
            for layer in (self.last, *self.outputs.values(), *self.missing.values()):
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)
        self.mean: Tensor
        self.std: Tensor
        self.change: Tensor
        self.period: Tensor
        self.register_buffer("mean", torch.zeros(len(self.pdes) + 1, len(registry)))
        self.register_buffer("std", torch.ones(len(self.pdes) + 1, len(registry)))
        self.register_buffer("change", torch.ones(len(self.pdes) + 1, len(registry)))
        self.register_buffer("period", torch.zeros(len(self.pdes) + 1))

    # --- units --------------------------------------------------------------------------------------------------

    def pde_index(self, name: str) -> int:
        """Of an equation; the last one stands for all that aren't known."""
        return self.pdes.index(name) if name in self.pdes else len(self.pdes)

    def fit_units(self, sets: Sequence[PDEBatch]) -> None:
        """Mean and deviation of every equation's channels and of their change since the context, and the window's length,
        from training data; constant channels keep a scale of 1."""
        for data in sets:
            row, index = self.pde_index(data.pde), torch.tensor(data.channels)
            since = data.u[:, :, data.context :] - data.u[:, :, data.context - 1 : data.context]
            std = data.u.std((0, 2, 3, 4, 5))
            if bool((std < TINY).any()):
                warnings.warn(f"{data.pde}: a channel is constant; its scale stays 1", stacklevel=2)
            self.mean[row, index] = data.u.mean((0, 2, 3, 4, 5)).to(self.mean)
            for scale, value in ((self.std, std), (self.change, since.square().mean((0, 2, 3, 4, 5)).sqrt())):
                scale[row, index] = torch.where(value < TINY, torch.ones_like(value), value).to(scale)
            self.period[row] = data.spacing[0] * data.u.shape[2]
        known = [self.pde_index(s.pde) for s in sets]
        for units in (self.mean, self.std, self.change, self.period):
            units[-1] = units[known].mean(0)

    def _units(self, data: PDEBatch) -> tuple[Tensor, Tensor]:
        """(shift, scale) with u = shift + scale * (what the network sees), broadcast over (B, C, T, X, Y, Z).

        Units of an unknown equation come from the context itself.
        """
        row, index = self.pde_index(data.pde), torch.tensor(data.channels)
        known = row < len(self.pdes)
        pair = (self.mean[row, index], self.std[row, index]) if known else data.known_moments()
        shift, scale = (m.to(data.u).reshape(1, -1, 1, 1, 1, 1) for m in pair)
        if self.target == "field" or data.seen is not None:  # a change needs the whole of the last frame
            return shift, scale
        frames, last = data.u.shape[2], data.u[:, :, data.context - 1 : data.context]
        if known:
            step = self.change[row, index].to(data.u).reshape(1, -1, 1, 1, 1, 1)
        else:  # as if every frame changed as much as the last one
            before = data.u[:, :, max(data.context - 2, 0) : max(data.context - 1, 1)]
            step = (last - before).square().mean((0, 2, 3, 4, 5), keepdim=True).sqrt() * (frames - data.context + 1) / 2
            step = torch.minimum(step, 2 * scale).clamp_min(TINY)
        late = (torch.arange(frames, device=data.u.device) >= data.context).reshape(1, 1, -1, 1, 1, 1)
        if self.target == "auto":  # whichever varies less
            late = late & (step.square() < 0.5 * scale.square())
        return torch.where(late, last, shift), torch.where(late, step, scale)

    # --- the network --------------------------------------------------------------------------------------------

    def condition(self, data: PDEBatch, drop: Tensor | None = None) -> Float[Tensor, "b w"]:
        """The global vector without flow time; `drop` marks samples whose equation and parameters are withheld."""
        b, device = len(data), self.channel.device
        params = F.pad(data.params, (0, SLOTS - data.params.shape[1])).to(device)
        given = (torch.arange(SLOTS, device=device) < data.params.shape[1]).float().expand(b, -1)
        if drop is not None:
            params, given = params * ~drop[:, None], given * ~drop[:, None]
        logs = torch.where(params != 0, params.abs().clamp_min(1e-12).log() / 4, torch.zeros_like(params))
        known = [math.log(data.spacing[0]) / 4, math.log(data.spacing[1]) / 4]
        known += [float(data.dim == d) for d in (1, 2, 3)] + [float(data.bc == n) for n in BOUNDARIES]
        facts = torch.cat([logs, params.sign(), given, torch.tensor(known, device=device).expand(b, -1)], 1)
        equation = torch.full((b,), self.pde_index(data.pde), dtype=torch.long, device=device)
        if drop is not None:
            equation = torch.where(drop, len(self.pdes), equation)
        return self.facts(facts) + self.equation(equation)

    def forward(
        self, tokens: Float[Tensor, "b n c p"], t: Float[Tensor, " b"], cond: Float[Tensor, "b w"], data: PDEBatch
    ) -> Float[Tensor, "b n c p"]:
        """What the network says of every token at flow time t; context tokens must be clean.

        Raises:
            InputError: more tokens than `max_tokens`; a context that isn't a whole number of patches.
        """
        patch, n = self.patch[data.dim], tokens.shape[1]
        frames = tuple(data.u.shape[2:])
        if n > self.max_tokens:
            raise InputError(
                "tokens", given=n, expected=f"at most {self.max_tokens}", hint="larger patches, or fewer points"
            )
        period = float(self.period[self.pde_index(data.pde)]) or data.spacing[0] * frames[0]
        places = patch.positions(frames, data.spacing, data.extent, period).to(tokens)
        # rotations tell distances only; how far ahead a token is, it has to know by itself
        h = self._embed(tokens, data) + self.flag[self._is_target(data).long().to(tokens.device)]
        h = h + self.when(waves(places[:, 0] / 10))
        if data.seen is not None:
            h = h + self._sensed(data)
        c = F.silu(cond + self.clock(waves(t)))
        turn = rotations(places, self.width // self.heads)
        counts = patch.counts(frames)
        for i, block in enumerate(self.blocks):
            split = None if self.attention == "full" else (counts[0], n // counts[0], i % 2 == 1)
            h = block(h, c, turn, split)
        shift, scale = self.last(c)[:, None].chunk(2, 2)
        return self._read(F.layer_norm(h, (self.width,)) * (1 + scale) + shift, data)

    def _is_target(self, data: PDEBatch) -> Tensor:
        """(n,) which tokens are to be forecast."""
        patch = self.patch[data.dim]
        if data.context % patch.shape[0]:
            raise InputError(
                "context", given=data.context, expected=f"a multiple of {patch.shape[0]}, the patch in time"
            )
        counts = patch.counts(tuple(data.u.shape[2:]))
        return (torch.arange(math.prod(counts)) // math.prod(counts[1:])) >= data.context // patch.shape[0]

    def _known(self, data: PDEBatch) -> Tensor:
        """(1 or B, n, 1, 1 or p) which values are given: all of the context, or its sensors."""
        context = ~self._is_target(data)[None, :, None, None]
        if data.seen is None:
            return context
        every = data.seen[:, None, None].expand(-1, 1, data.u.shape[2], *data.seen.shape[1:])
        return self.patch[data.dim](every.contiguous()) & context

    def _sensed(self, data: PDEBatch) -> Float[Tensor, "b n w"]:
        """What is said of a context known at sensors only: that it is, where it isn't known, and the field filled in between."""
        patch, context = self.patch[data.dim], ~self._is_target(data)[:, None]
        shift, scale = self._units(data)
        hint = patch((data.filled() - shift) / scale).to(self.sensing) * context[:, :, None].to(self.sensing)
        weight = torch.stack([self.hints[f"{data.dim}-{c}"] for c in data.channels])
        gaps = (~self._known(data)[:, :, 0] & context).to(self.sensing)
        return self.sensing + self.missing[str(data.dim)](gaps) + torch.einsum("bncp,cwp->bnw", hint, weight)

    def _embed(self, tokens: Tensor, data: PDEBatch) -> Tensor:
        index = list(data.channels)
        if self.embed == "per_channel":
            weight = torch.stack([next(self.inputs[f"{data.dim}-{c}"].parameters()) for c in index])
            return torch.einsum("bncp,cwp->bnw", tokens, weight) + self.channel[index].sum(0)
        padded = tokens.new_zeros(*tokens.shape[:2], len(self.registry), self._pad_size())
        padded[:, :, index, : tokens.shape[3]] = tokens
        return self.inputs["all"](padded.flatten(2)) + self.channel[index].sum(0)

    def _pad_size(self) -> int:
        return max(p.size for p in self.patch.values())

    def _read(self, h: Tensor, data: PDEBatch) -> Tensor:
        index = list(data.channels)
        if self.embed == "per_channel":
            return torch.stack([self.outputs[f"{data.dim}-{c}"](h) for c in index], 2)
        whole = self.outputs["all"](h).reshape(*h.shape[:2], len(self.registry), self._pad_size())
        return whole[:, :, index, : self.patch[data.dim].size]

    # --- training -----------------------------------------------------------------------------------------------

    def loss(self, data: PDEBatch, generator: torch.Generator, drop: float = 0.1) -> Float[Tensor, ""]:
        """Mean over the batch's own unknown values, so that one with many tokens doesn't outweigh the others.

        Args:
            data: trajectories; generator: of noise, times and dropped conditions; drop: share of withheld conditions.
        """
        device = self.channel.device
        shift, scale = self._units(data)
        x = self.patch[data.dim](((data.u - shift) / scale).to(device))
        known = self._known(data).to(device).expand_as(x)
        t = self.times(len(data), generator).to(device) if self.noise else torch.zeros(len(data), device=device)
        noise = self.noise * torch.randn(x.shape, generator=generator).to(device)
        s = t[:, None, None, None]
        z = torch.where(known, x, s * x + (1 - s) * noise)
        withheld = (torch.rand(len(data), generator=generator) < drop).to(device)
        out = self(z, t, self.condition(data, withheld), data)
        return self.parameterization.error(out, x, noise, z, s)[~known].square().mean()

    # --- forecasts ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, data: PDEBatch, *, steps: int = 10, solver: str = "euler", members: int = 1, conserve: bool = False, shift: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "members b c t x y z"]:  # fmt: skip
        """Forecasts in physical units; only the context frames of `data.u` are looked at (and only where they are `seen`:
        the rest of them is filled in like the frames to come).

        Args:
            data: trajectories; steps: of the sampler (1: the conditional mean's forecast); solver: "euler" or "heun".
            members: of the ensemble; conserve: keep the mean over space of every channel as in the last context frame.
            shift: see `flow_matching.grid`; generator: of the noise.
        """
        if conserve and data.seen is not None:
            raise InputError("conserve", given="a context known at sensors only", expected="whole context frames")
        if solver not in ("euler", "heun"):
            raise InputError("solver", given=repr(solver), expected="'euler' or 'heun'")
        device = self.channel.device
        rng = torch.Generator().manual_seed(0) if generator is None else generator
        unit, scale = self._units(data)
        frames = tuple(data.u.shape[2:])
        given = (data.u - unit) / scale
        last = data.u[:, :, data.context - 1 : data.context]
        level = ((last - unit) / scale).mean((3, 4, 5), keepdim=True).to(device)
        patch, known = self.patch[data.dim], self._known(data).to(device)
        clean, cond = torch.where(known, patch(given.to(device)), 0.0), self.condition(data)

        def denoise(z: Tensor, t: Tensor) -> Tensor:
            full = torch.where(known, clean, z)
            out = self(full, t.expand(len(z)).to(device), cond, data)
            # x from e divides by t, which is 0 at the start: the loss's clip holds there; the others never meet t = 1
            clip = self.parameterization.clip if self.parameterization.prediction == "eps" else 0.0
            x = self.parameterization.convert(out, z, t.to(device), "x", clip)
            if conserve:
                u = patch.undo(x, frames)
                x = patch(u - u.mean((3, 4, 5), keepdim=True) + level)
            return x

        def velocity(z: Tensor, t: Tensor) -> Tensor:
            return (denoise(z, t) - z) / (1 - t)

        found = []
        for _ in range(members):
            z = self.noise * torch.randn(clean.shape, generator=rng).to(device)
            if self.noise == 0 or steps == 1:
                z = denoise(z, torch.zeros(()))
            else:
                z = (euler_sample if solver == "euler" else heun_sample)(velocity, z, grid(steps, shift))
            u = patch.undo(torch.where(known, clean, z), frames).to(unit) * scale + unit
            given_frames = data.u[:, :, : data.context]
            if data.seen is None:
                u[:, :, : data.context] = given_frames
            else:
                u[:, :, : data.context] = torch.where(data.seen[:, None, None], given_frames, u[:, :, : data.context])
            found.append(u)
        return torch.stack(found)

    def predict(self, data: PDEBatch, **options: Any) -> Float[Tensor, "b c t x y z"]:
        """One step: the point forecast."""
        return self.sample(data, steps=1, **options)[0]

    def rollout(self, data: PDEBatch, windows: int, **options: Any) -> Float[Tensor, "b c t x y z"]:
        """Further windows, each from the last context frames of the one before; the frames after the first context."""
        frames, now = [], data
        for _ in range(windows):
            u = self.sample(now, **options)[0]
            frames.append(u[:, :, data.context :])
            start = u[:, :, -data.context :]
            now = replace(now, u=torch.cat([start, torch.zeros_like(u[:, :, data.context :])], 2), seen=None)
        return torch.cat(frames, 2)

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Weights with what they belong to."""
        made = {"registry": list(self.registry.names), "pdes": list(self.pdes), "settings": self.settings}
        return save_state(path, {**made, "weights": self.state_dict()})

    @classmethod
    def read(cls, path: Path | str) -> UniFluids:
        """A model from a file of `save` (the sampler of flow times is the default one).

        Raises:
            InputError: a file that isn't one.
        """
        state = load_state(path)
        if not {"registry", "pdes", "settings", "weights"} <= set(state):
            raise InputError(f"{path}", given=", ".join(map(str, state)), expected="a file written by UniFluids.save")
        settings = dict(state["settings"])
        settings["patch"] = {int(d): tuple(p) for d, p in settings["patch"].items()}
        settings["size"] = settings["size"] if isinstance(settings["size"], str) else tuple(settings["size"])
        model = cls(ChannelRegistry(tuple(state["registry"])), state["pdes"], **settings)
        model.load(path)
        return model.eval()

    def load(self, path: Path | str) -> None:
        """Weights of a model with the same channels and equations in the same order, made alike.

        Raises:
            InputError: other ones.
        """
        state = load_state(path)
        mine = {"registry": list(self.registry.names), "pdes": list(self.pdes), "settings": self.settings}
        other = [k for k, v in mine.items() if state.get(k) != v]
        if other:
            raise InputError(
                f"{path}", given="another " + ", ".join(other), expected=", ".join(f"{k} {mine[k]}" for k in other),
                hint="UniFluids.read makes the model that a file needs",
            )  # fmt: skip
        self.load_state_dict(state["weights"])
