"""One network trained on one problem with Adam and a cosine, fresh points in every step, in float32."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.randomness import generator
from deepwright.physics.solve import Diverged, LeastSquaresProblem, PDEProblem, Phase, certify, fit_problem
from deepwright.physics.solve.problem import relative_errors
from deepwright.studies._clock import one_thread
from deepwright.studies.linear_grids.methods import NETWORKS, PROBLEMS


def trial(
    problem: str,
    name: str,
    setting: dict[str, Any],
    seed: int,
    steps: int,
    picture: bool = False,
    certified: bool = False,
) -> dict[str, Any]:
    """A training, its error on points to choose by and on others to report.

    Args:
        problem: of `PROBLEMS`.
        name: of `NETWORKS`.
        setting: the learning rate ("lr") and the network's own setting ("network").
        seed: of weights and points.
        steps: of Adam.
        picture: also the field on a grid.
        certified: also what `certify` says of it.
    """
    with one_thread():
        stated = PROBLEMS[problem]()
        u = NETWORKS[name][setting["network"]](stated.domain.bounds, seed).float()
        squares = LeastSquaresProblem(u, stated.blocks(seed, dtype=torch.float32))
        curve: list[float] = []
        places = {round(k * steps / 20) for k in range(1, 21)}

        def look(step: int, info: Any) -> None:
            if step in places:
                curve.append(info.after)

        begin = time.process_time()
        try:
            fit_problem(squares, [Phase("adam", steps, setting["lr"], True)], resample=1, seed=seed, on_step=look)
        except Diverged:
            return {"validation": math.nan, "error": math.nan, "seconds": time.process_time() - begin}
        seconds = time.process_time() - begin
        u.double()  # what comes now is measured in full precision
        found: dict[str, Any] = {
            "validation": _error(stated, u, "points to choose by"),
            "error": _error(stated, u, "points to report on"),
            "seconds": seconds,
            "curve": curve,
            "parameters": squares.size,
        }
        if certified:
            report = certify(stated, u, seed=seed)
            found |= {"warned": any("smooth correction" in w for w in report.warnings), "missed": report.missed}
        if picture:
            found["picture"] = _picture(u, stated.exact)
        return found


def _error(stated: PDEProblem, u: nn.Module, purpose: str) -> float:
    """Relative L2 error on points of one purpose, the same for every network and seed."""
    assert stated.exact is not None
    x = stated.domain.sample(20_000, "sobol", generator=generator(0, "linear grids", purpose))
    return relative_errors(u, stated.exact, x)["u"]


def _picture(u: nn.Module, exact: Any, n: int = 120) -> Tensor:
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        return torch.stack([u(x)[:, 0], exact(x)[:, 0]]).reshape(2, n, n)
