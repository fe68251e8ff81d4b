"""The Wasserstein Fragility Index of a network, as an interval that is honest about what can be known.

FI_W(tau) = inf { k : mean_i sup_x' [ xi(x') - k ||x' - x_i|| ] <= tau }. The upper end comes from a Lipschitz bound of
the margin; the lower end from moving the inputs by gradient ascent on the same objective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.core.tasks.targets import Labels
from deepwright.risk.fragility.misjudgment_scores import misjudgment


@dataclass(frozen=True)
class WassersteinInterval:
    """`lower` <= FI_W <= `upper`; the upper end holds only if the Lipschitz bound does (`certified`)."""

    lower: float
    upper: float
    certified: bool


def lipschitz_estimate(
    model: nn.Module, x: Float[Tensor, "n ..."], y: Labels, score: str = "score_margin", steps: int = 20, seed: int = 0
) -> float:
    """Largest input-gradient norm of the margin near the data: an estimate from below, not a bound.

    Args:
        model: the network; left as found.
        x: (N, ...) float inputs, brought to the model.
        y: (N,) labels.
        score: see `misjudgment`.
        steps: number of points a sample, ever farther from it.
        seed: of the directions.
    """
    require_whole(1, steps=steps)
    x = to_model(x, model)
    best = 0.0
    rng = generator(seed, "lipschitz")
    noise = torch.randn(x.shape, generator=rng).to(x)
    with frozen(model):
        for step in range(steps):
            point = (x + noise * (step / steps) * x.std()).detach().requires_grad_(True)
            margin = misjudgment(model(point), y, score).sum()
            (gradient,) = torch.autograd.grad(margin, point)
            best = max(best, float(gradient.flatten(1).norm(dim=1).max()))
    return best


def wasserstein_interval(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Labels,
    *,
    tau: float = 0.0,
    score: str = "score_margin",
    lipschitz: float | None = None,
    bounds: tuple[float, float] | None = None,
    steps: int = 20,
    restarts: int = 3,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> WassersteinInterval:
    """An interval for FI_W under the Euclidean cost with fixed labels.

    Args:
        model: the network; left as found.
        x: (N, ...) float inputs, brought to the model.
        y: (N,) labels.
        tau: as in `fragility_index`.
        score: as in `fragility_index`.
        lipschitz: a valid bound of the margin's Lipschitz constant; without it the largest gradient found near the data
            stands in and `certified` is False.
        bounds: box that inputs stay in.
        steps: of the ascent, each 0.1 * the data's deviation long.
        restarts: of the ascent.
        tolerance: relative, of the bisection on k.
        seed: of the restarts.
    """
    x = to_model(x, model)
    with frozen(model), torch.no_grad():
        mean = float(misjudgment(model(x), y, score).mean())
    if mean > tau:
        return WassersteinInterval(math.inf, math.inf, True)
    upper = lipschitz if lipschitz is not None else lipschitz_estimate(model, x, y, score, seed=seed)
    if not upper > 0 or not math.isfinite(upper):
        raise InputError("lipschitz", given=upper, expected="a positive number")
    low, high = 0.0, upper
    while high - low > tolerance * upper:
        middle = (low + high) / 2
        value = _worst_mean(model, x, y, score, middle, bounds, steps, restarts, seed)
        low, high = (middle, high) if value > tau else (low, middle)
    return WassersteinInterval(low, upper, lipschitz is not None)


def _worst_mean(
    model: nn.Module,
    x: Tensor,
    y: Labels,
    score: str,
    k: float,
    bounds: tuple[float, float] | None,
    steps: int,
    restarts: int,
    seed: int,
) -> float:
    """mean_i of the best xi(x') - k ||x' - x_i|| found (x' = x_i included)."""
    length = 0.1 * float(x.std())
    best = torch.full((len(x),), -math.inf, dtype=torch.float64)
    with frozen(model):
        for restart in range(restarts):
            noise = torch.randn(x.shape, generator=generator(seed, "ascent", restart)).to(x)
            moved = x + (noise * length * 0.1 if restart else 0)
            for _ in range(steps + 1):
                moved = moved.detach().requires_grad_(True)
                distance = (moved - x).flatten(1).double().square().sum(1).add(1e-18).sqrt()
                value = misjudgment(model(moved), y, score) - k * distance
                best = torch.maximum(best, value.detach().cpu())
                (gradient,) = torch.autograd.grad(value.sum(), moved)
                norms = gradient.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (x.ndim - 1))
                moved = moved.detach() + length * gradient / norms
                if bounds is not None:
                    moved = moved.clamp(*bounds)
    return float(best.mean())
