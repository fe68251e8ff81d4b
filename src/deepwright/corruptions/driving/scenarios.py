"""What is driven, and what came of it: a road, a perturbation and a seed in, an outcome out; plain data both."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.levels import severities_of
from deepwright.corruptions.suite import get

PASSED, LEFT, STOPPED, LATE = "passed", "left the lane", "stopped by the simulator", "out of time"
AGENT, INFRASTRUCTURE = "the agent failed", "infrastructure error"


@dataclass(frozen=True)
class Scenario:
    """One episode to drive.

    Attributes:
        road: None where the simulator has its own.
        perturbation: a name of `corruptions.names()`; None drives on clean pictures.
        severity: 0..5, 0 is clean; between two levels where the perturbation has something there.
        seed: of the world's looks and of the perturbation.

    Raises:
        InputError: an unknown perturbation, a severity outside 0..5, or between two that have nothing between them.
    """

    road: Road | None = None
    perturbation: str | None = None
    severity: float = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(-(2**63), seed=self.seed)
        require_within(0, 5, severity=self.severity)
        if self.severity == int(self.severity):
            object.__setattr__(self, "severity", int(self.severity))  # one cell, however it was written
        least = None if self.perturbation is None else get(self.perturbation).least
        severities_of(self.severity, 1, least)
        if (self.perturbation is None) != (self.severity == 0):
            given = f"{self.perturbation or 'no perturbation'} at severity {self.severity}"
            raise InputError("a scenario", given=given, expected="a perturbation above 0, or none at 0")

    @property
    def cell(self) -> tuple[str, float]:
        """(perturbation, severity); ("clean", 0) without one."""
        return self.perturbation or "clean", self.severity

    def to_dict(self) -> dict[str, Any]:
        """Plain data, from which `from_dict` makes it again: a replay."""
        road = None if self.road is None else {"points": self.road.to_string(), "width": self.road.width}
        return {"road": road, "perturbation": self.perturbation, "severity": self.severity, "seed": self.seed}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scenario:
        """The inverse of `to_dict`.

        Args:
            data: plain data.

        Raises:
            InputError: something else.
        """
        try:
            road = data["road"]
            made = None if road is None else Road.parse(road["points"], float(road["width"]))
            return cls(made, data["perturbation"], data["severity"], data["seed"])
        except (KeyError, TypeError, AttributeError) as error:
            expected = "what Scenario.to_dict writes"
            raise InputError("a scenario", given=f"{data!r:.80}", expected=expected) from error


@dataclass(frozen=True, eq=False)
class Outcome:
    """One episode as it was driven, up to its end; the step in which it failed is the last one.

    Attributes:
        scenario: what was driven.
        ended: "passed", "left the lane", "stopped by the simulator", "out of time", "the agent failed" or
            "infrastructure error".
        limit: metres from the middle at which the lane is left.
        dt: simulated seconds of a step.
        xte: signed distance to the middle after each step.
        heading_error: radians from the road's direction.
        speed: metres a second.
        position: metres.
        arc: metres along the road.
        steering: as the agent gave it, in radians.
        throttle: likewise.
        unusual: how unusual each picture was that the agent saw, as `watch` of `evaluate` says; empty without one.
        latency: seconds that the agent took for each step's pictures, those of all vehicles side by side; by the wall
            clock, so that it is another each time, and decides nothing. NaN where it can't be measured.
        reason: of what the agent or the infrastructure failed.
    """

    scenario: Scenario
    ended: str
    limit: float
    dt: float
    xte: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    heading_error: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    speed: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    position: Float[Tensor, "t 2"] = field(default_factory=lambda: torch.zeros(0, 2))
    arc: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    steering: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    throttle: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    latency: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    unusual: Float[Tensor, " t"] = field(default_factory=lambda: torch.zeros(0))
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether it says something about the driver: not where the infrastructure failed."""
        return self.ended != INFRASTRUCTURE

    @property
    def passed(self) -> bool:
        """Whether the end was reached within the lane."""
        return self.ended == PASSED

    @property
    def failed(self) -> bool:
        """Whether the driver failed."""
        return self.counts and not self.passed

    def failed_at(self, limit: float) -> bool:
        """Whether the driver would have failed with a tighter limit.

        Args:
            limit: metres from the middle; up to the one that it was driven with.

        Raises:
            InputError: a wider limit, of which nothing is known.
        """
        require_positive(limit=limit)
        if limit > self.limit:
            raise InputError("limit", given=limit, expected=f"up to {self.limit:g}, with which it was driven")
        return self.failed or (self.counts and self.max_xte >= limit)

    @property
    def seconds(self) -> float:
        """Simulated, up to its end."""
        return len(self.xte) * self.dt

    @property
    def max_xte(self) -> float:
        """Largest distance to the middle, in metres; NaN where no step was driven."""
        return float(self.xte.abs().max()) if len(self.xte) else math.nan

    @property
    def mean_xte(self) -> float:
        """Mean distance to the middle, in metres; NaN where no step was driven."""
        return float(self.xte.abs().mean()) if len(self.xte) else math.nan

    @property
    def time_to_failure(self) -> float | None:
        """Simulated seconds; None where the driver didn't fail."""
        return self.seconds if self.failed else None

    @property
    def distance_to_failure(self) -> float | None:
        """Metres along the road; None where the driver didn't fail, or the road isn't known."""
        return float(self.arc[-1]) if self.failed and len(self.arc) and bool(self.arc[-1].isfinite()) else None

    @property
    def steering_rate(self) -> float:
        """Root mean square of the steering's change, in radians a second; NaN for less than two steps."""
        return _rms(self.steering.diff() / self.dt)

    @property
    def steering_jerk(self) -> float:
        """Root mean square of the steering's second change, in radians/s2; NaN for less than three steps."""
        return _rms(self.steering.diff(n=2) / self.dt**2) if len(self.steering) > 2 else math.nan

    @property
    def quickness(self) -> float:
        """1 - the share of the road driven before the failure; 0 where it didn't fail or the road isn't known."""
        distance, road = self.distance_to_failure, self.scenario.road
        return 0.0 if distance is None or road is None else 1 - min(1.0, distance / road.length)

    def latency_at(self, share: float) -> float:
        """Seconds of a step that this share of the steps don't exceed; NaN where none was measured.

        Args:
            share: .5 for the median, .99 for all but the slowest.
        """
        require_within(0, 1, share=share)
        known = self.latency[self.latency.isfinite()]
        return float(torch.quantile(known.double(), share)) if len(known) else math.nan

    def crossings(self, boundary: float) -> int:
        """How often the car's middle went over a boundary, outwards.

        Args:
            boundary: metres from the middle of the road.
        """
        require_positive(boundary=boundary)
        outside = torch.cat([torch.tensor([False]), self.xte.abs() > boundary])
        return int((outside[1:] & ~outside[:-1]).sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what was driven, how it ended, and its numbers."""
        return {
            "scenario": self.scenario.to_dict(),
            "ended": self.ended,
            "reason": self.reason,
            "limit": self.limit,
            "seconds": self.seconds,
            "max_xte": self.max_xte,
            "mean_xte": self.mean_xte,
            "time_to_failure": self.time_to_failure,
            "distance_to_failure": self.distance_to_failure,
            "steering_rate": self.steering_rate,
            "steering_jerk": self.steering_jerk,
            "latency_median": self.latency_at(0.5),
            "latency_99": self.latency_at(0.99),
        }


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt()) if len(values) else math.nan
