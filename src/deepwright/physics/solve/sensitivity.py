"""How far a solution may be wrong while its residuals are as small as they are: the linearised problem's own answer.

With waves Phi as corrections and A = d r / d c the change of weighted residuals, |A c| >= rho |Phi c|: 1 / rho is the
amplification, by how much the solution's RMS moves for a residual of 1. A correction that moves no residual is one that
the conditions leave open. Residuals r give the best correction, and what it leaves, r_left, makes room for
|r_left| / rho more.
"""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.physics.domains import SpaceTime
from deepwright.physics.solve.corrections import PAD, Corrected, Powers, Waves, modes_for
from deepwright.physics.solve.least_squares import LeastSquaresProblem

OPEN = 1e-5  # a correction whose residuals are so much smaller than those of smooth ones isn't decided by the problem
ROOM = 0.5  # of the solution's size: beyond, linearising about it tells nothing
_SAME = 1e-12  # of the largest: smaller parts of waves and their residuals are rounding
_PLACES = 16  # where the equation's own waves are looked for


@dataclass
class Sensitivity:
    """What small changes of the solution do to its residuals.

    Attributes:
        missed: RMS of the correction that fits the equations best, over the solution's.
        bound: `missed`, and what the residuals that are left would allow in the worst case; None where it has none.
        amplification: RMS of the solution's change for residuals of 1, in the worst case; None where it has no end.
        undetermined: independent corrections that no residual notices.
        seen: how fine the corrections are, in words.
        doubts: why nothing can be certified, if so.
    """

    missed: float | None = None
    bound: float | None = None
    amplification: float | None = None
    undetermined: int | None = None
    seen: str = ""
    doubts: list[str] = field(default_factory=list)


def sensitivity(problem: Any, u: nn.Module, seed: int) -> Sensitivity:
    """Linearise a problem about a solution.

    Args:
        problem: a `PDEProblem`.
        u: the solution; it stays as it is.
        seed: of the points.
    """
    exact = copy.deepcopy(u)
    exact = exact.cpu() if device_of(u).type == "mps" else exact  # MPS has no float64
    exact = exact.double()  # rounding must not look like a correction that residuals don't notice
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has no rule for jets")
            return _linearised(problem, exact, seed)
    except (RuntimeError, InputError) as error:
        told = "it has a step that can't be batched" if "vmap" in str(error) else str(error).splitlines()[0]
        return Sensitivity(doubts=[f"the problem can't be linearised about this network: {told}"])


def _linearised(problem: Any, u: nn.Module, seed: int) -> Sensitivity:
    place: dict[str, Any] = {"dtype": torch.float64, "device": device_of(u)}
    x = to_model(problem.domain.sample(2048, generator=torch.Generator().manual_seed(3)), u)
    with torch.no_grad():
        value = u(x)
    size, channels, dim = _rms(value), value.shape[1], problem.domain.dim
    if size < 1e-300:
        return Sensitivity(doubts=["the solution is 0 everywhere, so no error can be told relative to it"])
    waves = Waves(problem.domain.bounds, modes_for(dim, channels)).to(**place)
    drawn = min(c.points for c in problem.conditions if isinstance(c.where, str)) if _drawn(problem) else 1
    times = max(1.0, 4 * channels * len(waves) / drawn)  # fewer points than waves leave corrections open by themselves
    model = Corrected(u, waves, channels, problem.hard)
    squares = LeastSquaresProblem(model, problem.blocks(seed, times=times, **place))
    values = torch.kron(waves(x), torch.eye(channels, **place)) / math.sqrt(value.numel())
    if problem.hard is not None:
        values *= problem.hard.distance_at(x).expand(value.shape).reshape(-1, 1)
    smooth = (waves.waves.sum(1) <= 2).repeat_interleave(channels)  # type: ignore[operator]
    found = _answer(squares, model.weight_name, values, smooth)
    missed = found.missed / size
    out = Sensitivity(missed, undetermined=found.open, seen=_seen(waves, dim))
    if found.open:
        out.doubts.append(
            f"the solution can be changed in {found.open} independent way(s) that no residual notices: conditions are "
            "missing, or they don't decide it"
        )
    else:
        out.amplification = found.amplification
        out.bound = missed + found.amplification * found.left / size
        if out.bound > ROOM:
            out.doubts.append(
                f"residuals of this size leave room for an error of {out.bound:.2g} of the solution's size (one of 1 "
                f"may move it by {found.amplification:.3g}): train longer, on more points, or on a shorter interval"
            )
    out.doubts += _unseen_waves(problem, u, channels, waves.modes)
    return out


def _drawn(problem: Any) -> bool:
    return any(isinstance(c.where, str) for c in problem.conditions)


def _seen(waves: Waves, dim: int) -> str:
    halves = int((waves.modes - 1) / (1 + 2 * PAD))
    whole = f"up to {halves} half waves along each axis"
    return whole if dim <= 3 else f"sums of functions of one coordinate, {whole}"


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


@dataclass
class _Answer:
    missed: float
    amplification: float
    open: int
    left: float


