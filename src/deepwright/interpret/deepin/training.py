"""The loop that fits a stack: many small networks at once, each on its rows, each step followed by its proximal map.

`core.fit` fits one network of any size; here hundreds of tiny ones share every kernel, which is what makes refits and
tests affordable, so that the loop is this file's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.interpret.deepin.losses import RowLoss
from deepwright.interpret.deepin.stack import Stack

Prox = Callable[[Stack, float], None]
_STEPS = 8  # an epoch at least
_EVALUATED = 2_000_000  # outputs of a hidden layer at once, where a stack is evaluated


@dataclass(frozen=True)
class Pool:
    """All rows, standardised, on the device of the work.

    Attributes:
        x: (N, p).
        y: (N, ...), as the loss takes it.
    """

    x: Tensor
    y: Tensor

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of each group, (G, n, p) and (G, n, ...).

        Args:
            rows: (G, n).
        """
        return self.x[rows], self.y[rows]


@dataclass(frozen=True)
class Rows:
    """Which rows each network sees.

    Attributes:
        fit: (G, n) rows of the pool for each group of networks.
        stop: (G, m) rows on which the epoch is chosen, or None: the last one is kept.
        group: (K,) the group of each network; None where there is one.
        draws: (G,) groups of equal number see their rows in the same random order; None: each in its own.
    """

    fit: Tensor
    stop: Tensor | None = None
    group: Tensor | None = None
    draws: Tensor | None = None

    def of(self, group: Tensor | None) -> Rows:
        """The same rows for other networks.

        Args:
            group: as the attribute.
        """
        return replace(self, group=group)


