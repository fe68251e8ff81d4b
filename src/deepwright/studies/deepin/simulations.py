"""Tables whose variables, directions and noiseless targets are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import generator

_R2 = math.sqrt(2.0)
TRUE_DIM = {"S0": 0, "S1": 2, "S2": 1, "S3": 3, "S4": 10}
TRUE_VARIABLES = {"S0": 0, "S1": 4, "S2": 3, "S3": 6, "S4": 10}
NOISE = 0.5


@dataclass(frozen=True)
class Simulated:
    """Rows for training, validation and test.

    Attributes:
        x: (rows, 50).
        y: (rows,) with noise.
        clean: (rows,) without.
        parts: rows of training, of validation, the others of test.
    """

    x: Tensor
    y: Tensor
    clean: Tensor
    parts: tuple[int, int]

    def part(self, name: str) -> slice:
        """The rows of a part.

        Args:
            name: "train", "validation" or "test".
        """
        a, b = self.parts
        return {"train": slice(a), "validation": slice(a, a + b), "test": slice(a + b, None)}[name]


def clean_target(name: str, x: Tensor) -> Tensor:
    """(rows,) f(x).

    Args:
        name: of the simulation.
        x: (rows, 50).
    """
    z1, z2, z3 = (x[:, 0] + x[:, 1]) / _R2, (x[:, 2] - x[:, 3]) / _R2, (x[:, 4] + x[:, 5]) / _R2
    one = 2 * (1.5 * z1).sin() + z2**2
    if name == "S0":
        return torch.zeros(len(x))
    if name == "S1":
        return one
    if name == "S2":
        z = x[:, :3].sum(1) / math.sqrt(3.0)
        return z + 2 * (-(z**2)).exp()
    return one + 1.5 * z3 * z1 if name == "S3" else x[:, :10].sin().sum(1)


def true_directions(name: str) -> np.ndarray:
    """(50, d) directions in which f changes.

    Args:
        name: of the simulation, S1 to S3.
    """
    b = np.zeros((50, TRUE_DIM[name]))
    if name == "S2":
        b[:3, 0] = 1.0
        return b
    b[0, 0] = b[1, 0] = b[2, 1] = 1.0
    b[3, 1] = -1.0
    if name == "S3":
        b[4, 2] = b[5, 2] = 1.0
    return b


def simulate(name: str, seed: int, rows: tuple[int, int, int] = (2000, 500, 4000)) -> Simulated:
    """Independent normal columns; noise of 0.5.

    Args:
        name: of the simulation.
        seed: of the draw.
        rows: of training, validation and test.
    """
    made = generator(seed, "simulation")
    x = torch.randn(sum(rows), 50, generator=made)
    clean = clean_target(name, x)
    return Simulated(x, clean + NOISE * torch.randn(len(x), generator=made), clean, rows[:2])
