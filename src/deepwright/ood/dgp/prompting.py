"""How the two prompts learn: one pass an epoch by classes, one by distances to the unprompted graphs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.graphs import GraphBatch
from deepwright.ood.dgp.distances import distance, whitening
from deepwright.ood.dgp.encoders import FrozenEncoder, in_parts
from deepwright.ood.dgp.stores import WithGraphs, rows_of


class Prompting(WithGraphs):
    """Two prompts and their predictor in training, beside the frozen encoder and the graphs' unprompted embeddings.

    Args:
        frozen: the encoder.
        graphs: to train on, where the encoder lives.
        specific: p_s, what tells classes apart.
        agnostic: p_a, what classes share.
        predictor: q.
        ridge: see `distances.whitening`.
    """

    def __init__(
        self,
        frozen: FrozenEncoder,
        graphs: GraphBatch,
        specific: nn.Module,
        agnostic: nn.Module,
        predictor: nn.Module,
        ridge: float,
    ) -> None:
        embedded, nodes = embedded_parts(frozen, graphs)
        super().__init__(replace(graphs, x=torch.cat([graphs.x, nodes], dim=1)))
        self.frozen, self.specific, self.agnostic, self.predictor = frozen, specific, agnostic, predictor
        self.width, self.ridge = graphs.x.shape[1], ridge
        mean, white = whitening(embedded, ridge)
        for name, value in (("embedded", embedded), ("mean", mean), ("white", white)):
            self.register_buffer(name, value, persistent=False)

    def forward(self, rows: Tensor, y: Tensor, loss: Callable[[Prompting, Tensor, Tensor], Tensor]) -> Tensor:
        """The loss of a batch: all inside `forward`, which is what processes agree on.

        Args:
            rows: of the batch, as `stores.indices` has them.
            y: labels.
            loss: one of `Passes`.
        """
        return loss(self, rows_of(rows), y)

    def views(self, graphs: GraphBatch) -> list[Tensor]:
        """h_s and h_a of graphs whose features have their nodes' embeddings beside them.

        Args:
            graphs: cut from `graphs`.
        """
        x, nodes = graphs.x.split([self.width, graphs.x.shape[1] - self.width], dim=1)
        weights = [prompt(nodes, graphs.edge_index) for prompt in (self.specific, self.agnostic)]
        return self.frozen.views(replace(graphs, x=x), weights)


def embedded_parts(frozen: FrozenEncoder, graphs: GraphBatch) -> tuple[Tensor, Tensor]:
    """h_o and H of many graphs, in several passes.

    Args:
        frozen: the encoder.
        graphs: where it lives.
    """
    with torch.no_grad():
        found = [frozen(part) for part in in_parts(graphs)]
    return torch.cat([h for h, _ in found]), torch.cat([nodes for _, nodes in found])


def disentangling(
    logits_s: Float[Tensor, "n classes"], logits_a: Float[Tensor, "n classes"], y: Tensor, lambda_: float
) -> Float[Tensor, ""]:
    """L_dis = CE(q(h_s), y) + lambda KL(uniform || softmax q(h_a)).

    Args:
        logits_s: q(h_s).
        logits_a: q(h_a).
        y: labels.
        lambda_: weight of the second part.
    """
    log_a = logits_a.log_softmax(1)
    to_uniform = -log_a.mean(1).mean() - math.log(logits_a.shape[1])
    return F.cross_entropy(logits_s, y) + lambda_ * to_uniform


@dataclass(frozen=True)
class Passes:
    """The step of `core.fit`: passes by classes and passes by distances take turns.

    Attributes:
        lambda_: see `disentangling`.
        alpha: of L_dist = alpha_1 / mean D_O(h_s) + alpha_2 / mean D_O(h_a); zeros leave these passes out.
        steps: of one pass.
        per_batch: fit O on each batch, as the published code does, in place of once on all graphs.
    """

    lambda_: float
    alpha: tuple[float, float]
    steps: int
    per_batch: bool

    @property
    def passes(self) -> int:
        """Passes of an epoch."""
        return 2 if any(self.alpha) else 1

    def at(self, step: int, steps: int) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
        """Which of the two it is at a step.

        Args:
            step: from 0.
            steps: of the whole fit.
        """
        return _Calling(self.by_distance if (step // self.steps) % self.passes else self.by_class)

    def __call__(self, model: Any, rows: Tensor, y: Tensor) -> Tensor:
        """What a first step would be.

        Args:
            model: a `Prompting`.
            rows: of the batch.
            y: labels.
        """
        return model(rows, y, self.by_class)

    def by_class(self, model: Any, rows: Tensor, y: Tensor) -> Tensor:
        """L_dis of a batch.

        Args:
            model: a `Prompting`.
            rows: of the batch.
            y: labels.
        """
        h_s, h_a = model.views(model.cut(rows))
        return disentangling(model.predictor(h_s), model.predictor(h_a), y, self.lambda_)

    def by_distance(self, model: Any, rows: Tensor, y: Tensor) -> Tensor:
        """L_dist of a batch.

        Args:
            model: a `Prompting`.
            rows: of the batch.
            y: not looked at.
        """
        fitted = whitening(model.embedded[rows], model.ridge) if self.per_batch else (model.mean, model.white)
        far = [distance(h, *fitted).mean() for h in model.views(model.cut(rows))]
        return sum((a / (d + 1e-8) for a, d in zip(self.alpha, far) if a), far[0].new_zeros(())).to(model.embedded)


@dataclass(frozen=True)
class _Calling:
    loss: Callable[[Any, Tensor, Tensor], Tensor]

    def __call__(self, model: nn.Module, rows: Tensor, y: Tensor) -> Tensor:
        return model(rows, y, self.loss)


def cosine(steps: int, lr: float, period: int = 20, least: float = 1e-6) -> Callable[..., Any]:
    """A cosine of so many epochs from lr down to `least`, and up again: for `core.fit(scheduler=...)`.

    Args:
        steps: of one epoch.
        lr: the learning rate.
        period: epochs of the way down.
        least: the lowest.
    """

    def factor(step: int) -> float:
        share = (1 + math.cos(math.pi * (step // steps) / period)) / 2
        return (least + (lr - least) * share) / lr

    def schedule(optimizer: torch.optim.Optimizer, _: int) -> Any:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    return schedule
