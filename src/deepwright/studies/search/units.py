"""ResNet-20 searched in coupled units, really smaller: on bundled digits and on photographs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepwright.compress import EvolutionaryPruner, accuracy_on, importance, measure_latency, plan, shrink
from deepwright.data import load as load_data
from deepwright.nets import cifar_resnet, load
from deepwright.studies._networks import accuracy, built, mnist_small, train


def units_trial(seed: int, short: bool) -> dict[str, Any]:
    """ResNet-20 in coupled units on 14 x 14 digits, 400 evaluations, then two epochs; one-shot cuts beside it."""
    data = mnist_small(14)
    model = train(built(partial(cifar_resnet, 20, channels=1), seed), data.train, 2 if short else 10, seed)
    search = EvolutionaryPruner(
        model,
        data.test[0][:2],
        objectives=("error", "macs"),
        phase1={"pop": 20, "gen": 12},
        phase2={"pop": 20, "gen": 12},
        seed=seed,
    )
    front = search.fit(accuracy_on(*data.validation), budget=60 if short else 400, racing=True)
    dense = accuracy(model, data.test)
    points = []
    for share in (0.7, 0.5, 0.35):
        fitting = np.flatnonzero(front.F[:, 1] <= share)
        if len(fitting) == 0:
            continue
        picked = front.pick(data.test, index=int(fitting[np.argmin(front.F[fitting, 0])]))
        assert picked.surgery is not None
        assert picked.surgery.verification is not None
        before = accuracy(picked.model, data.test)
        train(picked.model, data.train, 2, seed, lr=1e-3)
        graph = search.space.graph  # type: ignore[attr-defined]
        one_shot = plan(graph, importance(graph, "l2"), target={"macs": share})
        other = shrink(model, one_shot).model
        other_before = accuracy(other, data.test)
        train(other, data.train, 2, seed, lr=1e-3)
        points.append(
            {
                "share": share,
                "macs": picked.costs["macs"],
                "before": before,
                "after": accuracy(picked.model, data.test),
                "one-shot before": other_before,
                "one-shot after": accuracy(other, data.test),
                "error": picked.surgery.verification.error,
            }
        )
    x = torch.rand(32, 1, 14, 14)
    small = front.pick(data.test, index=int(np.argmin(np.abs(front.F[:, 1] - 0.5)))).model
    speed = measure_latency(model, x, min_run_time=0.3).median / measure_latency(small, x, min_run_time=0.3).median
    return {
        "dense": dense,
        "points": points,
        "evaluations": front.evaluations,
        "speed": speed,
        "front": front.F.tolist(),
    }


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
