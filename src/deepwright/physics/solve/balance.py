"""How loud each block of a loss speaks: gradient norms, the tangent kernel's trace, and causal weights in time."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.solve.least_squares import LeastSquaresProblem


class GradNormBalancer:
    """w_b proportional to sum_c |grad L_c| / |grad L_b|, smoothed over calls (arXiv 2308.08468).

    Args:
        every: steps between two updates.
        ema: share of the old weights.

    Raises:
        InputError: less than a step, a share outside of [0, 1).
    """

    def __init__(self, every: int = 100, ema: float = 0.9) -> None:
        if every < 1 or not 0 <= ema < 1:
            raise InputError(
                "GradNormBalancer", given=f"every={every}, ema={ema}", expected="every >= 1, ema in [0, 1)"
            )
        self.every, self.ema = every, ema

    def __call__(self, problem: LeastSquaresProblem) -> dict[str, float]:
        """Weights by block.

        Args:
            problem: whose blocks are weighed.
        """
        norms = {b.name: _gradient_norm(problem, i) for i, b in enumerate(problem.blocks)}
        total = sum(norms.values())
        fresh = {k: total / max(v, 1e-12 * total, 1e-300) for k, v in norms.items()}
        return {b.name: self.ema * b.weight + (1 - self.ema) * fresh[b.name] for b in problem.blocks}


def _gradient_norm(problem: LeastSquaresProblem, index: int) -> float:
    b = problem.blocks[index]
    own = [p for n, p in problem.model.named_parameters() if n in set(problem.names)]
    loss = problem.block_residual(b).square().sum() / len(b)
    found = torch.autograd.grad(loss, own, allow_unused=True)
    return float(torch.stack([g.square().sum() for g in found if g is not None]).sum().sqrt())


class NTKBalancer:
    """w_b = trace of the whole tangent kernel / trace of the block's, each per point (arXiv 2007.14527).

    Args:
        every: steps between two updates.
        most: points of each block that are looked at.

    Raises:
        InputError: less than one of either.
    """

    def __init__(self, every: int = 1000, most: int = 256) -> None:
        if every < 1 or most < 1:
            raise InputError("NTKBalancer", given=f"every={every}, most={most}", expected="at least 1 each")
        self.every, self.most = every, most

    def __call__(self, problem: LeastSquaresProblem) -> dict[str, float]:
        """Weights by block.

        Args:
            problem: whose blocks are weighed.
        """
        traces = {}
        for b in problem.blocks:
            few = replace(b, tensors=tuple(t[: self.most] for t in b.tensors), weight=1.0)
            one = LeastSquaresProblem(problem.model, [few])
            with torch.no_grad():
                traces[b.name] = sum(float(j.square().sum()) for j, _ in one.jacobian_pieces(one.vector()))
        total = sum(traces.values())
        return {k: total / max(v, 1e-12 * total, 1e-300) for k, v in traces.items()}


def causal_weights(losses: Float[Tensor, " slabs"], epsilon: float = 1.0) -> Float[Tensor, " slabs"]:
    """w_i = exp(-epsilon sum_{j < i} L_j): a time slab counts when those before it are solved (arXiv 2203.07404).

    Args:
        losses: of the slabs, in order of time.
        epsilon: how strict.
    """
    before = torch.cumsum(losses.detach(), 0) - losses.detach()
    return torch.exp(-epsilon * before)
