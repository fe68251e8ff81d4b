"""One ResNet-20, cut nine ways and fine-tuned; the latencies of cut, rounded and masked networks."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from deepwright.compress import (
    Latency,
    ShrinkGraph,
    cost,
    importance,
    mask,
    measure_latency,
    onnx_latency,
    plan,
    shrink,
)
from deepwright.nets import cifar_resnet
from deepwright.studies._networks import accuracy, built, mnist_small, train

SHARES = (0.75, 0.5, 0.25)
CRITERIA = ("l2", "taylor", "random")


def trial(seed: int, epochs: int, trained: int, tested: int) -> dict[str, Any]:
    """Train one ResNet-20, cut it nine ways, fine-tune each.

    Args:
        seed: of the start, the batches and the units chosen at random.
        epochs: of the dense network.
        trained: digits to train on.
        tested: digits to test on.
    """
    data = mnist_small()
    learnt, held = ((x[:n], y[:n]) for (x, y), n in ((data.train, trained), (data.test, tested)))
    model = train(built(partial(cifar_resnet, 20, channels=1), seed), learnt, epochs, seed)
    graph = ShrinkGraph.from_module(model, held[0][:2])
    batches = list(zip(learnt[0][:512].split(128), learnt[1][:512].split(128)))
    cut: dict[str, Any] = {}
    for criterion in CRITERIA:
        rng = torch.Generator().manual_seed(seed) if criterion == "random" else None
        scores = importance(graph, criterion, batches if criterion == "taylor" else None, generator=rng)
        for share in SHARES:
            chosen = plan(graph, scores, target={"macs": share})
            result = shrink(model, chosen)
            assert result.verification is not None
            before = accuracy(result.model, held)
            train(result.model, learnt, 3, seed, lr=1e-3)
            cut[f"{criterion}-{share}"] = {
                **{k: float(v) for k, v in chosen.cost().items()},
                "before": before,
                "after": accuracy(result.model, held),
                "error": result.verification.error,
            }
    dense = cost(model, held[0][:1])
    return {"dense": accuracy(model, held), "params": dense.params, "macs": dense.macs, "cut": cut}


def latencies() -> dict[Any, tuple[float, float]]:
    """(eager, ONNX Runtime) milliseconds of a batch of 32 on one thread: at each share with any width, with widths that
    are multiples of 8, and of a mask at 25 %. All networks are measured in turn, three times; medians."""
    make = partial(cifar_resnet, 20, channels=1)
    model = built(make, 0).eval()
    x = torch.rand(32, 1, 28, 28)
    graph = ShrinkGraph.from_module(model, x[:2])
    scores = importance(graph, "random", generator=torch.Generator().manual_seed(0))
    networks: dict[Any, nn.Module] = {1.0: model}
    for share in SHARES:
        networks[share] = shrink(model, plan(graph, scores, target={"macs": share})).model
        networks[f"{share}/8"] = shrink(model, plan(graph, scores, target={"macs": share}, round_to=8)).model
    masked = built(make, 0).eval()
    again = ShrinkGraph.from_module(masked, x[:2])
    mask(masked, plan(again, scores, target={"macs": 0.25})).remove(keep_zeros=True)  # what a masking library leaves
    networks["mask"] = masked
    times: dict[Any, list[tuple[float, float]]] = {k: [] for k in networks}
    for _ in range(3):
        for key, network in networks.items():
            eager = measure_latency(network, x, threads=1, min_run_time=0.4)
            runtime: Latency | None = onnx_latency(network, x, threads=1, min_run_time=0.4)
            times[key].append((1e3 * eager.median, 1e3 * runtime.median if runtime is not None else float("nan")))
    return {k: (sorted(a for a, _ in v)[1], sorted(b for _, b in v)[1]) for k, v in times.items()}
