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
    fewer,
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
        work = _Work(problem, folds, options, path, list(state["lambdas"][: len(path)]))
        chosen = -1
        for stage, shorter in (("refits", None), ("trimmed", trimmed), ("fewer", fewer)):
            more = path if shorter is None else shorter(problem, folds, work.steps[chosen])
            if stage not in state and more:
                state[stage] = refit(problem, folds, more, work.judges)
                kept.save(state)
                say(stage, max(chosen, 0))
            if more:
                work.add(more if shorter else [], state[stage], chosen)
            chosen = choose(work.candidates, work.one_se)
            if not work.candidates[chosen].variables or options.criterion == "ebic":
                break
        if "minimal" not in state:
            state["minimal"] = packed(_finished(work, everything, chosen))
        kept.finish(state)
    stack, values = canonical(problem, unpacked(state["minimal"]), everything)
    return Minimal(
        stack,
        work.candidates,
        chosen,
        state["scree"][-1],
        values,
        float(state["pilot"][-1]),
        float(state["plain"][-1]),
        not bool(path[-1].variables().any()),
    )


def _silent(stage: str, place: int) -> None:
    return None


class _Work:
    """Structures that were refitted, and how they are judged.

    Args:
        problem: what is fitted.
        folds: groups of rows.
        options: of the choice.
        path: G networks a lambda.
        strengths: lambda of each.
    """

    def __init__(
        self, problem: Problem, folds: Folds, options: Options, path: list[Stack], strengths: list[float]
    ) -> None:
        self.problem, self.folds, self.options = problem, folds, options
        self.steps, self.strengths, self.history = list(path), strengths, torch.zeros(0)
        self.judges = max(1, len(folds) - 1)
        self.one_se = options.one_se and options.criterion != "ebic"
        self.candidates: list[Candidate] = []

    def add(self, steps: list[Stack], history: Tensor, of: int) -> None:
        """Structures made from one that was chosen.

        Args:
            steps: G networks each; none where the losses are the path's own.
            history: (E, steps, judges, m) losses of their refits.
            of: the place of the one.
        """
        self.steps += steps
        self.strengths += [self.strengths[of]] * len(steps)
        self.history = torch.cat([self.history, history], 1) if len(self.history) else history
        self.candidates = [self._candidate(*arm) for arm in zip(self.strengths, self.steps, self.history.unbind(1))]
        self.candidates.append(self._constant())

    def mine(self, place: int) -> Stack:
        """The structure on all rows.

        Args:
            place: of the step.
        """
        return self.steps[place].copy([len(self.folds) - 1]).kill_()

    def _candidate(self, strength: float, step: Stack, losses: Tensor) -> Candidate:
        size = structure(step.copy([len(self.folds) - 1]).kill_())
        return self._judged(strength, size, losses)

    def _judged(self, strength: float | None, size: tuple[int, int, tuple[int, ...], int], losses: Tensor) -> Candidate:
        if self.options.criterion != "ebic":
            return Candidate(strength, *size, *judged(losses))
        loss, p = self.problem.loss, self.problem.pool.x.shape[1]
        n = loss.terms(self.problem.pool.y[self.folds.fit[-1].to(self.problem.pool.y.device)])
        mean = float(losses[-1].double().mean())
        value = ebic(mean, n, size[3], size[0], p, self.options.ebic_gamma, isinstance(loss, Squared))
        return Candidate(strength, *size, value, 0.0, len(losses))

    def _constant(self) -> Candidate:
        fits, held = self.folds.fit[: self.judges], self.folds.held[: self.judges]
        losses = [constant_losses(self.problem, a, b) for a, b in zip(fits, held, strict=True)]
        size = (0, 0, (0,) * len(self.problem.hidden), self.problem.loss.outputs)
        return self._judged(None, size, torch.stack(losses)[None])


def _finished(work: _Work, everything: Tensor, chosen: int) -> Stack:
    """The chosen structure on all rows; constant outputs are exact."""
    problem, found = work.problem, work.candidates[chosen]
    if found.variables:
        return refit_chosen(problem, everything, work.mine(chosen), found.epoch)
    blank = work.mine(0)
    with torch.no_grad():
        for tensor in blank.tensors():
            tensor.zero_()
        blank.biases[-1].copy_(problem.loss.constant(problem.pool.y[everything]).to(blank.b))
    return blank
