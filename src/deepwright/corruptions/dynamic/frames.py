"""Faults of a stream of frames: they come late, are lost, or the camera freezes. The frames themselves stay whole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.core.randomness import Streams


@dataclass(frozen=True)
class FrameFault:
    """One way in which frames go wrong; `FaultyCamera` and `film` show what is seen.

    Attributes:
        name: as listed.
        levels: frames at each severity 1..5: of the delay, or of a gap.
        window: frames in which one gap falls, at a random place of each; None for a delay.
    """

    name: str
    levels: tuple[int, ...]
    window: int | None = None

    def delay(self, severity: int) -> int:
        """Frames that all of them are late.

        Args:
            severity: 0..5.
        """
        return 0 if severity == 0 or self.window is not None else self.levels[severity - 1]

    def lost(self, frame: int, severity: int, seed: int, ids: Tensor) -> Bool[Tensor, " n"]:
        """Whether a frame doesn't come, so that the one seen last is seen again.

        Args:
            frame: counted from 0; frame 0 always comes.
            severity: 0..5.
            seed: of the streams.
            ids: (N,) identity of each scene.
        """
        if self.window is None or severity == 0 or frame == 0:
            return torch.zeros(len(ids), dtype=torch.bool)
        gap, number = self.levels[severity - 1], frame // self.window
        starts = Streams(seed, ids, self.name, number).integers(0, self.window - gap + 1)
        place = frame - number * self.window
        return (place >= starts) & (place < starts + gap)


FRAME_FAULTS = (
    FrameFault("latency", (1, 2, 3, 5, 8)),
    FrameFault("dropped_frames", (1, 2, 4, 6, 10), window=20),
    FrameFault("frozen_camera", (5, 10, 20, 40, 80), window=100),
)
