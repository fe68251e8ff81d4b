"""A run on disk: all steps taken so far in one file, from which a killed run goes on to the same end."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from deepwright.core.errors import InputError
from deepwright.core.resume import Resume
from deepwright.physics.kinetic import controls
from deepwright.physics.kinetic.energy_law import StepInfo
from deepwright.physics.kinetic.particles import PhaseSpaceParticles
from deepwright.physics.kinetic.step_map import StepMap
from deepwright.physics.kinetic.taken_steps import TakenSteps

if TYPE_CHECKING:
    from deepwright.physics.kinetic.jko import KineticJKO

KIND = "kinetic run"


def identity(run: KineticJKO) -> dict[str, Any]:
    """All that decides a run's steps: equation, start, control, options, and the code that takes them.

    Args:
        run: whose.
    """
    scheme, size, solver = run.steps.map, run.size, run.solver
    return {
        "system": run.system,
        "start": run.start,
        "velocity": run.velocity,
        "scheme": scheme.scheme,
        "substeps": scheme.substeps,
        "step_size": size.first,
        "tolerance": size.tolerance,
        "largest": size.largest,
        "iterations": solver.iterations,
        "first": solver.first,
        "resample": solver.resample,
        "lr": solver.lr,
        "batch_size": run.batch_size,
        "particles": run.particles,
        "seed": run.seed,
        "code": [type(run), StepMap, TakenSteps, type(solver), type(size), controls.PotentialVelocity],
    }


class RunFile:
    """The file of a run; nothing happens where there is none.

    Args:
        run: that is stored.
        path: the file, or None.
        steps: that are asked for in all.
        until: time that is asked for.

    Raises:
        InputError: a file of another run, or one that has more steps than are asked for.
        LockedError: another process works on the file.
    """

    def __init__(self, run: KineticJKO, path: Path | str | None, steps: float, until: float) -> None:
        self.run = run
        self._kept = Resume(path, {} if path is None else identity(run), kind=KIND)
        state = self._kept.load()
        if state is not None:
            self._restore(state, steps, until)
        self._stored = None if state is None else len(run.steps)

    def save(self) -> None:
        """The steps so far, of a run that goes on."""
        if self._kept.path is not None:
            self._kept.save(self._state())

    def finish(self) -> None:
        """The steps of a run that has come to its end."""
        if self._kept.path is not None and not (self._kept.finished and self._stored == len(self.run.steps)):
            self._kept.finish(self._state())

    def close(self) -> None:
        """Let other processes take the file."""
        self._kept.close()

    def _state(self) -> dict[str, Any]:
        run = self.run
        drawn = getattr(run.system.interaction, "generator", None)
        return {
            "controls": [control.state_dict() for control in run.controls],
            "clouds": run.clouds,
            "infos": [asdict(info) for info in run.infos],
            "now": [run.now.x, run.now.v, run.now.log_density],
            "energies": run.energies,
            "tau": run.tau,
            "drawn": drawn.get_state() if isinstance(drawn, torch.Generator) else None,
        }

    def _restore(self, state: dict[str, Any], steps: float, until: float) -> None:
        """Put the run where the file was written. Steps that it has already taken must be the file's."""
        run, infos = self.run, [StepInfo(**info) for info in state["infos"]]
        time = math.fsum(info.tau for info in infos)
        if len(infos) > steps or time > until * (1 + 1e-9):
            raise InputError(
                f"{self._kept.path} has gone further than asked",
                given=f"{len(infos)} steps, up to a time of {time:g}",
                expected=f"at most {steps:g} steps, up to a time of {until:g}",
                hint="ask for as many, or choose another file",
            )
        have = len(run.steps)
        if run.infos != infos[:have]:
            raise InputError(
                f"{self._kept.path} belongs to another {KIND}",
                given=f"a run with {have} steps that the file doesn't begin with",
                expected="a fresh run, or the steps of the file",
                hint="choose another file",
            )
        for k in range(have, len(infos)):
            control = run.control(fresh=True)
            try:
                control.load_state_dict(state["controls"][k])
            except RuntimeError as error:
                given = f"step {k}: {error}"
                raise InputError(f"{self._kept.path}", given=given, expected="controls as `velocity` makes") from error
            felt = [cloud.to(run.steps.device) for cloud in (state["clouds"] or [[]] * len(infos))[k]]
            run.steps.append(control, felt, infos[k])
        run.energies[:] = state["energies"]
        run.now, run.size.tau = PhaseSpaceParticles(*state["now"]).to(run.steps.device), state["tau"]
        if state["drawn"] is not None:
            run.system.interaction.generator.set_state(state["drawn"])  # type: ignore[union-attr]
