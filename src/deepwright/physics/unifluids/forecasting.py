"""Forecasts of a trained model: the sampler from noise to frames, and windows one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import PDEBatch
from deepwright.physics.points import seeded
from deepwright.physics.unifluids.flow_matching import (
    Parameterization,
    euler_sample,
    flow_times,
    heun_sample,
)
from deepwright.physics.unifluids.tokens import TokenLayout
from deepwright.physics.unifluids.units import FieldUnits

SOLVERS = {"euler": euler_sample, "heun": heun_sample}


@runtime_checkable
class FlowModel(Protocol):
    """What a sampler asks of a model, which is called with (tokens, flow times, condition, data).

    Attributes:
        parameterization: what the model says.
        units: in which it sees fields.
        condition: data -> what modulates it.
        noise: size of the noise that it begins with.
        place: a tensor where the model lives, in its dtype.
    """

    parameterization: Parameterization
    units: FieldUnits
    condition: Any
    noise: float

    @property
    def place(self) -> Tensor:
        """A tensor where the model lives, in its dtype."""
        ...

    def layout(self, data: PDEBatch) -> TokenLayout:
        """The tokens of a batch.

        Args:
            data: trajectories.
        """
        ...

    def __call__(self, *arguments: Any) -> Any:
        """What the model says of tokens."""
        ...


@dataclass(frozen=True)
class Flow:
    """How the sampler goes from noise to frames.

    Attributes:
        steps: of the solver.
        solver: of `SOLVERS`.
        conserve: keep the mean over space of every channel as in the last context frame.
        shift: see `flow_times`.
    """

    steps: int = 10
    solver: str = "euler"
    conserve: bool = False
    shift: float = 1.0

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise InputError("solver", given=repr(self.solver), expected="'euler' or 'heun'")
        if self.steps < 1:
            raise InputError("steps", given=self.steps, expected="1 or more")
        if not self.shift > 0:
            raise InputError("shift", given=self.shift, expected="above 0")


@torch.no_grad()
def sample(
    model: FlowModel, data: PDEBatch, flow: Flow, members: int = 1, generator: torch.Generator | None = None
) -> Float[Tensor, "members b c t x y z"]:
    """Forecasts in physical units: see `UniFluids.sample`.

    Args:
        model: trained.
        data: trajectories.
        flow: how to sample.
        members: of the ensemble.
        generator: of the noise.
    """
    if flow.conserve and data.seen is not None:
        given = "a context known at sensors only"
        raise InputError("conserve", given=given, expected="whole context frames")
    if members < 1:
        raise InputError("members", given=members, expected="1 or more")
    rng = seeded(generator)
    sampler = _Sampler(model, data, flow)
    return torch.stack([sampler.member(rng) for _ in range(members)])


def rollout(
    model: FlowModel, data: PDEBatch, windows: int, flow: Flow, generator: torch.Generator | None = None
) -> Float[Tensor, "b c t x y z"]:
    """Windows one after another: see `UniFluids.rollout`.

    Args:
        model: trained.
        data: trajectories.
        windows: how many.
        flow: how to sample.
        generator: of the noise; without one, every window begins with the same.
    """
    if windows < 1:
        raise InputError("windows", given=windows, expected="1 or more")
    frames, now = [], data
    for _ in range(windows):
        u = sample(model, now, flow, 1, generator)[0]
        frames.append(u[:, :, data.context :])
        start = u[:, :, -data.context :]
        now = replace(now, u=torch.cat([start, torch.zeros_like(u[:, :, data.context :])], 2), seen=None)
    return torch.cat(frames, 2)


class _Sampler:
    """What all members of an ensemble have in common."""

    def __init__(self, model: FlowModel, data: PDEBatch, flow: Flow) -> None:
        self.model, self.data, self.flow, self.layout = model, data, flow, model.layout(data)
        self.unit, self.scale = model.units(data)
        place = model.place
        self.known = self.layout.known().to(place.device)
        given = ((data.u - self.unit) / self.scale).to(place)
        last = data.u[:, :, data.context - 1 : data.context]
        self.level = ((last - self.unit) / self.scale).mean((3, 4, 5), keepdim=True).to(place)
        self.clean = torch.where(self.known, self.layout.patch(given), 0.0)
        self.cond = model.condition(data)

    def member(self, generator: torch.Generator) -> Float[Tensor, "b c t x y z"]:
        """A forecast, where the data are."""
        model, layout = self.model, self.layout
        noise = torch.randn(self.clean.shape, generator=generator, device=generator.device)
        z = model.noise * noise.to(self.clean)
        if model.noise == 0 or self.flow.steps == 1:
            z = self._denoise(z, z.new_zeros(()))
        else:
            z = SOLVERS[self.flow.solver](self._velocity, z, flow_times(self.flow.steps, self.flow.shift).to(z))
        u = layout.patch.undo(torch.where(self.known, self.clean, z), layout.frames)
        return self._with_context(u.to(self.unit) * self.scale + self.unit)

    def _with_context(self, u: Tensor) -> Tensor:
        """The context's frames as they were given, where they were."""
        data, early = self.data, slice(0, self.data.context)
        given = data.u[:, :, early]
        u[:, :, early] = given if data.seen is None else torch.where(data.seen[:, None, None], given, u[:, :, early])
        return u

    def _denoise(self, z: Tensor, t: Tensor) -> Tensor:
        """x^ at flow time t."""
        full, how = torch.where(self.known, self.clean, z), self.model.parameterization
        out = self.model(full, t.expand(len(z)), self.cond, self.data)
        # x from e divides by t, which is 0 at the start: the loss's clip holds there; the others never meet t = 1
        x = how.convert(out, z, t, "x", how.clip if how.prediction == "eps" else 0.0)
        if not self.flow.conserve:
            return x
        u = self.layout.patch.undo(x, self.layout.frames)
        return self.layout.patch((u - u.mean((3, 4, 5), keepdim=True) + self.level).contiguous())

    def _velocity(self, z: Tensor, t: Tensor) -> Tensor:
        return (self._denoise(z, t) - z) / (1 - t)
