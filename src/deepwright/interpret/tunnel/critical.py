"""Critical points: found by damped Newton steps from many places, and verified by something else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepwright.core.devices import back_to
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.maps import ScalarMap, as_map
from deepwright.interpret.tunnel.verifying import verified

MOST_FEATURES = 50
_STEPS, _HALVINGS, _BATCH = 50, 10, 4096


@dataclass(frozen=True)
class CriticalPoint:
    """A point at which the gradient vanishes, as far as numbers tell.

    Attributes:
        x: (n,), in the units of the input.
        value: of the map.
        gradient_norm: there.
        index: negative eigenvalues of the Hessian: 0 for a minimum, n for a maximum, a saddle between.
        eigenvalues: of the Hessian, ascending.
        verified: whether something other than a small gradient shows that a critical point is there.
        how: what does, or why nothing does.
    """

    x: Tensor
    value: float
    gradient_norm: float
    index: int
    eigenvalues: tuple[float, ...]
    verified: bool
    how: str


@dataclass(frozen=True)
class Search:
    """What a search for critical points came to.

    Attributes:
        points: found, verified ones first.
        scale: the median length of the gradient on the domain.
        left: runs that left the domain.
        stuck: runs that didn't converge.
        why: the reason for which no search was made; empty where one was.
    """

    points: tuple[CriticalPoint, ...]
    scale: float
    left: int = 0
    stuck: int = 0
    why: str = ""


def find_critical_points(
    fn: nn.Module | ScalarMap | Callable[[Tensor], Tensor],
    domain: Domain,
    n_starts: int = 256,
    generator: torch.Generator | None = None,
    tol: float = 1e-9,
) -> list[CriticalPoint]:
    """Critical points of a scalar map inside a domain, each with what verifies it.

    Damped Newton on grad Phi = 0 in float64 with exact Hessians, from a scrambled Sobol set, all starts in one batch.
    A small gradient is no evidence: each point is verified by a sign change (n = 1), by the winding number of the
    gradient around it (n = 2), or by Newton-Kantorovich (n >= 3).

    Args:
        fn: a network with one output, a map, or a function (batch, n) -> (batch,).
        domain: in the units of the input.
        n_starts: starts.
        generator: scrambles them; seed 0 when None.
        tol: largest gradient relative to the median one of the domain.

    Raises:
        InputError: more than 50 features, no start, a tolerance that isn't above 0.
    """
    found = search(as_map(fn, domain.dimension), domain, n_starts, generator, tol)
    return list(found.points)


def sobol(domain: Domain, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Points spread evenly over a domain.

    Args:
        domain: where.
        count: points.
        generator: scrambles them; seed 0 when None.
        device: of the points.
    """
    given = generator if generator is not None else torch.Generator().manual_seed(0)
    seed = int(torch.randint(2**31 - 1, (1,), generator=given, device=given.device))
    engine = torch.quasirandom.SobolEngine(domain.dimension, scramble=True, seed=seed)
    return domain.spread(engine.draw(count, dtype=torch.float64).to(device))


def search(
    fn: ScalarMap,
    domain: Domain,
    n_starts: int = 256,
    generator: torch.Generator | None = None,
    tol: float = 1e-9,
    more: Tensor | None = None,
) -> Search:
    """As `find_critical_points`, with what became of the runs.

    Args:
        fn: a map.
        domain: in its units.
        n_starts: starts.
        generator: scrambles them.
        tol: largest gradient relative to the median one.
        more: starts beside those.

    Raises:
        InputError: as `find_critical_points`.
    """
    require_whole(1, n_starts=n_starts)
    require_positive(tol=tol)
    if domain.dimension > MOST_FEATURES:
        raise InputError("domain", given=f"{domain.dimension} features", expected=f"at most {MOST_FEATURES}")
    starts = sobol(domain, n_starts, generator, fn.device)
    with torch.no_grad():
        lengths = fn.gradient(starts).norm(dim=1)
    scale = float(lengths.median())
    if not scale > torch.finfo(torch.float64).tiny:
        return Search((), scale, why="the map is saturated or constant: half of its gradients are 0")
    if fn.smooth is False:
        return Search((), scale, why="the network isn't differentiable everywhere: Newton's method says nothing")
    if more is not None and len(more):
        starts = torch.cat((starts, more.to(starts)))
    x, length, inside = _newton(fn, domain, starts, tol * scale)
    good = inside & (length <= tol * scale)
    kept = _distinct(x[good], length[good], 1e-4 * domain.diameter)
    points = _described(fn, domain, kept, scale)
    return Search(points, scale, int((~inside).sum()), int((inside & (length > tol * scale)).sum()))


