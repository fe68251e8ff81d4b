"""Group penalties of a whole network: variables, dimensions, hidden units, with weights from a pilot."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret.deepin.proximal import shrink_, shrinkage
from deepwright.interpret.deepin.stack import Stack

_OFFSET, _UNITS = 1e-3, 0.1


def adaptive(norms: Tensor, gamma: float) -> Tensor:
    """(norm + 1e-3)^-gamma, scaled so that the smallest of each network is 1.

    Args:
        norms: (K, groups) of the pilot.
        gamma: the exponent.
    """
    weights = (norms + _OFFSET) ** -gamma
    return weights / weights.amin(1, keepdim=True)


def grouped(b: Tensor, groups: Tensor | None) -> Tensor:
    """(K, groups) norms of the rows of B, together where variables form a group.

    Args:
        b: (K, p, D).
        groups: (p,) numbers from 0, or None.
    """
    squares = b.detach().square().sum(2)
    if groups is None:
        return squares.sqrt()
    sums = squares.new_zeros(len(b), int(groups.max()) + 1)
    return sums.index_add_(1, groups, squares).sqrt()


@dataclass
class Penalty:
    """The proximal step of one lambda.

    Attributes:
        rows: (K, groups) adaptive weights of variables.
        columns: (K, D) of dimensions.
        units: (K, width) of each hidden layer.
        groups: (p,) the group of each variable, or None.
        strength: lambda, in units of Adam's normalised steps.
        units_share: what of lambda hidden units get.
    """

    rows: Tensor
    columns: Tensor
    units: list[Tensor]
    groups: Tensor | None = None
    strength: float = 0.0
    units_share: float = _UNITS

    @classmethod
    def of(cls, stack: Stack, gamma: float, groups: Tensor | None) -> Penalty:
        """With the weights that a pilot's norms give.

        Args:
            stack: the pilot, rotated.
            gamma: exponent.
            groups: (p,) numbers from 0, or None.
        """
        weights = [w.detach() for w in stack.weights]
        both = [(a.square().sum(1) + b.square().sum(2)).sqrt() for a, b in itertools.pairwise(weights)]
        columns = stack.b.detach().square().sum(1).sqrt()
        units = [adaptive(n, gamma) for n in both]
        return cls(adaptive(grouped(stack.b, groups), gamma), adaptive(columns, gamma), units, groups)

    def __call__(self, stack: Stack, rate: float) -> None:
        """Rows, columns, units once: at the thresholds of a step within 1e-6 of the map of the sum.

        Args:
            stack: changed in place.
            rate: of the step just taken.
        """
        limit = rate * self.strength
        if self.groups is None:
            shrink_(stack.b, limit * self.rows[:, :, None], 2)
        else:
            norms = grouped(stack.b, self.groups)
            factor = shrinkage(norms, limit * self.rows)
            stack.b.mul_(factor[:, self.groups, None])
        shrink_(stack.b, limit * self.columns[:, None], 1)
        for i, weights in enumerate(self.units):
            before, after = stack.weights[i], stack.weights[i + 1]
            norms = (before.square().sum(1) + after.square().sum(2)).sqrt_()
            factor = shrinkage(norms, limit * self.units_share * weights)
            before.mul_(factor[:, None])
            after.mul_(factor[:, :, None])


class DeepInPenalty(nn.Module):
    """Group penalties for a network in a training loop of one's own.

    Add nothing to the loss. After each step call `prox_(rate)` with the rate of the step just taken: with the next one,
    which a cosine ends at 0, nothing would be zero in the end. `forward()` gives the value, for a log.

    Args:
        first: a linear map whose *inputs* are the variables: `RepresentationLayer` or `nn.Linear`.
        variables: lambda of the variables.
        dimensions: lambda of the map's outputs.
        hidden: pairs of linear layers; a unit between the two is penalised over both.
        units: lambda of such units.
        gamma: exponent of the adaptive weights, which are those of the norms when this is made; 0 weighs all alike.
        groups: (p,) the group of each variable, numbers from 0.

    Raises:
        InputError: layers of another kind, that don't fit each other, or groups of another number than variables.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> penalty = DeepInPenalty(layer, variables=1e6)
        >>> penalty.prox_(0.01)
        >>> bool((layer.weight == 0).all())
        True
    """

    def __init__(
        self,
        first: nn.Module,
        *,
        variables: float = 0.0,
        dimensions: float = 0.0,
        hidden: Sequence[tuple[nn.Linear, nn.Linear]] = (),
        units: float = 0.0,
        gamma: float = 1.0,
        groups: Tensor | None = None,
    ) -> None:
        super().__init__()
        weight = getattr(first, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim != 2:
            raise InputError("first", given=type(first).__name__, expected="a RepresentationLayer or an nn.Linear")
        for a, b in hidden:
            if a.out_features != b.in_features:
                given = f"{a.out_features} outputs before {b.in_features} inputs"
                raise InputError("hidden", given=given, expected="pairs of layers that follow each other")
        if min(variables, dimensions, units, gamma) < 0:
            raise InputError("lambda", given="a negative number", expected="at least 0")
        self._first = (first, isinstance(first, nn.Linear))
        self._hidden = tuple(hidden)
        self.variables, self.dimensions, self.units = variables, dimensions, units
        matrix = self._b().detach()
        if groups is not None and groups.shape != (matrix.shape[0],):
            raise InputError("groups", given=f"shape {tuple(groups.shape)}", expected=f"({matrix.shape[0]},)")
        self.groups = None if groups is None else groups.to(matrix.device)
        self._rows = adaptive(grouped(matrix[None], self.groups), gamma)[0]
        self._columns = adaptive(matrix.norm(dim=0)[None], gamma)[0]
        self._units = [adaptive(self._norms(a, b)[None], gamma)[0] for a, b in self._hidden]

    def _b(self) -> Tensor:
        module, transposed = self._first
        weight: Tensor = module.weight  # type: ignore[assignment]
        return weight.T if transposed else weight

    def _groups(self, b: Tensor) -> Tensor | None:
        """Where the layer is now."""
        return None if self.groups is None else self.groups.to(b.device)

    @staticmethod
    def _norms(before: nn.Linear, after: nn.Linear) -> Tensor:
        return (before.weight.detach().square().sum(1) + after.weight.detach().square().sum(0)).sqrt()

    def forward(self) -> Tensor:
        """The value of the penalty, a scalar with gradients."""
        b = self._b()
        squares = b.square().sum(1)
        if self.groups is not None:
            squares = squares.new_zeros(len(self._rows)).index_add(0, self.groups.to(b.device), squares)
        rows, columns = squares.clamp_min(1e-30).sqrt(), b.square().sum(0).clamp_min(1e-30).sqrt()
        value = self.variables * (self._rows.to(b) * rows).sum()
        value = value + self.dimensions * (self._columns.to(b) * columns).sum()
        for (before, after), weights in zip(self._hidden, self._units, strict=True):
            squares = before.weight.square().sum(1) + after.weight.square().sum(0)
            value = value + self.units * (weights.to(b) * squares.clamp_min(1e-30).sqrt()).sum()
        return value

    @torch.no_grad()
    def prox_(self, rate: float) -> None:
        """The proximal step, in place.

        Args:
            rate: the learning rate of the step just taken.

        Raises:
            InputError: a rate that isn't positive.
        """
        if not rate > 0:
            raise InputError("rate", given=rate, expected="that of the step just taken, above 0")
        b = self._b()
        groups = self._groups(b)
        factor = shrinkage(grouped(b[None], groups)[0], rate * self.variables * self._rows.to(b))
        b.mul_((factor if groups is None else factor[groups])[:, None])
        shrink_(b, rate * self.dimensions * self._columns.to(b)[None], 0)
        for (before, after), weights in zip(self._hidden, self._units, strict=True):
            factor = shrinkage(self._norms(before, after), rate * self.units * weights.to(b))
            before.weight.mul_(factor[:, None])
            after.weight.mul_(factor[None])
