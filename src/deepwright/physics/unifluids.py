"""One transformer for the equations of one, two and three dimensions, trained by conditional flow matching.

Context frames enter as clean tokens beside noisy target tokens; a global vector of equation, parameters, spacing, boundary and
flow time modulates every block (adaLN-Zero). Each channel has a linear map of its own for each dimension, so a missing
variable costs nothing and a new one adds a matrix; `embed="pad"` is the padded form that the paper describes.

Source: "UniFluids: Unified Neural Operator Learning with Conditional Flow-matching", arXiv 2603.22309. Sizes, patches and the
training recipe are ours: the paper's aren't public.
"""

from __future__ import annotations

import copy
import math
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
from deepwright.core.fit import FitResult, adamw, fit, one_cycle
from deepwright.core.randomness import generator, local_rng
from deepwright.physics.flow_matching import Parameterization, TimeSampler, euler_sample, grid, heun_sample
from deepwright.physics.unified import BOUNDARIES, ChannelRegistry, Patchify, PDEBatch

SIZES = {
    "tiny": (64, 3, 4),
    "nano": (96, 4, 4),
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}
PATCHES: dict[int, tuple[int, int, int, int]] = {1: (4, 16, 1, 1), 2: (2, 8, 8, 1), 3: (2, 4, 4, 4)}
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
        attention: str = "full",
        max_tokens: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if attention not in ("full", "axial"):
            raise InputError("attention", given=repr(attention), expected="'full' or 'axial'")
        self.attention = attention
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
        self.patch = {d: Patchify(p) for d, p in (patch or PATCHES).items()}
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
            self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
            self.last = nn.Linear(width, 2 * width)
            for layer in (self.last, *self.outputs.values()):
                nn.init.zeros_(layer.weight)  # type: ignore[arg-type,union-attr]
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type,union-attr]
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(len(self.pdes) + 1, len(registry)))
        self.register_buffer("std", torch.ones(len(self.pdes) + 1, len(registry)))

    # --- units --------------------------------------------------------------------------------------------------

    def pde_index(self, name: str) -> int:
        """Of an equation; the last one stands for all that aren't known."""
        return self.pdes.index(name) if name in self.pdes else len(self.pdes)

    def fit_units(self, sets: Sequence[PDEBatch]) -> None:
        """Mean and deviation of every equation's channels, from training data; constant channels keep a scale of 1."""
        import warnings

        for data in sets:
            row = self.pde_index(data.pde)
            mean, std = data.u.mean((0, 2, 3, 4, 5)), data.u.std((0, 2, 3, 4, 5))
            if bool((std < 1e-8).any()):
                warnings.warn(f"{data.pde}: a channel is constant; its scale stays 1", stacklevel=2)
            index = torch.tensor(data.channels)
            self.mean[row, index] = mean.to(self.mean)
            self.std[row, index] = torch.where(std < 1e-8, torch.ones_like(std), std).to(self.std)
        known = [self.pde_index(s.pde) for s in sets]
        self.mean[-1], self.std[-1] = self.mean[known].mean(0), self.std[known].mean(0)

    def _units(self, data: PDEBatch) -> tuple[Tensor, Tensor]:
        """(mean, std) of the batch's channels, (1, C, 1, 1, 1, 1); of an unknown equation from the context itself."""
        row, index = self.pde_index(data.pde), torch.tensor(data.channels)
        if row == len(self.pdes):
            seen = data.u[:, :, : data.context]
            mean, std = seen.mean((0, 2, 3, 4, 5)), seen.std((0, 2, 3, 4, 5)).clamp_min(1e-6)
        else:
            mean, std = self.mean[row, index], self.std[row, index]
        return mean.reshape(1, -1, 1, 1, 1, 1), std.reshape(1, -1, 1, 1, 1, 1)

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
        h = self._embed(tokens, data) + self.flag[self._is_target(data).long().to(tokens.device)]
        c = F.silu(cond + self.clock(_waves(t)))
        turn = _rotations(patch.positions(frames, data.spacing, data.extent).to(h), self.width // self.heads)
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
        """Mean over the batch's own target tokens, so that one with many tokens doesn't outweigh the others.

        Args:
            data: trajectories; generator: of noise, times and dropped conditions; drop: share of withheld conditions.
        """
        device = self.channel.device
        mean, std = self._units(data)
        x = self.patch[data.dim](((data.u - mean.cpu()) / std.cpu()).to(device))
        target = self._is_target(data).to(device)
        t = self.times(len(data), generator).to(device) if self.noise else torch.zeros(len(data), device=device)
        noise = self.noise * torch.randn(x.shape, generator=generator).to(device)
        s = t[:, None, None, None]
        z = torch.where(target[:, None, None], s * x + (1 - s) * noise, x)
        withheld = (torch.rand(len(data), generator=generator) < drop).to(device)
        out = self(z, t, self.condition(data, withheld), data)
        return self.parameterization.error(out, x, noise, z, s)[:, target].square().mean()

    # --- forecasts ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, data: PDEBatch, *, steps: int = 10, solver: str = "euler", members: int = 1, conserve: bool = False, shift: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "members b c t x y z"]:  # fmt: skip
        """Forecasts in physical units; only the context frames of `data.u` are looked at.

        Args:
            data: trajectories; steps: of the sampler (1: the conditional mean's forecast); solver: "euler" or "heun".
            members: of the ensemble; conserve: keep the mean over space of every channel as in the last context frame.
            shift: see `flow_matching.grid`; generator: of the noise.
        """
        if solver not in ("euler", "heun"):
            raise InputError("solver", given=repr(solver), expected="'euler' or 'heun'")
        device = self.channel.device
        rng = torch.Generator().manual_seed(0) if generator is None else generator
        mean, std = (m.cpu() for m in self._units(data))
        frames = tuple(data.u.shape[2:])
        given = ((data.u - mean) / std).clone()
        given[:, :, data.context :] = 0
        patch, target = self.patch[data.dim], self._is_target(data).to(device)[:, None, None]
        clean, cond = patch(given.to(device)), self.condition(data)
        level = given[:, :, data.context - 1].mean((2, 3, 4), keepdim=True)[:, :, None].to(device)

        def denoise(z: Tensor, t: Tensor) -> Tensor:
            full = torch.where(target, z, clean)
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
            u = patch.undo(torch.where(target, z, clean), frames).cpu() * std + mean
            u[:, :, : data.context] = data.u[:, :, : data.context]
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
            now = replace(now, u=torch.cat([start, torch.zeros_like(u[:, :, data.context :])], 2))
        return torch.cat(frames, 2)

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Weights with what they belong to."""
        return save_state(
            path, {"registry": list(self.registry.names), "pdes": list(self.pdes), "weights": self.state_dict()}
        )

    def load(self, path: Path | str) -> None:
        """Weights of a model with the same channels and equations in the same order.

        Raises:
            InputError: other ones.
        """
        state = load_state(path)
        if state.get("registry") != list(self.registry.names) or state.get("pdes") != list(self.pdes):
            raise InputError(
                f"{path}",
                given="another order of channels or equations",
                expected=f"{self.registry.names}, {self.pdes}",
            )
        self.load_state_dict(state["weights"])


class _Block(nn.Module):
    """Attention over all tokens and a perceptron, each modulated and gated by the condition; the gates start at 0."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.body = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(
        self, h: Tensor, c: Tensor, turn: tuple[Tensor, Tensor], split: tuple[int, int, bool] | None = None
    ) -> Tensor:
        """(B, n, w) to the same; `split` is (times, places, whether to look over times) for axial attention."""
        shift_a, scale_a, gate_a, shift_b, scale_b, gate_b = self.modulate(c)[:, None].chunk(6, 2)
        x = F.layer_norm(h, (self.width,)) * (1 + scale_a) + shift_a
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (_rotate(F.rms_norm(s, (s.shape[-1],)), turn) for s in (q, k))
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


