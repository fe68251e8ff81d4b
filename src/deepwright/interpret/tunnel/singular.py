"""Where a block folds: determinants of its Jacobian along segments of the input domain."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.interpret.tunnel.critical import sobol
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.hessians import element_jacobian
from deepwright.interpret.tunnel.layers import Chain, Residual, device_of_chain, is_smooth, no_skip, run

WIDEST = 512


@dataclass(frozen=True)
class SingularLayer:
    """Whether a block's Jacobian is singular somewhere on the reached set.

    Attributes:
        name: of the block.
        proved: its determinant changes its sign between two images of inputs, so that it vanishes between them.
        at: (n,) an input at which it does, to rounding; None where it isn't proved.
        least: the smallest absolute value of an eigenvalue that was seen: an estimate.
        positive: share of the sampled inputs at which the determinant is positive.
    """

    name: str
    proved: bool
    at: Tensor | None
    least: float
    positive: float


def jacobian_determinants(chain: Chain, x: Float[Tensor, "batch n"]) -> Float[Tensor, "batch blocks"]:
    """The determinant of each square block's Jacobian, in closed form, at all inputs at once.

    Args:
        chain: without unknown elements.
        x: inputs.
    """
    return torch.stack([_determinant(j).expand(len(x)) for _, j in block_jacobians(chain, x)], 1)


def _determinant(j: Tensor) -> Tensor:
    if j.shape[-1] == 2:  # written out: a batch of factorisations takes ten times as long
        return j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
    return torch.linalg.det(j)


def block_jacobians(chain: Chain, x: Float[Tensor, "batch n"]) -> list[tuple[Residual, Tensor]]:
    """The square residual blocks of a chain with their Jacobians.

    Args:
        chain: without unknown elements.
        x: inputs.
    """
    found = []
    for element in chain:
        if isinstance(element, Residual) and element.widths[0] == element.widths[1]:
            width = element.width
            eye = torch.eye(width, dtype=x.dtype, device=x.device)[None]
            found.append((element, element_jacobian(element, x, eye)))
        x = run((element,), x)
    return found


def singular_layers(
    chain: Chain, domain: Domain, samples: int = 1024, generator: torch.Generator | None = None
) -> list[SingularLayer]:
    """Which blocks' Jacobians are singular somewhere, by their determinants' signs.

    The segment between two inputs is in the (convex) domain; pushed forward it connects their hidden states within
    the reached set, where a sign change proves a singular Jacobian. Blocks without a skip are left to their structure:
    rounding makes signs of what can't vanish.

    Args:
        chain: without unknown elements.
        domain: in the units of the input.
        samples: inputs.
        generator: of them; seed 0 when None.
    """
    x = sobol(domain, samples, generator, device_of_chain(chain))
    found, smooth = [], is_smooth(chain)  # at a kink a determinant jumps past 0
    for place, (block, jacobians) in enumerate(block_jacobians(chain, x)):
        if no_skip(block) or block.width > WIDEST:
            continue
        sign = torch.linalg.slogdet(jacobians)[0].expand(len(x))
        least = float(torch.linalg.eigvals(jacobians).abs().min())
        positive = float((sign > 0).double().mean())
        at = None
        if smooth and bool((sign > 0).any()) and bool((sign < 0).any()):
            a, b = x[(sign > 0).nonzero()[0, 0]], x[(sign < 0).nonzero()[0, 0]]
            at = _bisected(chain, place, a, b)
        found.append(SingularLayer(block.name, at is not None, at, least, positive))
    return found


def _bisected(chain: Chain, place: int, a: Tensor, b: Tensor) -> Tensor:
    """A point of the segment between inputs of different signs at which a block's determinant vanishes."""
    for _ in range(60):
        middle = (a + b) / 2
        if float(torch.linalg.slogdet(block_jacobians(chain, middle[None])[place][1])[0]) > 0:
            a = middle
        else:
            b = middle
    return ((a + b) / 2).cpu()
