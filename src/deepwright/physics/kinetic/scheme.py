"""The kinetic JKO scheme: one step of friction and diffusion as a minimisation, with transport as its constraint.

    minimise over a(s, x, v):   int_0^tau int |a|^2 f / 2 + gamma F[f_tau]
    subject to                  f_s + div_x(v f) + div_v((-grad Phi + a) f) = 0,   f_0 = f^k.

a = 0 is allowed and keeps F, so gamma F[f^{k+1}] + cost <= gamma F[f^k] at every step. Particles carry their log-density
along the very map that is applied: half a drift, a kick v += h (-grad Phi + a), half a drift, and
log f -= log |det (I + h da/dv)|. With a = 0 that is leapfrog.

Source: "Deep Kinetic JKO schemes for Vlasov-Fokker-Planck Equations", arXiv 2603.23901 (constrained scheme, particles,
symplectic inner steps); the exact log-determinant, slack, retries and inversion are ours.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.core.randomness import generator
from deepwright.physics.kinetic.controls import AffineVelocity, PotentialVelocity
from deepwright.physics.kinetic.sampling import knn_entropy
from deepwright.physics.kinetic.systems import KineticFokkerPlanck

Factory = Callable[[], nn.Module]


class FoldedError(InputError):
    """The map of a step isn't one to one: det(I + h da/dv) is not above 0 for some particles.

    Attributes:
        rows: (N,) which.
    """

    rows: Tensor


class Initial(Protocol):
    """A start with samples and log-density."""

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x, v)."""
        ...

    def log_prob(self, x: Tensor, v: Tensor) -> Tensor:
        """Log-density."""
        ...


@dataclass(frozen=True)
class PhaseSpaceParticles:
    """x (N, d), v (N, d) and log-density (N,)."""

    x: Tensor
    v: Tensor
    log_density: Tensor

    def __post_init__(self) -> None:
        if self.x.shape != self.v.shape or self.x.ndim != 2 or self.log_density.shape != (len(self.x),):
            raise InputError(
                "particles", given=f"x {tuple(self.x.shape)}, v {tuple(self.v.shape)}, log-density {tuple(self.log_density.shape)}",
                expected="(N, d), (N, d), (N,)",
            )  # fmt: skip
        if not (
            torch.isfinite(self.log_density).all() and torch.isfinite(self.x).all() and torch.isfinite(self.v).all()
        ):
            raise InputError(
                "particles", given="NaN or infinity", expected="finite positions, velocities and log-densities"
            )

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of(cls, start: Initial, n: int, generator: torch.Generator) -> PhaseSpaceParticles:
        """Samples of a start."""
        x, v = start.sample(n, generator)
        return cls(x, v, start.log_prob(x, v))


class Pushed(NamedTuple):
    """Particles in the middle of a computation: with gradients, and not checked for finite values."""

    x: Tensor
    v: Tensor
    log_density: Tensor

    def checked(self) -> PhaseSpaceParticles:
        """As particles; raises where something isn't finite."""
        return PhaseSpaceParticles(*self)


@dataclass(frozen=True)
class StepInfo:
    """A step.

    Attributes:
        before, after: F; cost: of the control / gamma; slack: before - after - cost, 0 or more up to the integrator's error.
        iterations: of the optimiser; converged: whether the energy law holds to 1e-3; tau: its length.
        entropy_gap: how far -mean(log f) has drifted from the nearest-neighbour estimate of the entropy from positions alone; None
            where not looked at.
    """

    before: float
    after: float
    cost: float
    slack: float
    iterations: int
    converged: bool
    tau: float
    entropy_gap: float | None = None

    @property
    def mismatch(self) -> float:
        """|slack - cost|: the dissipation over the step against tau times its rate in the step, of second order in tau."""
        return abs(self.slack - self.cost)


