"""The proof that surgery owes: the shrunk network equals the masked original (`masked_original`) on real inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.coupling.axes import Labels
from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.nodes import module_of, op_name, source_of
from deepwright.compress.errors import SurgeryError
from deepwright.compress.surgery.fixed_sizes import Removed, fixed_sizes
from deepwright.compress.surgery.masked_original import MaskedOriginal, to_dtype
from deepwright.compress.surgery.plans import Plan
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.randomness import generator

# A wrong wire can differ by very little (attention that is nearly even, say): float64 leaves room to be strict.
TOLERANCE = 1e-8
OWN_TOLERANCE = 1e-4  # in the network's own precision, where an operation insists on it


@dataclass(frozen=True)
class Verification:
    """What the proof found.

    Attributes:
        error: largest |shrunk - masked| over all outputs, batches and elements.
        scale: largest |masked|.
        batches: how many were compared.
        dtype: in which the comparison ran.
        exact: whether no norm or attention scale ran over a pruned axis.
        inexact: the nodes where one did.
    """

    error: float
    scale: float
    batches: int
    dtype: str
    exact: bool
    inexact: tuple[str, ...]


def verify(plan: Plan, small: nn.Module, *, batches: int = 4, extra: tuple[Any, ...] | None = None) -> Verification:
    """Compare a shrunk network with its masked original in float64.

    Args:
        plan: what was removed.
        small: the shrunk network.
        batches: random batches of the example's shapes, 0 or more.
        extra: one more batch of real inputs.

    Raises:
        InputError: nothing to compare on.
        SurgeryError: they differ by more than 1e-8 of the largest output (or the shrunk network fails); names the first
            node that differs, its module and source line.
    """
    if batches < 0 or (batches == 0 and extra is None):
        raise InputError("batches", given=batches, expected="1 or more, or 0 beside a batch of your own (extra=)")
    graph = plan.graph
    inexact = tuple(
        f"{op_name(i.node.target)} in {module_of(i.node) or 'the network'}"
        for i in graph.walk.inexact
        if ((u := graph.unit_of[i.ids]) >= 0).any() and (~plan.keep[u[u >= 0]]).any()
    )
    cases = list(random_batches(graph, batches))
    if extra is not None:
        cases.append((extra, graph.kwargs))
    for dtype in (torch.float64, None):
        original = MaskedOriginal(plan, dtype)
        try:
            expected = [
                original(*to_all(a, dtype, original.device), **to_all(k, dtype, original.device)) for a, k in cases
            ]
        except RuntimeError:
            if dtype is None:
                raise
            continue  # an operation insists on its own precision: compare in the network's
        break
    twin = _twin(small, dtype)
    worst, scale = 0.0, 0.0
    tolerance = TOLERANCE if dtype is not None else OWN_TOLERANCE
    for (args, kwargs), want in zip(cases, expected):
        try:
            with evaluating(twin), torch.no_grad():
                out = twin(*to_all(args, dtype, original.device), **to_all(kwargs, dtype, original.device))
            got = [v for v in torch.utils._pytree.tree_leaves(_plain(out)) if isinstance(v, Tensor)]
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise SurgeryError(
                "the shrunk network fails on its input",
                given=str(error).splitlines()[0] if str(error) else type(error).__name__,
                expected="the masked original's output",
                hint=_where_sizes_are_fixed(plan),
            ) from error
        for a, b in zip(got, want):
            difference, size = _difference(a, b)
            worst, scale = max(worst, difference), max(scale, size)
        if len(got) != len(want) or not worst <= tolerance * max(1.0, scale):
            first = _first_difference(plan, small, args, kwargs)
            raise SurgeryError(
                "the shrunk network differs from its masked original",
                given=f"by {worst:.3g} at outputs up to {scale:.3g}; first at {first}",
                expected=f"at most {tolerance * max(1.0, scale):.3g}",
                hint="freeze that module (frozen=[...]) and report the case: nothing was changed in your network",
            )
    kind = "float64" if dtype is torch.float64 else "the network's own precision"
    return Verification(worst, scale, len(cases), kind, not inexact, inexact)


def _difference(a: Tensor, b: Tensor) -> tuple[float, float]:
    """(largest |a - b|, largest finite |b|): infinite for other shapes, or where just one is NaN or infinite.

    Python's max() drops NaN and an infinite scale would allow anything, so both are settled here. Outputs without a
    single finite entry prove nothing, and differ infinitely.
    """
    if a.shape != b.shape:
        return math.inf, 0.0
    if b.numel() == 0:
        return 0.0, 0.0
    wide = torch.complex128 if b.is_complex() else torch.float64
    a, b = a.to(wide), b.to(wide)
    finite = torch.isfinite(b)
    alike = (a == b) | (a.isnan() & b.isnan())  # infinities of one sign, and NaN, where both have them
    if not finite.any() or not (alike | (finite & torch.isfinite(a))).all():
        return math.inf, 0.0
    return float((a - b).abs()[finite].max()), float(b[finite].abs().max())


def _twin(small: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    import copy

    twin = copy.deepcopy(small)
    return twin.to(dtype) if dtype is not None else twin


def _plain(out: Any) -> Any:
    """Outputs of libraries' own containers as plain ones."""
    return dict(out) if hasattr(out, "items") else out


