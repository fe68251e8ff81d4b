"""Gaussians in a harmonic potential in closed form: the exact flow, its free energy, and what the JKO scheme does.

The scheme on moments needs no sampling, network or luck: affine controls are exact there.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_whole
from deepwright.physics.kinetic.potentials import Harmonic
from deepwright.physics.kinetic.systems import KineticFokkerPlanck


def harmonic_matrices(
    k: float | Tensor, friction: float, temperature: float, dim: int = 1
) -> tuple[Float[Tensor, "z z"], Float[Tensor, "z z"]]:
    """(A, Q) of dz = A z dt + dW, E dW dW^T = Q dt, for z = (x, v) in a harmonic potential.

    Args:
        k: stiffness, a number or (d,).
        friction: gamma.
        temperature: T.
        dim: d.
    """
    require_number(0, friction=friction, temperature=temperature)
    require_whole(1, dim=dim)
    stiff = torch.diag(torch.as_tensor(k, dtype=torch.float64).expand(dim))
    zero, eye = torch.zeros_like(stiff), torch.eye(dim, dtype=torch.float64, device=stiff.device)
    a = torch.cat([torch.cat([zero, eye], 1), torch.cat([-stiff, -friction * eye], 1)])
    q = torch.zeros_like(a)
    q[dim:, dim:] = 2 * friction * temperature * eye
    return a, q


def gaussian_flow(
    m0: Float[Tensor, " k"], s0: Float[Tensor, "k k"], a: Float[Tensor, "k k"], q: Float[Tensor, "k k"], t: float
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k"]]:
    """Mean and covariance at t of dz = A z dt + noise of covariance Q dt.

    Van Loan's block exponential gives them for a short time h = t / 2^n with |A| h <= 1, and n doublings,
    F(2h) = F(h)^2 and S(2h) = S(h) + F(h) S(h) F(h)^T, the rest: over the whole time the exponential of -A t drowns all
    digits of a fast system (friction 20, t = 2: errors of 8).

    Args:
        m0: mean at 0; the results are where it is, in float64.
        s0: covariance at 0.
        a: A.
        q: Q.
        t: the time, 0 or more.

    Raises:
        InputError: a time that isn't finite or is below 0, numbers that aren't finite, covariances that aren't.
    """
    m0, s0, a, q = (value.to(m0.device, torch.float64) for value in (m0, s0, a, q))
    if not (math.isfinite(t) and t >= 0) or not all(bool(torch.isfinite(value).all()) for value in (m0, s0, a, q)):
        raise InputError("gaussian_flow", given=f"t = {t}, or NaN or infinity", expected="t >= 0 and finite numbers")
    shapes = {"s0": s0, "a": a, "q": q}
    for name, value in shapes.items():
        if m0.ndim != 1 or value.shape != (len(m0), len(m0)):
            given = f"shape {tuple(value.shape)} for a mean of shape {tuple(m0.shape)}"
            raise InputError(name, given=given, expected="(k, k) for (k,)")
    for name, value in (("s0", s0), ("q", q)):
        require_symmetric(value, name)
        if float(torch.linalg.eigvalsh(value)[0]) < -1e-9 * float(value.abs().max()):
            raise InputError(name, given="a negative variance", expected="a positive (semi-)definite matrix")
    k, size = len(m0), t * float(torch.linalg.matrix_norm(a, 1))
    doublings = max(0, math.ceil(math.log2(size))) if size > 0 else 0
    block = torch.zeros(2 * k, 2 * k, dtype=torch.float64, device=m0.device)
    block[:k, :k], block[:k, k:], block[k:, k:] = -a, q, a.T
    e = torch.linalg.matrix_exp(block * (t / 2**doublings))
    f = e[k:, k:].T
    spread = f @ e[:k, k:]
    for _ in range(doublings):
        f, spread = f @ f, spread + f @ spread @ f.T
    found = f @ s0 @ f.T + spread
    return f @ m0, (found + found.T) / 2


def require_symmetric(matrices: Float[Tensor, "*k n n"], name: str) -> None:
    """Refuse covariances that aren't symmetric: half of them would be passed over in silence.

    Args:
        matrices: one or more.
        name: of the argument.

    Raises:
        InputError: one that isn't.
    """
    gap = float((matrices - matrices.mT).abs().max())
    if not gap <= 1e-6 * float(matrices.abs().max()):
        raise InputError(name, given=f"entries that differ by {gap:.2g} from their mirrored ones", expected="symmetric")


def gaussian_free_energy(
    m: Float[Tensor, " z"], s: Float[Tensor, "z z"], k: float | Tensor, temperature: float
) -> float:
    """F of a Gaussian in a harmonic potential.

    Args:
        m: mean (2 d,).
        s: covariance (2 d, 2 d).
        k: stiffness, a number or (d,).
        temperature: T.
    """
    d = len(m) // 2
    stiff = torch.as_tensor(k, dtype=torch.float64, device=m.device).expand(d)
    second = s.diagonal() + m.square()
    energy = 0.5 * (stiff * second[:d]).sum() + 0.5 * second[d:].sum()
    return float(energy - temperature * 0.5 * (torch.logdet(s) + 2 * d * (1 + math.log(2 * math.pi))))


def gaussian_jko(
    system: KineticFokkerPlanck,
    mean: Float[Tensor, " z"],
    covariance: Float[Tensor, "z z"],
    tau: float,
    steps: int,
    substeps: int = 1,
) -> list[tuple[Float[Tensor, " z"], Float[Tensor, "z z"], float]]:
    """The scheme without sampling: affine controls on a Gaussian in a harmonic potential, moments exactly.

    Args:
        system: with a harmonic potential, without interaction.
        mean: (2 d,) at the start, in float64; everything happens where it is.
        covariance: (2 d, 2 d) at the start.
        tau: length of a step.
        steps: of the scheme.
        substeps: inner steps of each.

    Returns:
        (mean, covariance, cost / gamma) after every step.

    Raises:
        InputError: another potential, an interaction, no friction; a step or numbers that aren't above 0.
    """
    if not isinstance(system.potential, Harmonic) or system.interaction is not None:
        raise InputError("system", given=type(system.potential).__name__, expected="Harmonic, without interaction")
    if not (tau > 0 and steps >= 1 and substeps >= 1 and system.friction > 0):
        given = f"tau={tau}, steps={steps}, substeps={substeps}, friction={system.friction}"
        raise InputError("gaussian_jko", given=given, expected="above 0, 1 or more, 1 or more, above 0")
    mean, covariance = mean.double(), covariance.to(mean.device, torch.float64)
    scheme = _MomentScheme(system, tau / substeps, substeps, mean.device)
    out = []
    for _ in range(steps):
        mean, covariance, cost = scheme.step(mean, covariance)
        out.append((mean, covariance, cost / system.friction))
    return out


class _MomentScheme:
    """One step on moments: the control a = alpha + B z of least cost + gamma F."""

    def __init__(self, system: KineticFokkerPlanck, h: float, substeps: int, device: torch.device) -> None:
        self.system, self.h, self.substeps, d = system, h, substeps, system.dim
        assert isinstance(system.potential, Harmonic)
        self.k = torch.diag(system.potential.k.to(device).expand(d))
        self.eye = torch.eye(2 * d, dtype=torch.float64, device=device)
        self.drift = self.eye.clone()
        self.drift[:d, d:] = h / 2 * self.eye[:d, :d]
        self.zeros = torch.zeros(d, 2 * d, dtype=torch.float64, device=device)

    def step(self, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor, float]:
        """Moments after a step, and its cost."""
        d = self.system.dim
        theta = torch.zeros(d + 2 * d * d, dtype=torch.float64, device=mean.device, requires_grad=True)
        search = torch.optim.LBFGS(
            [theta], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            search.zero_grad()
            value = self._objective(mean, covariance, theta)
            value.backward()
            return value

        search.step(closure)  # type: ignore[arg-type]
        with torch.no_grad():
            mean, covariance, cost = self._after(mean, covariance, theta)
        return mean.detach(), covariance.detach(), float(cost)

    def _objective(self, mean: Tensor, covariance: Tensor, theta: Tensor) -> Tensor:
        """cost + gamma F, less F's constant."""
        m, s, cost = self._after(mean, covariance, theta)
        d, system = self.system.dim, self.system
        second = s.diagonal() + m.square()
        energy = 0.5 * (self.k.diagonal() * second[:d]).sum() + 0.5 * second[d:].sum()
        return cost + system.friction * (energy - 0.5 * system.temperature * torch.logdet(s))

    def _after(self, m: Tensor, s: Tensor, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Moments after all inner steps under the control theta = (alpha, B), and its cost."""
        d, h, drift = self.system.dim, self.h, self.drift
        alpha, b, cost = theta[:d], theta[d:].reshape(d, 2 * d), m.new_zeros(())
        for _ in range(self.substeps):
            m, s = drift @ m, drift @ s @ drift.T
            a = alpha + b @ m
            cost = cost + 0.5 * h * (a.square().sum() + torch.trace(b @ s @ b.T))
            pull = torch.cat([-self.k, self.zeros[:, :d]], 1) + b
            kick = self.eye + h * torch.cat([self.zeros, pull])
            m = kick @ m + h * torch.cat([self.zeros[0, :d], alpha])
            s = kick @ s @ kick.T
            m, s = drift @ m, drift @ s @ drift.T
        return m, s, cost
