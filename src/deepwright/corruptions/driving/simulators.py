"""What every simulator offers: vehicles are set on roads, act, and are seen and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_same_length
from deepwright.corruptions.driving.roads import Road


@dataclass(frozen=True)
class Capabilities:
    """What a simulator can do.

    Attributes:
        custom_road: drives on the road that it is given; else its seed (or its own map) decides.
        image: observes pictures (n, C, H, W) in [0, 1]; else vectors or grids of a state.
        xte: knows the distance to the centre of the lane.
        deterministic: the same road, seed and actions give the same numbers.
        has_end: its own roads end; where they don't, an episode is passed when its time is. A road that it is given
            ends in any case.
    """

    custom_road: bool
    image: bool
    xte: bool
    deterministic: bool
    has_end: bool


@dataclass(frozen=True)
class Telemetry:
    """What is known of vehicles at one moment; NaN where a simulator doesn't say.

    Attributes:
        position: metres.
        heading: radians, counterclockwise from the x axis.
        speed: metres a second.
        xte: signed distance to the centre line in metres, positive to its left.
        heading_error: radians from the direction of the road.
        arc: metres along the road.
        finished: whether the end of the road is reached.
        stopped: whether the simulator ended the episode for another reason (a collision, off the map).
    """

    position: Float[Tensor, "n 2"]
    heading: Float[Tensor, " n"]
    speed: Float[Tensor, " n"]
    xte: Float[Tensor, " n"]
    heading_error: Float[Tensor, " n"]
    arc: Float[Tensor, " n"]
    finished: Bool[Tensor, " n"]
    stopped: Bool[Tensor, " n"]


@runtime_checkable
class Simulator(Protocol):
    """Vehicles side by side, each on a road of its own.

    Actions are (steering, throttle): the angle of the front wheels in radians, to the left where positive, and a share
    in [-1, 1]; each adapter turns them into its simulator's own units.

    Attributes:
        n: vehicles side by side.
        dt: simulated seconds of a step.
        capabilities: what it can do.
    """

    n: int
    dt: float
    capabilities: Capabilities

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture."""
        ...

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Tensor:
        """Set n vehicles at the start of their roads; the first pictures."""
        ...

    def step(self, action: Float[Tensor, "n 2"]) -> tuple[Tensor, Telemetry]:
        """Act for dt seconds; the next pictures, and what is measured then."""
        ...

    def close(self) -> None:
        """Let go of processes and sockets."""
        ...


class InfrastructureError(Exception):
    """A simulator doesn't answer, or says what can't be: nothing that a driver did."""


def require_actions(action: Tensor, n: int) -> None:
    """Refuse what can't be steering angles and throttles.

    Args:
        action: as an agent gave it.
        n: vehicles.

    Raises:
        InputError: another shape, NaN, or angles above pi, which are degrees.
    """
    if not isinstance(action, Tensor) or action.shape != (n, 2) or not action.is_floating_point():
        given = (
            f"{action.dtype} of shape {tuple(action.shape)}" if isinstance(action, Tensor) else type(action).__name__
        )
        raise InputError("action", given=given, expected=f"floats of shape ({n}, 2): steering and throttle")
    largest = float(action[:, 0].abs().max())
    if not largest <= torch.pi or not bool(torch.isfinite(action).all()):
        hint = "angles are radians: torch.deg2rad(degrees)" if largest > torch.pi else None
        raise InputError("action", given=f"steering up to {largest:.4g}", expected="radians within +-pi", hint=hint)


def require_starts(roads: Sequence[Road | None], seeds: Sequence[int], n: int, needs_road: bool) -> None:
    """Refuse roads and seeds that aren't one a vehicle.

    Args:
        roads: as given to `reset`.
        seeds: as given to `reset`.
        n: vehicles.
        needs_road: whether each must have one.

    Raises:
        InputError: another number of either, something else than a road.
    """
    require_same_length(roads, seeds, "roads and seeds")
    if len(roads) != n:
        raise InputError("roads", given=f"{len(roads)} of them", expected=f"{n}, one a vehicle")
    for road in roads:
        if not (isinstance(road, Road) or (road is None and not needs_road)):
            raise InputError("roads", given=type(road).__name__, expected="a Road for each vehicle")
