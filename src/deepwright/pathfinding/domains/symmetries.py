"""Symmetries of cubes: turned or mirrored as a whole, a cube is as far from its goal as before."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.cubes import FACES, RubiksCube, sticker_places
from deepwright.pathfinding.domains.domain import Domain


@dataclass(frozen=True)
class Symmetries:
    """Maps of states to states that keep the goal and take actions to actions; the first changes nothing.

    Attributes:
        places: (K, n): what is in place i comes from place places[k, i].
        values: (K, num_values): and is renamed from v to values[k, v].
        actions: (K, A): action a of a state is action actions[k, a] of its image.
    """

    places: Int[Tensor, "k n"]
    values: Int[Tensor, "k v"]
    actions: Int[Tensor, "k a"]

    def __len__(self) -> int:
        return len(self.places)

    def images(self, states: Tensor) -> Tensor:
        """(B, K, n): each state under each symmetry. A network trained on any of them learns all.

        Args:
            states: (B, n).
        """
        places, values = self.places.to(states.device), self.values.to(states.device)
        moved = states[:, places].long()  # (B, K, n)
        return values.expand(len(states), -1, -1).gather(2, moved).to(states.dtype)

    def canonical(self, states: Tensor) -> Tensor:
        """(B, n): of each state's images the first in the order of numbers, the same for all of them.

        Args:
            states: (B, n).
        """
        images = self.images(states)
        first = torch.zeros(len(states), dtype=torch.long, device=states.device)
        rows = torch.arange(len(states), device=states.device)
        for k in range(1, len(self)):
            best, other = images[rows, first], images[:, k]
            differ = best != other
            at = differ.long().argmax(1)
            less = differ.any(1) & (other[rows, at] < best[rows, at])
            first = torch.where(less, k, first)
        return images[rows, first]


def symmetries_of(cube: Domain) -> Symmetries:
    """The 48 of the 3 x 3 x 3 cube, and the 6 of the 2 x 2 x 2 that leave the corner where it is that isn't turned.

    Args:
        cube: either.

    Raises:
        InputError: another domain.
    """
    if not isinstance(cube, RubiksCube):
        raise InputError("cube", given=repr(cube), expected="a RubiksCube")
    size = 3 if cube.name == "cube3" else 2
    at, normals = sticker_places(size)
    number = {(*p, *n): i for i, (p, n) in enumerate(zip(at.tolist(), normals.tolist()))}
    face = {normal: i for i, (normal, _, _) in enumerate(FACES.values())}
    letters = list(FACES)
    places, values, actions = [], [], []
    for matrix in _orthogonal():
        goes = [face[tuple((matrix @ np.array(normal)).tolist())] for normal in face]
        turns = 1 if np.linalg.det(matrix) > 0 else -1
        named = [f"{letters[goes[letters.index(name[0])]]}{turns * int(name[1:])}" for name in cube.names]
        if not set(named) <= set(cube.names):
            continue
        to = [number[(*(matrix @ p).tolist(), *(matrix @ n).tolist())] for p, n in zip(at, normals)]
        places.append(np.argsort(to).tolist())
        values.append(goes)
        actions.append([cube.names.index(name) for name in named])
    return Symmetries(torch.tensor(places), torch.tensor(values), torch.tensor(actions))


def _orthogonal() -> list[np.ndarray]:
    """The 48 matrices that map a cube to itself, the identity first."""
    axes = np.eye(3, dtype=np.int64)
    return [
        np.array(signs)[:, None] * axes[list(order)]
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
