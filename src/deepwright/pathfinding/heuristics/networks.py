"""Networks that read states as they are: a sum of embeddings, then residual blocks."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Domain

_NORMS = ("none", "batch", "layer")


class CellSum(nn.Module):
    """A linear layer on one-hot cells without the ones and zeros: sum_i W[i, s_i].

    Args:
        cells: how many numbers a state has.
        values: they are below it.
        width: numbers out.
    """

    def __init__(self, cells: int, values: int, width: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(cells)  # as many ones are summed
        self.weight = nn.Parameter(torch.empty(cells * values, width).uniform_(-bound, bound))
        self.first: Tensor
        self.register_buffer("first", torch.arange(cells) * values, persistent=False)

    def forward(self, states: Tensor) -> Float[Tensor, "b w"]:
        """The sums.

        Args:
            states: (B, *shape) whole numbers.
        """
        rows = states.flatten(1).long() + self.first
        sums: Tensor = _Bag.apply(self.weight, rows)
        return sums


class _Bag(torch.autograd.Function):
    """Sums of rows. Backwards by a product with the one-hot matrix: adding row by row takes several times as long."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.count = len(weight)
        return nn.functional.embedding_bag(rows, weight, mode="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (rows,), (grad,) = ctx.saved_tensors, grads
        ones = torch.zeros(len(rows), ctx.count, dtype=grad.dtype, device=grad.device).scatter_(1, rows, 1)
        return ones.T @ grad, None


class _Block(nn.Module):
    """x + W2 norm(relu(W1 norm(relu(x))))."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [_norm(norm, width), nn.ReLU(), nn.Linear(width, width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out


def _norm(name: str, width: int) -> nn.Module:
    return {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[name](*[width] * (name != "none"))


class _StateNet(nn.Module):
    """What networks of values and of actions share.

    Attributes:
        config: what it was made with, as plain data: enough to make it again.
        goals: whether it sees the goal.
    """

    def __init__(
        self, domain: Domain, width: int, blocks: int, norm: str, goals: bool, outputs: int, seed: int
    ) -> None:
        super().__init__()
        require_whole(1, width=width)
        require_whole(0, blocks=blocks)
        if norm not in _NORMS:
            raise InputError("norm", given=repr(norm), expected=" or ".join(map(repr, _NORMS)))
        self.goals = goals
        self.config: dict[str, Any] = {"width": width, "blocks": blocks, "norm": norm, "goals": goals}
        cells = math.prod(domain.state_shape)
        with local_rng(seed):
            self.states = CellSum(cells, domain.num_values, width)
            self.wanted = CellSum(cells, domain.num_values, width) if goals else None
            self.bias = nn.Parameter(torch.zeros(width))
            self.body = nn.Sequential(*[_Block(width, norm) for _ in range(blocks)], nn.ReLU())
            self.head = nn.Linear(width, outputs)

    def _read(self, states: Tensor, goals: Tensor) -> Tensor:
        x: Tensor = self.states(states) + self.bias
        if self.wanted is not None:
            x = x + self.wanted(goals)
        return x

    def _values(self, x: Tensor) -> Tensor:
        values: Tensor = self.head(self.body(x))
        return values


class ValueNet(_StateNet):
    """h(s, g): one number a state; with `bins` the mean of a distribution over the distances 0..bins - 1.

    Args:
        domain: whose states.
        width: of all layers.
        blocks: residual ones, of two layers each.
        norm: "none", "batch" or "layer", before each layer of a block.
        goals: whether it sees the goal; else it learns the way to one goal.
        bins: distances that it tells apart, 0 for one number; what "categorical" training needs.
        seed: of the first weights.

    Raises:
        InputError: numbers out of range, or another norm.
    """

    def __init__(
        self,
        domain: Domain,
        width: int = 128,
        blocks: int = 2,
        *,
        norm: str = "none",
        goals: bool = False,
        bins: int = 0,
        seed: int = 0,
    ) -> None:
        require_whole(0, bins=bins)
        if bins == 1:
            raise InputError("bins", given=1, expected="2 or more, or 0 for one number")
        super().__init__(domain, width, blocks, norm, goals, max(bins, 1), seed)
        self.bins = bins
        if bins:
            self.config["bins"] = bins

    def logits(self, states: Tensor, goals: Tensor) -> Float[Tensor, "b k"]:
        """Of the distances 0..bins - 1.

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape).
        """
        return self._values(self._read(states, goals))

    def forward(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """Estimates, as they come: LearnedHeuristic looks after goals and what is below zero.

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape).
        """
        out = self.logits(states, goals)
        if not self.bins:
            return out[:, 0]
        return out.softmax(1) @ torch.arange(self.bins, dtype=out.dtype, device=out.device)


class QNet(_StateNet):
    """Q(s, a, g): one number a state and action, or the action's as one more input.

    Args:
        domain: whose states.
        width: of all layers.
        blocks: residual ones, of two layers each.
        norm: "none", "batch" or "layer", before each layer of a block.
        goals: whether it sees the goal; else it learns the way to one goal.
        action_in: whether the action is an input (kind "q_in"), else there is an output for each ("q_fixed").
        seed: of the first weights.

    Raises:
        InputError: numbers out of range, or another norm.
    """

    def __init__(
        self,
        domain: Domain,
        width: int = 128,
        blocks: int = 2,
        *,
        norm: str = "none",
        goals: bool = False,
        action_in: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(domain, width, blocks, norm, goals, 1 if action_in else domain.num_actions, seed)
        self.config["action_in"] = action_in
        with local_rng(seed + 1):
            self.actions = CellSum(1, domain.num_actions, width) if action_in else None

    def forward(self, states: Tensor, goals: Tensor, actions: Tensor | None = None) -> Float[Tensor, "..."]:
        """(B, A) estimates, or (B,) of the actions where these are an input.

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape).
            actions: (B,), where the network was made for it.

        Raises:
            InputError: actions that it wasn't made for, or none where it was.
        """
        if (actions is None) != (self.actions is None):
            expected = "none: there is an output for each" if self.actions is None else "(B,), one a state"
            raise InputError("actions", given="some" if actions is not None else "none", expected=expected)
        x = self._read(states, goals)
        if self.actions is None or actions is None:
            return self._values(x)
        return self._values(x + self.actions(actions[:, None]))[:, 0]
