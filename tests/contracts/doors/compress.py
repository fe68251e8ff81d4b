"""The doors of compress: the pruning search."""

from __future__ import annotations

import numpy as np
import torch

from deepwright.compress import EvolutionaryPruner, Preparation, accuracy_on
from deepwright.core.randomness import generator, local_rng
from deepwright.nets import mlp
from doors import Door

PHASES = {"phase1": {"pop": 12, "gen": 6}, "phase2": {"pop": 12, "gen": 10}}


def stop_in_the_middle(state):
    if state.phase == 2:
        raise KeyboardInterrupt


def network(start=0):
    with local_rng(start):
        return mlp(8, 3, (16, 12)).eval()


def samples(seed=0, flipped=False):
    x = torch.randn(200, 8, generator=generator(seed))
    with torch.no_grad():
        y = network()(x).argmax(1)
    return x, (y + 1) % 3 if flipped else y


def found(front):
    return {"F": front.F, "packed": front.packed, "phase": front.phase, "history": front.history, "log": front.log}


def search(
    folder,
    *,
    start=0,
    seed=0,
    data_seed=0,
    flipped=False,
    scored=0,
    racing=True,
    stop=None,
    importance="taylor",
    prepared=0,
    **other,
):
    x, y = samples(data_seed, flipped)
    scores = [samples(scored)]
    options = {"granularity": "weight", "importance": importance, "data": scores, "seed": seed, **PHASES, **other}
    pruner = EvolutionaryPruner(network(start), x[:2], **options)
    preparation = Preparation(*samples(5), steps=prepared, batch_size=8) if prepared else None
    fit = {"racing": racing, "preparation": preparation, "checkpoint": folder / "search.pt", "on_step": stop}
    return found(pruner.fit(accuracy_on(x, y), **fit))


def penalised(x, y, weight):
    def evaluate(model):
        with torch.no_grad():
            wrong = (model(x).argmax(1) != y).double().mean()
        return float(wrong) + weight * sum(p.abs().mean().item() for p in model.parameters())

    return evaluate


def search_by_function(folder, *, weight=0.01, data_seed=0, stop=None):
    x, y = samples(data_seed)
    pruner = EvolutionaryPruner(network(), x[:2], **PHASES)
    checkpoint = folder / "own.pt"
    return found(pruner.fit(penalised(x, y, weight), checkpoint=checkpoint, on_step=stop))


def begun_with(folder, *, density=0.5):
    x, y = samples()
    pruner = EvolutionaryPruner(network(), x[:2], granularity="weight", **PHASES)
    pruner.begin_with(np.random.default_rng(0).random((12, pruner.space.size)) < density)
    return found(pruner.fit(accuracy_on(x, y), checkpoint=folder / "begun.pt"))


DOORS = [
    Door(
        "pruning search",
        search,
        file="search.pt",
        changes={
            "model": {"start": 1},
            "validation data": {"data_seed": 1},
            "another validation data": {"flipped": True},
            "scores": {"scored": 1},
            "seed": {"seed": 1},
            "seeds": {"seeds": "raw"},
            "preparation": {"prepared": 1},
            "importance": {"importance": "fisher"},
            "racing": {"racing": False},
            "granularity": {"granularity": "block"},
            "phase1": {"phase1": {"pop": 12, "gen": 5}},
            "phase2": {"phase2": {"pop": 14, "gen": 10}},
            "corridor": {"corridor": (0.02, 0.2)},
            "engine": {"engine": "moead"},
            "escape": {"escape": 0.1},
            "guided": {"guided": False},
            "min_keep": {"min_keep": 3},
            "frozen": {"frozen": ("0",)},
            "objectives": {"objectives": ("error", "macs")},
        },
        interrupt={"stop": stop_in_the_middle},
    ),
    Door(
        "pruning search by a function",
        search_by_function,
        file="own.pt",
        changes={"evaluate": {"weight": 0.1}, "another evaluate": {"data_seed": 1}},
        interrupt={"stop": stop_in_the_middle},
    ),
    Door("pruning search from given networks", begun_with, file="begun.pt", changes={"first masks": {"density": 0.4}}),
]
