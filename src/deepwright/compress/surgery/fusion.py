"""Write a small network's weights into the big one it was cut from, and read them back.

`embed` is the inverse of surgery: for every parameter W with kept rows K_out and columns K_in, W_big[K_out x K_in] =
W_small, and `rest` says what stands elsewhere. With "function_preserving" the fused network computes what the small one
does, exactly, and yet its new channels learn from the first step.

Source: "PruneFuse: Efficient Data Selection via Weight Pruning and Network Fusion", arXiv 2603.26138.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from deepwright.compress.arguments import running
from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.errors import FusionError
from deepwright.compress.surgery.index_maps import IndexMap
from deepwright.compress.surgery.preserving import Preserving
from deepwright.compress.surgery.proof import TOLERANCE, difference, require_same_function, tensors_of
from deepwright.core.copies import copied
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.randomness import local_rng

REST = ("random", "keep", "zero", "function_preserving")
_GRAPH_HINT = "graph=result.graph, of the result that has the index map"


def embed(
    small: nn.Module,
    big: nn.Module,
    index_map: IndexMap,
    *,
    rest: str = "random",
    generator: torch.Generator | None = None,
    graph: ShrinkGraph | None = None,
) -> nn.Module:
    """A copy of `big` that holds `small`.

    Args:
        small: the shrunk network.
        big: the network it was cut from (or another of the same shapes).
        index_map: of the surgery.
        rest: what stands outside the copied blocks: "random" (each module's own `reset_parameters`; what no module
            makes so keeps big's values), "keep" (big's values), "zero" (its channels never wake: they get no gradient),
            or "function_preserving" (random, but zero from new to kept channels: the fused network equals the small
            one in eval mode, which is checked).
        generator: seeds the initialisation.
        graph: of the network that was cut (`ShrinkResult.graph`), for "function_preserving": it knows which axis of
            which parameter is summed over.

    Raises:
        FusionError: the map doesn't fit the networks, and names the parameter; or the function can't be preserved: a
            norm over new channels, attention whose inner width grows.
        SurgeryError: the fused network doesn't compute what the small one does, for sizes that its code takes from
            elsewhere.
        InputError: an unknown `rest`; "function_preserving" without the graph, or another `rest` with it.
    """
    if rest not in REST:
        raise InputError("rest", given=repr(rest), expected=" or ".join(map(repr, REST)))
    if (rest == "function_preserving") != (graph is not None):
        given = f"rest={rest!r} with{'' if graph is not None else 'out'} a graph"
        raise InputError("graph", given=given, expected="it goes with rest='function_preserving'", hint=_GRAPH_HINT)
    if rest == "zero":
        warnings.warn("rest='zero': new channels get no gradient and never learn", stacklevel=2)
    fused = copied(big)
    seed = 0
    if generator is not None:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    if rest in ("random", "function_preserving"):
        _reinitialise(fused, seed)
    state, source, original = _tensors(fused), _tensors(small), _tensors(big)
    preserving = None if graph is None else Preserving(graph, index_map)
    with torch.no_grad():
        for name, target in state.items():
            if name not in source:
                raise FusionError(
                    f"parameter {name!r}", given="not in the small network", expected="the same names in both"
                )
            axes = index_map.get(name, (None,) * target.ndim)
            value, grid = source[name].to(target), _grid(name, target, source[name], axes)
            if rest == "zero" and target.is_floating_point() and not _is_statistic(name, fused):
                target.zero_()
            elif rest == "keep":
                target.copy_(original[name])
            if rest != "keep" and _is_statistic(name, fused):
                target.copy_(_neutral(name, target))
            if preserving is not None:
                preserving.silence(name, target)
            if grid is None:
                target.copy_(value)
            else:
                target[grid] = value
    if graph is not None:
        require_same_function(fused, small, graph, TOLERANCE, "rest='function_preserving'")
    return fused


def extract(big: nn.Module, index_map: IndexMap) -> dict[str, Tensor]:
    """The small network's tensors out of the big one: `extract(embed(small, big, map), map)` is small's, bit for bit.

    Args:
        big: a network that holds the small one.
        index_map: of the surgery.

    Raises:
        FusionError: a map of another network.
    """
    found = {}
    unknown = sorted(set(index_map) - set(_tensors(big)))
    if unknown:
        raise FusionError("index map", given=f"no parameter {unknown[0]!r}", expected="a map made from this network")
    for name, tensor in _tensors(big).items():
        value = tensor.detach()
        for axis, keep in enumerate(index_map.get(name, ())):
            if keep is not None:
                if len(keep) and not 0 <= int(keep.min()) <= int(keep.max()) < value.shape[axis]:
                    given = f"a map that keeps entry {int(keep.max())} of {value.shape[axis]}"
                    raise FusionError(f"parameter {name!r}", given=given, expected="a map made from this network")
                value = value.index_select(axis, keep.to(value.device))
        found[name] = value.clone()
    return found


def check_fusion(small: nn.Module, fused: nn.Module, x: Tensor) -> float:
    """Largest difference of the two networks' outputs, both in eval mode, each where it lives.

    Of all the tensors that they give; infinite where one has NaN, or another shape.

    Args:
        small: the small network.
        fused: the big one that holds it.
        x: an input batch.
    """
    with evaluating(small), evaluating(fused), torch.no_grad(), running("x", x):
        outputs = [tensors_of(network(to_model(x, network))) for network in (small, fused)]
    gaps = [difference(a.cpu(), b.cpu())[0] for a, b in zip(*outputs)]
    return max(gaps, default=0.0) if len(outputs[0]) == len(outputs[1]) else math.inf


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _grid(name: str, target: Tensor, value: Tensor, axes: tuple[Tensor | None, ...]) -> tuple[Tensor, ...] | None:
    """Index of the copied block; None where it is the whole tensor."""
    if len(axes) != target.ndim:
        raise FusionError(f"parameter {name!r}", given=f"a map of {len(axes)} axes", expected=f"{target.ndim}")
    kept = [torch.arange(n) if k is None else k for n, k in zip(target.shape, axes)]
    shape = tuple(len(k) for k in kept)
    if shape != tuple(value.shape) or any(len(k) and int(k.max()) >= n for k, n in zip(kept, target.shape)):
        raise FusionError(
            f"parameter {name!r}",
            given=f"small {tuple(value.shape)}, big {tuple(target.shape)}, a map that keeps {shape}",
            expected="a map made from these two networks",
        )
    if all(k is None for k in axes):
        return None
    grid = []
    for axis, k in enumerate(kept):
        view = [1] * target.ndim
        view[axis] = len(k)
        grid.append(k.to(target.device).view(view))
    return tuple(grid)


def _reinitialise(model: nn.Module, seed: int) -> None:
    """Every module's own `reset_parameters`, under a seed of its own."""
    with local_rng(seed):
        for module in model.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()


def _is_statistic(name: str, model: nn.Module) -> bool:
    """Whether a tensor belongs to a norm."""
    owner = model.get_submodule(name.rpartition(".")[0])
    return isinstance(owner, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm | nn.RMSNorm)


def _neutral(name: str, target: Tensor) -> Tensor:
    """A norm's starting values: weight and variance 1, the others 0."""
    leaf = name.rpartition(".")[2]
    return torch.ones_like(target) if leaf in ("weight", "running_var") else torch.zeros_like(target)
