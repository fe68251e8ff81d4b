"""Whether a critical point is where Newton's method ended: by a sign, by a winding number, or by Newton-Kantorovich."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.interpret.tunnel.curvature import local_derivatives
from deepwright.interpret.tunnel.domains import Ball, Domain
from deepwright.interpret.tunnel.maps import ScalarMap
from deepwright.interpret.tunnel.winding import winding

_SHARES = (1e-2, 1e-3, 1e-4, 1e-5)  # radii of loops relative to the domain's diameter
_NOISE = 1e-10  # of the median gradient: what a gradient on a loop must exceed to count as a number


def verified(
    fn: ScalarMap, domain: Domain, x: Tensor, hessian: Tensor, eigenvalues: Tensor, gap: float, scale: float
) -> tuple[bool, str]:
    """Whether something other than a small gradient shows a critical point, and what.

    Args:
        fn: of it.
        domain: within which it must lie.
        x: (n,).
        hessian: there.
        eigenvalues: of the Hessian.
        gap: distance to the next candidate.
        scale: the median length of the gradient.
    """
    size = eigenvalues.abs()
    if not float(size.max()) > 0 or float(size.min()) < 1e-10 * float(size.max()):
        return False, "degenerate: an eigenvalue of its Hessian is 0"
    radii = [r for r in (share * domain.diameter for share in _SHARES) if r < 0.5 * gap]
    if x.shape[0] == 1:
        return _by_sign(fn, domain, x, radii, scale)
    if x.shape[0] == 2:
        return _by_winding(fn, domain, x, radii, eigenvalues, scale)
    return _by_kantorovich(fn, domain, x, hessian)


def _inside(domain: Domain, x: Tensor, radius: float) -> bool:
    """Whether a ball around the point lies in the domain."""
    steps = torch.cat((torch.eye(len(x)), -torch.eye(len(x)))).to(x) * radius
    corners = x + steps if not isinstance(domain, Ball) else x[None]
    return bool(domain.contains(corners, -radius if isinstance(domain, Ball) else 0.0).all())


def _by_sign(fn: ScalarMap, domain: Domain, x: Tensor, radii: list[float], scale: float) -> tuple[bool, str]:
    for radius in radii:
        if not _inside(domain, x, radius):
            continue
        ends = torch.stack((x - radius, x + radius))
        with torch.no_grad():
            left, right = fn.gradient(ends)[:, 0].tolist()
        if min(abs(left), abs(right)) > _NOISE * scale and left * right < 0:
            return True, f"the derivative changes its sign within {radius:.2g}"
    return False, "the derivative doesn't change its sign, or at the edge of the domain"


def _by_winding(
    fn: ScalarMap, domain: Domain, x: Tensor, radii: list[float], eigenvalues: Tensor, scale: float
) -> tuple[bool, str]:
    wanted = (-1) ** int((eigenvalues < 0).sum())
    for radius in radii:
        if not _inside(domain, x, radius):
            continue
        try:
            number, least = winding(fn, Ball(x.cpu(), radius), 64)
        except ArithmeticError:
            continue
        if number == wanted and least > _NOISE * scale:
            return True, f"the gradient winds {number:+d} times around a circle of radius {radius:.2g}"
    return False, "no circle around it has the winding number of its index"


def _by_kantorovich(fn: ScalarMap, domain: Domain, x: Tensor, hessian: Tensor) -> tuple[bool, str]:
    """h = |H^-1 g| |H^-1| Lip(H) <= 1/2 with a bound of Lip(H) on a ball that holds the ball of the theorem."""
    if fn.chain is None:
        return False, "its factors aren't known, so that nothing bounds its third derivatives"
    with torch.no_grad():
        gradient = fn.gradient(x[None])[0]
    inverse = torch.linalg.inv(hessian)
    beta = float(torch.linalg.matrix_norm(inverse, 2)) * (1 + 1e-6)
    eta = float((inverse @ gradient).norm()) * (1 + 1e-6) + 1e-15 * float(x.norm() + 1)
    best = float("inf")
    for share in (1e-1, 1e-2, 1e-3, 1e-4):
        radius = share * domain.diameter
        if not _inside(domain, x, radius):
            continue
        third = local_derivatives(fn.chain, x, radius)[2]
        h = beta * eta * third
        best = min(best, h)
        if h <= 0.5 and 2 * eta <= radius:
            return True, f"Newton-Kantorovich with h = {h:.2g}"
    return False, f"Newton-Kantorovich's h is {best:.2g}, and at most 1/2 was needed"
