"""A run on disk: all steps taken so far in one file, from which a killed run goes on to the same end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.resume import Resume
from deepwright.physics.kinetic.energy_law import StepInfo
from deepwright.physics.kinetic.particles import PhaseSpaceParticles
from deepwright.physics.kinetic.step_size import StepSize
from deepwright.physics.kinetic.taken_steps import TakenSteps

KIND = "kinetic run"


@dataclass(frozen=True)
class Landing:
    """Where a run was before a step that was cut to land on a time: it goes on from there, with whole steps.

    Attributes:
        steps: taken by then.
        now: particles by then.
        tau: of the step that was cut.
        partners: state of what interactions draw from, where they draw.
    """

    steps: int
    now: PhaseSpaceParticles
    tau: float
    partners: Tensor | None


@dataclass
class RunState:
    """All that changes in a run.

    Attributes:
        steps: those taken.
        size: of the next one.
        now: particles after the last step.
        energies: F at the start and after every step.
        landing: where the run goes on from, if its last step was cut.
    """

    steps: TakenSteps
    size: StepSize
    now: PhaseSpaceParticles
    energies: list[float]
    landing: Landing | None = None

    def land(self) -> None:
        """Note that the next step is cut."""
        if self.landing is None:
            partners = self.steps.partners
            drawn = None if partners is None else partners.get_state()
            self.landing = Landing(len(self.steps), self.now, self.size.tau, drawn)

    def lift_off(self) -> None:
        """Take back what was cut, so that a longer run is the same as if it hadn't stopped on the way."""
        if self.landing is None:
            return
        count = self.landing.steps
        self.steps.forget(count)
        del self.energies[count + 1 :]
        self.now, self.size.tau = self.landing.now, self.landing.tau
        if self.steps.partners is not None and self.landing.partners is not None:
            self.steps.partners.set_state(self.landing.partners)
        self.landing = None


class RunFile:
    """The file of a run; nothing happens where there is none.

    Args:
        path: the file, or None.
        state: of the run; where there is a file, it is put where that was written.
        identity: () -> all that decides the run's steps.
        control: () -> a module as every step has one.
        steps: that are asked for in all.
        until: time that is asked for.

    Raises:
        InputError: a file of another run, or one that has gone further than is asked for.
        LockedError: another process works on the file.
    """

    def __init__(
        self,
        path: Path | str | None,
        state: RunState,
        identity: Callable[[], dict[str, Any]],
        control: Callable[[], nn.Module],
        steps: float,
        until: float,
    ) -> None:
        self.state = state
        self._kept = Resume(path, {} if path is None else identity(), kind=KIND)
        stored = self._kept.load()
        if stored is not None:
            self._check(stored, steps, until)
            self._restore(stored, control)
        self._stored = None if stored is None else len(state.steps)

    def save(self) -> None:
        """The steps so far, of a run that goes on."""
        if self._kept.path is not None:
            self._kept.save(self._content())

    def finish(self) -> None:
        """The steps of a run that has come to its end."""
        if self._kept.path is not None and not (self._kept.finished and self._stored == len(self.state.steps)):
            self._kept.finish(self._content())

    def close(self) -> None:
        """Let other processes take the file."""
        self._kept.close()

    def _content(self) -> dict[str, Any]:
        steps, now, landing = self.state.steps, self.state.now, self.state.landing
        partners = steps.partners
        return {
            "controls": [control.state_dict() for control in steps.controls],
            "clouds": steps.clouds,
            "infos": [asdict(info) for info in steps.infos],
            "now": [now.x, now.v, now.log_density],
            "energies": self.state.energies,
            "tau": self.state.size.tau,
            "partners": None if partners is None else partners.get_state(),
            "landing": None
            if landing is None
            else [landing.steps, landing.now.x, landing.now.v, landing.now.log_density, landing.tau, landing.partners],
        }

    def _check(self, stored: dict[str, Any], most: float, until: float) -> None:
        """Refuse a file that has gone further, or that doesn't begin with the steps already taken."""
        infos, taken = [StepInfo(**info) for info in stored["infos"]], self.state.steps.infos
        time = math.fsum(info.tau for info in infos)
        if len(infos) > most or time > until * (1 + 1e-9):
            raise InputError(
                f"{self._kept.path} has gone further than asked",
                given=f"{len(infos)} steps, up to a time of {time:g}",
                expected=f"at most {most:g} steps, up to a time of {until:g}",
                hint="ask for as many, or choose another file",
            )
        if taken != infos[: len(taken)]:
            raise InputError(
                f"{self._kept.path} belongs to another {KIND}",
                given=f"a run with {len(taken)} steps that the file doesn't begin with",
                expected="a fresh run, or the steps of the file",
                hint="choose another file",
            )

    def _restore(self, stored: dict[str, Any], make: Callable[[], nn.Module]) -> None:
        """Put the run where the file was written."""
        state, steps = self.state, self.state.steps
        clouds = stored["clouds"] or [[] for _ in stored["infos"]]
        for k in range(len(steps), len(stored["infos"])):
            control = make()
            try:
                control.load_state_dict(stored["controls"][k])
            except RuntimeError as error:
                given = f"step {k}: {error}"
                raise InputError(f"{self._kept.path}", given=given, expected="controls as `velocity` makes") from error
            felt = [cloud.to(steps.device) for cloud in clouds[k]]
            steps.append(control, felt, StepInfo(**stored["infos"][k]))
        state.energies[:] = stored["energies"]
        if stored["landing"] is not None:
            count, x, v, log_density, tau, partners = stored["landing"]
            state.landing = Landing(count, PhaseSpaceParticles(x, v, log_density).to(steps.device), tau, partners)
        state.now, state.size.tau = PhaseSpaceParticles(*stored["now"]).to(steps.device), stored["tau"]
        if steps.partners is not None:
            steps.partners.set_state(stored["partners"])
