"""One control for all kinetic steps: a(t, x, v) over the whole time, instead of a network a step.

Every iteration takes fresh particles through all steps and lowers the sum of the steps' own objectives, each with the
particles that come in held fixed: so the gradient of a step is the one that it would have alone, and what is learned of
one step helps its neighbours. Memory and files hold one network, however many steps there are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.fit import FitResult, fit_drawn
from deepwright.core.randomness import generator
from deepwright.physics.kinetic.jko import KineticJKO
from deepwright.physics.kinetic.particles import PhaseSpaceParticles


class AtTime(nn.Module):
    """A control of the whole time, as that of the step which begins at a time.

    Args:
        net: (t, x, v) -> (a, da / dv).
        begin: time at which the step begins.
    """

    def __init__(self, net: nn.Module, begin: float) -> None:
        super().__init__()
        self.net, self.begin = net, begin

    def forward(
        self, s: float, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """(a, da / dv) at the time `begin` + s.

        Args:
            s: time inside the step.
            x: positions.
            v: velocities.
        """
        return self.net(self.begin + s, x, v)


class _AllSteps(nn.Module):
    """(numbers) -> the mean of all steps' objectives on fresh particles."""

    def __init__(self, run: KineticJKO, net: nn.Module, steps: int) -> None:
        super().__init__()
        self.net, self.controls = net, [AtTime(net, k * run.tau) for k in range(steps)]
        self.run = run

    def __resume_identity__(self) -> dict[str, Any]:
        return {"kind": type(self), "run": self.run.identity(), "net": self.net, "steps": len(self.controls)}

    def forward(self, numbers: Integer[Tensor, " two"]) -> Float[Tensor, ""]:
        """The loss, where the numbers are."""
        run, device = self.run, numbers.device
        rng = generator(run.seed, "kinetic", "shared", int(numbers[0]))
        p = PhaseSpaceParticles.of(run.start, run.batch_size, rng, device)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for control in self.controls:
            # early on some may fold; all are asked again at the end
            after, cost, _ = run.steps.map.forward_kept(control, p, run.tau)
            total = total + cost + run.system.friction * run.system.free_energy(*after)
            p = PhaseSpaceParticles(*(t.detach() for t in after))
        return total / len(self.controls)


def train_shared(
    run: KineticJKO,
    steps: int,
    net: nn.Module | None = None,
    *,
    iterations: int = 2000,
    checkpoint: Path | str | None = None,
    every: int = 200,
    compute: Compute = Compute(),  # noqa: B008 - frozen
) -> FitResult:
    """Train one control for so many steps and take them all.

    Args:
        run: fresh, with a fixed step; its batch_size, lr and seed are used.
        steps: of its step size.
        net: (t, x, v) -> (a, da / dv), brought to where the run's particles are; like the run's own by default.
        iterations: of Adam, each through all steps.
        checkpoint: a file to resume from: see `core.fit.fit`.
        every: iterations between two checkpoints.
        compute: device, number of processes, strategy and precision; where the run's particles are by default.

    Raises:
        InputError: a run that has begun or adapts its steps; fewer than one step; a checkpoint of another training.
        FoldedError: the trained control isn't one to one on the run's particles.
    """
    if run.controls or run.size.tolerance is not None or steps < 1:
        given = f"{len(run.controls)} steps taken, tolerance={run.size.tolerance}, steps={steps}"
        raise InputError("train_shared", given=given, expected="a fresh run with a fixed step, 1 step or more")
    net = (run.control() if net is None else net).to(run.steps.device)
    lr = run.solver.lr
    result = fit_drawn(
        _AllSteps(run, net, steps),
        iterations,
        seed=run.seed,
        checkpoint=checkpoint,
        clip_norm=10.0,
        optimizer=lambda p: torch.optim.Adam(p, lr=lr, betas=(0.5, 0.999)),
        scheduler=lambda o, n: torch.optim.lr_scheduler.CosineAnnealingLR(o, n, 1e-2 * lr),
        every=every,
        compute=compute,
        description="kinetic steps, one control",
    )
    for k in range(steps):
        run.take(AtTime(net, k * run.tau))
    return result
