"""What is left above phase 1: against the longest search, and exactly where all masks are tried."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress import EvolutionaryPruner, ParetoResult, accuracy_on
from deepwright.core.pareto import hypervolume
from deepwright.core.randomness import generator
from deepwright.studies._networks import built, digits_small
from deepwright.studies.search.weights import GENERATIONS, HIDDEN, POPULATION, trained_mlp

MAIN = "64-64-48-10"
NETWORKS = {"64-16-10": (16,), MAIN: HIDDEN, "64-128-64-10": (128, 64)}
BUDGETS = {  # generations of each phase; the last is the search that others are held against
    "64-16-10": (GENERATIONS, 150),
    "64-64-48-10": (5, GENERATIONS, 150),
    "64-128-64-10": (30, 60),
}
TINY = "4-3-2, all 262,144 masks tried"


def room_trial(network: str, seed: int, short: bool) -> list[dict[str, Any]]:
    """One row a budget: hypervolume after phase 1, after phase 2, of phase 1 for both's budget, and of the longest
    search.

    Args:
        network: one of `NETWORKS`.
        seed: of the digits' split, the network and the search.
        short: fewer generations.
    """
    budgets = (3, 6) if short else BUDGETS[network]
    model, data = trained_mlp(NETWORKS[network], seed), digits_small(seed)
    found = {n: _searched(model, data.train[0][:2], data.validation, n, seed) for n in budgets}
    longest = found[budgets[-1]]
    best = max(_after_phase_1(longest), longest.hypervolume())
    return [
        {
            "generations": n,
            "weights": longest.space.size,
            "phase 1": _after_phase_1(found[n]),
            "phase 1, full budget": _phase_1_within(longest, 2 * POPULATION * (n + 1)),
            "phase 1 + 2": found[n].hypervolume(),
            "best": best,
        }
        for n in budgets[:-1]
    ]


def _searched(
    model: nn.Module, example: Tensor, validation: tuple[Tensor, Tensor], generations: int, seed: int
) -> ParetoResult:
    phase = {"pop": POPULATION, "gen": generations}
    search = EvolutionaryPruner(model, example, granularity="weight", seed=seed, phase1=phase, phase2=dict(phase))
    return search.fit(accuracy_on(*validation))


def _after_phase_1(result: ParetoResult) -> float:
    return max(volume for _, volume, phase in result.history if phase == 1)


def _phase_1_within(result: ParetoResult, evaluations: int) -> float:
    """Phase 1 doesn't know how long it will be: its beginning is a shorter phase 1."""
    return max(volume for spent, volume, phase in result.history if phase == 1 and spent <= evaluations)


def exact_trial(seed: int, short: bool) -> dict[str, Any]:
    """A network of 18 weights that agrees with itself: the true front, and what the two phases find of it.

    Args:
        seed: of the network, the inputs and the search.
        short: fewer generations.
    """
    make = partial(nn.Sequential, nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    model = built(lambda: make(), seed).eval()
    for layer in (model[0], model[2]):  # type: ignore[index]
        nn.init.normal_(layer.weight, generator=generator(seed, "weights"))
    x = torch.randn(400, 4, generator=generator(seed, "inputs"))
    with torch.no_grad():
        y = model(x).argmax(1)
    result = _searched(model, x[:2], (x, y), 8 if short else GENERATIONS, seed)
    return {
        "generations": 8 if short else GENERATIONS,
        "weights": result.space.size,
        "phase 1": _after_phase_1(result),
        "phase 1 + 2": result.hypervolume(),
        "best": true_volume(model, x, y),
    }


@torch.no_grad()
def true_volume(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Hypervolume of the true front of a bias-free network of one hidden layer with two outputs, by every mask.

    A hidden unit adds one of few terms to the outputs' difference, whatever the others do: sums of terms are all masks.

    Args:
        model: Linear, ReLU, Linear.
        x: inputs (N, d).
        y: labels (N,), 0 or 1.
    """
    into, out = model[0].weight, model[2].weight  # type: ignore[index]
    terms, kept = [], []
    for unit in range(len(into)):
        masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=into.shape[1] + 2)))
        hidden = torch.relu(x @ (masks[:, :-2] * into[unit]).T)  # (N, masks)
        sides = masks[:, -2:] * out[:, unit]
        terms.append((hidden * (sides[:, 1] - sides[:, 0])).T)
        kept.append(masks.sum(1))
    pairs, counts = terms[0], kept[0]
    for term, count in zip(terms[1:-1], kept[1:-1]):
        pairs = (pairs[:, None] + term[None]).flatten(0, 1)
        counts = (counts[:, None] + count[None]).flatten()
    size = into.numel() + out.numel()
    best = np.ones(size + 1)
    for term, count in zip(terms[-1], kept[-1]):
        errors = ((pairs + term > 0).long() != y).double().mean(1).numpy()  # a tie is class 0, as argmax has it
        np.minimum.at(best, (counts + count).long().numpy(), errors)
    return hypervolume(np.stack([best, np.arange(size + 1) / size], 1), (1.0, 1.0))