def _answer(squares: LeastSquaresProblem, name: str, values: Float[Tensor, "n b"], smooth: Tensor) -> _Answer:
    """The best correction's RMS, the worst amplification, how many corrections are open, what residuals are left.

    Waves over a part of their box are nearly dependent, so they are taken apart together with their residuals: of
    [A; s Phi] = U S V^T, U_A has the sines and U_Phi the cosines of angles with rho = s tan(angle). Directions in which
    both are small are no functions at all; they go.
    """
    jacobian, r = (torch.cat(parts) for parts in zip(*squares.jacobian_pieces(squares.vector())))
    columns = dict(zip(squares.shapes, jacobian.split([s.numel() for s in squares.shapes.values()], 1)))
    a = columns.pop(name)
    scale = float((a.norm(dim=0) / values.norm(dim=0))[smooth].median())
    for column in columns.values():  # what unknowns explain as well decides nothing about the solution
        q = torch.linalg.qr(column)[0]
        a, r = a - q @ (q.T @ a), r - q @ (q.T @ r)
    both = torch.cat([a, scale * values])
    u, sizes, _ = torch.linalg.svd(both / both.norm(dim=0).clamp_min(1e-300), full_matrices=False)
    u = u[:, sizes > _SAME * sizes[0]]
    left, sine, turn = torch.linalg.svd(u[: len(a)], full_matrices=False)
    rho = scale * sine / (1 - sine.square()).clamp_min(1e-300).sqrt()
    decided = rho > OPEN * scale
    along = left[:, decided].T @ r
    correction = u[len(a) :] @ (turn[decided].T @ (along / sine[decided])) / scale
    worst = float(rho[decided].min()) if bool(decided.any()) else 0.0
    remaining = r - left[:, decided] @ along
    return _Answer(
        float(correction.norm()), 1 / max(worst, 1e-300), u.shape[1] - int(decided.sum()), float(remaining.norm())
    )


# --- the equation's own waves ------------------------------------------------------------------------------------


def _unseen_waves(problem: Any, u: nn.Module, channels: int, modes: int) -> list[str]:
    """Free waves of the linearised equation that are finer than the corrections: errors of that form aren't seen."""
    inside = [c for c in problem.conditions if isinstance(c.where, str) and c.where == "interior" and c.pointwise]
    timed = isinstance(problem.domain, SpaceTime)
    dim = problem.domain.dim
    doubts = []
    for axis in [dim - 1] if timed else range(dim):
        halves = _free_half_waves(problem, u, channels, axis, [c.name for c in inside])
        seen = (modes - 1) / (1 + 2 * PAD)
        if halves > seen:
            name = "t" if timed else "xyzuvw"[axis] if dim <= 6 else f"axis {axis}"
            doubts.append(
                f"the equation has free waves of up to {halves:.3g} half waves along {name}, and no correction finer "
                f"than {int(seen)} is looked at: solve a shorter interval, or in parts"
            )
    return doubts


def _free_half_waves(problem: Any, u: nn.Module, channels: int, axis: int, names: list[str]) -> float:
    """The most half waves over the domain of e^{lambda t}, |Im lambda| > |Re lambda|, that the equation lets pass.

    Coefficients a_q of sum_q a_q d^q along the axis come from what the linearised operator makes of 1, t, ..., t^4.
    """
    powers = Powers(problem.domain.bounds, axis).to(device_of(u))
    x = to_model(problem.domain.sample(_PLACES, generator=torch.Generator().manual_seed(5)), u)
    model = Corrected(u, powers, channels)
    name = model.weight_name
    here = {condition: x for condition in names}

    def residual(weight: Tensor) -> Tensor:
        return torch.func.functional_call(_Residuals(model, problem), {f"model.{name}": weight}, (here,))

    jacobian = torch.func.jacfwd(residual)(dict(model.named_parameters())[name].detach())
    if jacobian.shape[1] != channels:
        return 0.0  # more or fewer equations than components: no square symbol
    made = jacobian.detach().cpu()  # (n, equations, powers, components)
    t = powers(x).detach().cpu()  # (n, powers)
    coefficients: list[Tensor] = []
    for q in range(len(powers)):
        rest = made[:, :, q]
        for r, a in enumerate(coefficients):
            rest = rest - a * (math.perm(q, r) * t[:, q - r])[:, None, None]
        coefficients.append(rest / math.factorial(q))
    return max(_fastest([a[i] for a in coefficients]) for i in range(len(x))) * 2 / math.pi


class _Residuals(nn.Module):
    def __init__(self, model: nn.Module, problem: Any) -> None:
        super().__init__()
        self.model, self.problem = model, problem

    def forward(self, points: dict[str, Tensor]) -> Tensor:
        found = self.problem.residuals(self.model, points)
        return torch.cat([r.reshape(len(r), -1) for r in found.values()], 1)


def _fastest(coefficients: list[Tensor]) -> float:
    """The largest |Im lambda| of det(sum_q a_q lambda^q) = 0 that oscillates more than it grows or decays."""
    import scipy.linalg  # torch has no eigenvalues of pencils; a field needs no SciPy

    scale = max(float(a.abs().max()) for a in coefficients)
    order = max((q for q, a in enumerate(coefficients) if float(a.abs().max()) > 1e-9 * scale), default=0)
    if order == 0 or not math.isfinite(scale):
        return 0.0
    c = len(coefficients[0])
    shift, mass = torch.zeros(2, order * c, order * c, dtype=torch.float64)
    shift[:-c, c:] = torch.eye((order - 1) * c)
    mass[:-c, :-c] = torch.eye((order - 1) * c)
    shift[-c:] = -torch.cat(coefficients[:order], 1)
    mass[-c:, -c:] = coefficients[order]
    roots = torch.from_numpy(scipy.linalg.eigvals(shift.numpy(), mass.numpy()))
    roots = roots[torch.isfinite(roots.real) & torch.isfinite(roots.imag) & (roots.abs() < 1e8)]
    free = roots[roots.imag.abs() > roots.real.abs()]
    return float(free.imag.abs().max()) if len(free) else 0.0
