"""Inverse problems: numbers that an equation doesn't know, fitted with the network that solves it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.physics.derivatives.jets import Jet, propagate
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.uncertainty import covariance, determined

Z95 = 1.959964


@dataclass(frozen=True)
class Unknown:
    """A number to be found: residuals read it as an attribute of the network, `u.k`.

    Attributes:
        name: of the attribute.
        start: where the fit begins.
        positive: fitted as start * exp(.), so that it stays above 0.

    Raises:
        InputError: a name that isn't an attribute's or that networks have already; a start that isn't finite, or isn't
            above 0 for a positive number.
    """

    name: str
    start: float = 1.0
    positive: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or hasattr(nn.Module, self.name) or self.name in ("network", "unknowns"):
            expected = "a Python name that a torch.nn.Module hasn't yet"
            raise InputError("name of an unknown", given=repr(self.name), expected=expected)
        if not math.isfinite(self.start) or (self.positive and not self.start > 0):
            expected = "a number above 0" if self.positive else "a finite number"
            raise InputError(f"start of {self.name!r}", given=self.start, expected=expected)

    def value(self, raw: Any) -> Any:
        """The number for a fitted parameter.

        Args:
            raw: the parameter.
        """
        return self.start * raw.exp() if self.positive else raw


class WithUnknowns(nn.Module):
    """A network together with the numbers that are looked for.

    Args:
        network: (N, d) -> (N, C).
        unknowns: each an attribute of this module.

    Raises:
        InputError: two of one name; one that the network already has.
    """

    def __init__(self, network: nn.Module, unknowns: Sequence[Unknown]) -> None:
        super().__init__()
        names = [u.name for u in unknowns]
        taken = [n for n in names if hasattr(network, n)]
        if len(set(names)) != len(names) or taken:
            raise InputError("unknowns", given=taken or names, expected="names of their own, which the network hasn't")
        self.network = network
        like = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros((), dtype=torch.float64))
        self.unknowns = nn.ParameterDict(
            {u.name: nn.Parameter(like.new_tensor(0.0 if u.positive else u.start)) for u in unknowns}
        )
        self._stated = {u.name: u for u in unknowns}

    def __getattr__(self, name: str) -> Any:
        stated = self.__dict__.get("_stated", {})
        if name in stated:
            return stated[name].value(self.unknowns[name])
        return super().__getattr__(name)

    def forward(self, x: Tensor) -> Tensor:
        """The network's outputs.

        Args:
            x: (N, d).
        """
        return self.network(x)

    def forward_jet(self, jet: Jet) -> Jet:
        """The network's jet.

        Args:
            jet: that comes in.
        """
        return propagate(self.network, jet)


def estimates(
    problem: LeastSquaresProblem, unknowns: Sequence[Unknown], noise: Mapping[str, float] | None
) -> dict[str, Interval]:
    """The unknowns' values; with noise in measured blocks, linearised 95 % intervals.

    Both ends are NaN where nothing was measured, or where residuals don't decide an unknown (of k m only the product).

    Args:
        problem: fitted, over a `WithUnknowns`.
        unknowns: that are asked for.
        noise: measured block -> standard deviation of its data; None where nothing was measured.
    """
    own = dict(problem.model.named_parameters())
    names = [f"unknowns.{u.name}" for u in unknowns]
    spread: Float[Tensor, " k"] = torch.full((len(names),), math.nan, dtype=torch.float64)
    if noise:
        with suppress(torch.linalg.LinAlgError):  # directions that nothing decides: no interval, but the values stay
            normal = problem.normal_equations(problem.vector())[0]
            decided = torch.tensor(determined(problem, names, normal=normal))
            deviations = covariance(problem, noise, names, normal=normal).diagonal().clamp_min(0).sqrt()
            spread = deviations.double().cpu().masked_fill(~decided, math.nan)
    found = {}
    for unknown, name, deviation in zip(unknowns, names, spread):
        raw = own[name].detach().double().cpu()
        low, high = (float(unknown.value(raw + sign * Z95 * deviation)) for sign in (-1, 1))
        found[unknown.name] = Interval(float(unknown.value(raw)), low, high)
    return found


def require_read(problem: LeastSquaresProblem, unknowns: Sequence[Unknown]) -> None:
    """Refuse unknowns that no residual reads: they would stay where they start, and look certain.

    Args:
        problem: before the fit, over a `WithUnknowns`.
        unknowns: that are looked for.

    Raises:
        InputError: the first such.
    """
    own = dict(problem.model.named_parameters())
    with torch.enable_grad():
        slopes = torch.autograd.grad(
            problem.residual().sum(), [own[f"unknowns.{u.name}"] for u in unknowns], allow_unused=True
        )
    for unknown, slope in zip(unknowns, slopes):
        if slope is None:
            expected = f"u.{unknown.name} in a condition"
            raise InputError(f"unknown {unknown.name!r}", given="no residual reads it", expected=expected)
