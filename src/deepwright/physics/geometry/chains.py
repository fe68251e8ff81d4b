"""A function that is 0 on a polygon's sides and above 0 inside, as smooth as corners allow.

Between two corners that stick out, sides meet at corners that go in only; inside is then where any of their half planes
is, so their lines are joined by `levels.either`. The product over such chains is a polynomial for a convex polygon: at
a right corner it is x y, where joining distances would leave a Laplacian that grows without end. A chain whose lines,
prolonged, cut the region takes its sides as segments instead.
"""

from __future__ import annotations

from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.physics.levels import along_segments, either


class Chains:
    """The product of chains, 1 at its largest.

    Args:
        start: of each side, counter-clockwise.
        end: of each side.
        inside: points inside, by which lines that cut the region and the scale are found.
    """

    def __init__(self, start: Float[Tensor, "s 2"], end: Float[Tensor, "s 2"], inside: Float[Tensor, "n 2"]) -> None:
        side = end - start
        length = side.norm(dim=1, keepdim=True)
        self.start, self.end = start, end
        self.normals = torch.stack([-side[:, 1], side[:, 0]], 1) / length  # to the left: inwards
        before = side.roll(1, 0)
        outwards = (before[:, 0] * side[:, 1] - before[:, 1] * side[:, 0]) > 0  # the corner at each side's start
        self.chains = _split(outwards.tolist())
        self.whole = [bool((self._lines(chain, inside) > 0).all()) for chain in self.chains]
        self.scale = 1.0
        self.scale = float(self(inside).max())

    def _lines(self, chain: list[int], x: Tensor) -> Tensor:
        start, normals = self.start[chain].to(x), self.normals[chain].to(x)
        return reduce(either, ((x[:, None] - start) * normals).sum(2).unbind(1))

    def __call__(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """The function.

        Args:
            x: points inside.
        """
        found = torch.full_like(x[:, 0], 1 / self.scale)
        for chain, whole in zip(self.chains, self.whole):
            part = self._lines(chain, x) if whole else along_segments(x, self.start[chain].to(x), self.end[chain].to(x))
            found = found * part
        return found


def _split(outwards: list[bool]) -> list[list[int]]:
    """Sides in turn, a new chain at each corner that sticks out (there are at least three)."""
    first = outwards.index(True)
    chains: list[list[int]] = []
    for i in range(len(outwards)):
        k = (first + i) % len(outwards)
        if outwards[k]:
            chains.append([])
        chains[-1].append(k)
    return chains