def substep(
    system: KineticFokkerPlanck,
    control: nn.Module | None,
    s: float,
    h: float,
    x: Tensor,
    v: Tensor,
    cloud: Tensor | None = None,
    move: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One inner step: (x, v, log-determinant (N,), |a|^2 (N,), the positions at which forces were felt).

    Args:
        system: of forces; control: (s, x, v) -> (a, da / dv), or None; s: time inside the outer step; h: the inner step.
        cloud: positions that stand for the density (the particles themselves by default).
        move: drift and feel forces (off: only the control acts, positions stay).

    Raises:
        FoldedError: a determinant that isn't above 0.
    """
    x = x + h / 2 * v if move else x
    felt = x if cloud is None else cloud
    kick = system.force(x, felt) if move else torch.zeros_like(v)
    logdet, size = v.new_zeros(len(v)), v.new_zeros(len(v))
    if control is not None:
        a, slope = control(s, x, v)
        logdet = _logdet(slope, h)
        size = a.square().sum(1)
        kick = kick + a
    v = v + h * kick
    return (x + h / 2 * v if move else x), v, logdet, size, felt


def _logdet(slope: Float[Tensor, "n d d"], h: float) -> Float[Tensor, " n"]:
    d = slope.shape[1]
    if d == 1:
        det = 1 + h * slope[:, 0, 0]
        bad = det <= 0
        value = torch.log(det.clamp_min(1e-300))
    else:
        sign, value = torch.linalg.slogdet(torch.eye(d, dtype=slope.dtype, device=slope.device) + h * slope)
        bad = sign <= 0
    if bool(bad.any()):
        error = FoldedError(
            "step", given=f"a folded map for {int(bad.sum())} of {len(bad)} particles", expected="a smaller step",
            hint="halve step_size or raise substeps",
        )  # fmt: skip
        error.rows = bad
        raise error
    return value


class KineticJKO:
    """A run of kinetic JKO steps.

    Args:
        system: the equation (friction above 0).
        start: where it begins: samples and log-density.
        step_size: tau; substeps: inner steps; scheme: "constrained", or "split" (transport first, then friction with x held).
        velocity: "potential", "affine", or () -> module (s, x, v) -> (a, da / dv).
        tolerance: adapt tau so that the energy's mismatch in a step stays below this (see `StepInfo.mismatch`; its sampling
            noise, about 1 / sqrt(batch), is the least that can be asked for); largest: of tau then.
        iterations: of Adam in each step; first: in the first one.
        batch: particles in an iteration; resample: iterations between fresh ones.
        rate: of Adam, falling to a hundredth.
        particles: whose energies are reported, and that stand for the density where there is an interaction.
        seed: of everything.
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
        batch: int = 2048,
        resample: int = 25,
        rate: float = 3e-3,
        particles: int = 4096,
        seed: int = 0,
    ) -> None:
        if scheme not in ("constrained", "split") or not step_size > 0 or substeps < 1 or not system.friction > 0:
            raise InputError(
                "KineticJKO", given=f"scheme={scheme!r}, step_size={step_size}, substeps={substeps}, friction={system.friction}",
                expected="'constrained' or 'split', a step and friction above 0, 1 substep or more",
            )  # fmt: skip
        if isinstance(velocity, str) and velocity not in ("potential", "affine"):
            raise InputError(
                "velocity", given=repr(velocity), expected="'potential', 'affine' or a function that makes a module"
            )
        if tolerance is not None and not tolerance > 0:
            raise InputError("tolerance", given=tolerance, expected="above 0, or None")
        if system.temperature == 0:
            warnings.warn(
                "temperature 0: the entropy term is off, and the density may shrink without bound", stacklevel=2
            )
        self.system, self.start, self.tau, self.substeps, self.scheme = system, start, step_size, substeps, scheme
        self.first_tau, self.tolerance, self.largest = step_size, tolerance, largest
        self.velocity, self.iterations, self.first = velocity, iterations, first
        self.batch, self.resample, self.rate, self.seed = batch, resample, rate, seed
        self.controls: list[nn.Module] = []
        self.clouds: list[list[Tensor]] = []
        self.infos: list[StepInfo] = []
        self.now = PhaseSpaceParticles.of(start, particles, self._rng("particles"))
        self.energies = [float(system.free_energy(self.now.x, self.now.v, self.now.log_density))]

    @property
    def times(self) -> list[float]:
        """0 and the time after every step."""
        return [0.0, *itertools.accumulate(i.tau for i in self.infos)]

    def _rng(self, *name: object) -> torch.Generator:
        return generator(self.seed, "kinetic", *map(str, name))

    def control(self, fresh: bool = False) -> nn.Module:
        """What the next step begins with: a copy of the last control, or a new one."""
        if self.controls and not fresh:
            return copy.deepcopy(self.controls[-1])
        if callable(self.velocity):
            return self.velocity()
        if self.velocity == "affine":
            return AffineVelocity(self.system.dim)
        return PotentialVelocity(self.system.dim, seed=self.seed)

    # --- one step -----------------------------------------------------------------------------------------------

    def flow(
        self, control: nn.Module, p: PhaseSpaceParticles, clouds: list[Tensor] | None = None, tau: float | None = None
    ) -> tuple[Pushed, Tensor, list[Tensor]]:
        """(particles after one outer step of length tau, mean of int |a|^2 / 2, positions at which forces were felt)."""
        h, cost = (self.tau if tau is None else tau) / self.substeps, p.x.new_zeros(())
        x, v, log, felt = p.x, p.v, p.log_density, []
        passes = ((True, True),) if self.scheme == "constrained" else ((True, False), (False, True))
        for move, steer in passes:
            for i in range(self.substeps):
                cloud = None if clouds is None or not move else clouds[i]
                x, v, logdet, size, seen = substep(self.system, control if steer else None, i * h, h, x, v, cloud, move)
                log, cost = log - logdet, cost + 0.5 * h * size.mean()
                if move:
                    felt.append(seen.detach())
        return Pushed(x, v, log), cost, felt

    def flow_kept(
        self, control: nn.Module, p: PhaseSpaceParticles, clouds: list[Tensor] | None = None, tau: float | None = None
    ) -> tuple[Pushed, Tensor, list[Tensor]]:
        """`flow` without the particles that fold.

        Raises:
            FoldedError: all of them do.
        """
        while True:  # each inner step may leave some out
            try:
                return self.flow(control, p, clouds, tau)
            except FoldedError as error:
                if bool(error.rows.all()):
                    raise
                p = PhaseSpaceParticles(*(t[~error.rows] for t in (p.x, p.v, p.log_density)))

    def loss(self, control: nn.Module, p: PhaseSpaceParticles) -> Tensor:
        """cost + gamma F after the step: for a loop of your own."""
        after, cost, _ = self.flow(control, p)
        return cost + self.system.friction * self.system.free_energy(*after)

    def step(self, longest: float = math.inf) -> StepInfo:
        """One outer step: minimise, push all particles, keep the control.

        Args:
            longest: tau is cut to this, without changing that of later steps.
        """
        k, wanted = len(self.controls), self.tau
        least = max(wanted / 32, 1e-3 * self.first_tau)
        while True:
            self.tau = min(wanted, longest)
            control, after, felt, info = self._attempts(k)
            if self.tolerance is None or info.mismatch <= 4 * self.tolerance:
                break
            if self.tau <= least:
                warnings.warn(
                    f"step {k}: the energy's mismatch stays at {info.mismatch:.2g} however short the step; a tolerance of "
                    f"{self.tolerance:g} is below the sampling noise",
                    stacklevel=2,
                )
                break
            wanted = max(self.tau / 2, least)
        self._keep(control, after, felt, info)
        self.tau = wanted
        if self.tolerance is not None:
            factor = 0.9 * math.sqrt(self.tolerance / max(info.mismatch, 1e-300))
            if info.tau == wanted or factor < 1:  # a step that was cut short says nothing for longer ones
                self.tau = min(self.largest, max(info.tau * min(2.0, max(0.5, factor)), 1e-3 * self.first_tau))
        return self.infos[-1]

    def take(self, control: nn.Module) -> StepInfo:
        """A step with a control that was trained elsewhere: push all particles, keep it.

        Raises:
            FoldedError: the control isn't one to one on the particles.
        """
        self._keep(control, *self._pushed(control, 0))
        return self.infos[-1]

    def _pushed(self, control: nn.Module, iterations: int) -> tuple[Pushed, list[Tensor], StepInfo]:
        with torch.no_grad():
            after, cost, felt = self.flow(control, self.now)
            energy = float(self.system.free_energy(*after))
        paid = float(cost) / self.system.friction
        slack = self.energies[-1] - energy - paid
        return after, felt, StepInfo(self.energies[-1], energy, paid, slack, iterations, slack >= -1e-3, self.tau)

    def _keep(self, control: nn.Module, after: Pushed, felt: list[Tensor], info: StepInfo) -> None:
        for parameter in control.parameters():
            parameter.requires_grad_(False)
        k = len(self.controls)
        self.controls.append(control)
        if self.system.interaction is not None:
            self.clouds.append(felt)
        self.now = after.checked()
        self.energies.append(info.after)
        self.infos.append(self._with_entropy(k, info))

    def _attempts(self, k: int) -> tuple[nn.Module, Pushed, list[Tensor], StepInfo]:
        """Step k with this tau: (control, particles after it, where forces were felt, what is to be said of it)."""
        rate, iterations = self.rate, self.first if k == 0 else self.iterations
        hard = torch.zeros(len(self.now), dtype=torch.bool)
        for attempt in range(4):
            control, pushing = self.control(fresh=attempt > 1), False
            try:
                used = self._minimise(control, k, iterations, rate, hard)
                pushing = True
                after, felt, info = self._pushed(control, used)
            except FoldedError as error:
                if attempt == 3:
                    raise
                warnings.warn(f"step {k}: the map folded; once more with more, smaller steps", stacklevel=2)
                rate, iterations = rate / 2, 2 * iterations
                if pushing:  # these are trained on from then on: the entropy's log-determinant keeps them apart
                    hard = hard | error.rows
                continue
            if info.converged or attempt == 3:
                break
            rate, iterations = rate / 2, 2 * iterations
            warnings.warn(
                f"step {k}: the energy law fails by {-info.slack:.2g}; once more with more, smaller steps", stacklevel=2
            )
        return control, after, felt, info

    def _with_entropy(self, k: int, info: StepInfo) -> StepInfo:
        """Every tenth step, in at most four dimensions: whether log-densities still agree with where the particles are."""
        d = self.system.dim
        if (k + 1) % 10 or d > 4 or len(self.now) < 100:
            return info
        gap = self._entropy_gap(self.now) - self._entropy_bias
        if abs(gap) > 0.1 * 2 * d + 3 / math.sqrt(len(self.now)):
            warnings.warn(
                f"step {k}: log-densities say an entropy that is {gap:+.2g} from the particles' own; more iterations or particles",
                stacklevel=4,
            )
        return replace(info, entropy_gap=gap)

    @staticmethod
    def _entropy_gap(p: PhaseSpaceParticles) -> float:
        return float(-p.log_density.mean()) - knn_entropy(torch.cat([p.x, p.v], 1))

    @functools.cached_property
    def _entropy_bias(self) -> float:
        """The estimator's own error, from the start, whose density is exact (even samples look more spread out than they are)."""
        return self._entropy_gap(PhaseSpaceParticles.of(self.start, len(self.now), self._rng("particles")))

    def _minimise(self, control: nn.Module, k: int, iterations: int, rate: float, hard: Tensor) -> int:
        for parameter in control.parameters():
            parameter.requires_grad_(True)
        adam = torch.optim.Adam(control.parameters(), lr=rate, betas=(0.5, 0.999))
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, iterations, 1e-2 * rate)
        rng = self._rng("batch", k)
        batch = self.now
        marks: list[float] = []
        total = 0.0
        for i in range(iterations):
            if i % self.resample == 0:
                with torch.no_grad():
                    batch = self.push(PhaseSpaceParticles.of(self.start, self.batch, rng), k, drop=True)
                if bool(hard.any()):
                    pairs = ((batch.x, self.now.x), (batch.v, self.now.v), (batch.log_density, self.now.log_density))
                    batch = PhaseSpaceParticles(*(torch.cat([b, n[hard]]) for b, n in pairs))
            adam.zero_grad()
            loss = self.loss(control, batch)
            if not torch.isfinite(loss):
                raise InputError(
                    "kinetic step",
                    given=f"a loss of {float(loss.detach())} in iteration {i}",
                    expected="a smaller rate or step",
                )
            loss.backward()
            nn.utils.clip_grad_norm_(control.parameters(), 10.0)
            adam.step()
            fall.step()
            total += float(loss.detach())
            if (i + 1) % 50 == 0:
                marks.append(total / 50)
                total = 0.0
                if len(marks) > 3 and abs(marks[-2] - marks[-1]) < 1e-6:
                    return i + 1
        return iterations

    def run(
        self, steps: int | None = None, *, until: float = math.inf, state_dir: Path | str | None = None
    ) -> list[StepInfo]:
        """So many steps in all, or up to a time (the last step is cut to land on it); each is on disk before the next begins,
        and a killed run goes on to the same end.

        Raises:
            InputError: neither a number of steps nor a time; a state of another run.
            KeyboardInterrupt: after Ctrl-C, when the last finished step is on disk.
        """
        if steps is None and math.isinf(until):
            raise InputError("run", given="no end", expected="steps or until")
        most = math.inf if steps is None else steps
        folder = None if state_dir is None else Path(state_dir)
        if folder is not None:
            self._resume(folder)
        near = 1e-9 * self.tau
        expected = math.ceil(min(most, until / self.tau))
        with graceful() as stop, bar("kinetic steps", expected) as running:
            running.advance(len(self.controls))
            while len(self.controls) < most and (left := until - self.times[-1]) > near:
                info = self.step(left)
                running.advance(1, f"F {info.after:.4f}")
                if folder is not None:
                    self._save(folder)
                if stop:
                    raise KeyboardInterrupt
        return self.infos

    # --- densities ----------------------------------------------------------------------------------------------

    def push(
        self, p: PhaseSpaceParticles, upto: int | None = None, *, begin: int = 0, drop: bool = False
    ) -> PhaseSpaceParticles:
        """Particles of the start through the first steps.

        Args:
            p: particles; upto: steps (all by default); begin: steps that they have behind them.
            drop: leave out those, far out, at which a stored map isn't one to one.

        Raises:
            InputError: a step that isn't there yet.
            FoldedError: such particles, without `drop`.
        """
        for k in range(begin, self._upto(upto)):
            flow = self.flow_kept if drop else self.flow
            clouds = self.clouds[k] if self.clouds else None
            p = flow(self.controls[k], p, clouds, self.infos[k].tau)[0].checked()
        return p

    def sample(self, n: int, step: int | None = None, seed: int = 1) -> PhaseSpaceParticles:
        """Fresh particles after a step; such as fold on the way are drawn anew, and their share is told.

        Raises:
            InputError: nine of ten fold, or n below 1; a step that isn't there.
        """
        rng, parts, have, drawn = self._rng("sample", seed), [], 0, 0
        with torch.no_grad():
            while have < n and drawn < 10 * n + 10:
                parts.append(self.push(PhaseSpaceParticles.of(self.start, n - have, rng), step, drop=True))
                drawn, have = drawn + n - have, have + len(parts[-1])
        if have < n or n < 1:
            raise InputError(
                "sample", given=f"{have} of {drawn} particles that don't fold", expected=f"{max(n, 1)}", hint="a smaller step_size"
            )  # fmt: skip
        if drawn > n:
            warnings.warn(f"{drawn - have} of {drawn} samples folded on the way and were drawn anew", stacklevel=2)
        return PhaseSpaceParticles(*(torch.cat(t) for t in zip(*((p.x, p.v, p.log_density) for p in parts))))

    def log_prob(
        self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"], step: int | None = None
    ) -> Float[Tensor, " n"]:
        """Log-density at any points after a step: back through every map, by Newton's method on each kick.

        Raises:
            InputError: a step that isn't there; a kick that can't be inverted.
        """
        total = x.new_zeros(len(x))
        with torch.no_grad():
            for k in reversed(range(self._upto(step))):
                x, v, logdet = self._back(k, x, v)
                total = total - logdet
            return self.start.log_prob(x, v) + total

    def _back(self, k: int, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h, total = self.infos[k].tau / self.substeps, x.new_zeros(len(x))
        passes = ((True, True),) if self.scheme == "constrained" else ((False, True), (True, False))
        for move, steer in passes:
            for i in reversed(range(self.substeps)):
                x = x - h / 2 * v if move else x
                kick = torch.zeros_like(v)
                if move:
                    kick = self.system.force(x, self.clouds[k][i] if self.clouds else x)
                target = v - h * kick
                v, logdet = (
                    self._unkick(self.controls[k], i * h, h, x, target) if steer else (target, torch.zeros_like(total))
                )
                total = total + logdet
                x = x - h / 2 * v if move else x
        return x, v, total

    def _unkick(self, control: nn.Module, s: float, h: float, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """v with v + h a(s, x, v) = target."""
        v = target.clone()
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        for _ in range(30):
            a, slope = control(s, x, v)
            gap = v + h * a - target
            if float(gap.abs().max()) < 1e-12:
                return v, _logdet(slope, h)
            v = v - torch.linalg.solve(eye + h * slope, gap[:, :, None])[:, :, 0]
        if float(gap.abs().max()) > 1e-8:
            raise InputError(
                "log_prob",
                given=f"a kick that is inverted only to {float(gap.abs().max()):.2g}",
                expected="a smaller step",
            )
        return v, _logdet(control(s, x, v)[1], h)

    def _upto(self, step: int | None) -> int:
        count = len(self.controls) if step is None else step
        if not 0 <= count <= len(self.controls):
            raise InputError("step", given=step, expected=f"0..{len(self.controls)}, the steps taken")
        return count

    # --- state --------------------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        velocity = self.velocity if isinstance(self.velocity, str) else "own"
        return {
            "first tau": self.first_tau, "tolerance": self.tolerance, "largest": self.largest, "substeps": self.substeps, "scheme": self.scheme, "velocity": velocity, "iterations": self.iterations,
            "first": self.first, "batch": self.batch, "resample": self.resample, "rate": self.rate, "seed": self.seed,
            "particles": len(self.now), "friction": self.system.friction, "temperature": self.system.temperature,
        }  # fmt: skip

    def _save(self, folder: Path) -> None:
        k = len(self.controls) - 1
        save_state(folder / f"step-{k:04d}.pt", {
            "identity": self._identity(), "control": self.controls[k].state_dict(), "info": asdict(self.infos[k]),
            "clouds": self.clouds[k] if self.clouds else [], "now": [self.now.x, self.now.v, self.now.log_density],
            "energy": self.energies[k + 1], "next tau": self.tau,
        })  # fmt: skip

    def _resume(self, folder: Path) -> None:
        while (path := folder / f"step-{len(self.controls):04d}.pt").exists():
            state = load_state(path)
            other = [k for k, v in self._identity().items() if state["identity"].get(k) != v]
            if other:
                raise InputError(
                    f"state in {folder}",
                    given="another " + ", ".join(other),
                    expected="the same run",
                    hint="use another folder",
                )
            control = self.control()
            control.load_state_dict(state["control"])
            self.controls.append(control.requires_grad_(False))
            if self.system.interaction is not None:
                self.clouds.append(state["clouds"])
            self.infos.append(StepInfo(**state["info"]))
            self.energies.append(state["energy"])
            self.tau = state["next tau"]
            self.now = PhaseSpaceParticles(*state["now"])
