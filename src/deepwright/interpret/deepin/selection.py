"""The path: from a pilot over its rotation through ever stronger penalties, and the refits of all that it passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import derive_seed
from deepwright.interpret.deepin.losses import RowLoss
from deepwright.interpret.deepin.penalties import Penalty, grouped
from deepwright.interpret.deepin.rotation import absorbed, directions, gradient_moments, rotated_basis
from deepwright.interpret.deepin.stack import Stack
from deepwright.interpret.deepin.training import Pool, Recipe, Rows, losses_of, train

_FIRST, _RATIO, _MOST = 0.02, 1.8, 30  # where the search for the range of lambda begins, and its steps
_SHORT = 0.5  # the search is short, so that it needs more than a whole stage does until everything is zero
_SIZES = 16  # numbers of variables that are tried at most
_EXTRA = 8  # values beyond the grid at most, until everything is zero


@dataclass(frozen=True)
class Problem:
    """What is fitted.

    Attributes:
        pool: standardised rows.
        loss: of a row.
        dim: D.
        hidden: widths of g.
        groups: (p,) group of each variable, or None.
        gamma: exponent of the adaptive weights.
        recipe: of the pilot.
        center: whether a common shift of the outputs says nothing.
    """

    pool: Pool
    loss: RowLoss
    dim: int
    hidden: tuple[int, ...]
    groups: Tensor | None
    gamma: float
    recipe: Recipe
    center: bool

    def stage(self, name: str, share: float = 1.0) -> Recipe:
        """The recipe of a stage, with an order of rows of its own.

        Args:
            name: of the stage.
            share: of the pilot's epochs.
        """
        epochs = max(1, round(share * self.recipe.epochs))
        return replace(self.recipe, epochs=epochs, seed=derive_seed(name, seed=self.recipe.seed))


@dataclass(frozen=True)
class Folds:
    """Rows of each group of the stack: the folds first, all rows last.

    Attributes:
        pilot: rows for fitting the pilot.
        stop: rows on which the pilot's epoch is chosen.
        fit: rows for the path and the refits.
        held: (G, m) rows on which a refit is judged.
    """

    pilot: Tensor
    stop: Tensor
    fit: Tensor
    held: Tensor

    def __len__(self) -> int:
        return len(self.fit)


def run_pilot(problem: Problem, folds: Folds) -> tuple[Stack, Tensor, Tensor, Tensor]:
    """Fit without penalties, turn B, fit again.

    Args:
        problem: what is fitted.
        folds: G groups of rows.

    Returns:
        The turned networks, their screes (G, r), and the pilots' and the constant outputs' mean losses on the rows for
        stopping, (G,) each.
    """
    g, p, seed = len(folds), problem.pool.x.shape[1], problem.recipe.seed
    group = torch.arange(g)
    start = Stack.drawn([derive_seed("pilot", seed=seed)] * g, p, problem.dim, problem.hidden, problem.loss.outputs)
    start = start.to(problem.pool.x)
    rows = Rows(folds.pilot, folds.stop, group)
    pilot = train(start, problem.pool, rows, problem.loss, problem.stage("pilot")).stack
    values, vectors = scree(problem, pilot, folds.fit)
    turned = Stack.drawn([derive_seed("turned", seed=seed)] * g, p, problem.dim, problem.hidden, problem.loss.outputs)
    turned = turned.to(problem.pool.x)
    with torch.no_grad():
        turned.b.copy_(rotated_basis(values, vectors, problem.dim))
    turned = train(turned, problem.pool, rows, problem.loss, problem.stage("turned", 0.5)).stack
    judged = losses_of(pilot, problem.pool, Rows(folds.stop, group=group), problem.loss).mean(1)
    plain = torch.cat([constant_losses(problem, a, b).mean()[None] for a, b in zip(folds.fit, folds.stop, strict=True)])
    return turned, values, judged, plain


def scree(problem: Problem, stack: Stack, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and directions of the mean outer product of gradients.

    Args:
        problem: what is fitted.
        stack: one network a group.
        rows: (G, n) of the groups.
    """
    values, vectors = [], []
    for k in range(len(stack)):
        part = stack.copy([k])
        moments = gradient_moments(part, problem.pool.x[rows[k]][None], problem.center)
        a, b = directions(part.b.detach(), moments)
        values.append(a)
        vectors.append(b)
    return torch.cat(values), torch.cat(vectors)


