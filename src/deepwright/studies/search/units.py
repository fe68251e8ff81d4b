"""ResNets searched in coupled units, really smaller, and trained again beside one-shot cuts: digits and photographs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress import (
    EvolutionaryPruner,
    ParetoResult,
    Plan,
    Preparation,
    ShrinkGraph,
    accuracy_on,
    importance,
    plan,
    shrink,
)
from deepwright.data import load as load_data
from deepwright.nets import cifar_resnet, load
from deepwright.studies._networks import Samples, accuracy, built, train
from deepwright.studies._retraining import SETTLING, retrained, split_mnist

RATES, PHOTO_RATES = (3e-3, 1e-2, 3e-2), (3e-4, 1e-3, 3e-3)
SHARES, PHOTO_SHARES = (0.7, 0.5, 0.3), (0.6,)
AS_CUT, ANEW, STEPS = "search, as cut", "search, statistics anew", "search, and 8 steps"
# How a search judges its candidates: (inputs for batch norms' statistics, steps of training); None: as they were cut.
SEARCHES = {AS_CUT: None, ANEW: (SETTLING, 0), STEPS: (SETTLING, 8)}
# One-shot: criterion, and whether layers compete (else each loses the same share).
L2, TAYLOR, UNIFORM, RANDOM = "L2", "Taylor", "layer-uniform L2", "random units"
ONE_SHOT = {L2: ("l2", True), TAYLOR: ("taylor", True), UNIFORM: ("l2", False), RANDOM: ("random", True)}
DIGITS = {"depth": 8, "width": 8, "trained": 2000, "judged": 1000, "epochs": 10, "budget": 60}
FEW_DIGITS = {"depth": 8, "width": 4, "trained": 200, "judged": 150, "epochs": 2, "budget": 24}
PHOTO_SIZES = {"trained": 400, "validated": 200, "tested": 500, "budget": 60}
Row = dict[str, Any]


def digits_trial(
    seed: int, depth: int, width: int, trained: int, judged: int, epochs: int, budget: int
) -> dict[str, Any]:
    """A ResNet on 14 x 14 digits: three searches of equal budgets and four one-shot cuts, each trained again alike.

    Args:
        seed: of the digits' split, the network, the searches and the batches.
        depth: of the network.
        width: of its first stage.
        trained: digits to train on, at first and again.
        judged: digits to choose on, and as many to test on.
        epochs: of the dense network.
        budget: passes of a search over the validation digits.
    """
    data = split_mnist(seed, 14, trained, judged)
    model = train(built(partial(cifar_resnet, depth, channels=1, width=width), seed), data.train, epochs, seed)
    return _compared(model, data, tuple(SEARCHES), tuple(ONE_SHOT), SHARES, RATES, budget, seed)


def photos_trial(seed: int, root: str, trained: int, validated: int, tested: int, budget: int) -> dict[str, Any]:
    """The bundled ResNet-20 on CIFAR-10: one search and two one-shot cuts, each trained again alike.

    Args:
        seed: of the photographs that are drawn, the search and the batches.
        root: of the photographs.
        trained: photographs to train on again.
        validated: to choose on.
        tested: to test on.
        budget: passes of the search over the validation photographs.
    """
    drawn = load_data("cifar10", root=Path(root), limit=max(tested, validated), train_limit=trained, seed=seed)
    sizes = ((drawn.train, trained), (drawn.validation, validated), (drawn.test, tested))
    data = Samples(*((split.inputs()[:n], split.y[:n]) for split, n in sizes))
    model = load("resnet20-cifar10").eval()
    return _compared(model, data, (ANEW,), (L2, TAYLOR), PHOTO_SHARES, PHOTO_RATES, budget, seed)


def _compared(
    model: nn.Module,
    data: Samples,
    searches: tuple[str, ...],
    criteria: tuple[str, ...],
    shares: tuple[float, ...],
    rates: tuple[float, ...],
    budget: int,
    seed: int,
) -> dict[str, Any]:
    """One row a network, share of the MACs and learning rate."""
    graph = ShrinkGraph.from_module(model, data.test[0][:2])
    dense = float(plan(graph, importance(graph, "l2"), ratio=0.0).cost()["macs"])
    fronts = {name: _searched(model, data, budget, SEARCHES[name], seed) for name in searches}
    scores = importance(graph, "taylor", _scored(data))
    rows: list[Row] = []
    for share in shares:
        plans = {name: _picked(fronts[name], scores, share) for name in searches}
        plans |= {name: _one_shot(graph, name, data, share, seed) for name in criteria}
        for name, chosen in plans.items():
            cut = shrink(model, chosen)
            assert cut.verification is not None
            same = {"arm": name, "share": share, "macs": chosen.cost()["macs"] / dense, "error": cut.verification.error}
            rows += [same | row for row in retrained(cut.model, data, rates, 1, seed)]
    passes = {name: front.evaluations for name, front in fronts.items()}
    return {"dense": accuracy(model, data.test), "rows": rows, "evaluations": passes}


def _searched(model: nn.Module, data: Samples, budget: int, how: tuple[int, int] | None, seed: int) -> ParetoResult:
    phase = {"pop": 12, "gen": 20}
    search = EvolutionaryPruner(
        model,
        data.test[0][:2],
        objectives=("error", "macs"),
        importance="taylor",
        data=_scored(data),
        phase1=phase,
        phase2=dict(phase),
        seed=seed,
    )
    preparation = None
    if how is not None:
        statistics, steps = how
        preparation = Preparation(*data.train, statistics=statistics, steps=steps, batch_size=32)
    judge = accuracy_on(*data.validation)
    return search.fit(judge, budget=float(budget), racing=True, preparation=preparation, test=data.test)


def _picked(front: ParetoResult, scores: dict[Any, Tensor], share: float) -> Plan:
    """The cheapest network of the front with this share of the MACs at least, and of its units then those that score
    least until the share is reached: every arm has the same MACs.

    Args:
        front: of a search.
        scores: of all units.
        share: of the MACs.
    """
    graph: ShrinkGraph = front.space.graph  # type: ignore[attr-defined]
    macs = np.where(front.F[:, 1] >= share, front.F[:, 1], np.inf)
    if np.isinf(macs).all():
        mask = np.ones(graph.units, bool)
    else:
        mask = front.masks[int(np.argmin(macs))]
    left = {
        group.name: value * torch.from_numpy(mask[graph.offsets[group.name] :][: group.size])
        for group, value in scores.items()
    }
    return plan(graph, left, target={"macs": share})


def _one_shot(graph: ShrinkGraph, name: str, data: Samples, share: float, seed: int) -> Plan:
    criterion, compete = ONE_SHOT[name]
    batches = _scored(data) if criterion == "taylor" else None
    rng = torch.Generator().manual_seed(seed) if criterion == "random" else None
    return plan(graph, importance(graph, criterion, batches, generator=rng), target={"macs": share}, global_=compete)


def _scored(data: Samples) -> list[tuple[Tensor, Tensor]]:
    """What criteria with data look at, in the search and in one-shot cuts."""
    return [(data.train[0][:512], data.train[1][:512])]
