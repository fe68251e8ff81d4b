"""Many small networks trained side by side: one batched product a layer, one optimiser step for all of them.

A grid of settings is as many networks of one shape on the same batches. Their losses are summed, so that each gets its
own gradient alone, and learning rates are parameter groups: `core.fit` trains the stack as it would train one network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.fit import fit
from deepwright.core.randomness import generator

StackLoss = Callable[[Tensor, Tensor], Tensor]


class Stack(nn.Module):
    """Perceptrons of one shape that start alike.

    Args:
        sizes: of the layers, inputs first.
        members: how many networks.
        seed: of the start, which all members share: a paired comparison of their settings.
    """

    def __init__(self, sizes: Sequence[int], members: int, seed: int) -> None:
        super().__init__()
        rng = generator(seed, "stack")
        self.members = members
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = 1 / math.sqrt(fan_in)  # as nn.Linear starts
            weight = (torch.rand(fan_in, fan_out, generator=rng) * 2 - 1) * bound
            bias = (torch.rand(1, fan_out, generator=rng) * 2 - 1) * bound
            self.weights.append(nn.Parameter(weight.repeat(members, 1, 1)))
            self.biases.append(nn.Parameter(bias.repeat(members, 1, 1)))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "members n classes"]:
        """Logits of every member."""
        out = x.expand(self.members, *x.shape)
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            out = torch.baddbmm(bias, out if depth == 0 else out.relu(), weight)
        return out

    def squares(self) -> Float[Tensor, " members"]:
        """Sum of each member's squared parameters."""
        return torch.stack([p.square().sum((1, 2)) for p in self.parameters()]).sum(0)


class Stacks(nn.Module):
    """One stack a learning rate; members are counted through.

    Args:
        sizes: as of `Stack`.
        members: of each stack.
        rates: the learning rates.
        seed: as of `Stack`.
    """

    def __init__(self, sizes: Sequence[int], members: int, rates: Sequence[float], seed: int) -> None:
        super().__init__()
        self.rates = tuple(rates)
        self.stacks = nn.ModuleList(Stack(sizes, members, seed) for _ in rates)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "members n classes"]:
        """Logits of every member of every stack."""
        return torch.cat([stack(x) for stack in self.stacks])

    def squares(self) -> Float[Tensor, " members"]:
        """Sum of each member's squared parameters."""
        return torch.cat([cast(Stack, stack).squares() for stack in self.stacks])


def train(
    stacks: Stacks,
    data: tuple[Tensor, Tensor],
    loss: StackLoss,
    decay: Float[Tensor, " members"],
    *,
    epochs: int,
    batch_size: int,
    look: Callable[[Stacks], None],
    every: int,
    seed: int,
) -> None:
    """Adam on all members, with a look at them every few epochs.

    Args:
        stacks: trained in place.
        data: inputs and labels.
        loss: (logits (members, n, classes), labels) -> one loss a member.
        decay: of each member's weights, as Adam's `weight_decay`.
        epochs: passes over the data.
        batch_size: rows a step.
        look: called with the stacks.
        every: epochs between two looks.
        seed: of the batches.
    """

    def step(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return (loss(model(x), y) + decay * stacks.squares() / 2).sum()

    def looked(_: nn.Module, row: dict[str, float]) -> None:
        if int(row["epoch"]) % every == 0:
            look(stacks)

    groups = [{"params": list(s.parameters()), "lr": lr} for s, lr in zip(stacks.stacks, stacks.rates)]
    fit(
        stacks,
        data,
        epochs=epochs,
        batch_size=batch_size,
        step=step,
        optimizer=lambda _: torch.optim.Adam(groups, foreach=True),
        callbacks=[looked],
        seed=seed,
    )
