"""Select with a pruned copy of the network, then write what it learned into the whole one.

The selector is a channel subset of the target itself, so that its training isn't thrown away: its weights are fused
back (`compress.embed`) and the whole network is trained on, taught by the selector.

Source: "PruneFuse: Efficient Data Selection via Weight Pruning and Network Fusion", arXiv 2603.26138.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.compress import CostPolynomial, Group, Plan, ShrinkGraph, ShrinkResult, embed, importance, shrink
from deepwright.core.copies import copied
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.requirements import require_network, require_positive, require_within
from deepwright.core.tasks import Task


class PrunedSelector:
    """A network with a share of its channels removed at initialisation.

    Args:
        model: the whole network, in its initial state; left as found.
        example_inputs: as it is called; brought to where it lives.
        removed: share of each group's units that goes; max(1, round((1 - removed) n)) stay.
        criterion: "l2" of the random weights (which order says little), or any other of `importance`.
        generator: for "random".
        rescale: multiply weights by sqrt(fan_in / pruned fan_in), which keeps the activations' spread.

    Attributes:
        network: the selector in its initial state; `fresh()` gives a copy.
        index_map: which entries of the whole network it has.

    Raises:
        InputError: a share outside [0, 1), no network, nothing in it that can be removed, a criterion that needs data,
            or a generator that it has no use for.
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: Any,
        *,
        removed: float = 0.5,
        criterion: str = "l2",
        generator: torch.Generator | None = None,
        rescale: bool = True,
    ) -> None:
        require_within(0, 1, ends="[)", removed=removed)
        require_network(model)
        if generator is not None and criterion != "random":
            raise InputError("generator", given=f"for the criterion {criterion!r}", expected="none, or 'random'")
        self.dense, self.removed, self.criterion, self.rescale = model, removed, criterion, rescale
        self.graph = ShrinkGraph.from_module(model, to_model(example_inputs, model))
        if removed and not self.graph.groups:
            hint = self.graph.describe()
            raise InputError("the network", given="nothing that can be pruned", expected="a group of units", hint=hint)
        scores = importance(self.graph, criterion, generator=generator)
        kept: dict[Group | str, Any] = {}
        for group in self.graph.groups:
            count = max(1, round((1 - removed) * group.size))
            kept[group.name] = torch.argsort(scores[group], descending=True, stable=True)[:count].sort().values
        self.plan = Plan.of(self.graph, kept)
        result: ShrinkResult = shrink(model, self.plan)
        self.network, self.index_map = result.model, result.index_map
        if rescale:
            _keep_variance(self.network, model, self.index_map)

    def of(self, model: nn.Module, generator: torch.Generator | None = None) -> PrunedSelector:
        """The same share removed, by the same criterion, of another state of the network; nothing is rescaled.

        Args:
            model: the network, trained.
            generator: for "random".
        """
        options = {"removed": self.removed, "criterion": self.criterion, "rescale": False}
        draw = generator if self.criterion == "random" else None
        return PrunedSelector(model, self.graph.example, generator=draw, **options)  # type: ignore[arg-type]

    def __resume_identity__(self) -> dict[str, Any]:
        """What it is: where it came from, how, and what came out (a random criterion draws)."""
        return {
            "kind": type(self),
            "whole_network": self.dense,
            "network": self.network,
            "removed": self.removed,
            "criterion": self.criterion,
            "rescale": self.rescale,
        }

    def fresh(self) -> nn.Module:
        """The selector as it was at the start: every round begins here."""
        return copied(self.network)

    @property
    def macs(self) -> tuple[int, int]:
        """Multiply-accumulates of one input: (selector, whole network)."""
        return self.plan.cost()["macs"], self._dense_cost("macs")

    @property
    def params(self) -> tuple[int, int]:
        """Parameters: (selector, whole network)."""
        return self.plan.cost()["params"], self._dense_cost("params")

    def _dense_cost(self, name: str) -> int:
        return int(CostPolynomial.of(self.graph).evaluate(np.ones((1, self.graph.units), bool))[name][0])

    def fuse(self, small: nn.Module, *, rest: str = "random", generator: torch.Generator | None = None) -> nn.Module:
        """The whole network with a trained selector's weights in their places (see `compress.embed`).

        Args:
            small: the trained selector.
            rest: what stands outside the copied blocks.
            generator: for a random rest.
        """
        graph = self.graph if rest == "function_preserving" else None
        return embed(small, self.dense, self.index_map, rest=rest, generator=generator, graph=graph)


fuse = embed


def _keep_variance(small: nn.Module, big: nn.Module, index_map: dict[str, tuple[Tensor | None, ...]]) -> None:
    wide = dict(big.named_modules())
    with torch.no_grad():
        for name, module in small.named_modules():
            if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
                before, after = wide[name].weight, module.weight
                ratio = before[0].numel() / after[0].numel()
                if ratio != 1 and not getattr(module, "transposed", False):
                    after.mul_(ratio**0.5)


class DistillLoss(nn.Module):
    """(1 - w) CE(z, y) + w T^2 KL(softmax(z_teacher / T) || softmax(z / T)).

    Args:
        teacher: a frozen network, or None when the teacher's logits are given at each call.
        weight: w in [0, 1].
        temperature: T.
        task: how to read outputs of which each sample has one class; None takes them as logits of classes.

    Raises:
        InputError: a weight or temperature out of range; a task without classes.
    """

    def __init__(
        self,
        teacher: nn.Module | None,
        weight: float = 0.3,
        temperature: float = 4.0,
        task: Task | None = None,
    ) -> None:
        super().__init__()
        require_within(0, 1, weight=weight)
        require_positive(temperature=temperature)
        self.teacher = None if teacher is None else copied(teacher).eval().requires_grad_(False)
        self.weight, self.temperature, self.task = weight, temperature, task

    def train(self, mode: bool = True) -> DistillLoss:
        """The teacher stays in eval mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, logits: Float[Tensor, "n ..."], x_or_teacher_logits: Tensor, y: Int64[Tensor, " n"]) -> Tensor:
        """A scalar, where the logits are.

        Args:
            logits: of the network that learns, or its raw outputs.
            x_or_teacher_logits: inputs when there is a teacher, its logits otherwise.
            y: (n,) labels.

        Raises:
            InputError: logits of another shape from the teacher.
        """
        with torch.no_grad():
            given = x_or_teacher_logits
            taught = given if self.teacher is None else self.teacher(to_model(given, self.teacher))
        taught, y = read_logits(taught, self.task).to(logits.device), y.to(logits.device)
        logits = read_logits(logits, self.task)
        if taught.shape != logits.shape:
            shape, expected = tuple(taught.shape), f"{tuple(logits.shape)}, as the network's"
            raise InputError("the teacher's logits", given=f"shape {shape}", expected=expected)
        t = self.temperature
        kl = F.kl_div((logits / t).log_softmax(1), (taught / t).log_softmax(1), log_target=True, reduction="batchmean")
        return (1 - self.weight) * F.cross_entropy(logits, y) + self.weight * t * t * kl
