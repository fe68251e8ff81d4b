"""Proofs that a map has no critical point: factor by factor, in float64, rounded outward."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.intervals import element_enclosure
from deepwright.interpret.tunnel.layers import (
    Affine,
    Chain,
    Diagonal,
    Element,
    Opaque,
    Pointwise,
    Residual,
    no_skip,
    skip_factor,
    unknown,
)
from deepwright.interpret.tunnel.maps import Outputs, ScalarMap, as_map
from deepwright.interpret.tunnel.norms import DOWN, UP, chain_upper, largest, singular_values, skip_smallest, smallest

WIDEST = 512  # a block's width up to which its Jacobian is enclosed as a matrix
CONDITION = 1e-10  # least quotient of singular values at which a matrix counts as regular
_INF = math.inf


@dataclass(frozen=True)
class BlockCertificate:
    """What is proved of one factor's Jacobian J.

    Attributes:
        name: of the block or layer.
        rule: "skip" (sigma_min(S) > Lip(f)), "residual" (sigma_min(Df) > sigma_max(S)), "interval" (the enclosure of
            J is regular), "structure" (regular whatever rounding makes of it), "layer", or "none".
        log10_margin: of a bound from below of |J^T v| / |v|; -infinity where there is none.
        reason: in words.
    """

    name: str
    rule: str
    log10_margin: float
    reason: str

    @property
    def holds(self) -> bool:
        """Whether J^T is one to one wherever the input lies in the domain."""
        return self.rule != "none"


@dataclass(frozen=True)
class Certificate:
    """Whether a proof goes through.

    Attributes:
        verdict: "ABSENT" (no critical point in the domain) or "UNDECIDED", which says nothing.
        margin: log10 of a bound from below of the gradient's length on the domain; -infinity where the proof gives
            none (a structural one), or doesn't go through.
        per_block: of every factor.
        reason: in words; of an undecided one, the factors that block.
    """

    verdict: str
    margin: float
    per_block: tuple[BlockCertificate, ...]
    reason: str


def embedding_certificate(
    model: nn.Module | ScalarMap, domain: Domain | None, output: Outputs = None, *, dimension: int | None = None
) -> Certificate:
    """Proves that a network has no critical point, where it can: then it can't enclose one class in another.

    The gradient is A^T J_1^T ... J_L^T w: it vanishes nowhere if no factor's transpose sends a vector to 0. Each
    factor is shown to by its skip (epsilon > delta Lip(f)), by its residual (delta sigma_min(Df) > epsilon), by an
    enclosure of its Jacobian on the domain, or by its structure (square regular matrices and an activation whose
    slope is positive, however saturated). Source: Kuehn, Kuntz, Woehrer, arXiv 2603.28591; the bounds are derived in
    the documentation.

    Args:
        model: in eval mode, or a map.
        domain: in the units of its input; None for all inputs.
        output: which output, or a pair for a margin; None where there is one.
        dimension: features of an input where there is no domain.

    Raises:
        InputError: a network that can't be traced or has several outputs; neither domain nor dimension for a network.
    """
    n = domain.dimension if domain is not None else dimension
    if n is None and not isinstance(model, ScalarMap):
        n = _inputs_of(model)
    fn = model if isinstance(model, ScalarMap) else as_map(model, int(n or 1), output)
    return certify(fn.chain, domain)


def _inputs_of(model: nn.Module) -> int:
    from deepwright.core.errors import InputError

    first = next((m for m in model.modules() if isinstance(m, nn.Linear)), None)
    if first is None:
        raise InputError("dimension", given=None, expected="features of an input, or a domain")
    return int(first.in_features)


def certify(chain: Chain | None, domain: Domain | None) -> Certificate:
    """The certificate of a chain.

    Args:
        chain: of one output; None where the map isn't taken apart.
        domain: None for all inputs.
    """
    if chain is None:
        return Certificate("UNDECIDED", -_INF, (), "the network isn't taken apart into factors that are known")
    value = None if domain is None or unknown(chain) else _start(chain, domain)
    found = []
    for element in chain:
        jacobian = None
        if value is not None:
            value, jacobian = element_enclosure(element, *value)
        found.append(_factor(element, jacobian))
    blocking = [b for b in found if not b.holds]
    if blocking:
        return Certificate("UNDECIDED", -_INF, tuple(found), "; ".join(f"{b.name}: {b.reason}" for b in blocking))
    margin = sum(b.log10_margin for b in found)
    kinds = sorted({b.rule for b in found if b.rule != "layer"}) or ["layer"]
    return Certificate("ABSENT", margin, tuple(found), f"every factor is one to one, by {', '.join(kinds)}")


def _start(chain: Chain, domain: Domain) -> tuple[Tensor, Tensor]:
    from deepwright.interpret.tunnel.layers import device_of_chain

    low, high = (end.to(device_of_chain(chain)) for end in domain.box().ends)
    return ((low + high) / 2)[None], ((high - low) / 2)[None]


def _factor(element: Element, jacobian: tuple[Tensor, Tensor] | None) -> BlockCertificate:
    if isinstance(element, Residual):
        return _block(element, jacobian)
    if isinstance(element, Opaque):
        return BlockCertificate(element.name, "none", -_INF, element.why)
    if isinstance(element, Affine):
        return _affine(element)
    if isinstance(element, Diagonal):
        least = float(element.factor.abs().min())
        if least == 0:
            return BlockCertificate(element.name or "multiplier", "none", -_INF, "a feature is multiplied by 0")
        return BlockCertificate(element.name or "multiplier", "layer", _log10(least * (1 - 1e-12)), "no factor is 0")
    return _activation(element, jacobian)


def _affine(element: Affine) -> BlockCertificate:
    name, (inputs, outputs) = element.name or "layer", element.widths
    if outputs > inputs:
        return BlockCertificate(name, "none", -_INF, f"it widens {inputs} features to {outputs} (augmented)")
    values = singular_values(element.weight)
    if not float(values[-1]) > CONDITION * float(values[0]):
        what = "its weights are 0" if not float(values[0]) else "its matrix has no full rank"
        return BlockCertificate(name, "none", -_INF, f"{what} (degenerate)")
    return BlockCertificate(name, "layer", _log10(smallest(element.weight)), "its matrix has full rank")


def _activation(element: Pointwise, jacobian: tuple[Tensor, Tensor] | None) -> BlockCertificate:
    name = element.name or element.activation.name
    least = 0.0
    if jacobian is not None:
        slopes = (jacobian[0] - jacobian[1]).diagonal(dim1=1, dim2=2)
        least = float(slopes.min())
    if least > 0:
        return BlockCertificate(name, "layer", _log10(least), "its slope is positive on the domain")
    if element.activation.regular:
        return BlockCertificate(name, "structure", -_INF, f"the slope of {element.activation.name} is positive")
    return BlockCertificate(name, "none", -_INF, f"the slope of {element.activation.name} may be 0 or change its sign")


def _block(element: Residual, jacobian: tuple[Tensor, Tensor] | None) -> BlockCertificate:
    """The best of the four rules."""
    inputs, outputs = element.widths
    if outputs > inputs:
        return BlockCertificate(element.name, "none", -_INF, f"it widens {inputs} features to {outputs} (augmented)")
    lipschitz = chain_upper(element.branch)
    tried = [
        ("skip", skip_smallest(element) - lipschitz),
        ("residual", chain_lower(element.branch) - _skip_norm(element)),
    ]
    if jacobian is not None and inputs == outputs <= WIDEST:
        tried.append(("interval", regular_by(*jacobian)))
        tried.append(("skip", skip_smallest(element) - _branch_norm(element, jacobian)))
    rule, margin = max(tried, key=_second)
    if margin > 0:
        return BlockCertificate(element.name, rule, _log10(margin), f"its Jacobian is at least {margin:.3g}")
    if no_skip(element) and _regular(element.branch):
        return BlockCertificate(element.name, "structure", -_INF, "no skip, square regular matrices, a positive slope")
    return BlockCertificate(element.name, "none", -_INF, _why(element, lipschitz))


def _second(pair: tuple[str, float]) -> float:
    return pair[1] if pair[1] == pair[1] else -_INF


def _branch_norm(element: Residual, jacobian: tuple[Tensor, Tensor]) -> float:
    """Lip(f) on the domain, from the block's enclosure less its skip."""
    factor = skip_factor(element)
    if factor is None:
        return _INF
    own = jacobian[0][0] - torch.diag(factor)
    return largest(own) + largest(jacobian[1][0])


