"""Hard conditions: a network that keeps them by its form, u = g + d N, instead of being trained to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.derivatives.jets import Jet, Unsupported, propagate
from deepwright.physics.derivatives.operators import jet as jet_of


@dataclass(frozen=True)
class Hard:
    """u(x) = g(x) + d(x) N(x): where d is 0, u is g.

    Attributes:
        distance: d, (N, d) points -> (N,) or (N, 1), or (N, C) with a factor for each component; 0 where the condition
            holds and nowhere else inside, smooth, such as `domain.smooth_distance`.
        value: g, (N, d) points -> (N,), (N, 1) or (N, C); 0 where not given.

    Example:
        >>> from deepwright.physics import Box
        >>> ends = Hard(Box((0, 1)).smooth_distance, value=lambda x: 1 + x)  # u(0) = 1, u(1) = 2
    """

    distance: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if not callable(self.distance) or not (self.value is None or callable(self.value)):
            given = f"{type(self.distance).__name__} and {type(self.value).__name__}"
            raise InputError("Hard", given=given, expected="functions of points, (N, d) -> (N, 1) or (N, C)")

    def distance_at(self, x: Tensor) -> Tensor:
        """d as (N, 1) or (N, C).

        Args:
            x: points.
        """
        return _column(self.distance(x), x, "distance")

    def value_at(self, x: Tensor) -> Tensor | None:
        """g as (N, 1) or (N, C), or None.

        Args:
            x: points.
        """
        return None if self.value is None else _column(self.value(x), x, "value")


def _column(values: Tensor, x: Tensor, name: str) -> Tensor:
    if not isinstance(values, Tensor) or values.ndim not in (1, 2) or len(values) != len(x):
        given = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"{name} of Hard", given=f"{given} for {len(x)} points", expected="(N,), (N, 1) or (N, C)")
    plain = values.detach()
    traced = torch.compiler.is_compiling() or torch._C._functorch.is_functorch_wrapped_tensor(plain)  # no values yet
    if not traced and not bool(plain.isfinite().all()):
        bad = int((~plain.isfinite()).reshape(len(plain), -1).any(1).sum())
        raise InputError(f"{name} of Hard", given=f"no finite number at {bad} of {len(x)} points", expected="numbers")
    return values[:, None] if values.ndim == 1 else values


class HardNetwork(nn.Module):
    """A network with hard conditions around it.

    Args:
        network: N, (N, d) -> (N, C).
        hard: g and d.
    """

    def __init__(self, network: nn.Module, hard: Hard) -> None:
        super().__init__()
        self.network, self.hard = network, hard

    def forward(self, x: Tensor) -> Tensor:
        """g + d N.

        Args:
            x: points.

        Raises:
            InputError: more components of g or d than the network has.
        """
        distance, inner, value = self.hard.distance_at(x), self.network(x), self.hard.value_at(x)
        for name, part in (("distance", distance), ("value", value)):
            if part is not None and part.shape[1] not in (1, inner.shape[1]):
                given = f"{part.shape[1]} components for {inner.shape[1]} of the network"
                raise InputError(f"{name} of Hard", given=given, expected="1, or as many")
        held = distance * inner
        return held if value is None else value + held

    def forward_jet(self, jet: Jet) -> Jet:
        """The product rule; d and g are functions of points alone, so nested gradients give their parts.

        Args:
            jet: of points.

        Raises:
            Unsupported: jets of something else than points, as inside a larger network.
        """
        if jet.S is not None or jet.T is not None or jet.J.shape[1] != 1:
            raise Unsupported(self)
        self_jet = propagate(self.network, jet)
        c = self_jet.v.shape[1]
        held = _spread(self._of(self.hard.distance_at, jet), c).times(self_jet)
        if self.hard.value is None:
            return held
        return held.plus(_spread(self._of(self.hard.value_at, jet), c))

    def _of(self, function: Callable[[Tensor], Tensor | None], jet: Jet) -> Jet:
        def asked(x: Tensor) -> Tensor:
            found = function(x)
            assert found is not None
            return found

        matrices = None if jet.operators is None else jet.operators.matrices
        found = jet_of(asked, jet.v, jet.J[:, 0], matrices, order=jet.order)
        return found._replace(operators=jet.operators)


def _spread(jet: Jet, components: int) -> Jet:
    """One channel for all components."""
    if jet.v.shape[1] == components:
        return jet
    ones = torch.ones(1, components, dtype=jet.v.dtype, device=jet.v.device)
    return jet.map(lambda t: t @ ones)
