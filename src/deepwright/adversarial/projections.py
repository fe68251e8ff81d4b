"""Exact projections on a norm ball intersected with the pixel box, and steepest-ascent steps in each norm.

Zero is inside the box, so the optimality conditions separate by coordinate: shrink by one multiplier, then clip. The
multiplier is found for all samples at once by bisection in float64.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams

NORMS = ("linf", "l2", "l1")
_HALVINGS = 60


def require_norm(norm: str) -> str:
    """Refuse an unknown norm.

    Args:
        norm: a name.
    """
    if norm not in NORMS:
        raise InputError("norm", given=repr(norm), expected="'linf', 'l2' or 'l1'")
    return norm


def column(values: Shaped[Tensor, " n"], like: Tensor) -> Tensor:
    """(N,) as (N, 1, ..., 1), to broadcast against `like`.

    Args:
        values: one a sample.
        like: (N, ...).
    """
    return values.reshape(-1, *[1] * (like.ndim - 1))


def norms(delta: Float[Tensor, "n ..."], norm: str) -> Float[Tensor, " n"]:
    """The norm of each sample.

    Args:
        delta: differences of inputs.
        norm: "linf", "l2" or "l1".
    """
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().sum(1)


def project(
    delta: Float[Tensor, "n ..."],
    x: Float[Tensor, "n ..."],
    eps: Float[Tensor, " n"],
    norm: str,
    bounds: tuple[float, float],
) -> Float[Tensor, "n ..."]:
    """The nearest delta' with ||delta'|| <= eps and x + delta' within bounds (in L-inf: clip twice).

    Args:
        delta: differences from x.
        x: within bounds.
        eps: radius of each sample's ball.
        norm: "linf", "l2" or "l1".
        bounds: of every coordinate of x + delta'.
    """
    low, high = bounds[0] - x, bounds[1] - x
    if norm == "linf":
        e = column(eps, x)
        return torch.maximum(torch.minimum(delta, e), -e).clamp(low, high)
    clipped = delta.clamp(low, high)
    outside = norms(clipped, norm) > eps
    if not bool(outside.any()):
        return clipped
    rows = outside.nonzero().flatten()
    d, lo, hi, e = (t[rows].double() for t in (delta, low, high, eps))

    def shrunk(multiplier: Tensor) -> Tensor:
        m = column(multiplier, d)
        moved = d / (1 + m) if norm == "l2" else d.sign() * (d.abs() - m).clamp_min(0)
        return moved.clamp(lo, hi)

    least = torch.zeros_like(e)
    if norm == "l2":  # ||d|| / (1 + most) <= eps
        most = norms(d, "l2") / e.clamp_min(1e-30)
    else:
        most = d.flatten(1).abs().amax(1)
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        too_long = norms(shrunk(middle), norm) > e
        least, most = torch.where(too_long, middle, least), torch.where(too_long, most, middle)
    result = clipped.clone()
    result[rows] = torch.where(column(e > 0, d), shrunk(most), 0.0).to(result)
    return result


def ascend(
    gradient: Float[Tensor, "n ..."],
    alpha: Float[Tensor, " n"],
    norm: str,
    point: Float[Tensor, "n ..."],
    bounds: tuple[float, float],
) -> Float[Tensor, "n ..."]:
    """A step of length alpha along the steepest ascent of the norm; a zero gradient gives no step.

    In L1, where all of it would go to one coordinate, the box binds: see `greedy`.

    Args:
        gradient: of what is raised.
        alpha: length of each sample's step.
        norm: "linf", "l2" or "l1".
        point: where the step begins.
        bounds: of every coordinate.
    """
    if norm == "linf":
        return gradient.sign() * column(alpha, gradient)
    if norm == "l2":
        return gradient * column(alpha / norms(gradient, "l2").clamp_min(1e-30), gradient)
    return greedy(gradient, alpha, point, bounds)


def greedy(
    gradient: Float[Tensor, "n ..."],
    alpha: Float[Tensor, " n"],
    point: Float[Tensor, "n ..."],
    bounds: tuple[float, float],
) -> Float[Tensor, "n ..."]:
    """The step of at most alpha in L1 within the box that raises a linear function most.

    Coordinates are filled to the wall in the order of their gradients' size until alpha is spent.

    Args:
        gradient: of the function.
        alpha: length of each sample's step.
        point: where the step begins.
        bounds: of every coordinate.
    """
    flat, at = gradient.flatten(1), point.flatten(1)
    room = torch.where(flat > 0, bounds[1] - at, at - bounds[0]).clamp_min(0).minimum(alpha[:, None])
    order = flat.abs().argsort(1, descending=True)
    room = (room * (flat != 0)).gather(1, order)
    spent = room.cumsum(1) - room
    used = (alpha[:, None] - spent).clamp_min(0).minimum(room)
    return (flat.sign() * torch.zeros_like(flat).scatter(1, order, used)).reshape(gradient.shape)


def random_start(x: Float[Tensor, "n ..."], eps: Float[Tensor, " n"], norm: str, streams: Streams) -> Tensor:
    """Uniform in the ball, one stream a sample (the box comes afterwards).

    Args:
        x: for the shape.
        eps: radius of each sample's ball.
        norm: "linf", "l2" or "l1".
        streams: of the samples.
    """
    shape = tuple(x.shape[1:])
    if norm == "linf":
        return streams.uniform(*shape, low=-1.0, high=1.0).to(x.dtype) * column(eps, x)
    d = x[0].numel()
    if norm == "l2":
        direction = streams.normal(*shape)
        length = streams.uniform(1)[:, 0] ** (1 / d)
        return direction.to(x.dtype) * column(eps * length / norms(direction, "l2").clamp_min(1e-30), x)
    exponential = -streams.uniform(*shape).log()
    sign = torch.where(streams.uniform(*shape) < 0.5, -1.0, 1.0)
    total = norms(exponential, "l1") - streams.uniform(1)[:, 0].log()
    return (exponential * sign).to(x.dtype) * column(eps / total, x)


def hyperplane_step(
    x: Float[Tensor, "n d"], w: Float[Tensor, "n d"], c: Float[Tensor, " n"], norm: str, bounds: tuple[float, float]
) -> Float[Tensor, "n d"]:
    """The smallest delta with w . (x + delta) + c = 0 and x + delta in the box; the nearest corner where none exists.

    Each coordinate moves against the sign of the value and no farther than its room to the box. L-inf and L2 are
    piecewise linear in one parameter t, solved after one sort of the breakpoints; L1 spends the largest |w| first.

    Args:
        x: points in the box.
        w: normal vectors.
        c: offsets.
        norm: "linf", "l2" or "l1": what is smallest.
        bounds: the box.
    """
    value = (w * x).sum(1) + c
    direction = -value.sign()[:, None] * w.sign()
    room = torch.where(direction > 0, bounds[1] - x, x - bounds[0]).clamp_min(0)
    size = w.abs()
    need = value.abs()
    # Without a wall, as far as the coordinate would have to move alone: infinite rooms have no differences.
    room = torch.where(torch.isinf(room), need[:, None] / size.clamp_min(1e-12), room)
    if norm == "l1":
        order = size.argsort(1, descending=True)
        gain = (size * room).gather(1, order)
        before = gain.cumsum(1) - gain
        used = ((need[:, None] - before).clamp_min(0) / size.gather(1, order).clamp_min(1e-12)).minimum(
            room.gather(1, order)
        )
        return direction * torch.zeros_like(x).scatter(1, order, used)
    speed = torch.ones_like(size) if norm == "linf" else size  # coordinate i moves by min(speed_i t, room_i)
    breakpoint = torch.where(size > 0, room / speed.clamp_min(1e-12), 0.0)
    order = breakpoint.argsort(1)
    t = breakpoint.gather(1, order)
    slope = (size * speed).gather(1, order)
    full = (size * room).gather(1, order)
    # up to breakpoint j the value falls by sum_{i<j} full_i + t_j * sum_{i>=j} slope_i
    remaining = slope.sum(1, keepdim=True) - (slope.cumsum(1) - slope)
    done = full.cumsum(1) - full
    reached = done + t * remaining
    j = (reached < need[:, None]).sum(1, keepdim=True).clamp_max(x.shape[1] - 1)
    start = done.gather(1, j)
    parameter = (need[:, None] - start) / remaining.gather(1, j).clamp_min(1e-12)
    parameter = torch.where(reached[:, -1:] < need[:, None], t[:, -1:], parameter)  # infeasible: go to the corner
    return direction * (speed * parameter).minimum(room) * (size > 0)
