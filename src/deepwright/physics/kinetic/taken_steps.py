"""The density after steps that were taken: a chain of maps from the start, with samples and log-densities."""

from __future__ import annotations

import functools
import itertools
import warnings
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.energy_law import StepInfo
from deepwright.physics.kinetic.particles import Initial, PhaseSpaceParticles
from deepwright.physics.kinetic.step_map import StepMap


@dataclass
class TakenSteps:
    """Steps that follow one another from a start.

    Attributes:
        start: samples and log-density.
        map: of every step.
        device: where particles are pushed (the start's samples and log-densities may live elsewhere).
        controls: one a step.
        clouds: where forces were felt, a list a step; empty without an interaction.
        infos: what is said of each step.
    """

    start: Initial
    map: StepMap
    device: torch.device
    controls: list[nn.Module] = field(default_factory=list)
    clouds: list[list[Tensor]] = field(default_factory=list)
    infos: list[StepInfo] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.controls)

    @property
    def times(self) -> list[float]:
        """0 and the time after every step."""
        return [0.0, *itertools.accumulate(i.tau for i in self.infos)]

    @property
    def partners(self) -> torch.Generator | None:
        """What an interaction draws its partners from, where it draws any."""
        drawn = getattr(self.map.system.interaction, "generator", None)
        return drawn if isinstance(drawn, torch.Generator) else None

    @functools.cached_property
    def _home(self) -> torch.device:
        """Where the start computes log-densities: where it puts its samples."""
        return self.start.sample(1, torch.Generator().manual_seed(0))[0].device

    def append(self, control: nn.Module, felt: list[Tensor], info: StepInfo) -> None:
        """One step more.

        Args:
            control: that was trained; it is frozen.
            felt: where forces were felt.
            info: what is said of it.
        """
        self.controls.append(control.requires_grad_(False))
        if self.map.system.interaction is not None:
            self.clouds.append(felt)
        self.infos.append(info)

    def forget(self, count: int) -> None:
        """Keep the first steps only.

        Args:
            count: how many.
        """
        for kept in (self.controls, self.clouds, self.infos):
            del kept[count:]

    def draw(self, n: int, generator: torch.Generator) -> PhaseSpaceParticles:
        """Particles of the start.

        Args:
            n: how many.
            generator: of the draw.
        """
        return PhaseSpaceParticles.of(self.start, n, generator, self.device)

    def push(
        self, p: PhaseSpaceParticles, upto: int | None = None, *, begin: int = 0, drop: bool = False
    ) -> PhaseSpaceParticles:
        """Particles of the start through the first steps.

        Args:
            p: particles.
            upto: steps (all by default).
            begin: steps that they have behind them.
            drop: leave out those, far out, at which a stored map isn't one to one.

        Raises:
            InputError: a step that isn't there yet.
            FoldedError: such particles, without `drop`.
        """
        flow = self.map.forward_kept if drop else self.map.forward
        for k in range(begin, self._upto(upto)):
            clouds = self.clouds[k] if self.clouds else None
            p = flow(self.controls[k], p, self.infos[k].tau, clouds)[0].checked()
        return p

    def sample(self, n: int, generator: torch.Generator, step: int | None = None) -> PhaseSpaceParticles:
        """Fresh particles after a step; such as fold on the way are drawn anew, and their share is told.

        Args:
            n: how many.
            generator: of the draws.
            step: steps behind them (all by default).

        Raises:
            InputError: nine of ten fold, or n below 1; a step that isn't there.
        """
        parts: list[PhaseSpaceParticles] = []
        have = drawn = 0
        with torch.no_grad():
            while have < n and drawn < 10 * n + 10:
                parts.append(self.push(self.draw(n - have, generator), step, drop=True))
                drawn, have = drawn + n - have, have + len(parts[-1])
        if have < n or n < 1:
            given = f"{have} of {drawn} particles that don't fold"
            raise InputError("sample", given=given, expected=f"{max(n, 1)}", hint="a smaller step_size")
        if drawn > n:
            warnings.warn(f"{drawn - have} of {drawn} samples folded on the way and were drawn anew", stacklevel=3)
        return PhaseSpaceParticles.together(parts)

    def log_prob(
        self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"], step: int | None = None, *, drop: bool = False
    ) -> Float[Tensor, " n"]:
        """Log-density at any points after a step: back through every map, by Newton's method on each kick.

        Args:
            x: positions.
            v: velocities.
            step: steps before them (all by default).
            drop: NaN at points from which there is no way back, in place of an error.

        Raises:
            InputError: a step that isn't there; a kick that can't be inverted, without `drop`; an interaction that
                draws its partners anew each time, whose maps can't be gone back through.
        """
        if getattr(self.map.system.interaction, "draws", False):
            expected = "an interaction over all pairs (batch=0)"
            raise InputError("log_prob", given="forces from random partners", expected=expected)
        if x.ndim != 2 or x.shape != v.shape:
            given = f"x of shape {tuple(x.shape)}, v of shape {tuple(v.shape)}"
            raise InputError("points", given=given, expected="(N, d) both")
        home, x, v = x.device, x.to(self.device), v.to(self.device)
        total = x.new_zeros(len(x))
        with torch.no_grad():
            for k in reversed(range(self._upto(step))):
                clouds = self.clouds[k] if self.clouds else []
                x, v, logdet = self.map.back(self.controls[k], x, v, self.infos[k].tau, clouds, drop)
                total = total - logdet
            begin = self.start.log_prob(x.to(self._home), v.to(self._home)).to(self.device)
            return (begin + total).to(home)

    def _upto(self, step: int | None) -> int:
        count = len(self) if step is None else step
        if not 0 <= count <= len(self):
            raise InputError("step", given=step, expected=f"0..{len(self)}, the steps taken")
        return count
