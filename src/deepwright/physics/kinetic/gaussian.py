"""The kinetic JKO scheme on Gaussians: what it does without sampling, networks or luck."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.systems import Harmonic, KineticFokkerPlanck


def gaussian_jko(
    system: KineticFokkerPlanck, mean: Tensor, covariance: Tensor, tau: float, steps: int, substeps: int = 1
) -> list[tuple[Tensor, Tensor, float]]:
    """The scheme without sampling: affine controls on a Gaussian in a harmonic potential, moments exactly.

    Returns:
        (mean, covariance, cost / gamma) after every step.
    """
    if not isinstance(system.potential, Harmonic) or system.interaction is not None:
        raise InputError("system", given=type(system.potential).__name__, expected="Harmonic, without interaction")
    d, h = system.dim, tau / substeps
    k = torch.diag(system.potential.k.expand(d))
    eye = torch.eye(2 * d, dtype=torch.float64)
    drift = eye.clone()
    drift[:d, d:] = h / 2 * torch.eye(d, dtype=torch.float64)
    out = []
    for _ in range(steps):
        theta = torch.zeros(d + 2 * d * d, dtype=torch.float64, requires_grad=True)

        def moments(m0: Tensor = mean, s0: Tensor = covariance, p: Tensor = theta) -> tuple[Tensor, Tensor, Tensor]:
            alpha, b = p[:d], p[d:].reshape(d, 2 * d)
            m, s, cost = m0, s0, m0.new_zeros(())
            for _ in range(substeps):
                m, s = drift @ m, drift @ s @ drift.T
                a = alpha + b @ m
                cost = cost + 0.5 * h * (a.square().sum() + torch.trace(b @ s @ b.T))
                pull = torch.cat([-k, torch.zeros(d, d, dtype=torch.float64)], 1) + b
                kick = eye + h * torch.cat([torch.zeros(d, 2 * d, dtype=torch.float64), pull])
                m = kick @ m + h * torch.cat([torch.zeros(d, dtype=torch.float64), alpha])
                s = kick @ s @ kick.T
                m, s = drift @ m, drift @ s @ drift.T
            return m, s, cost

        def objective() -> Tensor:
            m, s, cost = moments()
            second = s.diagonal() + m.square()
            energy = 0.5 * (k.diagonal() * second[:d]).sum() + 0.5 * second[d:].sum()
            return cost + system.friction * (energy - 0.5 * system.temperature * torch.logdet(s))

        search = torch.optim.LBFGS(
            [theta], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure(search: torch.optim.Optimizer = search, objective: Callable[[], Tensor] = objective) -> Tensor:
            search.zero_grad()
            value = objective()
            value.backward()
            return value

        search.step(closure)  # type: ignore[arg-type]
        with torch.no_grad():
            mean, covariance, cost = moments()
        mean, covariance = mean.detach(), covariance.detach()
        out.append((mean, covariance, float(cost) / system.friction))
    return out
