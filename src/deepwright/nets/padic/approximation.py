"""A network that is within epsilon of a function, and how far its weights may move before it isn't."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive
from deepwright.nets.padic.network import BoundedTanh, PAdicNetwork, TreeLayer
from deepwright.nets.padic.operators import DenseOperator
from deepwright.nets.padic.radial import RadialOperator
from deepwright.nets.padic.trees import Tree

_POINTS = 8  # of Gauss and Legendre, in each cell
_MOST = 1 << 20  # leaves up to which a depth that suffices is looked for


def network_from_function(
    function: Callable[[Tensor], Tensor], tree: Tree, *, epsilon: float, bound: float | None = None
) -> tuple[PAdicNetwork, float]:
    """A network of one layer that equals a function's cell means for every input, with its radius.

    The function lives on [0, 1], pulled back along the Monna map. With kernels 0 and theta = sigma_M^-1(f_l) the output
    is f_l; where every kernel value and every bias moves by at most r, and the input is at most M, it moves by at most
    r (1 + M), for kernels are means over a measure of 1. So r = (epsilon - |f - f_l|) / (1 + M) keeps the error in L2
    at most epsilon.

    Args:
        function: of a float64 tensor of points in [0, 1], elementwise.
        tree: its depth is the output's; 1 or more.
        epsilon: the error that is allowed, in L2.
        bound: M, above max |f_l|; 1.25 max |f_l| when None (1 where that is 0).

    Returns:
        The network, in float64, on inputs of depth `tree.depth` - 1; and r.

    Raises:
        InputError: values that aren't finite, a bound that is touched, an error that this depth can't reach, with the
            smallest depth that does.

    Example:
        >>> network, radius = network_from_function(lambda t: t, Tree(2, 6), epsilon=0.01)
        >>> round(radius, 4)
        0.0025
    """
    require_positive(epsilon=epsilon)
    if tree.depth < 1:
        raise InputError("tree", given=f"depth {tree.depth}", expected="1 or more")
    means, error = cell_means(function, tree)
    if error >= epsilon:
        raise InputError("epsilon", given=epsilon, expected=f"above {error:.4g}", hint=_deeper(function, tree, epsilon))
    largest = float(means.abs().max())
    bound = (1.25 * largest or 1.0) if bound is None else bound
    if not bound > largest:
        raise InputError("bound", given=bound, expected=f"above {largest:.4g}, the largest cell mean")
    sigma = BoundedTanh(bound)
    network = PAdicNetwork(tree, tree.depth - 1, tree.depth, operator="radial", activation=sigma).double()
    layer = cast(TreeLayer, network.layers[0])
    with torch.no_grad():
        cast(RadialOperator, layer.operator).weight.zero_()
        layer.bias.copy_(sigma.inverse(means))
    return network, (epsilon - error) / (1 + bound)


def move_parameters(network: PAdicNetwork, radius: float, generator: torch.Generator) -> None:
    """Move every kernel value and every bias of a network by -radius or +radius, in place.

    Args:
        network: of radial or dense operators.
        radius: by how much.
        generator: draws the signs.

    Raises:
        InputError: another operator, whose parameters aren't kernel values.
    """
    for layer in cast(Iterable[TreeLayer], network.layers):
        operator = layer.operator
        if isinstance(operator, RadialOperator):
            k = operator.kernel().detach()
            moved = RadialOperator(
                operator.tree, operator.in_channels, operator.out_channels, k + _signs(k, radius, generator)
            )
            operator.weight.data.copy_(moved.weight.detach())
        elif isinstance(operator, DenseOperator):
            operator.weight.data.add_(_signs(operator.weight, radius / operator.tree.leaves, generator))
        else:
            raise InputError("network", given=type(operator).__name__, expected="radial or dense operators")
        layer.bias.data.add_(_signs(layer.bias, radius, generator))


def _signs(like: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(0, 2, like.shape, generator=generator, device=generator.device)
    return ((drawn * 2 - 1) * radius).to(like)


def side_by_side(functions: Sequence[Callable[[Tensor], Tensor]], q: int) -> tuple[Callable[[Tensor], Tensor], int]:
    """Several functions as one: the r-th lives on the r-th ball of the smallest depth m with q^m balls for all.

    A network on `Tree(q, m + l)` then computes all of them at once, each on a ball of its own as on `Tree(q, l)`.

    Args:
        functions: of points in [0, 1]; at least one. Balls that are left over have 0.
        q: branching.

    Returns:
        The one function, and m.

    Raises:
        InputError: no function.
    """
    if not functions:
        raise InputError("functions", given="none", expected="at least one")
    m = 0
    while q**m < len(functions):
        m += 1

    def whole(points: Tensor) -> Tensor:
        ball = (points * q**m).long().clamp(0, q**m - 1)
        values = [f(points * q**m - ball) for f in functions]
        return torch.stack(values).gather(0, ball.clamp(max=len(values) - 1)[None])[0].where(ball < len(values), 0.0)

    return whole, m


def cell_means(function: Callable[[Tensor], Tensor], tree: Tree) -> tuple[Tensor, float]:
    """Means of a function over the leaves' cells of [0, 1], and the L2 distance from it to them.

    Args:
        function: of a float64 tensor of points.
        tree: whose leaves are the cells.

    Raises:
        InputError: values of another shape, or that aren't finite.
    """
    points, weights = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(_POINTS))
    at = (torch.arange(tree.leaves, dtype=torch.float64)[:, None] + (points + 1) / 2) / tree.leaves
    values = function(at)
    if not isinstance(values, Tensor) or values.shape != at.shape or not bool(values.isfinite().all()):
        raise InputError("function", given="values of another shape, or not finite", expected="a finite number a point")
    values = values.double()
    means = values @ weights / 2
    spread = (values - means[:, None]).square() @ weights / 2
    return means, float(spread.mean().sqrt())


def _deeper(function: Callable[[Tensor], Tensor], tree: Tree, epsilon: float) -> str:
    depth = tree.depth + 1
    while tree.q**depth <= _MOST:
        if cell_means(function, tree.at(depth))[1] < epsilon:
            return f"Tree({tree.q}, {depth}) is the smallest that suffices"
        depth += 1
    return f"no tree of up to {_MOST} leaves suffices"
