"""Flow matching: z_t = t x + (1 - t) e from noise e at t = 0 to data x at t = 1, with velocity v = x - e.

A network may say x, v or e; each is a linear function of the others and z, and so may the loss be measured on any of
them.

    x^ given:  v^ = (x^ - z) / (1 - t),   e^ = (z - t x^) / (1 - t)
    v^ given:  x^ = z + (1 - t) v^,       e^ = z - t v^
    e^ given:  x^ = (z - (1 - t) e^) / t, v^ = (z - e^) / t

Denominators are kept above a small number in losses only; the sampler never meets t = 1, and clipping there makes more
steps worse than fewer.

Sources: arXiv 2210.02747 (flow matching), 2511.13720 (prediction of x).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

KINDS = ("x", "v", "eps")
Denoiser = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Parameterization:
    """What the network says, and what the loss is measured on.

    Attributes:
        prediction: of the network, "x", "v" or "eps".
        loss: what it is measured on, alike.
        clip: smallest denominator in losses.

    Raises:
        InputError: another word.
    """

    prediction: str = "x"
    loss: str = "x"
    clip: float = 0.05

    def __post_init__(self) -> None:
        if self.prediction not in KINDS or self.loss not in KINDS:
            raise InputError("Parameterization", given=f"{self.prediction!r}, {self.loss!r}", expected=", ".join(KINDS))

    def convert(
        self, out: Float[Tensor, "*shape"], z: Float[Tensor, "*shape"], t: Tensor, to: str, clip: float = 0.0
    ) -> Float[Tensor, "*shape"]:
        """The network's output as x, v or eps.

        Args:
            out: of the network.
            z: what it saw, of the same shape.
            t: flow times, broadcast over them.
            to: of `KINDS`.
            clip: smallest denominator.

        Raises:
            InputError: another word.
        """
        if to not in KINDS:
            raise InputError("to", given=repr(to), expected=", ".join(KINDS))
        if to == self.prediction:
            return out
        rest, part = (1 - t).clamp_min(clip), t.clamp_min(clip)
        if self.prediction == "x":
            return (out - z) / rest if to == "v" else (z - t * out) / rest
        if self.prediction == "v":
            return z + (1 - t) * out if to == "x" else z - t * out
        return (z - (1 - t) * out) / part if to == "x" else (z - out) / part

    def error(
        self,
        out: Float[Tensor, "*shape"],
        x: Float[Tensor, "*shape"],
        noise: Float[Tensor, "*shape"],
        z: Float[Tensor, "*shape"],
        t: Tensor,
    ) -> Float[Tensor, "*shape"]:
        """Difference that the loss squares; a v-loss compares with (x - z) / (1 - t) under the same clip.

        Args:
            out: of the network.
            x: data.
            noise: that they are mixed with.
            z: the mixture.
            t: flow times, broadcast over them.
        """
        found = self.convert(out, z, t, self.loss, self.clip)
        if self.loss == "x":
            return found - x
        if self.loss == "eps":
            return found - noise
        return found - ((x - z) / (1 - t).clamp_min(self.clip) if self.prediction != "v" else x - noise)


@dataclass(frozen=True)
class TimeSampler:
    """t = 0 with a probability, else uniform: for a deterministic operator what is to be learned sits at t = 0.

    Attributes:
        p_zero: the probability.
    """

    p_zero: float = 0.5

    def __call__(self, n: int, generator: torch.Generator) -> Float[Tensor, " n"]:
        """Flow times, on the generator's device.

        Args:
            n: how many.
            generator: of the draw.
        """
        t, u = (torch.rand(n, generator=generator, device=generator.device) for _ in range(2))
        return torch.where(u < self.p_zero, torch.zeros_like(t), t)


@dataclass(frozen=True)
class LogitNormal:
    """t = 1 / (1 + exp(-s)), s ~ N(mean, std^2).

    Attributes:
        mean: of s.
        std: of s.
    """

    mean: float = -0.8
    std: float = 0.8

    def __call__(self, n: int, generator: torch.Generator) -> Float[Tensor, " n"]:
        """Flow times, on the generator's device.

        Args:
            n: how many.
            generator: of the draw.
        """
        s = torch.randn(n, generator=generator, device=generator.device)
        return torch.sigmoid(self.mean + self.std * s)


def flow_times(steps: int, shift: float = 1.0) -> Float[Tensor, " times"]:
    """0 = t_0 < ... < t_steps = 1.

    Args:
        steps: how many.
        shift: above 1 puts more of them near 0.

    Raises:
        InputError: no steps.
    """
    if steps < 1:
        raise InputError("steps", given=steps, expected="1 or more")
    t = torch.linspace(0, 1, steps + 1)
    return t / (t + shift * (1 - t)) if shift != 1 else t


def euler_sample(
    velocity: Denoiser, z: Float[Tensor, "*shape"], times: Float[Tensor, " times"]
) -> Float[Tensor, "*shape"]:
    """z + sum of (t_{k+1} - t_k) v^.

    Args:
        velocity: (z, t) -> v^.
        z: where it begins.
        times: see `flow_times`.
    """
    for a, b in itertools.pairwise(times):
        z = z + (b - a) * velocity(z, a)
    return z


def heun_sample(
    velocity: Denoiser, z: Float[Tensor, "*shape"], times: Float[Tensor, " times"]
) -> Float[Tensor, "*shape"]:
    """Second order; the last step is Euler's, since v^ isn't asked for at t = 1.

    Args:
        velocity: (z, t) -> v^.
        z: where it begins.
        times: see `flow_times`.
    """
    for k, (a, b) in enumerate(itertools.pairwise(times)):
        first = velocity(z, a)
        guess = z + (b - a) * first
        z = guess if k == len(times) - 2 else z + (b - a) / 2 * (first + velocity(guess, b))
    return z


def effective_dimension(rows: Float[Tensor, "n d"], threshold: float = 0.99) -> tuple[int, float, int]:
    """How many dimensions data really have.

    Args:
        rows: data.
        threshold: share of the variance.

    Returns:
        How many principal components hold that share; the participation ratio (sum l)^2 / sum l^2; d.

    Raises:
        InputError: fewer than two rows, or rows that don't differ; a share out of (0, 1).
    """
    if len(rows) < 2 or not 0 < threshold < 1:
        given = f"{tuple(rows.shape)}, threshold {threshold}"
        raise InputError("rows", given=given, expected="(N >= 2, d), a share in (0, 1)")
    if not torch.isfinite(rows).all() or bool((rows == rows[0]).all()):
        raise InputError("rows", given="NaN, infinity or one value for all", expected="rows that differ")
    values = torch.linalg.svdvals((rows - rows.mean(0)).double()).square()
    share = values.cumsum(0) / values.sum().clamp_min(1e-300)
    return (
        int((share < threshold).sum()) + 1,
        float(values.sum() ** 2 / values.square().sum().clamp_min(1e-300)),
        rows.shape[1],
    )
