"""Who chooses the labels: networks of two sizes, each trained afresh in every round."""

from __future__ import annotations

import functools
import time
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress import cost
from deepwright.core.randomness import generator
from deepwright.labels import LabelingLoop, PrunedSelector, WholeSelector, default_trainer
from deepwright.nets import cifar_resnet
from deepwright.studies._networks import Samples, accuracy, built, mnist_small

RANDOM, WHOLE, OURS = "random", "whole network", "PruneFuse"
UNITS, SEPARATE = "PruneFuse, units at random", "small separate network (SVP)"
SELECTIONS = (RANDOM, WHOLE, OURS, UNITS, SEPARATE)
RATES = (0.03, 0.1, 0.3)
LABELS, ROUND, SELECTOR_EPOCHS = 480, 160, 20


@functools.lru_cache(maxsize=8)
def digits(seed: int) -> Samples:
    """The 5,000 digits, pooled to 14 x 14, shuffled by the seed: 3,000 in the pool, 1,000 to validate, 1,000 to test.

    Args:
        seed: of the order.
    """
    data = mnist_small(14)
    parts = (data.train, data.validation, data.test)
    x, y = (torch.cat([part[i] for part in parts]) for i in (0, 1))
    order = torch.randperm(len(y), generator=generator(seed, "digits"))
    pool, validation, test = (order[a:b] for a, b in ((0, 3000), (3000, 4000), (4000, 5000)))
    return Samples((x[pool], y[pool]), (x[validation], y[validation]), (x[test], y[test]))


def network(seed: int, width: int = 8) -> nn.Module:
    """A ResNet-8 in its initial state.

    Args:
        seed: of its weights.
        width: of its first stage.
    """
    return built(functools.partial(cifar_resnet, 8, channels=1, width=width), seed)


def selector_of(name: str, seed: int, x: Tensor, width: int = 8) -> Any:
    """What a round trains.

    Args:
        name: one of `SELECTIONS`.
        seed: of its weights.
        x: some inputs.
        width: of the whole network.
    """
    if name == WHOLE:
        return WholeSelector(network(seed, width))
    if name == SEPARATE:
        return WholeSelector(network(seed + 1000, width // 2))
    if name == UNITS:
        return PrunedSelector(network(seed, width), x, criterion="random", generator=generator(seed, "units"))
    return PrunedSelector(network(seed, width), x)


def selection_trial(name: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Choose the labels, then train the selector on all of them.

    Args:
        name: one of `SELECTIONS`.
        lr: of the selector.
        seed: of everything.
        epochs: of the selector in each round.
    """
    data = digits(seed)
    pool, truth = data.train
    trainer = default_trainer(epochs, lr=lr)
    loop = LabelingLoop(
        pool,
        selector_of(name, seed, pool[:2]),
        "random" if name == RANDOM else "least-confidence",
        budget=LABELS,
        round_size=ROUND,
        trainer=trainer,
        oracle=lambda i: truth[i],
        classes=10,
        seed=seed,
    )
    begin = time.process_time()
    result = loop.run()
    seconds = time.process_time() - begin
    trained = trainer(loop.selector.fresh(), *loop.data(), 0, seed)
    return {
        "indices": result.indices,
        "validation": accuracy(trained, data.validation),
        "test": accuracy(trained, data.test),
        "macs": result.macs,
        "seconds": seconds,
        "macs of one": cost(loop.selector.network, pool[:1]).macs,
    }


def round_trial(width: int, seed: int, epochs: int) -> dict[str, float]:
    """CPU seconds of one round, training on 400 digits of 28 x 28 and scoring 2,000, with three selectors in turn.

    Args:
        width: of the whole network.
        seed: of everything.
        epochs: of the training.
    """
    data = mnist_small()
    x, y, pool = data.train[0][:400], data.train[1][:400], data.train[0][:2000]
    found = {}
    for name in (WHOLE, OURS, SEPARATE):
        selector = selector_of(name, seed, x[:2], width)
        begin = time.process_time()
        model = default_trainer(epochs)(selector.fresh(), x, y, 0, seed)
        with torch.inference_mode():
            for part in pool.split(250):
                model(part)
        found[name] = time.process_time() - begin
    return found
