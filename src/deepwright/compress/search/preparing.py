"""What every candidate gets before it is judged: batch norms' statistics taken again, and a short training.

The error of a network as it was cut is a poor guide to what it learns again: its batch norms hold the statistics of
channels that are gone. Statistics cost a forward pass over some training inputs, a few steps of training make up for
most of what a cut broke, and both are the same for every candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.arguments import require_type
from deepwright.compress.search.objectives import Accuracy
from deepwright.compress.search.racing import Mistakes, beaten
from deepwright.compress.search.space import Space
from deepwright.compress.surgery import recalibrate
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit
from deepwright.core.inference import require_float_images
from deepwright.core.pareto import nondominated
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_positive, require_whole

BACKWARD = 3  # a step costs about three forward passes of its batch


@dataclass(frozen=True, eq=False)
class Preparation:
    """Statistics and training of every candidate, on training data.

    Attributes:
        x: training inputs (N, ...); neither validation nor test data.
        y: their targets, for the steps.
        statistics: batch norms take theirs anew on the first so many inputs; 0 leaves them.
        steps: of AdamW, equal for all; the batches are the same for all too.
        batch_size: of the steps.
        lr: of the steps.
        loss: of the network's output and the targets.
        seed: of the batches.

    Raises:
        InputError: steps without targets, numbers out of range, inputs that aren't finite.
    """

    x: Tensor
    y: Tensor | None = None
    statistics: int = 256
    steps: int = 0
    batch_size: int = 64
    lr: float = 1e-3
    loss: Callable[[Any, Tensor], Tensor] = nn.functional.cross_entropy
    seed: int = 0

    def __post_init__(self) -> None:
        require_type("preparation", self.x, Tensor, "a tensor of training inputs")
        require_whole(0, statistics=self.statistics, steps=self.steps)
        require_whole(2, batch_size=self.batch_size)
        require_positive(lr=self.lr)
        if len(self.x) < 2 or self.statistics == 1:
            given = f"{len(self.x)} inputs, statistics={self.statistics}"
            raise InputError("preparation", given=given, expected="two inputs, statistics of 0, 2 or more")
        if self.steps and (self.y is None or len(self.y) != len(self.x)):
            given = "no targets" if self.y is None else f"{len(self.y)} targets of {len(self.x)} inputs"
            raise InputError("preparation", given=given, expected="a target for each input, for the steps")
        if self.x.is_floating_point():
            require_float_images(self.x, "training inputs")

    def __resume_identity__(self) -> list[Any]:
        """All that candidates' errors depend on."""
        return [self.x, self.y, self.statistics, self.steps, self.batch_size, self.lr, self.loss, self.seed]

    def refresh(self, model: nn.Module) -> int:
        """Batch norms' statistics anew, in place.

        Args:
            model: whose batch norms, if it has any.

        Returns:
            Forward passes of samples that it took.
        """
        norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
        if self.statistics == 0 or not any(m.track_running_stats for m in norms):
            return 0
        x = self.x[: self.statistics]
        recalibrate(model, x.tensor_split(max(1, len(x) // 128)))
        return len(x)

    def train(self, model: nn.Module, sparse: bool = False) -> int:
        """The steps, in place; then statistics anew.

        Args:
            model: of one candidate.
            sparse: weights that are zero stay zero.

        Returns:
            Forward passes of samples that it took.
        """
        if self.steps == 0:
            return 0
        assert self.y is not None
        drawn = torch.randperm(len(self.x), generator=generator(self.seed, "preparation"))
        rows = drawn.repeat(-(-self.steps * self.batch_size // len(drawn)))[: self.steps * self.batch_size]
        handles = _keep_zeros(model) if sparse else []
        data = self.x[rows], self.y.to(self.x.device)[rows]
        try:
            fit(
                model,
                data,
                epochs=1,
                batch_size=self.batch_size,
                loss=self.loss,
                optimizer=adamw(self.lr),
                seed=self.seed,
                description="candidate",
            )
        finally:
            for handle in handles:
                handle.remove()
        model.eval()
        return BACKWARD * len(rows) + self.refresh(model)

    def whole(self, space: Space, mask: Bool[Array, " d"]) -> nn.Module:
        """A candidate with all that it gets.

        Args:
            space: of the mask.
            mask: which bits stay.
        """
        model = space.build(mask)
        self.refresh(model)
        self.train(model, sparse=space.granularity != "unit")
        return model

    def race(
        self,
        evaluate: Accuracy,
        space: Space,
        masks: Bool[Array, "p d"],
        cost: Float[Array, " p"],
        rivals: Mistakes | None,
        archive: tuple[Bool[Array, "m d"], Float[Array, "m k"]],
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        """Errors of candidates: raced on 1/8, 1/4 and 1/2 of the data, trained, and judged on all of it.

        Before the training candidates race against what the archive's networks got wrong before theirs.

        Args:
            evaluate: on which data.
            space: of the masks.
            masks: one candidate a row.
            cost: of each.
            rivals: whose mistakes they race against and join; None for no race.
            archive: masks and (error, cost) of the networks found so far.

        Returns:
            Errors, NaN for the dropped, and what each took, in passes over the validation set.
        """
        n, half = len(evaluate), len(evaluate) // 2
        wrong, wrong_cost = _known(rivals, *archive, n) if rivals is not None else (np.zeros((0, n), bool), np.zeros(0))
        errors, share = np.full(len(masks), np.nan), np.zeros(len(masks))
        for i, mask in enumerate(masks):
            model = space.build(mask)
            passes, done = self.refresh(model), 0
            found = np.zeros(n, bool)
            dropped = False
            for part in sorted({n // 8, n // 4, half} - {0}) if rivals is not None else ():
                found[done:part] = evaluate.wrong_of(space, model, evaluate.order[done:part])
                passes, done = passes + part - done, part
                dropped = beaten(found[:part], cost[i], wrong[:, :part], wrong_cost)
                if dropped:
                    break
            if not dropped:
                if rivals is not None:
                    rivals.remember(mask[None], found[None])
                passes += self.train(model, sparse=space.granularity != "unit")
                start = 0 if self.steps else done  # untrained, the first half is known
                found[start:] = evaluate.wrong_of(space, model, evaluate.order[start:])
                passes += n - start
                errors[i] = found.mean()
            share[i] = passes / n
        return errors, share


def _known(
    rivals: Mistakes, masks: Bool[Array, "m d"], fitness: Float[Array, "m k"], n: int
) -> tuple[Bool[Array, "r n"], Float[Array, " r"]]:
    """Mistakes and costs of the front's networks that have raced."""
    front = np.flatnonzero(nondominated(fitness))
    return rivals.of(masks[front], n), fitness[front[rivals.knows(masks[front])], 1]


def _keep_zeros(model: nn.Module) -> list[Any]:
    """Hooks under which weights that are zero get no gradient: pruned ones stay pruned."""
    handles = []
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim > 1 and bool((weight == 0).any()):
            kept = (weight != 0).detach()
            handles.append(weight.register_hook(lambda g, kept=kept: g * kept))
    return handles
