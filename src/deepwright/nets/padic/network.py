"""Networks whose neurons are the leaves of a tree, deeper or shallower from layer to layer.

Source: W. A. Zuniga-Galindo, "Deep Neural Networks: A Formulation Via Non-Archimedean Analysis", arXiv 2402.00094.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.nets.padic.convolutions import TreeConvolution
from deepwright.nets.padic.hierarchical import HierarchicalOperator
from deepwright.nets.padic.operators import DenseOperator, TreeOperator
from deepwright.nets.padic.radial import RadialOperator
from deepwright.nets.padic.trees import Tree

OPERATORS: dict[str, Callable[..., TreeOperator]] = {
    "radial": RadialOperator,
    "hierarchical": HierarchicalOperator,
    "convolution": TreeConvolution,
    "dense": DenseOperator,
}
DIRECTIONS = ("refine", "coarsen", "u-net")


class BoundedTanh(nn.Module):
    """M tanh(x / M): onto (-M, M), Lipschitz 1.

    Args:
        bound: M.

    Raises:
        InputError: a bound that isn't above 0.
    """

    def __init__(self, bound: float = 1.0) -> None:
        super().__init__()
        require_positive(bound=bound)
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        """Squashed values.

        Args:
            x: any.
        """
        return self.bound * torch.tanh(x / self.bound)

    def inverse(self, y: Tensor) -> Tensor:
        """What is squashed to y.

        Args:
            y: values within (-M, M).
        """
        return self.bound * torch.atanh(y / self.bound)


class TreeLayer(nn.Module):
    """sigma(K x + theta) on one tree, theta a function on it.

    Args:
        operator: K.
        activation: sigma.
    """

    def __init__(self, operator: TreeOperator, activation: nn.Module) -> None:
        super().__init__()
        self.operator, self.activation = operator, activation
        self.bias = nn.Parameter(torch.zeros(operator.out_channels, operator.tree.leaves))

    def forward(self, x: Float[Tensor, "*batch inputs leaves"]) -> Float[Tensor, "*batch outputs leaves"]:
        """The layer.

        Args:
            x: values on the leaves.
        """
        return self.activation(self.operator(x) + self.bias)


class PAdicNetwork(nn.Module):
    """Layers on trees of rising or falling depth: Y_l = sigma(K_l lift(Y_(l-1)) + theta_l).

    "refine" lifts before each layer, from `in_depth` + 1 to `out_depth`; "coarsen" is its mirror image: a layer at each
    depth from `in_depth` on, and means over balls after it, down to `out_depth`; "u-net" goes from `in_depth` down to
    `out_depth` and back, each depth handed across. The last layer has no activation in "coarsen" and "u-net", so that
    its outputs may be logits; in "refine" it has, as in the paper.

    Args:
        tree: gives the branching q, and the largest depth.
        in_depth: of the input's tree.
        out_depth: of the output's ("refine", "coarsen"), or of the smallest tree ("u-net").
        channels: of the hidden layers.
        in_channels: of the input.
        out_channels: of the output.
        operator: "radial", "hierarchical", "convolution" or "dense".
        activation: of the hidden layers; `BoundedTanh()` when None.
        direction: "refine", "coarsen" or "u-net".
        shared: one matrix a level, of "hierarchical".
        mask: leaves of the deepest tree that are there, as `TreeIndex.mask` says; the others influence nothing.

    Raises:
        InputError: depths that don't go that way, an unknown word.

    Example:
        >>> network = PAdicNetwork(Tree(4, 3), 3, 0, channels=8, out_channels=10, direction="coarsen")
        >>> tuple(network(torch.zeros(2, 1, 64)).shape)
        (2, 10, 1)
    """

    def __init__(
        self,
        tree: Tree,
        in_depth: int,
        out_depth: int,
        channels: int = 8,
        operator: str = "hierarchical",
        activation: nn.Module | None = None,
        direction: str = "refine",
        *,
        in_channels: int = 1,
        out_channels: int = 1,
        shared: bool = False,
        mask: Bool[Tensor, " leaves"] | None = None,
    ) -> None:
        super().__init__()
        require_whole(0, in_depth=in_depth, out_depth=out_depth)
        require_whole(1, channels=channels, in_channels=in_channels, out_channels=out_channels)
        _require_known("direction", direction, DIRECTIONS)
        _require_known("operator", operator, tuple(OPERATORS))
        if max(in_depth, out_depth) > tree.depth or (
            in_depth >= out_depth if direction == "refine" else in_depth <= out_depth
        ):
            way = "in_depth < out_depth" if direction == "refine" else "in_depth > out_depth"
            given = f"in_depth={in_depth}, out_depth={out_depth}"
            raise InputError("depths", given=given, expected=f"{way}, both at most {tree.depth}")
        if shared and operator != "hierarchical":
            raise InputError("shared", given=f"beside {operator!r}", expected='operator="hierarchical"')
        self.tree, self.direction, self.in_channels = tree, direction, in_channels
        self.in_depth, self.out_depth = in_depth, out_depth
        self._keep_masks(mask)
        steps = self._steps(channels, in_channels, out_channels)
        activation = BoundedTanh() if activation is None else activation
        layers: list[TreeLayer] = []
        for number, (depth, a, b) in enumerate(steps):
            last = number == len(steps) - 1 and direction != "refine"
            layers.append(
                TreeLayer(_operator(operator, tree.at(depth), a, b, shared), nn.Identity() if last else activation)
            )
        self.layers = nn.ModuleList(layers)

    def _keep_masks(self, mask: Tensor | None) -> None:
        """A mask a depth: a ball is there where one of its leaves is."""
        self.masked = mask is not None
        if mask is None:
            return
        deepest = max(self.in_depth, self.out_depth)
        if mask.dtype != torch.bool or tuple(mask.shape) != (self.tree.q**deepest,) or not bool(mask.any()):
            expected = f"({self.tree.q**deepest},) of truth values, one of them true"
            raise InputError("mask", given=f"{mask.dtype} of shape {tuple(mask.shape)}", expected=expected)
        for depth in range(deepest + 1):
            balls = mask.unflatten(-1, (self.tree.q**depth, -1)).any(-1)
            self.register_buffer(f"mask_{depth}", balls, persistent=False)

    def _mask(self, depth: int) -> Tensor | None:
        return self.get_buffer(f"mask_{depth}") if self.masked else None

    def _present(self, x: Tensor, depth: int) -> Tensor:
        mask = self._mask(depth)
        return x if mask is None else x.where(mask, 0.0)

    def _steps(self, channels: int, first: int, last: int) -> list[tuple[int, int, int]]:
        """Depth, channels in and out of each layer."""
        if self.direction == "refine":
            depths = list(range(self.in_depth + 1, self.out_depth + 1))
        else:
            depths = list(range(self.in_depth, self.out_depth - 1, -1))
        sizes = [channels] * len(depths)
        steps = list(zip(depths, [first, *sizes[:-1]], sizes, strict=True))
        if self.direction == "u-net":  # each depth on the way back reads its own from the way there, too
            steps += [(depth, 2 * channels, channels) for depth in range(self.out_depth + 1, self.in_depth + 1)]
        return [*steps[:-1], (*steps[-1][:2], last)]

    def forward(self, x: Float[Tensor, "*batch inputs leaves"]) -> Float[Tensor, "*batch outputs out_leaves"]:
        """Values on the output's tree.

        Args:
            x: values on the leaves of the input's tree, in tree order.

        Raises:
            InputError: another shape.
        """
        self.tree.at(self.in_depth).require_values(x)
        x = self._present(x, self.in_depth)
        if self.direction == "refine":
            for depth, layer in enumerate(self.layers, self.in_depth):
                x = self._present(layer(self.tree.at(depth).lift(x, depth + 1)), depth + 1)
            return x
        down = self.in_depth - self.out_depth + 1
        kept: list[Tensor] = []
        for number, layer in enumerate(self.layers[:down]):
            depth = self.in_depth - number
            x = self._present(layer(x), depth)
            if number < down - 1:
                kept.append(x)
                x = self.tree.at(depth).restrict(x, depth - 1, self._mask(depth))
        for depth, layer in enumerate(self.layers[down:], self.out_depth):
            x = layer(torch.cat([self._present(self.tree.at(depth).lift(x, depth + 1), depth + 1), kept.pop()], -2))
            x = self._present(x, depth + 1)
        return x


def _require_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(name, given=repr(value), expected=", ".join(known))


def _operator(word: str, tree: Tree, a: int, b: int, shared: bool) -> TreeOperator:
    if tree.depth == 0:  # a single neuron a channel: every kind is a plain matrix
        return DenseOperator(tree, a, b)
    if word == "hierarchical":
        return HierarchicalOperator(tree, a, b, shared=shared)
    return OPERATORS[word](tree, a, b)