def _skip_norm(element: Residual) -> float:
    return chain_upper(element.skip)


def chain_lower(chain: Chain) -> float:
    """A bound from below of |J^T v| / |v| of a plain chain, wherever its input lies.

    Args:
        chain: of elements.
    """
    bound = 1.0
    for element in chain:
        if isinstance(element, Affine):
            bound *= smallest(element.weight)
        elif isinstance(element, Diagonal):
            bound *= float(element.factor.abs().min()) * (1 - 1e-12)
        else:  # the slope of no activation here is bounded away from 0 on all numbers
            return 0.0
    return bound


def regular_by(centre: Tensor, radius: Tensor) -> float:
    """A bound from below of the smallest singular value of every matrix in an enclosure; 0 where one may be singular.

    J = C (I + C^-1 D) with |D| <= R, so that sigma_min(J) >= sigma_min(C) (1 - q), q the norm of |C^-1| R.

    Args:
        centre: C, (1, d, d).
        radius: R, of the same shape.
    """
    c, r = centre[0], radius[0]
    least = smallest(c)
    if least == 0 or not bool(torch.isfinite(r).all()):
        return 0.0
    inverse = torch.linalg.inv(c)
    eye = torch.eye(len(c), dtype=c.dtype, device=c.device)
    error = largest(eye - inverse @ c)  # of the inverse as it is computed
    q = largest(inverse.abs() @ r) / (1 - error) if error < 0.5 else _INF
    return max(0.0, least * (1 - q * UP), least - largest(r)) if q < 1 else max(0.0, least - largest(r))


def _regular(chain: Chain) -> bool:
    """Whether a plain chain of square factors is regular everywhere by its structure."""
    for element in chain:
        inputs, outputs = element.widths
        if inputs != outputs or isinstance(element, Opaque | Residual):
            return False
        if isinstance(element, Pointwise) and not element.activation.regular:
            return False
        if isinstance(element, Diagonal) and not bool((element.factor != 0).all()):
            return False
        if isinstance(element, Affine):
            values = singular_values(element.weight)
            if not float(values[-1]) > CONDITION * float(values[0]):
                return False
    return True


def _why(element: Residual, lipschitz: float) -> str:
    least = skip_smallest(element)
    if lipschitz == _INF:
        return "no bound of its residual's Lipschitz constant is known"
    if abs(lipschitz - least) <= 1e-5 * max(least, 1e-300):
        return f"skip and residual are in balance at {least:.4g} (degenerate)"
    return f"its residual's bound {lipschitz:.4g} isn't below its skip's {least:.4g}"


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -_INF


__all__ = ["DOWN", "BlockCertificate", "Certificate", "certify", "chain_lower", "embedding_certificate", "regular_by"]
