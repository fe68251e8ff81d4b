"""Alternating least squares for fields that are sums of products of splines: a linear solve an axis."""

from __future__ import annotations

import math

import torch

from deepwright.core.errors import InputError
from deepwright.physics.linear_grids.celg import CELG
from deepwright.physics.solve import LeastSquaresProblem


def als_polish(problem: LeastSquaresProblem, sweeps: int = 5, ridge: float = 1e-12) -> list[float]:
    """Alternating least squares for linear equations and a `CELG` with a linear head.

    The residual is affine in one axis's values while the others are held, so each turn is one linear solve, and the
    loss never rises.

    Args:
        problem: over a `CELG` with hidden=().
        sweeps: over all axes and the head.
        ridge: of the solves, relative.

    Returns:
        The loss after each sweep.

    Raises:
        InputError: another model.
    """
    model = problem.model
    if sweeps < 1 or not ridge >= 0:
        raise InputError("als_polish", given=f"sweeps={sweeps}, ridge={ridge}", expected="1 or more, 0 or more")
    if not isinstance(model, CELG) or model.hidden != ():
        raise InputError("als_polish", given=type(model).__name__, expected="a CELG with hidden=()")
    losses = []
    for _ in range(sweeps):
        for group in _groups(model, problem.names):
            theta = problem.vector()
            sizes = {n: math.prod(s) for n, s in problem.shapes.items()}
            columns = torch.cat([torch.full((k,), n in group, device=theta.device) for n, k in sizes.items()])
            with torch.no_grad():
                j, r = problem.jacobian(theta)[:, columns], problem.residual(problem.unpack(theta))
                a = j.T @ j
                a.diagonal().add_(ridge * a.diagonal().max())
                step = torch.zeros_like(theta)
                step[columns] = -torch.linalg.solve(a, j.T @ r)
                if problem.value(theta + step) < float(r.square().sum()):
                    problem.assign(theta + step)
        losses.append(problem.value(problem.vector()))
    return losses


def _groups(model: CELG, names: list[str]) -> list[set[str]]:
    dim = model.encoding.dim
    axes = [{f"encoding.values.{i}" for i in range(d, len(model.encoding.values), dim)} for d in range(dim)]
    return [g & set(names) for g in (*axes, {n for n in names if n.startswith("head.")}) if g & set(names)]
