"""The five stages together: pilot, rotation, path, refits, choice; what is done is kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.resume import Resume
from deepwright.interpret.deepin.choice import Candidate, choose, ebic, judged, structure
from deepwright.interpret.deepin.losses import Squared
from deepwright.interpret.deepin.penalties import Penalty
from deepwright.interpret.deepin.selection import (
    Folds,
    Problem,
    canonical,
    constant_losses,
    find_range,
    grid,
    packed,
    refit,
    refit_chosen,
    run_pilot,
    trimmed,
    unpacked,
    walk,
)
from deepwright.interpret.deepin.stack import Stack
from deepwright.interpret.deepin.training import Rows, losses_of

Told = Callable[[str, int], None]


@dataclass(frozen=True)
class Options:
    """How the path is walked and what is chosen.

    Attributes:
        lambdas: rising values, or None: found from the data.
        criterion: "held" (validation rows or folds) or "ebic".
        one_se: toward less within a standard error.
        ebic_gamma: weight of the number of subsets.
    """

    lambdas: tuple[float, ...] | None
    criterion: str
    one_se: bool
    ebic_gamma: float


@dataclass(frozen=True)
class Minimal:
    """What a fit found.

    Attributes:
        stack: one network, in its canonical basis; no variable where constant outputs were chosen.
        candidates: the path, constant outputs last.
        chosen: which.
        scree: eigenvalues of the pilot's M.
        values: eigenvalues of the refitted network's M.
        pilot_loss: on the rows for stopping.
        constant_loss: of constant outputs on them.
        everything_zero: whether the path came to its end.
    """

    stack: Stack
    candidates: list[Candidate]
    chosen: int
    scree: Tensor
    values: Tensor
    pilot_loss: float
    constant_loss: float
    everything_zero: bool


def fit_minimal(
    problem: Problem,
    folds: Folds,
    everything: Tensor,
    options: Options,
    *,
    checkpoint: Path | str | None = None,
    identity: Mapping[str, Any] | None = None,
    told: Told | None = None,
) -> Minimal:
    """Find the smallest network that does as well.

    Args:
        problem: what is fitted.
        folds: groups of rows; the last one's structure is chosen, the others judge (of one, it judges itself).
        everything: (n,) rows of the last refit.
        options: of path and choice.
        checkpoint: a file in which what is done is kept.
        identity: what the work is made from.
        told: called with the stage and its place.
    """
    say = told or _silent
    with Resume(checkpoint, dict(identity or {}), kind="deepin") as kept:
        state: dict[str, Any] = kept.load(map_location=problem.pool.x.device) or {}
        if "turned" not in state:
            turned, values, pilot, plain = run_pilot(problem, folds)
            state |= {"turned": packed(turned), "scree": values, "pilot": pilot, "plain": plain, "path": []}
            kept.save(state)
            say("pilot", 0)
        turned = unpacked(state["turned"])
        penalty = Penalty.of(turned, problem.gamma, problem.groups)
        if "lambdas" not in state:
            found = options.lambdas
            state["given"] = found is not None
            state["lambdas"] = list(found) if found else grid(*find_range(problem, turned, folds, penalty))
            kept.save(state)
            say("range", 0)

        def keep() -> None:
            kept.save(state)
            say("path", len(state["path"]) - 1)

        walk(problem, folds, state, penalty, keep)
        path = [unpacked(tensors) for tensors in state["path"]]
        judges = max(1, len(folds) - 1)
        if "history" not in state:
            state["history"] = refit(problem, folds, path, judges)
            kept.save(state)
            say("refit", 0)
        ours = [stack.copy([len(folds) - 1]).kill_() for stack in path]
        strengths = list(state["lambdas"][: len(path)])
        candidates = _candidates(problem, folds, strengths, state["history"], ours, options)
        chosen = _chosen(candidates, options)
        if candidates[chosen].dims > 1 and options.criterion != "ebic":
            shorter = trimmed(problem, folds, path[chosen])
            if "trimmed" not in state:
                state["trimmed"] = refit(problem, folds, shorter, judges)
                kept.save(state)
                say("trimmed", chosen)
            ours += [stack.copy([len(folds) - 1]).kill_() for stack in shorter]
            history = torch.cat([state["history"], state["trimmed"]], 1)
            strengths += [strengths[chosen]] * len(shorter)
            candidates = _candidates(problem, folds, strengths, history, ours, options)
            chosen = _chosen(candidates, options)
        if "minimal" not in state:
            state["minimal"] = packed(_finished(problem, everything, ours, candidates, chosen))
        kept.finish(state)
    stack, values = canonical(problem, unpacked(state["minimal"]), everything)
    return Minimal(
        stack,
        candidates,
        chosen,
        state["scree"][-1],
        values,
        float(state["pilot"][-1]),
        float(state["plain"][-1]),
        not bool(path[-1].variables().any()),
    )


def _silent(stage: str, place: int) -> None:
    return None


def _chosen(candidates: list[Candidate], options: Options) -> int:
    return choose(candidates, options.one_se and options.criterion != "ebic")


def _candidates(
    problem: Problem,
    folds: Folds,
    strengths: list[float],
    history: Tensor,
    ours: list[Stack],
    options: Options,
) -> list[Candidate]:
    judges = max(1, len(folds) - 1)
    constant = torch.stack([constant_losses(problem, folds.fit[k], folds.held[k]) for k in range(judges)])[None]
    found = []
    arms = zip([*strengths, None], [*ours, None], [*history.unbind(1), constant], strict=True)
    for strength, stack, losses in arms:
        size = structure(stack) if stack is not None else (0, 0, (0,) * len(problem.hidden), problem.loss.outputs)
        if options.criterion == "ebic":
            losses = losses[-1:]
        loss, se, epoch = judged(losses)
        if options.criterion == "ebic":
            n, p = folds.fit.shape[1], problem.pool.x.shape[1]
            squared = isinstance(problem.loss, Squared)
            loss, se = ebic(loss, n, size[3], size[0], p, options.ebic_gamma, squared), 0.0
            epoch = history.shape[0]
        found.append(Candidate(strength, *size, loss, se, epoch))
    return found


def _finished(problem: Problem, everything: Tensor, ours: list[Stack], found: list[Candidate], chosen: int) -> Stack:
    """The chosen structure on all rows; constant outputs are exact."""
    if found[chosen].variables:
        return refit_chosen(problem, everything, ours[chosen], found[chosen].epoch)
    blank = ours[0].copy()
    with torch.no_grad():
        for tensor in blank.tensors():
            tensor.zero_()
        blank.biases[-1].copy_(problem.loss.constant(problem.pool.y[everything]).to(blank.b))
    return blank


def losses_on(problem: Problem, stack: Stack, rows: Tensor) -> Tensor:
    """(n,) losses of one network.

    Args:
        problem: what was fitted.
        stack: one network.
        rows: of the pool.
    """
    return losses_of(stack, problem.pool, Rows(rows[None]), problem.loss)[0]
