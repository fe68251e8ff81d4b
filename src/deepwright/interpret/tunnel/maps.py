"""The scalar map of which everything is said: a logit, a margin between two, or an output, in float64.

Where a network is taken apart its gradient is written out factor by factor, renormalised at each: it doesn't
underflow, and no 1 - tanh^2 is rounded to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.interpret.tunnel.graphs import prepared, traced
from deepwright.interpret.tunnel.hessians import chain_hessian
from deepwright.interpret.tunnel.layers import (
    Affine,
    Chain,
    Diagonal,
    Element,
    Opaque,
    Pointwise,
    Residual,
    is_smooth,
    run,
    unknown,
)
from deepwright.interpret.tunnel.taking_apart import squashed, take_apart

Points = Float[Tensor, "batch n"]
Values = Float[Tensor, " batch"]
Outputs = int | tuple[int, int] | None
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class ScalarMap:
    """Phi: (batch, n) -> (batch,), with its derivatives.

    Attributes:
        function: its values.
        chain: its factors, the last of one output; None where it isn't taken apart.
        smooth: whether it is infinitely often differentiable; None where that isn't known.
        notes: what was done to the network before it was measured.
        device: where it works.
    """

    function: Callable[[Tensor], Tensor]
    chain: Chain | None = None
    smooth: bool | None = None
    notes: tuple[str, ...] = ()
    device: torch.device = _CPU

    def __call__(self, x: Points) -> Values:
        """Values, without gradients of their own."""
        out = self.function(x)
        return out.reshape(len(x))

    def gradient(self, x: Points) -> Points:
        """The gradient at each point.

        Args:
            x: points.
        """
        if self.chain is not None:
            direction, size = chain_gradient(self.chain, x)
            return direction * size.exp()[:, None]
        return torch.func.grad(self._sum)(x)

    def direction(self, x: Points) -> Points:
        """The gradient's direction, of length 1 (0 where the gradient is 0 throughout).

        Args:
            x: points.
        """
        if self.chain is not None:
            return chain_gradient(self.chain, x)[0]
        gradient = self.gradient(x)
        return gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-300)

    def hessian(self, x: Points) -> Float[Tensor, "batch n n"]:
        """The matrix of second derivatives at each point.

        Args:
            x: points.
        """
        if self.chain is not None:
            return chain_hessian(self.chain, x)
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        columns = [torch.func.jvp(self.gradient, (x,), (e.expand_as(x).contiguous(),))[1] for e in eye]
        h = torch.stack(columns, 2)
        return (h + h.transpose(1, 2)) / 2

    def _sum(self, x: Tensor) -> Tensor:
        return self(x).sum()


def chain_gradient(chain: Chain, x: Points) -> tuple[Points, Values]:
    """The gradient of a chain of one output as its direction and the logarithm of its length.

    Args:
        chain: without unknown elements.
        x: points.
    """
    inputs = []
    for element in chain:
        inputs.append(x)
        if isinstance(element, Opaque):
            raise InputError(f"{element.name} has no gradient here", given=element.why)
        x = element(x)
    g, size = torch.ones_like(x), torch.zeros_like(x[:, 0])
    for element, at in zip(reversed(chain), reversed(inputs), strict=True):
        g = pull_back(element, at, g)
        length = g.norm(dim=1)
        safe = torch.where(length > 0, length, torch.ones_like(length))
        g, size = g / safe[:, None], size + torch.where(length > 0, safe, torch.zeros_like(safe) + 1e-320).log()
    return g, size


def pull_back(element: Element, x: Float[Tensor, "batch i"], g: Float[Tensor, "batch o"]) -> Float[Tensor, "batch i"]:
    """J^T g of one element.

    Args:
        element: that is taken apart.
        x: what comes into it.
        g: a vector for each point.
    """
    if isinstance(element, Affine):
        return g @ element.weight
    if isinstance(element, Diagonal):
        return g * element.factor
    if isinstance(element, Pointwise):
        return g * element.activation.slope(x)
    if isinstance(element, Residual):
        return _through(element.skip, x, g) + _through(element.branch, x, g)
    raise InputError(f"{element.name} has no gradient here", given=element.why)


def _through(chain: Chain, x: Tensor, g: Tensor) -> Tensor:
    inputs = []
    for element in chain:
        inputs.append(x)
        x = element(x)  # type: ignore[operator]
    for element, at in zip(reversed(chain), reversed(inputs), strict=True):
        g = pull_back(element, at, g)
    return g


def scalar_map(model: nn.Module, example: Float[Tensor, "batch ..."], outputs: Outputs = None) -> ScalarMap:
    """The logit of a network, taken apart as far as it goes.

    Args:
        model: in eval mode; it is copied to float64. A sigmoid or softmax at its end is left out.
        example: a batch of inputs.
        outputs: which output, or the pair (i, j) of a margin z_i - z_j; None where there is one only.

    Raises:
        InputError: several outputs of which none was named; outputs that aren't there; a network that can't be traced,
            has a BatchNorm in training mode, or weights that aren't finite.
    """
    network = prepared(model)
    x = example[:2].detach().to(device_of(network), torch.float64)
    graph = traced(network, x)
    target, what = squashed(graph)
    width = 1
    for side in graph.shapes[target]:
        width *= side
    row = _row(width, outputs).to(x)
    chain = _ended(take_apart(graph, target), row)
    notes = (f"the {what} at the end is left out: the logit is measured",) if what else ()
    part = graph.part(graph.input, target)
    found = chain if not unknown(chain) else None
    shape = tuple(x.shape[1:])
    smooth = is_smooth(chain) if found is not None else None
    made = ScalarMap(_Read(part, row, shape), found, smooth, notes, x.device)
    _check_rows(made, x.flatten(1))
    if _agrees(made, x):
        return made
    said = "its factors don't give the network's values: it is taken as a whole, and nothing is proved of it"
    return ScalarMap(made.function, None, None, (*notes, said), x.device)


class _Read:
    """One number of a network's outputs, of flat inputs."""

    def __init__(self, part: Callable[[Tensor], Tensor], row: Tensor, shape: tuple[int, ...]) -> None:
        self.part, self.row, self.shape = part, row, shape

    def __call__(self, x: Tensor) -> Tensor:
        return self.part(x.clone().view(len(x), *self.shape)).reshape(len(x), -1) @ self.row


