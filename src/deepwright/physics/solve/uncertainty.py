"""How far noise in measurements moves what was fitted.

At a minimum of |r|^2 a small change e of the residuals moves the parameters by -(J^T J)^-1 J^T e. With independent
noise in the measured blocks only (equations aren't noisy), the covariance is H^-1 (J_m^T N J_m) H^-1, H = J^T J.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.solve.least_squares import LeastSquaresProblem


def covariance(
    problem: LeastSquaresProblem,
    noise: Mapping[str, float],
    names: Sequence[str] | None = None,
    ridge: float = 1e-12,
    *,
    normal: Float[Tensor, "p p"] | None = None,
) -> Float[Tensor, "k k"]:
    """Covariance of fitted parameters, linearised about where they are.

    Args:
        problem: fitted.
        noise: block -> standard deviation of its data (blocks that aren't there are passed over).
        names: parameters of the model that are asked for, in this order (all by default).
        ridge: added to the diagonal of H, relative to its largest entry: directions that nothing decides would have no
            bound.
        normal: H = J'J where it is known already.

    Raises:
        InputError: no measured block; an unknown parameter; a negative noise.
    """
    measured = [b for b in problem.blocks if b.name in noise]
    if not measured or any(not v >= 0 for v in noise.values()):
        raise InputError(
            "noise", given=dict(noise), expected=f"0 or more, of some of {', '.join(b.name for b in problem.blocks)}"
        )
    wanted = list(problem.names if names is None else names)
    if set(wanted) - set(problem.names):
        raise InputError("names", given=sorted(set(wanted) - set(problem.names)), expected="fitted parameters")
    vector = problem.vector()
    h = problem.normal_equations(vector)[0] if normal is None else normal.clone()
    spread = torch.zeros_like(h)
    for block in measured:
        part = LeastSquaresProblem(problem.model, [block], max_jac_bytes=problem.max_jac_bytes)
        a, _, _ = part.normal_equations(vector)
        # rows of a block are sqrt(weight / n) times its residuals, so that is what its noise is multiplied by
        spread += noise[block.name] ** 2 * block.weight / len(block) * a
    h.diagonal().add_(ridge * float(h.diagonal().max()))
    root = torch.linalg.cholesky(h)
    sizes = [s.numel() for s in problem.shapes.values()]
    starts = dict(zip(problem.shapes, torch.tensor([0, *sizes]).cumsum(0).tolist()))
    index = torch.cat([starts[n] + torch.arange(problem.shapes[n].numel(), device=h.device) for n in wanted])
    picked = torch.zeros(len(vector), len(index), dtype=h.dtype, device=h.device)
    picked[index, torch.arange(len(index), device=h.device)] = 1
    solved = torch.cholesky_solve(picked, root)
    return solved.T @ spread @ solved


def determined(
    problem: LeastSquaresProblem, names: Sequence[str], *, normal: Float[Tensor, "p p"] | None = None
) -> list[bool]:
    """Whether residuals decide each fitted number, with all other parameters free: 1 - R^2 of its column of J.

    `covariance` doesn't see it: where only the product of two numbers counts, noise moves each of them by nothing.

    Args:
        problem: fitted.
        names: parameters of one number each.
        normal: H = J'J where it is known already.
    """
    h = problem.normal_equations(problem.vector())[0] if normal is None else normal
    sizes = [s.numel() for s in problem.shapes.values()]
    starts = dict(zip(problem.shapes, torch.tensor([0, *sizes]).cumsum(0).tolist()))
    index = torch.tensor([starts[n] for n in names], device=h.device)
    scale = h.diagonal().sqrt()
    read = scale > 1e-14 * scale.max()
    scale = torch.where(read, scale, 1.0)
    h = h / scale / scale[:, None]
    h.diagonal().add_(1e-12)
    picked = torch.zeros(len(h), len(index), dtype=h.dtype, device=h.device)
    picked[index, torch.arange(len(index), device=h.device)] = 1
    inverse = torch.linalg.solve(h, picked)[index].diagonal()
    floor = 1e-9 if torch.finfo(h.dtype).bits == 64 else 1e-4
    return (read[index] & (inverse > 0) & (1 / inverse > floor)).tolist()
