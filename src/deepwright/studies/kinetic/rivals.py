"""Score matching as a rival of the scheme: friction and diffusion by a score that is fitted before every step."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.randomness import generator
from deepwright.physics.kinetic import FoldedError, KineticJKO, PotentialVelocity


class ScoreKick(nn.Module):
    """a = -gamma (v + T s), with s the score in v.

    Args:
        score: (s, x, v) -> (score, its derivative in v).
        friction: gamma.
        temperature: T.
    """

    def __init__(self, score: nn.Module, friction: float, temperature: float) -> None:
        super().__init__()
        self.score, self.friction, self.temperature = score, friction, temperature

    def forward(
        self, s: float, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """The control and its derivative.

        Args:
            s: time inside the step.
            x: positions.
            v: velocities.
        """
        found, slope = self.score(s, x, v)
        eye = torch.eye(v.shape[1], dtype=v.dtype, device=v.device)
        return -self.friction * (v + self.temperature * found), -self.friction * (eye + self.temperature * slope)


def take_score_steps(run: KineticJKO, steps: int) -> None:
    """Steps of a run by implicit score matching, with the run's own particles, iterations and learning rate.

    The score is matched where the kick is given, so that the map's determinant is that of the kick. Particles are as
    fresh as the scheme's: on those that are pushed, a network fits their noise, and their density comes out too low.

    Args:
        run: that hasn't begun; its options are used.
        steps: of its step size.
    """
    system, solver, tau = run.system, run.solver, run.tau
    net = PotentialVelocity(system.dim, seed=run.seed)
    for k in range(steps):
        rng = generator(run.seed, "kinetic", "score", str(k))
        iterations = solver.first if k == 0 else solver.iterations
        adam = torch.optim.Adam(net.parameters(), lr=solver.lr, betas=(0.5, 0.999))
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, iterations, 1e-2 * solver.lr)
        for i in range(iterations):
            if i % solver.resample == 0:
                with torch.no_grad():
                    batch = run.push(run.steps.draw(run.batch_size, rng), k, drop=True)
                x = batch.x + tau / 2 * batch.v
            score, slope = net(0.0, x, batch.v)
            loss = (0.5 * score.square().sum(1) + slope.diagonal(dim1=1, dim2=2).sum(1)).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            fall.step()
        _take(run, ScoreKick(copy.deepcopy(net), system.friction, system.temperature))


def _take(run: KineticJKO, kick: nn.Module) -> None:
    """The step, without the few particles far out at which its map isn't one to one."""
    while True:
        try:
            run.take(kick)
            return
        except FoldedError as error:
            kept = run.now.rows(~error.rows)
            run.state.now = kept
            run.energies[-1] = float(run.system.free_energy(kept.x, kept.v, kept.log_density))
