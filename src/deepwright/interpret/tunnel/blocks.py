"""Residual blocks in anybody's network: every addition whose two inputs come from one place."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.results import Table
from deepwright.interpret.tunnel.graphs import Graph, prepared, traced
from deepwright.interpret.tunnel.taking_apart import ADDS, branches, label, word

Map = Callable[[Tensor], Tensor]
Given = Sequence[Any]  # names, pairs, ResidualBlocks


@dataclass(frozen=True)
class ResidualBlock:
    """h(x) = epsilon * skip(x) + delta * residual(x).

    Attributes:
        name: the module in which the branches meet.
        skip: without its multiplier: the identity, a projection or a pooling.
        residual: without its multiplier.
        epsilon: the skip's multiplier; a tensor where it is one a channel.
        delta: the residual's multiplier.
        in_shape: of one input.
        out_shape: of one output.
        source: turns the network's input into the block's; None where it isn't known.
    """

    name: str
    skip: Map
    residual: Map
    epsilon: float | Tensor = 1.0
    delta: float | Tensor = 1.0
    in_shape: tuple[int, ...] = ()
    out_shape: tuple[int, ...] = ()
    source: Map | None = None


def find_residual_blocks(model: nn.Module, example: Float[Tensor, "batch ..."]) -> list[ResidualBlock]:
    """The residual blocks of a network, in order; those inside other blocks' branches among them.

    Every addition whose two inputs come from one place is one: the branch with fewer parametrised nodes is the skip,
    multipliers at the end of either branch are the block's epsilon and delta (LayerScale's are one a channel). The
    network is followed by `torch.fx`, and by `torch.export` where that fails.

    Args:
        model: in eval mode; it is copied to float64.
        example: a batch of inputs.

    Raises:
        InputError: a network that can't be traced, a BatchNorm in training mode.

    Warns:
        UserWarning: there is no block.
    """
    network = prepared(model)
    found = blocks_of(traced(network, to_model(example, network)))
    if not found:
        warnings.warn(
            "no addition of two branches in this network: it has no residual blocks", UserWarning, stacklevel=2
        )
    return found


def blocks_of(graph: Graph) -> list[ResidualBlock]:
    """The blocks of a graph.

    Args:
        graph: of a network.
    """
    found = []
    for node in graph.module.graph.nodes:
        if node in graph.depth and word(graph, node) in ADDS and len(set(graph.parents[node])) == 2:
            found.append(_block(graph, node))
    return found


def _block(graph: Graph, node: fx.Node) -> ResidualBlock:
    before = graph.dominator[node]
    skip, residual = branches(graph, node)
    second = node.args[1] if len(node.args) > 1 else node.kwargs.get("other")
    alpha_on_residual = second is residual
    (skip, epsilon), (residual, delta) = _unscaled(graph, skip, before), _unscaled(graph, residual, before)
    alpha = node.kwargs.get("alpha", 1)
    if alpha != 1 and isinstance(alpha, int | float):  # of the second argument
        if alpha_on_residual:
            delta = delta * alpha
        else:
            epsilon = epsilon * alpha
    return ResidualBlock(
        label(graph, node),
        graph.part(before, skip),
        graph.part(before, residual),
        epsilon,
        delta,
        graph.shapes[before],
        graph.shapes[node],
        graph.part(graph.input, before),
    )


def _unscaled(graph: Graph, end: fx.Node, before: fx.Node) -> tuple[fx.Node, float | Tensor]:
    """The branch without the multipliers at its end, and their product."""
    factor: float | Tensor = 1.0
    while end is not before and word(graph, end) in ("mul", "imul") and len(graph.parents[end]) == 1:
        constants = [a for a in end.args if not (isinstance(a, fx.Node) and a in graph.depth)]
        if len(constants) != 1:
            break
        value = graph.constant(constants[0])
        factor = factor * (value.detach() if isinstance(value, Tensor) else float(value))
        end = graph.parents[end][0]
    return end, factor


def given_blocks(network: nn.Module, blocks: Given) -> list[ResidualBlock]:
    """Blocks as a user says them.

    Args:
        network: whose modules the names are.
        blocks: names of modules whose forward is x + f(x), pairs of names or functions for skip and residual, or
            blocks. Of pairs, the residual must be a name for the block's place to be known.

    Raises:
        InputError: a name that the network doesn't have, or something else.
    """
    modules = dict(network.named_modules())
    found = []
    for i, block in enumerate(blocks):
        if isinstance(block, ResidualBlock):
            found.append(block)
        elif isinstance(block, str):
            module = _named(modules, block)
            found.append(ResidualBlock(block, nn.Identity(), _Difference(module), source=_Before(network, module)))
        elif isinstance(block, tuple) and len(block) == 2:
            maps = [_named(modules, part) if isinstance(part, str) else part for part in block]
            residual = maps[1]
            source = _Before(network, residual) if isinstance(residual, nn.Module) else None
            found.append(ResidualBlock(f"block {i}", maps[0], residual, source=source))
        else:
            raise InputError("blocks", given=repr(block), expected="names, (skip, residual), or ResidualBlocks")
    return found


def _named(modules: dict[str, nn.Module], name: str) -> nn.Module:
    if name not in modules:
        raise InputError("blocks", given=repr(name), expected="a module: " + ", ".join(list(modules)[1:20]))
    return modules[name]


class _Before:
    """What comes into a module when its network is run."""

    def __init__(self, network: nn.Module, module: nn.Module) -> None:
        self.network, self.module = network, module

    def __call__(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []

        def keep(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen.append(args[0])

        hook = self.module.register_forward_pre_hook(keep)
        try:
            self.network(x)
        finally:
            hook.remove()
        if not seen:
            raise InputError("blocks", given="a module that the network doesn't call", expected="one that it does")
        return seen[0]


class _Difference(nn.Module):
    """f(x) of a module that gives x + f(x)."""

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.whole(x) - x
        return out


def channel_ratios(model: nn.Module, inputs: Float[Tensor, "batch ..."], blocks: Given | None = None) -> Table:
    """What each block's residual weighs against its skip on data.

    Args:
        model: in eval mode.
        inputs: a batch of data.
        blocks: as `find_residual_blocks` gives them, which it does when None; of a network that can't be traced, names
            of modules whose forward is x + f(x), or pairs of names (skip, residual).

    Returns:
        by block: the ratio of root mean squares of delta f(x) and epsilon x, the cosine between both, the declared
        channel ratio delta / epsilon (mean where it is one a channel; None where epsilon is 0), and how much the
        block lets the signal grow.

    Raises:
        InputError: blocks of which it isn't known where they stand.
    """
    network = prepared(model)
    x = to_model(inputs, network)
    found = find_residual_blocks(model, inputs) if blocks is None else given_blocks(network, blocks)
    rows: list[list[str | float | int | bool | None]] = []
    for block in found:
        if block.source is None:
            raise InputError("blocks", given=f"{block.name} without its source", expected="of find_residual_blocks")
        with torch.no_grad():
            at = block.source(x)
            skip, residual = block.epsilon * block.skip(at), block.delta * block.residual(at)
        rows.append([block.name, *_compared(skip, residual), _declared(block), _rms(skip + residual) / _rms(at)])
    columns = ["block", "RMS of residual / skip", "cosine", "declared delta / epsilon", "growth"]
    return Table(columns, rows, f"Branches of each residual block on {len(x)} inputs")


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt().clamp_min(1e-300))


def _compared(skip: Tensor, residual: Tensor) -> tuple[float | None, float | None]:
    a, b = skip.flatten(1), residual.flatten(1)
    if not bool(a.any()):
        return None, None
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1).mean()
    return _rms(residual) / _rms(skip), float(cosine)


def _declared(block: ResidualBlock) -> float | None:
    delta, epsilon = (float(torch.as_tensor(v, dtype=torch.float64).mean()) for v in (block.delta, block.epsilon))
    ratio = math.inf if epsilon == 0 else delta / epsilon
    return ratio if math.isfinite(ratio) else None
