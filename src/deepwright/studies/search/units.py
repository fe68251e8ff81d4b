"""ResNet-20 searched in coupled units, really smaller: on bundled digits and on photographs."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress import (
    GRADIENT_CRITERIA,
    EvolutionaryPruner,
    ParetoResult,
    Plan,
    Preparation,
    ShrinkGraph,
    accuracy_on,
    importance,
    measure_latency,
    plan,
    shrink,
)
from deepwright.data import load as load_data
from deepwright.nets import cifar_resnet, load
from deepwright.studies._networks import Samples, accuracy, built, mnist_small, train

SHARES = (0.7, 0.5, 0.35)
LAST_EPOCHS = 2  # of every network that is compared, from its cut
# How a search judges its candidates: (inputs for batch norms' statistics, steps of training); None: as they were cut.
SEARCHES = {"as cut": None, "statistics anew": (256, 0), "statistics and 8 steps": (256, 8)}
CRITERIA = ("l2", "l1", "bn_scale", "taylor", "hessian_diag")


def units_trial(seed: int, short: bool) -> dict[str, Any]:
    """ResNet-20 on 14 x 14 digits: three searches of equal budgets against one-shot cuts, after equal training."""
    data = mnist_small(14)
    model = train(built(partial(cifar_resnet, 20, channels=1), seed), data.train, 2 if short else 10, seed)
    budget = 40.0 if short else 400.0
    fronts = {name: _searched(model, data, seed, budget, how) for name, how in SEARCHES.items()}
    points = [_compared(model, fronts, data, share, seed) for share in SHARES]
    plain = fronts["as cut"]  # its points are judged at once: picking one costs no training
    x = torch.rand(32, 1, 14, 14)
    small = plain.pick(data.test, index=int(np.argmin(np.abs(plain.F[:, 1] - 0.5)))).model
    speed = measure_latency(model, x, min_run_time=0.3).median / measure_latency(small, x, min_run_time=0.3).median
    return {
        "dense": accuracy(model, data.test),
        "points": points,
        "evaluations": {name: front.evaluations for name, front in fronts.items()},
        "networks": {name: len(front) for name, front in fronts.items()},
        "speed": speed,
        "front": plain.F.tolist(),
    }


def _searched(model: nn.Module, data: Samples, seed: int, budget: float, how: tuple[int, int] | None) -> ParetoResult:
    search = EvolutionaryPruner(
        model,
        data.test[0][:2],
        objectives=("error", "macs"),
        importance="taylor",
        data=_scored(data),
        phase1={"pop": 20, "gen": 12},
        phase2={"pop": 20, "gen": 12},
        seed=seed,
    )
    preparation = None if how is None else _preparation(data, *how)
    return search.fit(
        accuracy_on(*data.validation), budget=budget, racing=True, preparation=preparation, test=data.test
    )


def _scored(data: Samples) -> list[tuple[Tensor, Tensor]]:
    """What criteria with data look at, in the search and in one-shot cuts."""
    return [(data.train[0][:512], data.train[1][:512])]


def _preparation(data: Samples, statistics: int, steps: int) -> Preparation:
    return Preparation(*data.train, statistics=statistics, steps=steps, batch_size=32)


def _compared(
    model: nn.Module, fronts: dict[str, ParetoResult], data: Samples, share: float, seed: int
) -> dict[str, Any]:
    """For one share of the MACs: what each search and the one-shot cuts give, chosen on the validation set."""
    out: dict[str, Any] = {"share": share}
    graph = fronts["as cut"].space.graph  # type: ignore[attr-defined]
    errors = []
    for name, front in fronts.items():
        fitting = np.flatnonzero(front.F[:, 1] <= share)
        if len(fitting) == 0:  # its cheapest then, whose MACs are told
            fitting = np.array([np.argmin(front.F[:, 1])])
        chosen = int(fitting[np.lexsort((-front.F[fitting, 1], front.F[fitting, 0]))[0]])
        result = shrink(model, Plan(graph, front.masks[chosen]))
        assert result.verification is not None
        errors.append(result.verification.error)
        out[name] = {"macs": float(front.F[chosen, 1]), **_trained(result.model, data, seed)}
    out["one-shot L2"] = _trained(_cut(model, graph, "l2", data, share), data, seed)
    out["one-shot, chosen"] = _trained(_chosen_cut(model, graph, data, share), data, seed)
    return out | {"error": max(errors)}


def _trained(cut: nn.Module, data: Samples, seed: int) -> dict[str, float]:
    """Test accuracy of a cut, and after the training that every network gets."""
    before = accuracy(cut, data.test)
    train(cut, data.train, LAST_EPOCHS, seed, lr=1e-3)
    return {"before": before, "after": accuracy(cut, data.test)}


def _cut(model: nn.Module, graph: ShrinkGraph, criterion: str, data: Samples, share: float) -> nn.Module:
    scores = importance(graph, criterion, data=_scored(data) if criterion in GRADIENT_CRITERIA else None)
    return shrink(model, plan(graph, scores, target={"macs": share})).model


def _chosen_cut(model: nn.Module, graph: ShrinkGraph, data: Samples, share: float) -> nn.Module:
    """The best of the one-shot cuts on the validation set, each with the statistics and steps that candidates get."""
    cuts = [_cut(model, graph, criterion, data, share) for criterion in CRITERIA]
    preparation = _preparation(data, 256, 8)
    found = []
    for cut in cuts:
        trial = copy.deepcopy(cut)
        preparation.refresh(trial)
        preparation.train(trial)
        found.append(accuracy(trial, data.validation))
    return cuts[int(np.argmax(found))]


def cifar_trial(seed: int, root: str) -> dict[str, Any]:
    """The bundled ResNet-20 on real photographs: a search on 1,000 validation images, then two epochs on 20,000."""
    data = load_data("cifar10", root=Path(root), limit=2000, train_limit=20_000)
    model = load("resnet20-cifar10")
    validation = (data.validation.inputs(slice(0, 1000)), data.validation.y[:1000])
    test = (data.test.inputs(), data.test.y)
    search = EvolutionaryPruner(
        model,
        test[0][:2],
        objectives=("error", "macs"),
        phase1={"pop": 20, "gen": 9},
        phase2={"pop": 20, "gen": 9},
        seed=seed,
    )
    front = search.fit(accuracy_on(*validation), racing=True, test=test)
    fitting = np.flatnonzero(front.F[:, 1] <= 0.7)
    picked = front.pick(test, index=int(fitting[np.argmin(front.F[fitting, 0])]))
    train(picked.model, (data.train.inputs(), data.train.y), 2, seed, lr=1e-3, batch=128)
    return {
        "dense": accuracy(model, test),
        "macs": picked.costs["macs"],
        "before": 1 - picked.held_out.value,
        "after": accuracy(picked.model, test),
        "evaluations": front.evaluations,
        "validation": 1 - picked.validation_error,
    }
