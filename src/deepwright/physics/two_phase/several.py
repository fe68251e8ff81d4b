"""Several interfaces in one domain, for more than two fluids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.domains import Box
from deepwright.physics.two_phase.interface import Interface


class Several:
    """Phase i is inside part i, the first that holds a point; the last phase is outside of all.

    Parts may lie beside each other or inside each other (then the inner ones come first); they don't touch.

    Args:
        parts: interfaces of one dimension, at least one.

    Raises:
        InputError: none, or of several dimensions.
    """

    def __init__(self, parts: Sequence[Interface]) -> None:
        self.parts = list(parts)
        if not self.parts or len({p.dim for p in self.parts}) != 1:
            raise InputError("interfaces", given=f"{len(self.parts)}", expected="at least one, all of one dimension")
        self.dim, self.phases = self.parts[0].dim, len(self.parts) + 1

    def phase(self, z: Float[Tensor, "n d1"]) -> Int64[Tensor, " n"]:
        """Which fluid is where.

        Args:
            z: points.
        """
        return self._first(z, -1)

    def outside(self, part: int, z: Float[Tensor, "n d1"]) -> int:
        """The phase on the other side of a part, at points on it.

        Args:
            part: which one.
            z: those points.

        Raises:
            InputError: points with different phases outside: the part touches another one.
        """
        found = self._first(z, part)
        if bool((found != found[0]).any()) or int(found[0]) < part:
            raise InputError(
                f"interface {part}",
                given="touches, crosses or lies inside one before it",
                expected="interfaces apart from each other, inner ones first",
            )
        return int(found[0])

    def _first(self, z: Tensor, without: int) -> Tensor:
        phase = torch.full((len(z),), len(self.parts), dtype=torch.long, device=z.device)
        for i in reversed(range(len(self.parts))):
            if i != without:
                phase = torch.where(self.parts[i].level(z) < 0, i, phase)
        return phase

    def require_inside(self, domain: Box, span: tuple[float, float]) -> None:
        """Refuse interfaces that leave the domain.

        Args:
            domain: of the flow.
            span: (start, end).

        Raises:
            InputError: the first time at which one is outside.
        """
        for part in self.parts:
            part.require_inside(domain, span)


def joined(parts: Sequence[Interface]) -> Interface | Several:
    """One interface as it is, several as `Several`.

    Args:
        parts: at least one.
    """
    return parts[0] if len(parts) == 1 else Several(parts)
