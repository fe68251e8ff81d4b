"""The time of what moves: places are closed forms of a real time, and all of them come back after `PERIOD` frames."""

from __future__ import annotations

import math

from torch import Tensor

PERIOD = 3600  # frames: two minutes of a film of thirty a second


def turned(phase: Tensor, per_frame: Tensor | float, t: float | None) -> Tensor:
    """How far each has come on its round, in [0, 1): phase + rate t, with whole rounds in a period.

    Args:
        phase: at t = 0, in rounds.
        per_frame: rounds a frame; rounded so that a period has a whole number of them, and none stands still.
        t: frames, within a period; None for 0.
    """
    rounds: Tensor | float = max(1, round(per_frame * PERIOD)) if isinstance(per_frame, float) else _whole(per_frame)
    return (phase + rounds * ((t or 0.0) / PERIOD)) % 1.0


def _whole(per_frame: Tensor) -> Tensor:
    rounds = (per_frame * PERIOD).round()
    return rounds + (rounds == 0)


def within_period(t: float) -> float:
    """The time in [0, PERIOD).

    Args:
        t: any frame, before 0 too.
    """
    return math.fmod(math.fmod(t, PERIOD) + PERIOD, PERIOD)