def random_batches(graph: ShrinkGraph, count: int, seed: int = 0) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Inputs like the example: normal numbers of its spread, or a shuffle of its integers.

    Args:
        graph: whose example.
        count: of batches.
        seed: of the numbers.
    """
    for i in range(count):
        rng = generator(seed, "verify", i)

        def like(value: Any, rng: torch.Generator = rng) -> Any:
            if not isinstance(value, Tensor):
                return value
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=rng, dtype=torch.float64).to(value)
                spread = float(value.double().std()) if value.numel() > 1 else 1.0
                return value.double().mean().to(value) + noise * (spread if spread > 0 else 1.0)
            order = torch.randperm(value.numel(), generator=rng).to(value.device)
            return value.reshape(-1)[order].view(value.shape)

        yield torch.utils._pytree.tree_map(like, (graph.example, graph.kwargs))


def to_all(tree: Any, dtype: torch.dtype | None, device: torch.device) -> Any:
    """Every tensor of a nested value on a device and in a precision.

    Args:
        tree: nested tuples, lists and dicts.
        dtype: of floating tensors; None leaves theirs.
        device: where to.
    """
    return torch.utils._pytree.tree_map(lambda v: to_dtype(v, dtype).to(device) if isinstance(v, Tensor) else v, tree)


def _where_sizes_are_fixed(plan: Plan) -> str:
    lines = [f"{op_name(n.target)} at {source_of(n)} (was {a}, is {b})" for n, a, b in fixed_sizes(plan)[:3]]
    where = "; ".join(lines) or "the operation named above"
    return (
        f"sizes written as constants must follow the widths: {where}; "
        "pass attributes={YourModule: fix}, or frozen=[...]"
    )


def _first_difference(plan: Plan, small: nn.Module, args: Any, kwargs: Any) -> str:
    """Run both graphs side by side and name the first node whose kept entries differ."""
    try:
        whole: dict[int, Any] = {}
        order: list[Node] = []

        def watch(node: Node, value: Any) -> None:
            whole[len(order)] = value
            order.append(node)

        MaskedOriginal(plan)(*args, **kwargs, watch=watch)
        shrunk = ShrinkGraph.from_module(small, args, kwargs=kwargs)
        values: list[Any] = []
        keep_all = Plan(shrunk, np.ones(shrunk.units, bool))
        MaskedOriginal(keep_all)(*args, **kwargs, watch=lambda n, v: values.append(v))
        removed = Removed(plan)
        for i, node in enumerate(order):
            labels = plan.graph.walk.labels[node]
            if not isinstance(labels, Labels) or i >= len(values):
                continue
            want = whole[i]
            for axis in range(len(labels.shape)):
                gone = removed.mask(labels, axis)
                if gone is not None:
                    want = want.index_select(axis, torch.from_numpy(np.flatnonzero(~gone)).to(want.device))
            got = values[i]
            if want.shape != got.shape or (
                want.is_floating_point() and not torch.allclose(want, got, rtol=1e-3, atol=1e-3)
            ):
                return f"{op_name(node.target)} in {module_of(node) or 'the network'}: {source_of(node)}"
    except Exception as error:
        return f"(not located: {type(error).__name__})"
    return "(not located)"
