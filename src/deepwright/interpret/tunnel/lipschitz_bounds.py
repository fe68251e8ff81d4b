"""The Lipschitz constant of a module: a bound from above, or an estimate from below."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.graphs import prepared, traced
from deepwright.interpret.tunnel.intervals import enclose
from deepwright.interpret.tunnel.layers import unknown
from deepwright.interpret.tunnel.norms import chain_upper, largest, local_norm
from deepwright.interpret.tunnel.taking_apart import take_apart

METHODS = ("global", "local", "interval")


def lipschitz(
    module: nn.Module, example: Float[Tensor, "batch ..."], method: str = "global", domain: Domain | None = None
) -> Float[Tensor, ""]:
    """The Lipschitz constant in the 2-norm.

    "global" is a bound from above for all inputs: the product of spectral norms (dense ones exactly, convolutions at
    the size that they work at) and activation constants, infinite where a layer isn't known. "interval" is one for a
    domain, by an enclosure of the Jacobian. "local" is the largest norm of the Jacobian on the examples, by power
    iteration: from below, so that it proves nothing.

    Args:
        module: in eval mode.
        example: a batch of inputs; the data of "local".
        method: one of the three.
        domain: of "interval".

    Raises:
        InputError: another method, no domain where one is needed, a module that can't be traced.
    """
    if method not in METHODS:
        raise unknown_name("method", str(method), METHODS)
    network = prepared(module)
    x = to_model(example, network).double()
    if method == "local":
        return local_norm(network, x).max()
    chain = take_apart(traced(network, x))
    if method == "global":
        return x.new_tensor(chain_upper(chain))
    if domain is None:
        raise InputError("domain", given=None, expected="a Box or Ball for method='interval'")
    if unknown(chain):
        return x.new_tensor(float("inf"))
    low, high = (end.to(x) for end in domain.box().ends)
    centre, radius = enclose(chain, ((low + high) / 2)[None], ((high - low) / 2)[None])[1]
    return x.new_tensor(min(chain_upper(chain), largest(centre[0]) + largest(radius[0])))