def constant_losses(problem: Problem, fit: Tensor, held: Tensor) -> Tensor:
    """(m,) losses of the best constant outputs.

    Args:
        problem: what is fitted.
        fit: rows from which they are.
        held: rows on which they are judged.
    """
    y = problem.pool.y
    out = problem.loss.constant(y[fit]).to(problem.pool.x)
    return problem.loss.rows(out.expand(1, len(held), -1), y[held][None])[0]


def find_range(problem: Problem, turned: Stack, folds: Folds, penalty: Penalty) -> tuple[float, float]:
    """The first lambda that makes anything zero, and the first at which everything is in all groups, by a short path.

    Args:
        problem: what is fitted.
        turned: as `run_pilot` gives them.
        folds: G groups of rows.
        penalty: with the pilots' weights.
    """
    stack, rows = turned.copy(), Rows(folds.fit, group=torch.arange(len(folds)))
    first, strength = 0.0, _FIRST
    for _ in range(_MOST):
        prox = replace(penalty, strength=strength)
        stack = train(stack, problem.pool, rows, problem.loss, problem.stage("range", 0.2), prox=prox).stack
        if not first and not bool(stack.variables().all() and stack.columns().all()):
            first = strength
        if not bool(stack.variables().any()):
            break
        strength *= _RATIO
    return first or strength, strength


def grid(first: float, last: float, count: int = 12) -> list[float]:
    """Rising values of lambda, two thirds of them in the decade below the one at which everything is zero.

    Args:
        first: that makes anything zero.
        last: at which everything is.
        count: of the values.
    """
    top = math.log(max(_SHORT * last, 1.5 * first))
    middle, bottom = top - math.log(10.0), math.log(first)
    upper = count if bottom >= middle else round(2 * count / 3)
    below = count - upper
    start = bottom if bottom >= middle else middle
    values = [bottom + (middle - bottom) * i / below for i in range(below)]
    return [math.exp(v) for v in [*values, *(start + (top - start) * i / max(1, upper - 1) for i in range(upper))]]


def walk(problem: Problem, folds: Folds, state: dict[str, Any], penalty: Penalty, keep: Callable[[], None]) -> None:
    """The path: each lambda starts where the one before ended.

    Args:
        problem: what is fitted.
        folds: G groups of rows.
        state: "lambdas", and "path": what is done of it, a list of a stack's tensors; it grows.
        penalty: with the pilots' weights.
        keep: called after each lambda.
    """
    group = torch.arange(len(folds))
    while goes_on(state):
        i = len(state["path"])
        if i == len(state["lambdas"]):
            state["lambdas"].append(state["lambdas"][-1] * _RATIO)
        stack = unpacked(state["path"][-1] if i else state["turned"])
        recipe = problem.stage(f"path {i}", 0.5)
        rows, prox = Rows(folds.fit, group=group), replace(penalty, strength=state["lambdas"][i])
        state["path"].append(packed(train(stack, problem.pool, rows, problem.loss, recipe, prox=prox).stack))
        keep()


def goes_on(state: dict[str, Any]) -> bool:
    """Whether the path isn't at its end: where everything is zero, or where the user's lambdas end.

    Args:
        state: as for `walk`; "given" says whether the lambdas are the user's.
    """
    i, n = len(state["path"]), len(state["lambdas"])
    if i and not bool(state["path"][-1][0].any()):
        return False
    return i < n or (not state["given"] and i < 12 + _EXTRA)


