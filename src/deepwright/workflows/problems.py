"""Differential equations by name, or stated in a file of the user's."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.user_code import users_code
from deepwright.physics.bundled import PROBLEMS, named_problem
from deepwright.physics.solve import PDEProblem
from deepwright.physics.two_phase import (
    TwoPhaseProblem,
    core_flow,
    droplet,
    general,
    layers,
    static_ball,
    static_droplet,
)

FLOWS: dict[str, tuple[Callable[[], TwoPhaseProblem], str]] = {
    "droplet": (droplet, "two fluids, a spinning droplet that is carried along (surface tension, viscosities 10 : 1)"),
    "two-phase-general": (general, "two fluids, a stress jump that needs the whole 2 mu D, a prescribed interface"),
    "static-droplet": (static_droplet, "two fluids at rest: Laplace's pressure jump, and nothing should move"),
    "static-ball": (static_ball, "the same around an axis: a ball, with twice the jump"),
    "three-layers": (layers, "three fluids in spinning rings around a moving centre"),
    "core-flow": (core_flow, "two fluids in a pipe, one around the other, axisymmetric"),
}
_LISTED = {
    "poisson-bands": "lap u = f on [-1, 1]^2 with three bands of sines: smooth, middling and sharp at once",
}


def catalogue() -> dict[str, str]:
    """Name of each bundled problem -> what it is."""
    told = {name: _LISTED.get(name) or (make.__doc__ or "").strip().splitlines()[0] for name, make in PROBLEMS.items()}
    return told | {name: text for name, (_, text) in FLOWS.items()}


def stated(name: str) -> PDEProblem | TwoPhaseProblem:
    """A bundled problem, or `problem` of a Python file of the user's, which is run.

    Args:
        name: of the catalogue, or of a .py file.

    Raises:
        InputError: no such name or file; a file without a problem, or one that fails (its error is told).
    """
    if name.endswith(".py"):
        return _from_file(name)
    if name in FLOWS:
        return FLOWS[name][0]()
    if name not in PROBLEMS:
        raise unknown_name("problem", name, [*PROBLEMS, *FLOWS])
    return named_problem(name)


def _from_file(name: str) -> PDEProblem | TwoPhaseProblem:
    if not Path(name).is_file():
        raise InputError(
            "problem", given=f"{name} does not exist", expected="a Python file with `problem = PDEProblem(...)`"
        )
    with users_code(f"cannot run {name}", "a file that states a problem"):
        made = runpy.run_path(name).get("problem")
    if not isinstance(made, PDEProblem | TwoPhaseProblem):
        raise InputError(
            name,
            given=f"problem is {type(made).__name__}",
            expected="problem = PDEProblem(...) or TwoPhaseProblem(...)",
        )
    return made
