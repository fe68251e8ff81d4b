"""The map of one step of the scheme, forward and back, with its exact log-determinant.

An inner step is half a drift, a kick v += h (-grad Phi + a), and half a drift; its determinant is that of the kick,
det (I + h da/dv). With a = 0 it is leapfrog. An outer step of length tau is `substeps` of them ("constrained"), or all
transport first and then the control alone with positions held ("split").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.particles import PhaseSpaceParticles, Pushed
from deepwright.physics.kinetic.systems import KineticFokkerPlanck

SCHEMES = ("constrained", "split")
INVERTED = {torch.float64: (1e-12, 1e-8), torch.float32: (1e-6, 1e-4)}  # error of a kick: to stop at, and to accept


class FoldedError(InputError):
    """The map of a step isn't one to one: det(I + h da/dv) is not above 0 for some particles.

    Attributes:
        rows: (N,) which.
    """

    rows: Tensor


def substep(
    system: KineticFokkerPlanck,
    control: nn.Module | None,
    s: float,
    h: float,
    x: Float[Tensor, "n d"],
    v: Float[Tensor, "n d"],
    cloud: Float[Tensor, "m d"] | None = None,
    move: bool = True,
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"], Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, "m d"]]:
    """One inner step.

    Args:
        system: of forces.
        control: (s, x, v) -> (a, da / dv), or None.
        s: time inside the outer step.
        h: length of the inner step.
        x: positions.
        v: velocities.
        cloud: positions that stand for the density (the particles themselves by default).
        move: drift and feel forces (off: only the control acts, positions stay).

    Returns:
        Positions, velocities, log-determinants, |a|^2, and the positions at which forces were felt.

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
        given = f"a folded map for {int(bad.sum())} of {len(bad)} particles"
        error = FoldedError("step", given=given, expected="a smaller step", hint="halve step_size or raise substeps")
        error.rows = bad
        raise error
    return value


@dataclass(frozen=True)
class StepMap:
    """An outer step as a map of phase space.

    Attributes:
        system: of forces.
        substeps: inner steps.
        scheme: of `SCHEMES`.
    """

    system: KineticFokkerPlanck
    substeps: int = 1
    scheme: str = "constrained"

    @property
    def _passes(self) -> tuple[tuple[bool, bool], ...]:
        """(whether particles move, whether the control acts) of each pass."""
        return ((True, True),) if self.scheme == "constrained" else ((True, False), (False, True))

    def forward(
        self, control: nn.Module, p: PhaseSpaceParticles, tau: float, clouds: list[Tensor] | None = None
    ) -> tuple[Pushed, Float[Tensor, ""], list[Tensor]]:
        """Particles after the step.

        Args:
            control: (s, x, v) -> (a, da / dv).
            p: particles before it.
            tau: length of the step.
            clouds: positions that stand for the density at each inner step (the particles themselves by default).

        Returns:
            The particles, the mean of int |a|^2 / 2, and the positions at which forces were felt.

        Raises:
            FoldedError: a determinant that isn't above 0.
        """
        h, cost = tau / self.substeps, p.x.new_zeros(())
        x, v, log, felt = p.x, p.v, p.log_density, []
        for move, steer in self._passes:
            for i in range(self.substeps):
                cloud = None if clouds is None or not move else clouds[i]
                x, v, logdet, size, seen = substep(self.system, control if steer else None, i * h, h, x, v, cloud, move)
                log, cost = log - logdet, cost + 0.5 * h * size.mean()
                if move:
                    felt.append(seen.detach())
        return Pushed(x, v, log), cost, felt

    def forward_kept(
        self, control: nn.Module, p: PhaseSpaceParticles, tau: float, clouds: list[Tensor] | None = None
    ) -> tuple[Pushed, Float[Tensor, ""], list[Tensor]]:
        """`forward` without the particles that fold.

        Args:
            control: as in `forward`.
            p: as in `forward`.
            tau: as in `forward`.
            clouds: as in `forward`.

        Raises:
            FoldedError: all of them do.
        """
        while True:  # each inner step may leave some out
            try:
                return self.forward(control, p, tau, clouds)
            except FoldedError as error:
                if bool(error.rows.all()):
                    raise
                p = p.rows(~error.rows)

    def back(
        self,
        control: nn.Module,
        x: Float[Tensor, "n d"],
        v: Float[Tensor, "n d"],
        tau: float,
        clouds: list[Tensor],
        drop: bool = False,
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Where particles were before the step, and the log-determinant of the map forward.

        Args:
            control: as in `forward`.
            x: positions after the step.
            v: velocities after the step.
            tau: as in `forward`.
            clouds: where forces were felt on the way forward (empty without an interaction).
            drop: NaN in rows without a way back, in place of an error.

        Raises:
            InputError: a kick that can't be inverted, without `drop`.
        """
        h, total = tau / self.substeps, x.new_zeros(len(x))
        for move, steer in reversed(self._passes):
            for i in reversed(range(self.substeps)):
                x = x - h / 2 * v if move else x
                kick = torch.zeros_like(v)
                if move:
                    kick = self.system.force(x, clouds[i] if clouds else x)
                target = v - h * kick
                v, logdet = target, torch.zeros_like(total)
                if steer:
                    v, logdet = _unkick(control, i * h, h, x, target, drop)
                total = total + logdet
                x = x - h / 2 * v if move else x
        return x, v, total


def _unkick(control: nn.Module, s: float, h: float, x: Tensor, target: Tensor, drop: bool) -> tuple[Tensor, Tensor]:
    """v with v + h a(s, x, v) = target, by Newton's method, and the kick's log-determinant there.

    A step that doesn't bring a row nearer is halved, so that steep controls don't throw it back and forth.
    """
    v, (done, enough) = target.clone(), INVERTED.get(target.dtype, INVERTED[torch.float32])
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    a, slope = control(s, x, v)
    gap = v + h * a - target
    left = gap.detach().abs().amax(1)
    share = torch.ones_like(left)
    for _ in range(60):
        if not bool((left >= done).any()):
            break
        tried = v - share[:, None] * torch.linalg.solve_ex(eye + h * slope, gap[:, :, None])[0][:, :, 0]
        a, steeper = control(s, x, tried)
        missed = tried + h * a - target
        size = missed.detach().abs().amax(1)
        nearer = size < left
        v, gap = torch.where(nearer[:, None], tried, v), torch.where(nearer[:, None], missed, gap)
        slope, left = torch.where(nearer[:, None, None], steeper, slope), torch.where(nearer, size, left)
        share = torch.where(nearer, (2 * share).clamp_max(1), share / 2)
    lost = ~(left <= enough)
    if drop:
        return _without(v, slope, lost, h)
    if bool(lost.any()):
        given = f"a kick that is inverted only to {float(left.max()):.2g}"
        raise InputError("log_prob", given=given, expected="a smaller step", hint="halve step_size, or drop=True")
    return v, _logdet(slope, h)


def _without(v: Tensor, slope: Tensor, lost: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """The same with NaN in rows that are lost, or at which the map folds."""
    slope = slope.masked_fill(lost[:, None, None], math.nan)
    try:
        logdet = _logdet(slope, h)
    except FoldedError as error:
        lost = lost | error.rows
        logdet = _logdet(slope.masked_fill(lost[:, None, None], math.nan), h)
    return v.masked_fill(lost[:, None], math.nan), logdet
