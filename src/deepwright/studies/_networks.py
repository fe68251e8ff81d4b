"""Small networks that several studies shrink, and what they are trained and measured on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.inference import logits_of
from deepwright.core.randomness import generator, local_rng
from deepwright.data import load


@dataclass(frozen=True)
class Samples:
    """Training, validation and test inputs with labels; float, not overlapping."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def digits_small(seed: int) -> Samples:
    """scikit-learn's 1,797 digits as vectors: 1,000 to train on, 400 to validate, 397 to test, shuffled by the seed."""
    data = load("digits")
    x = torch.cat([s.inputs().flatten(1) for s in (data.train, data.validation, data.test)])
    y = torch.cat([s.y for s in (data.train, data.validation, data.test)])
    order = torch.randperm(len(y), generator=generator(seed, "digits"))
    x, y = x[order], y[order]
    return Samples((x[:1000], y[:1000]), (x[1000:1400], y[1000:1400]), (x[1400:], y[1400:]))


def mnist_small(side: int = 28) -> Samples:
    """The bundled 5,000 MNIST digits, pooled to 14 x 14 where asked."""
    data = load("mnist")

    def pooled(x: Tensor) -> Tensor:
        return x if side == 28 else F.avg_pool2d(x, 28 // side)

    parts = [(pooled(s.inputs()), s.y) for s in (data.train, data.validation, data.test)]
    return Samples(*parts)


def train(
    model: nn.Module, data: tuple[Tensor, Tensor], epochs: int, seed: int, lr: float = 2e-3, batch: int = 64
) -> nn.Module:
    """AdamW with one cycle: the recipe of every small network here."""
    fit(
        model,
        data,
        epochs=epochs,
        batch_size=batch,
        optimizer=adamw(lr, 1e-4),
        scheduler=one_cycle(lr),
        seed=seed,
        description="train",
    )
    return model.eval()


def built(make: type[nn.Module] | object, seed: int) -> nn.Module:
    """A network initialised under a seed of its own."""
    with local_rng(seed):
        return make()  # type: ignore[operator]


def accuracy(model: nn.Module, data: tuple[Tensor, Tensor], batch: int = 500) -> float:
    """Share of right predictions."""
    out = logits_of(model, data[0].split(batch))
    return float((out.argmax(1) == data[1]).double().mean())
