"""One optimiser on one problem for so many CPU seconds; the error is looked at outside the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.physics.bundled import burgers, poisson
from deepwright.physics.domains import Box
from deepwright.physics.networks import field
from deepwright.physics.solve import (
    Hard,
    HardNetwork,
    LeastSquaresProblem,
    PDEProblem,
    Phase,
    fit_problem,
    relative_errors,
)
from deepwright.studies._clock import one_thread

KINDS = {
    "Adam": "adam",
    "L-BFGS": "lbfgs",
    "BFGS": "bfgs",
    "unscaled BFGS": "bfgs-unscaled",
    "SSBroyden": "ssbroyden",
    "Levenberg-Marquardt": "lm",
}
POISSON, HARD, BURGERS = "Poisson", "Poisson, edge by form", "Burgers"
LONG = "Poisson, edge by form, longer"
"""The same as `HARD`, where other arms are run for other seconds."""
LOOKS = 24
"""At so many times, evenly apart, the error is looked at."""


def problem_of(name: str, weight: float = 1.0) -> PDEProblem:
    """A problem, with one weight for whatever isn't its equation.

    Args:
        name: `POISSON`, `HARD`, `LONG` or `BURGERS`.
        weight: of the edge (and of the start) against the equation.
    """
    whole = burgers(0.03 / math.pi, 800) if name == BURGERS else poisson(500)
    if name in (HARD, LONG):
        assert isinstance(whole.domain, Box)
        kept = [c for c in whole.conditions if c.name == "equation"]
        return replace(whole, conditions=kept, hard=Hard(whole.domain.smooth_distance))
    return replace(
        whole, conditions=[c if c.name == "equation" else replace(c, weight=weight) for c in whole.conditions]
    )


def network_of(problem: PDEProblem, seed: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    """2 x 20 tanh, 501 parameters, with the edge by form where the problem has it so.

    Args:
        problem: that it is for.
        seed: of its weights.
        dtype: of its weights.
    """
    inner = field(2, 1, (20, 20), bounds=problem.domain.bounds, dtype=dtype, seed=seed)
    return inner if problem.hard is None else HardNetwork(inner, problem.hard)


def trial(problem: str, method: str, setting: Mapping[str, float], seed: int, budget: float) -> dict[str, Any]:
    """Errors on the validation's and the test's points after the budget, and the path of the latter.

    Args:
        problem: of `problem_of`.
        method: of `KINDS`, or one of them with ", float32".
        setting: "boundary weight" (but where the edge is by form), and "learning rate" of Adam, or "Adam first", the
            share of the budget that another optimiser's start is given.
        seed: of the network and of the points.
        budget: CPU seconds of training.
    """
    with one_thread():
        return _trial(problem, method, setting, seed, budget)


def _trial(name: str, method: str, setting: Mapping[str, float], seed: int, budget: float) -> dict[str, Any]:
    dtype = torch.float32 if method.endswith("float32") else torch.float64
    problem = problem_of(name, setting.get("boundary weight", 1.0))
    fresh = LeastSquaresProblem(network_of(problem, seed, dtype), problem.blocks(seed, dtype=dtype))
    phases = _phases(KINDS[method.removesuffix(", float32")], setting, budget, fresh)
    u = network_of(problem, seed, dtype)
    squares = LeastSquaresProblem(u, problem.blocks(seed, dtype=dtype))
    marks = [budget * k / LOOKS for k in range(1, LOOKS + 1)]
    path: list[tuple[float, float]] = []
    spent, begin = 0.0, time.process_time()

    def look(step: int, info: object) -> None:
        nonlocal spent, begin
        spent += time.process_time() - begin
        if marks and spent >= marks[0]:
            while marks and spent >= marks[0]:
                marks.pop(0)
            path.append((spent, error_of(u, name, "test")))
        begin = time.process_time()  # looking isn't training

    training = fit_problem(squares, phases, max_time=budget, on_step=look, seed=seed)
    return {
        "validation": error_of(u, name, "validation"),
        "error": error_of(u, name, "test"),
        "steps": training.steps,
        "seconds": training.seconds,
        "loss": training.loss,
        "path": path,
        "stopped": training.stopped,
        "between points": _rms(u, problem, seed + 10_000, dtype) / max(_rms(u, problem, seed, dtype), 1e-30),
    }


def _phases(kind: str, setting: Mapping[str, float], budget: float, fresh: LeastSquaresProblem) -> list[Phase]:
    """Adam's rate falls along a half cosine which ends with the budget (or its share); others follow it to the end."""
    pace = _pace(kind, fresh)
    if kind == "adam":
        return [Phase("adam", max(1, int(budget / pace)), setting["learning rate"], True)]
    first = int(setting.get("Adam first", 0.0) * budget / pace)
    return [*([Phase("adam", first, 1e-2, True)] if first else []), Phase(kind, 10**6)]


def _pace(kind: str, fresh: LeastSquaresProblem) -> float:
    """Seconds of a step of Adam, once everything that a first step loads is loaded."""
    fit_problem(fresh, [("adam", 5, 1e-3), (kind, 2)])
    return fit_problem(fresh, [("adam", 25, 1e-3)]).seconds / 25


def error_of(u: nn.Module, problem: str, part: str) -> float:
    """Relative L2 error.

    Args:
        u: the network.
        problem: of `problem_of`.
        part: "validation" or "test", whose points differ.
    """
    x, truth = _truth(problem, part)
    return relative_errors(u, lambda _: truth, x)["u"]


@lru_cache
def _truth(name: str, part: str) -> tuple[Tensor, Tensor]:
    problem = problem_of(name)
    assert problem.exact is not None
    x = problem.domain.sample(4096, generator=torch.Generator().manual_seed(["test", "validation"].index(part) + 1))
    return x, problem.exact(x)


def _rms(u: nn.Module, problem: PDEProblem, seed: int, dtype: torch.dtype) -> float:
    """Of the equation's residual on the points of a seed."""
    squares = LeastSquaresProblem(u, problem.blocks(seed, dtype=dtype))
    return squares.breakdown()["equation"]
