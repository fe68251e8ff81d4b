"""Training of selectors, and of the whole network after fusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.fit import fit, one_cycle, sgd
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.tasks import Task
from deepwright.labels.prunefuse.selector import DistillLoss, PrunedSelector

Trainer = Callable[[nn.Module, Tensor, Tensor, int, int], nn.Module]


def default_trainer(epochs: int = 20, lr: float = 0.1, batch_size: int = 32, task: Task | None = None) -> Trainer:
    """SGD with Nesterov momentum and one cycle: (model, x, y, round, seed) -> the trained model, where it was.

    Args:
        epochs: over the labelled data; also `epochs` of what is returned, from which the loop counts what it costs.
        lr: the cycle's peak.
        batch_size: samples a step, fewer where fewer have labels.
        task: whose loss is lowered; cross-entropy over logits of classes by default.

    Raises:
        InputError: no whole number of epochs or samples, or a learning rate that isn't above 0.
    """
    require_whole(1, epochs=epochs, batch_size=batch_size)
    require_positive(lr=lr)

    def loss(out: Any, y: Tensor) -> Tensor:
        if task is None:
            return F.cross_entropy(out, y)
        return task.loss(task.read(out, len(y), strict=False), y).mean()

    def train(model: nn.Module, x: Tensor, y: Tensor, number: int, seed: int) -> nn.Module:
        fit(
            model,
            (x, y),
            epochs=epochs,
            batch_size=min(batch_size, max(2, len(y))),
            loss=loss,
            optimizer=sgd(lr),
            scheduler=one_cycle(lr),
            drop_last=len(y) > batch_size,
            seed=seed,
            description=f"round {number}",
        )
        return model.eval()

    train.epochs = epochs  # type: ignore[attr-defined]
    return train


def train_fused(
    selector: PrunedSelector,
    small: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    rest: str = "random",
    epochs: int = 10,
    lr: float = 0.1,
    distill: float = 0.3,
    seed: int = 0,
    task: Task | None = None,
    batch_size: int = 32,
) -> nn.Module:
    """Fuse a trained selector into the whole network and train it on, taught by the selector.

    Args:
        selector: where the selector came from.
        small: the trained selector.
        x: (n, ...) inputs.
        y: (n,) labels.
        rest: what stands outside the copied blocks; see `compress.embed`.
        epochs: of the training.
        lr: peak of its cycle.
        distill: the teacher's weight; 0 for none.
        seed: of everything.
        task: how to read outputs of which each sample has one class; None takes them as logits of classes.
        batch_size: samples a step, fewer where fewer have labels.

    Returns:
        The whole network, where it was, in eval mode.
    """
    fused = selector.fuse(small, rest=rest, generator=generator(seed, "fuse"))
    loss = DistillLoss(small, distill, task=task)

    def step(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(model(inputs), inputs, targets)

    fit(
        fused,
        (x, y),
        epochs=epochs,
        batch_size=min(batch_size, max(2, len(y))),
        step=step if distill or task is not None else None,
        optimizer=sgd(lr),
        scheduler=one_cycle(lr),
        drop_last=len(y) > batch_size,
        seed=seed,
        description="fused",
    )
    return fused.eval()
