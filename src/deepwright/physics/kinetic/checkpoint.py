"""A run on disk: a file a step, from which a killed run goes on to the same end."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state
from deepwright.physics.kinetic.energy_law import StepInfo
from deepwright.physics.kinetic.particles import PhaseSpaceParticles

if TYPE_CHECKING:
    from deepwright.physics.kinetic.jko import KineticJKO


def identity(run: KineticJKO) -> dict[str, Any]:
    """What a state belongs to."""
    size, solver = run.size, run.solver
    return {
        "first tau": size.first, "tolerance": size.tolerance, "largest": size.largest, "substeps": run.steps.map.substeps,
        "scheme": run.steps.map.scheme, "velocity": run.velocity if isinstance(run.velocity, str) else "own",
        "iterations": solver.iterations, "first": solver.first, "batch": run.batch_size, "resample": solver.resample,
        "rate": solver.lr, "seed": run.seed, "particles": len(run.now), "friction": run.system.friction,
        "temperature": run.system.temperature,
    }  # fmt: skip


def save(folder: Path, run: KineticJKO) -> None:
    """The last step."""
    k = len(run.steps) - 1
    save_state(folder / f"step-{k:04d}.pt", {
        "identity": identity(run), "control": run.controls[k].state_dict(), "info": asdict(run.infos[k]),
        "clouds": run.clouds[k] if run.clouds else [], "now": [run.now.x, run.now.v, run.now.log_density],
        "energy": run.energies[k + 1], "next tau": run.tau,
    })  # fmt: skip


def resume(folder: Path, run: KineticJKO) -> None:
    """All steps on disk."""
    while (path := folder / f"step-{len(run.steps):04d}.pt").exists():
        state = load_state(path)
        other = [k for k, v in identity(run).items() if state["identity"].get(k) != v]
        if other:
            given = "another " + ", ".join(other)
            raise InputError(f"state in {folder}", given=given, expected="the same run", hint="use another folder")
        control = run.control()
        control.load_state_dict(state["control"])
        run.steps.append(control, state["clouds"], StepInfo(**state["info"]))
        run.energies.append(state["energy"])
        run.size.tau = state["next tau"]
        run.now = PhaseSpaceParticles(*state["now"])