def _newton(fn: ScalarMap, domain: Domain, x: Tensor, goal: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where each run ends, its gradient's length there, and whether it stayed inside; a step that doesn't shorten the
    gradient is halved."""
    slack = 1e-9 * domain.diameter
    gradient = _gradient(fn, x)
    length = gradient.norm(dim=1)
    inside = torch.ones_like(length, dtype=torch.bool)
    running = torch.ones_like(inside)
    for _ in range(_STEPS):
        rows = (running & (length > 1e-4 * goal)).nonzero()[:, 0]
        if not len(rows):
            break
        step = _step(_hessian(fn, x[rows]), gradient[rows], 0.25 * domain.diameter)
        moved = _line_search(fn, x, gradient, length, rows, step)
        inside[rows] &= domain.contains(x[rows], slack)
        running[rows] &= moved & inside[rows]
    return x, length, inside & domain.contains(x, slack)


def _line_search(fn: ScalarMap, x: Tensor, gradient: Tensor, length: Tensor, rows: Tensor, step: Tensor) -> Tensor:
    """Moves each run by the longest halved step that shortens its gradient; which ones moved."""
    moved = torch.zeros(len(rows), dtype=torch.bool, device=x.device)
    share = 1.0
    for _ in range(_HALVINGS):
        left = (~moved).nonzero()[:, 0]
        if not len(left):
            break
        at = x[rows[left]] + share * step[left]
        new = _gradient(fn, at)
        size = new.norm(dim=1)
        better = size < length[rows[left]] * (1 - 0.1 * share)
        chosen = left[better]
        x[rows[chosen]], gradient[rows[chosen]], length[rows[chosen]] = at[better], new[better], size[better]
        moved[chosen] = True
        share /= 2
    return moved


def _gradient(fn: ScalarMap, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([fn.gradient(part) for part in x.split(_BATCH)])


def _hessian(fn: ScalarMap, x: Tensor) -> Tensor:
    return torch.cat([fn.hessian(part).detach() for part in x.split(_BATCH)])


def _step(hessian: Tensor, gradient: Tensor, longest: float) -> Tensor:
    """Newton's, with singular Hessians inverted where they are not, and no longer than a quarter of the domain."""
    values, vectors = torch.linalg.eigh(hessian.nan_to_num(0.0, 0.0, 0.0))
    floor = 1e-12 * values.abs().amax(1, keepdim=True).clamp_min(1e-300)
    inverse = torch.where(values.abs() > floor, 1 / values, torch.zeros_like(values))
    step = -(vectors @ (inverse * (vectors.transpose(1, 2) @ gradient[..., None])[..., 0])[..., None])[..., 0]
    size = step.norm(dim=1, keepdim=True).clamp_min(1e-300)
    return step * (longest / size).clamp_max(1.0)


def _distinct(x: Tensor, length: Tensor, apart: float) -> Tensor:
    """One of each cluster, that of the shortest gradient; the loop is over the points that are left."""
    x = x[length.argsort(stable=True)]
    kept = []
    while len(x):
        kept.append(x[0])
        x = x[(x - x[0]).norm(dim=1) > apart]
    return torch.stack(kept) if kept else x


def _described(fn: ScalarMap, domain: Domain, x: Tensor, scale: float) -> tuple[CriticalPoint, ...]:
    if not len(x):
        return ()
    with torch.no_grad():
        values, lengths = fn(x).tolist(), fn.gradient(x).norm(dim=1).tolist()
    hessians = fn.hessian(x).detach()
    spectra = torch.linalg.eigvalsh(hessians)
    gaps = torch.cdist(x, x).fill_diagonal_(math.inf).amin(1).tolist()
    found = []
    for i, at in enumerate(x):
        eigenvalues = spectra[i]
        index = int((eigenvalues < 0).sum())
        good, how = verified(fn, domain, at, hessians[i], eigenvalues, gaps[i], scale)
        point = back_to(at.clone(), torch.device("cpu"))
        found.append(CriticalPoint(point, values[i], lengths[i], index, tuple(eigenvalues.tolist()), good, how))
    return tuple(sorted(found, key=lambda p: not p.verified))
