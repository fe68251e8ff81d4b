"""How far a network is from one that provably has no critical point: the perceptron, or the flow, of its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.interpret.tunnel.certificates import certify
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.intervals import enclose
from deepwright.interpret.tunnel.layers import (
    Affine,
    Chain,
    Diagonal,
    Pointwise,
    Residual,
    device_of_chain,
    run,
    skip_factor,
)
from deepwright.interpret.tunnel.norms import chain_upper, largest

_UP = 1 + 1e-9


@dataclass(frozen=True)
class Distances:
    """Bounds of the distance of a network's values from those of its obstructed relatives, on a domain.

    Attributes:
        perceptron: from the network of the same weights without skips; infinite where no bound is known.
        flow: from x' = f_l(x), whose Euler steps the blocks are; infinite where the skips aren't the identity.
    """

    perceptron: float
    flow: float


def distances(chain: Chain, domain: Domain) -> Distances:
    """Both bounds, from weights and boxes.

    To the perceptron: |w| sum_l (prod_{j > l} delta K_j) eps |h_{l-1}|. To the flow, with eps = 1 and step delta: by
    Groenwall, |w| delta M (e^{K T} - 1) / 2 with M = sup |f| and T = L delta.

    Args:
        chain: of one output, without unknown elements, whose residual blocks stand together.
        domain: in the units of the input.
    """
    blocks = [e for e in chain if isinstance(e, Residual)]
    if not blocks:
        return Distances(0.0, math.inf)
    first = next(i for i, e in enumerate(chain) if isinstance(e, Residual))
    last = max(i for i, e in enumerate(chain) if isinstance(e, Residual))
    if last - first + 1 != len(blocks) or any(skip_factor(b) is None or _shifts(b) for b in blocks):
        return Distances(math.inf, math.inf)
    behind = chain_upper(chain[last + 1 :])
    low, high = (end.to(device_of_chain(chain)) for end in domain.box().ends)
    value = enclose(chain[:first], ((low + high) / 2)[None], ((high - low) / 2)[None])[0]
    return Distances(behind * _to_perceptron(blocks, value) * _UP, behind * _to_flow(blocks) * _UP)


def _shifts(block: Residual) -> bool:
    """Whether a skip adds something of its own, as a BatchNorm does: then it is no multiple of its input."""
    return any(isinstance(e, Diagonal) and bool(e.bias.any()) for e in block.skip)


def nearest_obstructed(chain: Chain, domain: Domain, away: Distances) -> float:
    """The smaller bound among those relatives that are proved to have no critical point; infinite where neither is.

    Without its skips a network of wide layers, or of an activation that turns, isn't obstructed at all; nor is a flow
    in more dimensions than the input has.

    Args:
        chain: of one output, without unknown elements.
        domain: in the units of the input.
        away: its distances.
    """
    ends = tuple(e for e in chain if not isinstance(e, Residual))
    near = math.inf
    if math.isfinite(away.perceptron) and certify(as_perceptron(chain), domain).verdict == "ABSENT":
        near = away.perceptron
    if math.isfinite(away.flow) and certify(ends, None).verdict == "ABSENT":  # a flow is one to one
        near = min(near, away.flow)
    return near


def _to_perceptron(blocks: list[Residual], value: tuple[Tensor, Tensor]) -> float:
    """g_l = delta f(g_{l-1}): the error passes through delta K and gains eps |h|."""
    error = 0.0
    for block in blocks:
        factor = skip_factor(block)
        size = float((value[0].abs() + value[1]).norm())
        eps = 0.0 if factor is None else float(factor.abs().max())
        error = chain_upper(block.branch) * error + eps * size
        value = enclose((block,), *value)[0]
    return error


def _to_flow(blocks: list[Residual]) -> float:
    """A step's own error is at most K delta^2 M / 2, and grows by e^{K delta} from block to block."""
    error = 0.0
    for block in blocks:
        factor = skip_factor(block)
        if factor is None or not bool((factor == 1).all()):
            return math.inf
        rate, speed = chain_upper(block.branch), branch_size(block.branch)
        # of x' = delta f(x) over a time of 1: K and M hold delta already
        grown = math.exp(rate) if rate < 700 else math.inf
        error = error * grown + 0.5 * speed * (grown - 1) if speed else error
    return error


def branch_size(chain: Chain) -> float:
    """A bound of |f(x)| for all x: of a bounded activation and what comes behind it; infinite where there is none.

    Args:
        chain: of a residual.
    """
    size = math.inf
    for element in chain:
        if not isinstance(element, Affine | Diagonal | Pointwise):
            size = math.inf
        elif isinstance(element, Pointwise):
            root = math.sqrt(element.width)
            size = root if element.activation.name in ("tanh", "sigmoid") else size
            size += math.log(2) * root if element.activation.name == "softplus" else 0.0
        elif isinstance(element, Affine):
            size = size * largest(element.weight) + float(element.bias.norm())
        elif isinstance(element, Diagonal):
            size = size * float(element.factor.abs().max()) + float(element.bias.norm())
    return size


def as_perceptron(chain: Chain) -> Chain:
    """The same weights without skips.

    Args:
        chain: with residual blocks.
    """
    plain: list[object] = []
    for element in chain:
        plain += element.branch if isinstance(element, Residual) else [element]
    return tuple(plain)  # type: ignore[arg-type]


def flow_values(chain: Chain, x: Tensor, steps: int = 64) -> Tensor:
    """Values of the flow of the same weights, by Runge-Kutta steps of fourth order.

    Args:
        chain: whose blocks are Euler steps.
        x: inputs.
        steps: within each block.
    """
    for element in chain:
        if not isinstance(element, Residual):
            x = run((element,), x)
            continue
        h = 1 / steps
        for _ in range(steps):
            a = run(element.branch, x)
            b = run(element.branch, x + h / 2 * a)
            c = run(element.branch, x + h / 2 * b)
            d = run(element.branch, x + h * c)
            x = x + h / 6 * (a + 2 * b + 2 * c + d)
    return x


def corrected(floor: float, distance: float) -> float | None:
    """The floor of a network that is near an obstructed one; None where it says nothing.

    Args:
        floor: of obstructed maps.
        distance: bound of the network's values from such a map's.
    """
    left = floor - distance
    return left if left > 0 and torch.isfinite(torch.tensor(left)) else None