def _waves(t: Float[Tensor, " b"], count: int = 32) -> Float[Tensor, "b two_count"]:
    """Sines and cosines of flow time."""
    angle = 1000 * t[:, None] * torch.exp(-math.log(1e4) * torch.arange(count, device=t.device) / count)
    return torch.cat([angle.cos(), angle.sin()], 1)


def _rotations(positions: Float[Tensor, "n 4"], head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (n, head / 2): a quarter of the angles for each axis, at rising frequencies of physical position."""
    pairs = head // 8
    rates = 2 * math.pi * 2.0 ** torch.arange(pairs, device=positions.device)
    angle = (positions[:, :, None] * rates).reshape(len(positions), -1)
    return angle.cos(), angle.sin()


def _rotate(x: Float[Tensor, "b h n d"], turn: tuple[Tensor, Tensor]) -> Float[Tensor, "b h n d"]:
    a, b = x.chunk(2, -1)
    cos, sin = turn
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class Averaged(nn.Module):
    """A model with a running average of its weights beside it, so that both are in a checkpoint.

    Args:
        model: that is trained; decay: of the average.
    """

    def __init__(self, model: nn.Module, decay: float = 0.995) -> None:
        super().__init__()
        self.model, self.decay = model, decay
        self.average = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average."""
        for slow, fast in zip(self.average.parameters(), self.model.parameters()):
            slow.lerp_(fast, 1 - self.decay)


def train(
    model: UniFluids,
    sets: Sequence[PDEBatch],
    *,
    steps: int = 4000,
    batch: int = 32,
    rate: float = 3e-3,
    temperature: float = 0.5,
    decay: float = 0.995,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    fresh_units: bool = True,
    **options: Any,
) -> tuple[UniFluids, FitResult]:
    """Train on several equations at once; gives the averaged model.

    Every batch is of one equation (so there are no masks), drawn with a chance of N_i^temperature; the choice and all noise
    follow from the seed and the step, so a resumed training sees the same.

    Args:
        model: trained in place; sets: training data; steps, batch, rate: of AdamW on one cycle.
        temperature: 1 draws by size, 0 all alike; decay: of the averaged weights.
        seed: of everything; checkpoint: to resume from; fresh_units: learn the units of the data (off: for fine-tuning).
        options: of `core.fit.fit`.
    """
    if not sets or steps < 1:
        raise InputError("train", given=f"{len(sets)} data sets, {steps} steps", expected="at least one of each")
    if fresh_units:
        model.fit_units(sets)
    both = Averaged(model, decay)
    chance = torch.tensor([float(len(s)) ** temperature for s in sets])

    def step(network: nn.Module, rows: Tensor, _: Tensor) -> Tensor:
        both.update()
        rng = generator(seed, "unifluids", int(rows[0]))
        data = sets[int(torch.multinomial(chance, 1, generator=rng))]
        picked = torch.randint(len(data), (min(batch, len(data)),), generator=rng)
        return model.loss(data.rows(picked), rng)

    numbers = torch.arange(steps * 2)
    result = fit(
        both, (numbers, numbers), epochs=1, batch_size=2, step=step, optimizer=adamw(rate, 0.0), scheduler=one_cycle(rate), clip_norm=1.0,
        seed=seed, checkpoint=checkpoint, description="flow matching", **options,
    )  # fmt: skip
    both.update()
    both.average.eval()
    return both.average, result  # type: ignore[return-value]


def choose_prediction(
    make: Callable[[str], UniFluids],
    sets: Sequence[PDEBatch],
    validation: Sequence[PDEBatch],
    *,
    steps: int = 200,
    **options: Any,
) -> tuple[str, dict[str, float]]:
    """Which of x and v to predict, by a short trial of each: neither is better everywhere, whatever its paper says.

    Args:
        make: "x" or "v" -> a fresh model; sets: training data (a part is enough); validation: other trajectories.
        steps: of each trial; options: of `train`.

    Returns:
        (the better one, {prediction: mean relative error of the one-step forecast on the validation data}).
    """
    if not validation:
        raise InputError("validation", given="nothing", expected="at least one data set")
    found = {}
    for kind in ("x", "v"):
        model, _ = train(make(kind), sets, steps=steps, **options)
        errors = []
        for data in validation:
            gap, truth = (
                v[:, :, data.context :].flatten(1).norm(dim=1) for v in (model.predict(data) - data.u, data.u)
            )
            errors.append(float((gap / truth.clamp_min(1e-12)).mean()))
        found[kind] = sum(errors) / len(errors)
    return min(found, key=lambda k: found[k]), found