def refit(problem: Problem, folds: Folds, path: list[Stack], judged: int) -> Tensor:
    """Fit every structure of the path without penalty, on its own rows; all of them are one stack.

    Args:
        problem: what is fitted.
        folds: G groups of rows.
        path: G networks a lambda.
        judged: the first so many groups are refitted.

    Returns:
        (E, lambdas, judged, m) losses of the held rows, epoch by epoch.
    """
    parts = [stack.copy(range(judged)).kill_().tensors() for stack in path]
    joined = [torch.cat([t.detach() for t in tensors]) for tensors in zip(*parts, strict=True)]
    whole = Stack(joined[0], joined[1::2], joined[2::2])
    rows = Rows(folds.fit[:judged], folds.held[:judged], torch.arange(judged).repeat(len(path)))
    recipe = problem.stage("refit")
    made = train(whole, problem.pool, rows, problem.loss, recipe, kept_rows=whole.variables(), history=True)
    return made.history.view(len(made.history), len(path), judged, -1)


def trimmed(problem: Problem, folds: Folds, stack: Stack) -> list[Stack]:
    """One step of the path with 1, 2, ... columns of its canonical basis, up to one fewer than it has.

    The penalties stop at the dimension where the path breaks, which may be one too many: a structure with the same
    variables and the leading directions costs one more network in the stack.

    Args:
        problem: what is fitted.
        folds: G groups of rows.
        stack: G networks.
    """
    killed = stack.copy().kill_()
    dims = min(int(killed.columns()[-1].sum()), int(killed.variables()[-1].sum()))
    turned = absorbed(killed, *scree(problem, killed, folds.fit))
    shorter = []
    for d in range(1, dims):
        part = turned.copy()
        with torch.no_grad():
            part.b[:, :, d:] = 0.0
        shorter.append(part)
    return shorter


def fewer(problem: Problem, folds: Folds, stack: Stack) -> list[Stack]:
    """One structure with its 1, 2, ... variables (or groups) in whose direction outputs change most.

    The adaptive weights are a pilot's, and a pilot that overfits holds many variables alike: what the path then keeps
    is put in order by the gradients of the structure that was chosen.

    Args:
        problem: what is fitted.
        folds: G groups of rows.
        stack: G networks.
    """
    killed = stack.copy().kill_()
    turned = absorbed(killed, *scree(problem, killed, folds.fit))
    norms = grouped(turned.b, problem.groups) * (grouped(killed.b, problem.groups) > 0)
    count = int((norms[-1] > 0).sum())
    sizes = sorted({round(s) for s in np.geomspace(1, count - 1, min(count - 1, _SIZES))}) if count > 1 else []
    smaller = []
    for size in sizes if count - 1 > _SIZES else range(1, count):
        limit = norms.topk(size, 1).values[:, -1:]
        kept = (norms >= limit) & (norms > 0)
        part = killed.copy()
        with torch.no_grad():
            part.b.mul_((kept if problem.groups is None else kept[:, problem.groups])[:, :, None])
        smaller.append(part)
    return smaller


def refit_chosen(problem: Problem, rows: Tensor, stack: Stack, epoch: int) -> Stack:
    """Fit one structure on all rows, as long as its refits were best.

    Args:
        problem: what is fitted.
        rows: (n,) all that there are.
        stack: one network of the path.
        epoch: where the refits were best.
    """
    killed = stack.copy().kill_()
    kept, recipe = killed.variables(), problem.stage("refit")
    return train(
        killed, problem.pool, Rows(rows[None]), problem.loss, recipe, kept_rows=kept, until=epoch
    ).stack.kill_()


def canonical(problem: Problem, stack: Stack, rows: Tensor) -> tuple[Stack, Tensor]:
    """The same function in the basis that its gradients give, largest first, and the eigenvalues.

    Args:
        problem: what is fitted.
        stack: one network.
        rows: (n,) over which gradients are averaged.
    """
    values, vectors = scree(problem, stack, rows[None])
    return absorbed(stack, values, vectors).kill_(), values[0]


def packed(stack: Stack) -> list[Tensor]:
    """Its tensors, for a file.

    Args:
        stack: of networks.
    """
    return [t.detach().clone() for t in stack.tensors()]


def unpacked(tensors: list[Tensor]) -> Stack:
    """The stack whose tensors these are.

    Args:
        tensors: as `packed` gives them.
    """
    return Stack(tensors[0], tensors[1::2], tensors[2::2])
