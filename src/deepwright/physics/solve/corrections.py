"""Functions that a solution is corrected by, to see how its residuals answer: smooth waves, and powers along an axis.

Both carry jets, so that residuals cost one forward pass with them as without.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.physics.derivatives.jets import Jet, cosine, propagate
from deepwright.physics.solve.hard import Hard, HardNetwork

PAD = 0.125  # of each side, beyond it: cosines of a longer box have no slopes or values that they must take at its ends


def modes_for(dim: int, components: int) -> int:
    """Waves per axis that a dense analysis can afford: about 500 numbers in one dimension, 170 in two and three.

    Args:
        dim: axes.
        components: of the solution, each with waves of its own.
    """
    if dim > 3:
        return 6
    room = (512 if dim == 1 else 170) / components
    return max(4, int(room ** (1 / dim) + 1e-9))


class Waves(nn.Module):
    """Cosines of a box a little larger than the domain's: products over the axes, or of one axis each beyond three.

    Args:
        bounds: of the domain.
        modes: per axis, the constant among them.
    """

    def __init__(self, bounds: Sequence[tuple[float, float]], modes: int) -> None:
        super().__init__()
        d = len(bounds)
        low, high = torch.tensor(bounds, dtype=torch.float64).T
        self.modes, size = modes, high - low
        self.register_buffer("low", low - PAD * size)
        self.register_buffer("rate", torch.pi / ((1 + 2 * PAD) * size))
        if d <= 3:
            waves = torch.cartesian_prod(*[torch.arange(modes)] * d).reshape(-1, d)
        else:
            eye = torch.eye(d, dtype=torch.long)
            waves = torch.cat([torch.zeros(1, d, dtype=torch.long), *(k * eye for k in range(1, modes))])
        self.register_buffer("waves", waves)

    def __len__(self) -> int:
        return len(self.waves)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n b"]:
        """Each wave at each point.

        Args:
            x: points.
        """
        phase = (x - self.low) * self.rate  # type: ignore[operator]
        order = torch.arange(self.modes, dtype=x.dtype, device=x.device)
        return torch.stack(
            [torch.cos(phase[:, i, None] * order)[:, self.waves[:, i]] for i in range(x.shape[1])]  # type: ignore[index]
        ).prod(0)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of points.
        """
        order = torch.arange(self.modes, dtype=jet.v.dtype, device=jet.v.device)
        whole: Jet | None = None
        for i in range(jet.v.shape[1]):
            factor = self._factor(jet.channels(i), i, order)
            whole = factor if whole is None else whole.times(factor)
        assert whole is not None
        return whole

    def _factor(self, coordinate: Jet, axis: int, order: Tensor) -> Jet:
        rate: Tensor = self.rate[axis] * order  # type: ignore[index]
        index: Tensor = self.waves[:, axis]  # type: ignore[index]
        phases = coordinate.map(lambda t: t * rate, -self.low[axis] * rate)  # type: ignore[index]
        return phases.apply(cosine).map(lambda t: t[..., index])


class Powers(nn.Module):
    """1, t, ..., t^4 of one coordinate, scaled to [-1, 1]: what an operator makes of them are its coefficients.

    Args:
        bounds: of the domain.
        axis: which coordinate.
        degree: of the last.
    """

    def __init__(self, bounds: Sequence[tuple[float, float]], axis: int, degree: int = 4) -> None:
        super().__init__()
        low, high = bounds[axis]
        self.axis, self.degree, self.middle, self.reach = axis, degree, (low + high) / 2, (high - low) / 2

    def __len__(self) -> int:
        return self.degree + 1

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n b"]:
        """Each power at each point.

        Args:
            x: points.
        """
        t = (x[:, self.axis, None] - self.middle) / self.reach
        return torch.cat([torch.ones_like(t), *(t**p for p in range(1, self.degree + 1))], 1)


class Combination(nn.Module):
    """Functions times weights, one set for each component.

    Args:
        basis: `Waves` or `Powers`.
        components: C.
        like: of the weights' dtype and device.
    """

    def __init__(self, basis: nn.Module, components: int, like: Tensor) -> None:
        super().__init__()
        self.basis = basis
        self.weight = nn.Parameter(like.new_zeros(len(basis), components))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C).

        Args:
            x: points.
        """
        return self.basis(x) @ self.weight

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of points.
        """
        return propagate(self.basis, jet).map(lambda t: t @ self.weight)


class Corrected(nn.Module):
    """u plus a combination of such functions, whose weights alone are fitted (and an inverse problem's unknowns).

    Args:
        u: a copy of it is held fixed, but for its unknowns.
        basis: `Waves` or `Powers`.
        components: C of u.
        hard: what u keeps, so that corrections keep it, too.
    """

    def __init__(self, u: nn.Module, basis: nn.Module, components: int, hard: Hard | None = None) -> None:
        super().__init__()
        self.u = copy.deepcopy(u).requires_grad_(False)
        for name, parameter in self.u.named_parameters():
            parameter.requires_grad_(name.startswith("unknowns."))
        combination = Combination(basis, components, next(iter(self.u.parameters())))
        self.change = combination if hard is None else HardNetwork(combination, Hard(hard.distance))

    def __getattr__(self, name: str) -> Any:
        """What residuals read of the network besides its outputs, such as the unknowns of an inverse problem."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("u"), name)

    @property
    def weight_name(self) -> str:
        """Of the weights' parameter."""
        return next(n for n, _ in self.named_parameters() if n.startswith("change."))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C).

        Args:
            x: points.
        """
        return self.u(x) + self.change(x)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of points.
        """
        return propagate(self.u, jet).plus(propagate(self.change, jet))
