"""The kinetic JKO scheme: one step of friction and diffusion as a minimisation, with transport as its constraint.

    minimise over a(s, x, v):   int_0^tau int |a|^2 f / 2 + gamma F[f_tau]
    subject to                  f_s + div_x(v f) + div_v((-grad Phi + a) f) = 0,   f_0 = f^k.

a = 0 is allowed and keeps F, so gamma F[f^{k+1}] + cost <= gamma F[f^k] at every step. Particles carry their
log-density along the very map that is applied (see `step_map`).

Source: "Deep Kinetic JKO schemes for Vlasov-Fokker-Planck Equations", arXiv 2603.23901 (constrained scheme, particles,
symplectic inner steps); the exact log-determinant, slack, retries and inversion are ours.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.core.randomness import generator, local_rng
from deepwright.core.requirements import require_positive, require_whole
from deepwright.physics.kinetic.checkpoint import RunFile, RunState
from deepwright.physics.kinetic.controls import AffineVelocity, PotentialVelocity
from deepwright.physics.kinetic.energy_law import EntropyCheck, StepInfo
from deepwright.physics.kinetic.particles import Initial, PhaseSpaceParticles, Pushed
from deepwright.physics.kinetic.step_map import SCHEMES, StepMap
from deepwright.physics.kinetic.step_size import StepSize
from deepwright.physics.kinetic.step_solver import Push, StepSolver, StepTask
from deepwright.physics.kinetic.systems import KineticFokkerPlanck
from deepwright.physics.kinetic.taken_steps import TakenSteps

Factory = Callable[[], nn.Module]


class KineticJKO:
    """A run of kinetic JKO steps.

    Args:
        system: the equation (friction above 0).
        start: where it begins: samples and log-density; controls take its dtype.
        step_size: tau.
        substeps: inner steps.
        scheme: "constrained", or "split" (transport first, then friction with x held).
        velocity: "potential", "affine", or () -> module (s, x, v) -> (a, da / dv).
        tolerance: adapt tau so that the energy's mismatch in a step stays below this (see `StepInfo.mismatch`; its
            sampling noise, about 1 / sqrt(batch_size), is the least that can be asked for).
        largest: of tau then.
        iterations: of Adam in each step.
        first: ... in the first one.
        batch_size: particles in an iteration.
        resample: iterations between fresh ones.
        lr: of Adam, falling to a hundredth.
        particles: whose energies are reported, and that stand for the density where there is an interaction.
        seed: of everything.
        device: where particles and controls live; where the start puts its samples by default.

    Attributes:
        state: all that changes in the run: steps taken, particles, energies, the next step's length.
        solver: how a step is minimised.

    Raises:
        InputError: an unknown scheme or velocity; steps, a friction or numbers that aren't above 0.
    """

    def __init__(
        self,
        system: KineticFokkerPlanck,
        start: Initial,
        *,
        step_size: float = 0.05,
        substeps: int = 1,
        scheme: str = "constrained",
        velocity: str | Factory = "potential",
        tolerance: float | None = None,
        largest: float = math.inf,
        iterations: int = 300,
        first: int = 1000,
        batch_size: int = 2048,
        resample: int = 25,
        lr: float = 3e-3,
        particles: int = 4096,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        if scheme not in SCHEMES or not 0 < step_size < math.inf or not system.friction > 0:
            given = f"scheme={scheme!r}, step_size={step_size}, friction={system.friction}"
            expected = "'constrained' or 'split', a finite step and a friction above 0"
            raise InputError("KineticJKO", given=given, expected=expected)
        require_whole(1, substeps=substeps)
        if isinstance(velocity, str) and velocity not in ("potential", "affine"):
            expected = "'potential', 'affine' or a function that makes a module"
            raise InputError("velocity", given=repr(velocity), expected=expected)
        counts = {"iterations": iterations, "first": first, "batch_size": batch_size, "resample": resample}
        require_whole(1, **counts, particles=particles)
        require_positive(lr=lr)
        if system.temperature == 0:
            warnings.warn(
                "temperature 0: the entropy term is off, and the density may shrink without bound", stacklevel=2
            )
        self.system, self.start, self.velocity = system, start, velocity
        self.batch_size, self.particles, self.seed = batch_size, particles, seed
        now = PhaseSpaceParticles.of(start, particles, self._rng("particles"), device)
        if now.x.shape[1] != system.dim:
            given = f"{now.x.shape[1]} axes for an equation with {system.dim}"
            raise InputError("start", given=given, expected=f"samples of {system.dim} axes, or dim={now.x.shape[1]}")
        steps = TakenSteps(start, StepMap(system, substeps, scheme), now.x.device)
        energies = [float(system.free_energy(now.x, now.v, now.log_density))]
        self.state = RunState(steps, StepSize(step_size, tolerance, largest), now, energies)
        self.solver = StepSolver(iterations, first, resample, lr)
        self._entropy = EntropyCheck(lambda: steps.draw(particles, self._rng("particles")))

    def identity(self) -> dict[str, Any]:
        """All that decides the steps of a run: equation, start, control, options, and the code that takes them."""
        scheme, size, solver = self.steps.map, self.size, self.solver
        return {
            "system": self.system,
            "start": self.start,
            "velocity": self.velocity,
            "scheme": scheme.scheme,
            "substeps": scheme.substeps,
            "step_size": size.first,
            "tolerance": size.tolerance,
            "largest": size.largest,
            "iterations": solver.iterations,
            "first": solver.first,
            "resample": solver.resample,
            "lr": solver.lr,
            "batch_size": self.batch_size,
            "particles": self.particles,
            "seed": self.seed,
            "code": [
                KineticJKO,
                StepMap,
                TakenSteps,
                StepSolver,
                StepSize,
                StepInfo,
                PhaseSpaceParticles,
                PotentialVelocity,
            ],
        }

    @property
    def now(self) -> PhaseSpaceParticles:
        """Particles after the last step."""
        return self.state.now

    @property
    def energies(self) -> list[float]:
        """F at the start and after every step."""
        return self.state.energies

    @property
    def steps(self) -> TakenSteps:
        """Those taken."""
        return self.state.steps

    @property
    def size(self) -> StepSize:
        """Of the next step."""
        return self.state.size

    @property
    def tau(self) -> float:
        """Length of the next step."""
        return self.size.tau

    @property
    def controls(self) -> list[nn.Module]:
        """One a step that was taken."""
        return self.steps.controls

    @property
    def clouds(self) -> list[list[Tensor]]:
        """Where forces were felt, a list a step; empty without an interaction."""
        return self.steps.clouds

    @property
    def infos(self) -> list[StepInfo]:
        """What is said of each step."""
        return self.steps.infos

    @property
    def times(self) -> list[float]:
        """0 and the time after every step."""
        return self.steps.times

    def _rng(self, *name: object) -> torch.Generator:
        return generator(self.seed, "kinetic", *map(str, name))

    def control(self, fresh: bool = False) -> nn.Module:
        """What the next step begins with.

        Args:
            fresh: a new control instead of a copy of the last one.
        """
        if self.controls and not fresh:
            return copy.deepcopy(self.controls[-1])
        dim, dtype = self.system.dim, self.now.x.dtype
        if callable(self.velocity):
            with local_rng(self.seed):
                made = self.velocity()
        elif self.velocity == "affine":
            made = AffineVelocity(dim, dtype)
        else:
            made = PotentialVelocity(dim, dtype=dtype, seed=self.seed)
        return made.to(self.steps.device)

    # --- one step -----------------------------------------------------------------------------------------------

    def flow(
        self, control: nn.Module, p: PhaseSpaceParticles, tau: float | None = None
    ) -> tuple[Pushed, Float[Tensor, ""], list[Tensor]]:
        """A control's outer step: see `StepMap.forward`.

        Args:
            control: (s, x, v) -> (a, da / dv).
            p: particles before it.
            tau: length of the step (of the next one by default).
        """
        return self.steps.map.forward(control, p, self.tau if tau is None else tau)

    def loss(self, control: nn.Module, p: PhaseSpaceParticles, tau: float | None = None) -> Float[Tensor, ""]:
        """cost + gamma F after the step: for a loop of your own.

        Args:
            control: (s, x, v) -> (a, da / dv).
            p: particles before it.
            tau: length of the step (of the next one by default).
        """
        after, cost, _ = self.flow(control, p, tau)
        return cost + self.system.friction * self.system.free_energy(*after)

    def step(self, longest: float = math.inf) -> StepInfo:
        """One outer step: minimise, push all particles, keep the control.

        Args:
            longest: tau is cut to this, without changing that of later steps.
        """
        k, wanted, least = len(self.steps), self.tau, self.size.least()
        while True:
            tau = min(wanted, longest)
            control, push = self.solver.solve(self._task(k, tau))
            if not self.size.rejects(push.info, k, least):
                break
            wanted = max(tau / 2, least)
        self._keep(control, push)
        self.size.after(push.info, wanted)
        return self.infos[-1]

    def take(self, control: nn.Module) -> StepInfo:
        """A step with a control that was trained elsewhere: push all particles, keep it.

        Args:
            control: (s, x, v) -> (a, da / dv), where the particles are.

        Raises:
            FoldedError: the control isn't one to one on the particles.
        """
        self._keep(control, self._push(control, 0, self.tau))
        return self.infos[-1]

    def _task(self, k: int, tau: float) -> StepTask:
        return StepTask(
            number=k,
            now=self.now,
            control=self.control,
            objective=lambda control, p: self.loss(control, p, tau),
            push=lambda control, iterations: self._push(control, iterations, tau),
            batches=lambda: self._batches(k),
        )

    def _batches(self, k: int) -> Iterator[PhaseSpaceParticles]:
        rng = self._rng("batch", k)
        while True:
            with torch.no_grad():
                batch = self.push(self.steps.draw(self.batch_size, rng), k, drop=True)
            yield batch

    def _push(self, control: nn.Module, iterations: int, tau: float) -> Push:
        with torch.no_grad():
            after, cost, felt = self.flow(control, self.now, tau)
            energy = float(self.system.free_energy(*after))
        paid = float(cost) / self.system.friction
        return Push(after, felt, StepInfo.of(self.energies[-1], energy, paid, iterations, tau))

    def _keep(self, control: nn.Module, push: Push) -> None:
        now = push.after.checked()
        self.steps.append(control, push.felt, self._entropy(len(self.steps), push.info, now))
        self.state.now = now
        self.energies.append(push.info.after)

    # --- a run --------------------------------------------------------------------------------------------------

    def run(
        self,
        steps: int | None = None,
        *,
        until: float = math.inf,
        on_step: Callable[[StepInfo], object] | None = None,
        checkpoint: Path | str | None = None,
    ) -> list[StepInfo]:
        """So many steps in all, or up to a time (the last step is cut to land on it).

        A run that goes on takes such a step anew, whole: it comes to the same end as if it hadn't stopped on the way.

        Args:
            steps: in all, those already taken among them.
            until: the time.
            on_step: called after every step, when it is on disk; it only looks on.
            checkpoint: a file to resume from, written after every step. It belongs to equation, start and options: with
                others it is refused. A killed run goes on to the same end, bit for bit.

        Returns:
            What is said of each step.

        Raises:
            InputError: neither a number of steps nor a time; a checkpoint of another run, or of one that
                has gone further.
            KeyboardInterrupt: after Ctrl-C, when the last finished step is on disk.
            Terminated: after SIGTERM, alike.
        """
        if steps is None and math.isinf(until):
            raise InputError("run", given="no end", expected="steps or until")
        if (steps is not None and steps < 0) or not until >= self.times[0]:
            given = f"steps={steps}, until={until}"
            raise InputError("run", given=given, expected=f"0 steps or more, a time from {self.times[0]:g} on")
        most = math.inf if steps is None else steps
        near = 1e-9 * self.size.first
        file = RunFile(checkpoint, self.state, self.identity, lambda: self.control(fresh=True), most, until)
        try:
            if len(self.steps) < most and until - self.times[-1] > near:
                self.state.lift_off()
            with graceful() as stop, bar("kinetic steps", math.ceil(min(most, until / self.tau))) as running:
                running.advance(len(self.steps))
                while len(self.steps) < most and (left := until - self.times[-1]) > near:
                    cut = left < self.tau - near
                    if cut:
                        self.state.land()
                    info = self.step(left if cut else math.inf)
                    file.save()
                    running.advance(1, f"F {info.after:.4f}")
                    if on_step is not None:
                        on_step(info)
                    if stop:
                        raise stop.error()
            file.finish()
        finally:
            file.close()
        return self.infos

    # --- the density --------------------------------------------------------------------------------------------

    def push(
        self, p: PhaseSpaceParticles, upto: int | None = None, *, begin: int = 0, drop: bool = False
    ) -> PhaseSpaceParticles:
        """Particles of the start through the first steps: see `TakenSteps.push`.

        Args:
            p: particles.
            upto: steps (all by default).
            begin: steps that they have behind them.
            drop: leave out those, far out, at which a stored map isn't one to one.
        """
        return self.steps.push(p, upto, begin=begin, drop=drop)

    def sample(self, n: int, step: int | None = None, seed: int = 1) -> PhaseSpaceParticles:
        """Fresh particles after a step: see `TakenSteps.sample`.

        Args:
            n: how many.
            step: steps behind them (all by default).
            seed: of the draw.
        """
        return self.steps.sample(n, self._rng("sample", seed), step)

    def log_prob(
        self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"], step: int | None = None, *, drop: bool = False
    ) -> Float[Tensor, " n"]:
        """Log-density at any points after a step: see `TakenSteps.log_prob`.

        Args:
            x: positions.
            v: velocities.
            step: steps before them (all by default).
            drop: NaN at points from which there is no way back, in place of an error.
        """
        return self.steps.log_prob(x, v, step, drop=drop)