def _row(width: int, outputs: Outputs) -> Tensor:
    row = torch.zeros(width)
    if outputs is None:
        if width != 1:
            hint = "outputs=k for the k-th logit, outputs=(i, j) for the margin of two"
            raise InputError("network", given=f"{width} outputs", expected="one, or outputs=", hint=hint)
        return row + 1
    pair = outputs if isinstance(outputs, tuple) else (outputs,)
    require_whole(0, **{f"outputs[{i}]": k for i, k in enumerate(pair)})
    if max(pair) >= width or len(set(pair)) != len(pair) or len(pair) > 2:
        raise InputError("outputs", given=outputs, expected=f"one below {width}, or a pair of different ones")
    row[pair[0]] = 1
    if len(pair) == 2:
        row[pair[1]] = -1
    return row


def _ended(chain: Chain, row: Tensor) -> Chain:
    """The chain with its outputs read by a row, which the last affine map takes in."""
    last = chain[-1] if chain else None
    if isinstance(last, Affine):
        return (*chain[:-1], Affine((row @ last.weight)[None], (row @ last.bias)[None], last.name))
    return (*chain, Affine(row[None], torch.zeros(1).to(row), "outputs"))


def _check_rows(made: ScalarMap, x: Tensor) -> None:
    """The map must be a function of one input: neither of its neighbours in a batch nor of chance."""
    with torch.no_grad():
        alone, among = made(x), made(torch.cat((x, 3 * x + 1)))[: len(x)]
    if not torch.allclose(alone, among, rtol=1e-6, atol=1e-8 * (1 + float(alone.abs().max())), equal_nan=True):
        raise InputError(
            "network",
            given="other outputs for the same input beside others",
            expected="a function of one input",
            hint="switch off what draws numbers (functional dropout asks for training=self.training) or sees the batch",
        )


def _agrees(made: ScalarMap, x: Tensor) -> bool:
    """Whether the factors give what the network gives."""
    if made.chain is None:
        return True
    at = torch.cat((x.flatten(1), x.flatten(1) * 0.5 + 0.1))
    theirs = made(at)
    return torch.allclose(run(made.chain, at)[:, 0], theirs, rtol=1e-8, atol=1e-8 * (1 + float(theirs.abs().max())))


def as_map(
    fn: nn.Module | ScalarMap | Callable[[Tensor], Tensor], dimension: int, outputs: Outputs = None
) -> ScalarMap:
    """Anything scalar as a map: a network is taken apart where that goes, a function is taken as it is.

    Args:
        fn: a network, a map, or a function (batch, n) -> (batch,) whose rows don't look at each other.
        dimension: n.
        outputs: of a network: see `scalar_map`.

    Raises:
        InputError: a function that doesn't give one number a row.
    """
    if isinstance(fn, ScalarMap):
        return fn
    if isinstance(fn, nn.Module) and not isinstance(fn, fx.GraphModule):
        x = torch.linspace(-1, 1, 2 * dimension, dtype=torch.float64).view(2, dimension)
        return scalar_map(fn, x, outputs)
    x = torch.zeros(2, dimension, dtype=torch.float64)
    out = fn(x)
    if not isinstance(out, Tensor) or out.numel() != 2:
        given = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError("function", given=f"{given} of two points", expected="one number a point")
    return ScalarMap(fn)
