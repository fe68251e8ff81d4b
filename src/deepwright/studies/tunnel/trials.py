"""One network a trial: trained on a parabola or on disc and ring, or drawn at random and compared with a grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.interpret import Ball, Box, ScalarMap, Verdict, audit_embedding, scalar_map, verdict_of
from deepwright.interpret.tunnel.pictures import picture
from deepwright.interpret.tunnel.witnesses import tunnel_paths
from deepwright.nets import NarrowResNet
from deepwright.studies._clock import one_thread
from deepwright.studies.tunnel.training import classifier, disc_in_ring, parabola

LINE_BOX = Box([-1.0], [1.0])
DISC = Ball([0.0, 0.0], 1.0)
SMALL = 1e-4  # a gradient that people call zero
REGIMES = {
    1: [(0.0, 1.0, 2), (1.0, 0.3, 2), (1.0, 1.0, 2), (1.0, 10.0, 2)],
    2: [(1.0, 0.2, 10), (0.0, 1.0, 6), (1.0, 1.0, 10), (1.0, 10.0, 2)],
}
"""Dimensions -> skip, residual, blocks."""


def line_trial(arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """The parabola.

    Args:
        arm: of `training.LINE`.
        seed: of all draws.
        epochs: of the training.
    """
    with one_thread():
        net, error = parabola(arm, seed, epochs)
        fn = scalar_map(net, torch.zeros(2, 1))
        found = verdict_of(fn, LINE_BOX, cells=2**14)
        at = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]
        with torch.no_grad():
            values = fn(at)
        rising = values[1:] - values[:-1]
        monotone = bool((rising >= 0).all() or (rising <= 0).all())
        return {
            "error": error,
            "verdict": found.verdict,
            "monotone": monotone,
            "values": values[::40].tolist(),
            "points": len(found.search.points),
        }


def plane_trial(arm: str, seed: int, epochs: int, cells: int) -> dict[str, Any]:
    """The disc in the ring.

    Args:
        arm: of `training.PLANE`.
        seed: of all draws.
        epochs: of the training.
        cells: budget of the proof by cells.
    """
    with one_thread():
        net = classifier(arm, seed, epochs)
        x, y = disc_in_ring(600, seed, "test")
        report = audit_embedding(net, (x, y), DISC, cells=cells)
        fn = scalar_map(net, x)
        with torch.no_grad():
            says = fn(x.double()) > 0
        return {
            "accuracy": float((says.long() == y).double().mean()),
            "verdict": report.verdict,
            "winding": report.winding,
            "accounted": report.accounted,
            "points": sum(p.verified for p in report.points),
            "folding": sum(s.proved for s in report.singular),
            "distance": None if report.distances is None else min(report.distances.perceptron, report.distances.flow),
            "picture": picture(fn, report, DISC),
            "reason": report.reason,
            "dead": float((fn.gradient(x.double()).norm(dim=1) < SMALL).double().mean()),
        } | _tunnels(fn, x[(y == 1) & says], x)


def _tunnels(fn: ScalarMap, right: Tensor, x: Tensor) -> dict[str, Any]:
    """Whether a way leads from enclosed points that are read rightly to the edge with the label kept; the ring's share
    that is read wrongly."""
    starts = right[right.norm(dim=1).argsort()[:8]]
    ways = tunnel_paths(fn, starts, DISC, torch.ones(len(starts))) if len(starts) else []
    kept = [w.reached_boundary and float(w.values[-1]) > 0 for w in ways]
    ticks = torch.linspace(-1, 1, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    size = grid.norm(dim=1)
    ring = grid[(size >= 0.5) & (size <= 1)]
    with torch.no_grad():
        wrong = float((fn(ring) > 0).double().mean())
        crossed = _crossed(fn)
    return {"starts": len(ways), "tunnels": sum(kept) / max(len(kept), 1), "wrong": wrong, "crossed": crossed}


def _crossed(fn: ScalarMap) -> bool:
    """Whether every circle of the ring has a point with the disc's label."""
    angle = torch.linspace(0, 2 * torch.pi, 4001, dtype=torch.float64)
    circles = [r * torch.stack((angle.cos(), angle.sin()), 1) for r in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
    return all(bool((fn(circle) > 0).any()) for circle in circles)


def random_trial(n: int, regime: int, scale: float, seed: int, cells: int, side: int) -> dict[str, Any]:
    """A random network: its verdict against a fine grid and against a threshold on gradients.

    Args:
        n: dimensions, 1 or 2.
        regime: of `REGIMES[n]`.
        scale: of the weights.
        seed: of the weights.
        cells: budget of the proof by cells.
        side: points of the grid a side.
    """
    with one_thread():
        skip, residual, depth = REGIMES[n][regime]
        with local_rng(derive_seed("random network", n, regime, scale, seed=seed)):
            net = NarrowResNet(n, n, depth, skip=skip, residual=residual).double().eval()
        g = generator(seed, "random network", n, regime, scale)
        with torch.no_grad():
            net.output.weight.copy_(torch.randn(1, n, generator=g))
            net.input.weight.copy_(torch.linalg.qr(torch.randn(n, n, generator=g))[0])  # type: ignore[operator,union-attr]
            for block in net.blocks:
                layer = block.f[0]  # type: ignore[index,union-attr]
                layer.weight.copy_(scale * torch.randn(n, n, generator=g) / n**0.5)  # type: ignore[union-attr,operator]
                layer.bias.copy_(0.5 * torch.randn(n, generator=g))  # type: ignore[union-attr,operator]
        fn = scalar_map(net, torch.zeros(2, n))
        found = verdict_of(fn, Box([-1.0] * n, [1.0] * n), cells=cells)
        folds, small = _by_line(fn, side) if n == 1 else _by_grid(fn, side)
        return {
            "verdict": found.verdict,
            "grid": len(folds),
            "threshold": small,
            "unseen": _unseen(found, folds, side),
            "reason": found.reason,
        }


def _by_line(fn: ScalarMap, side: int) -> tuple[Tensor, bool]:
    """Places of sign changes of the derivative on a grid of ten times the side, and whether one is small."""
    x = torch.linspace(-1, 1, side * 5, dtype=torch.float64)[:, None]
    slope = fn.gradient(x)[:, 0]
    change = slope[1:] * slope[:-1] < 0
    return x[1:][change], bool((slope.abs() < SMALL).any())


def _by_grid(fn: ScalarMap, side: int) -> tuple[Tensor, bool]:
    """Centres of a grid's cells around which the gradient turns, and whether one is small."""
    ticks = torch.linspace(-1, 1, side, dtype=torch.float64)
    x = torch.cartesian_prod(ticks, ticks)
    direction = torch.cat([fn.direction(part) for part in x.split(2**14)])
    small = bool((torch.cat([fn.gradient(part).norm(dim=1) for part in x.split(2**14)]) < SMALL).any())
    angle = torch.atan2(direction[:, 1], direction[:, 0]).view(side, side)
    corners = torch.stack((angle[:-1, :-1], angle[1:, :-1], angle[1:, 1:], angle[:-1, 1:]))
    turns = torch.remainder(corners.roll(-1, 0) - corners + torch.pi, 2 * torch.pi) - torch.pi
    around = (turns.sum(0) / (2 * torch.pi)).round() != 0
    middle = (ticks[1:] + ticks[:-1]) / 2
    return torch.cartesian_prod(middle, middle)[around.reshape(-1)], small


def _unseen(found: Verdict, folds: Tensor, side: int) -> int:
    """Verified points beside which the grid has none."""
    near = 3 * 2 / side
    verified = [p.x for p in found.search.points if p.verified]
    return sum(not len(folds) or float((folds - x).norm(dim=1).min()) > near for x in verified)