@dataclass(frozen=True)
class Recipe:
    """How a stack is fitted.

    Attributes:
        epochs: passes over the rows.
        lr: of Adam, the highest; it falls to a fiftieth by a cosine.
        batch_size: rows a step.
        weight_decay: of g; B has none, it is penalised otherwise.
        seed: of the order of rows.
    """

    epochs: int
    lr: float
    batch_size: int
    weight_decay: float
    seed: int

    def batch(self, n: int) -> int:
        """Rows a step.

        Args:
            n: rows that are fitted.
        """
        return max(1, min(self.batch_size, n))

    def steps(self, n: int) -> int:
        """Steps an epoch.

        Args:
            n: rows that are fitted.
        """
        return max(1, n // self.batch(n))

    def passes(self, n: int) -> int:
        """Epochs: more than asked where one would be fewer than eight steps, which are as many then.

        Args:
            n: rows that are fitted.
        """
        return self.epochs * max(1, math.ceil(_STEPS / self.steps(n)))


@dataclass(frozen=True)
class Fitted:
    """What a fit gives.

    Attributes:
        stack: at the kept epoch.
        curve: (E, K) mean losses on the rows for stopping, epoch by epoch; empty without such rows.
        epoch: (K,) the kept epoch, from 1.
        history: (E, K, m) losses of the rows for stopping; empty unless asked for.
    """

    stack: Stack
    curve: Tensor
    epoch: Tensor
    history: Tensor


def train(
    stack: Stack,
    pool: Pool,
    rows: Rows,
    loss: RowLoss,
    recipe: Recipe,
    *,
    kept_rows: Tensor | None = None,
    prox: Prox | None = None,
    leader: Tensor | None = None,
    until: int | None = None,
    history: bool = False,
) -> Fitted:
    """Fit a stack by Adam.

    Args:
        stack: where it starts; it is left as it is.
        pool: all rows.
        rows: which of them each network sees.
        loss: of a row.
        recipe: epochs, rate, rows a step.
        kept_rows: (K, p) the variables that a network may use; the others stay at zero. None: all.
        prox: called after every step with the rate *of that step*.
        leader: (K,) the network whose epoch is kept for each; each its own by default.
        until: the epoch after which the fit ends, with the rates of the whole recipe.
        history: keep the losses of all rows for stopping.

    Raises:
        InputError: losses that aren't finite from the first epoch on.
    """
    stack = stack.copy()
    device = stack.b.device
    group = None if rows.group is None else rows.group.to(device)
    mask = None if kept_rows is None else kept_rows.to(stack.b)[:, :, None]
    if mask is not None:
        with torch.no_grad():
            stack.b.mul_(mask)
    others = [t for t in stack.parameters() if t is not stack.b]
    optimizer = torch.optim.Adam(
        [{"params": [stack.b], "weight_decay": 0.0}, {"params": others, "weight_decay": recipe.weight_decay}],
        lr=recipe.lr,
        fused=device.type in ("cpu", "cuda"),
    )
    best, best_loss = stack.copy(), torch.full((len(stack),), math.inf, dtype=stack.b.dtype, device=device)
    epoch_of = torch.zeros(len(stack), dtype=torch.long, device=device)
    curve: list[Tensor] = []
    past: list[Tensor] = []
    batch, steps = recipe.batch(rows.fit.shape[1]), recipe.steps(rows.fit.shape[1])
    passes = recipe.passes(rows.fit.shape[1])
    for epoch in range(passes if until is None else until):
        order = _shuffled(rows, recipe.seed, epoch)[:, : batch * steps]
        for step in range(steps):
            rate = _rate(recipe, (epoch * steps + step) / (passes * steps))
            for settings in optimizer.param_groups:
                settings["lr"] = rate
            x, y = _expanded(pool, order[:, step * batch : (step + 1) * batch], group)
            optimizer.zero_grad(set_to_none=True)
            loss.mean(stack(x), y).sum().backward()
            if mask is not None and stack.b.grad is not None:
                stack.b.grad.mul_(mask)
            optimizer.step()
            if prox is not None:
                with torch.no_grad():
                    prox(stack, rate)
        if rows.stop is not None:
            of_rows = losses_of(stack, pool, Rows(rows.stop, group=group), loss)
            held = of_rows.mean(1)
            curve.append(held)
            if history:
                past.append(of_rows)
            led = held if leader is None else held[leader.to(device)]
            better = led < best_loss
            best_loss = torch.where(better, led, best_loss)
            epoch_of = torch.where(better, epoch + 1, epoch_of)
            _take(best, stack, better)
    if rows.stop is None:
        best, epoch_of = stack.copy(), torch.full_like(epoch_of, passes)
    elif not bool((epoch_of > 0).all()):
        raise InputError("the fit", given="losses that aren't finite", expected="finite ones", hint="lower lr")
    empty = torch.zeros(0, len(stack))
    return Fitted(best, torch.stack(curve) if curve else empty, epoch_of, torch.stack(past) if past else empty)


@torch.no_grad()
def losses_of(stack: Stack, pool: Pool, rows: Rows, loss: RowLoss) -> Tensor:
    """(K, n) losses of each network on the rows of its group.

    Args:
        stack: the networks.
        pool: all rows.
        rows: whose `fit` rows are taken.
        loss: of a row.
    """
    group = rows.group
    widest = max([stack.dims, *stack.hidden])
    at_once = max(1, _EVALUATED // max(1, rows.fit.shape[1] * widest))
    found = []
    for first in range(0, len(stack), at_once):
        index = torch.arange(first, min(first + at_once, len(stack)), device=stack.b.device)
        part = stack if len(index) == len(stack) else stack.copy(index)
        x, y = _expanded(pool, rows.fit, None if group is None else group[index])
        found.append(loss.rows(part(x), y))
    return torch.cat(found)


def _expanded(pool: Pool, rows: Tensor, group: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows of each network; of one group, once for all."""
    if group is not None and rows.shape[0] > 1:
        rows = rows[group]
    return pool.take(rows.to(pool.x.device))


def _shuffled(rows: Rows, seed: int, epoch: int) -> Tensor:
    """Each group's rows in an order of its own (or of its draw), the same for all networks of the group."""
    fit, draws = rows.fit, rows.draws
    count = len(fit) if draws is None else int(draws.max()) + 1
    order = torch.rand(count, fit.shape[1], generator=generator(seed, "order", epoch)).argsort(1)
    return fit.gather(1, (order if draws is None else order[draws.cpu()]).to(fit.device))


def _rate(recipe: Recipe, done: float) -> float:
    return recipe.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


@torch.no_grad()
def _take(into: Stack, stack: Stack, which: Tensor) -> None:
    for a, b in zip(into.parameters(), stack.parameters(), strict=True):
        a.copy_(torch.where(which.view(-1, *[1] * (a.ndim - 1)), b, a))
