"""Perturbations in a closed loop: what a sensor adds is new in each frame, what sticks to lens or scene stays."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.corruptions.driving.scenarios import Scenario
from deepwright.corruptions.suite import get


class Disturbance:
    """The perturbations of a block of scenarios, each on its own row.

    An episode's numbers hang on its seed, and not on its neighbours.

    Args:
        scenarios: one a row.
        frozen: draw everything once an episode, sensor noise too.
    """

    def __init__(self, scenarios: Sequence[Scenario], frozen: bool = False) -> None:
        self.frozen = frozen
        names = sorted({s.perturbation for s in scenarios if s.perturbation is not None})
        self._groups = []
        for name in names:
            rows = [i for i, s in enumerate(scenarios) if s.perturbation == name]
            severities = torch.tensor([scenarios[i].severity for i in rows], dtype=torch.float64)
            seeds = torch.tensor([scenarios[i].seed for i in rows])
            self._groups.append((get(name), torch.tensor(rows), severities, seeds))

    def __call__(self, pictures: Float[Tensor, "n c h w"], frame: int) -> Float[Tensor, "n c h w"]:
        """What the agent sees of a frame.

        Args:
            pictures: as the cameras give them.
            frame: its number.
        """
        if not self._groups:
            return pictures
        out = pictures.clone()
        for perturbation, rows, severities, seeds in self._groups:
            at = rows.to(pictures.device)
            t = None if self.frozen or perturbation.sticks else frame
            out[at] = perturbation(pictures[at], severities, 0, t, ids=seeds)
        return out
