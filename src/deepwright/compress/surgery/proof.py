"""The proof that surgery owes: the shrunk network equals the masked original on real inputs.

The masked original is the exported graph of the *whole* network, run node by node: wherever an operation sums over a
live axis, the removed units are set to zero on their way in (cut at the consumer, so that no activation function
matters). Where a width itself enters the arithmetic (a norm's statistics, an attention's scale) that one node is
computed on the kept entries; such groups are not `exact`, and the report names the nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.coupling.axes import Labels
from deepwright.compress.coupling.graph import ShrinkGraph, module_of, source_of
from deepwright.compress.coupling.walk import flat_labels, op_name
from deepwright.compress.errors import SurgeryError
from deepwright.compress.surgery.plans import Plan
from deepwright.core.inference import device_of, evaluating
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
        exact: whether no norm or attention scale ran over a pruned axis; `inexact` names those that did.
    """

    error: float
    scale: float
    batches: int
    dtype: str
    exact: bool
    inexact: tuple[str, ...]


class MaskedOriginal:
    """The whole network with a plan's removed units cut, as a function of its inputs."""

    def __init__(self, plan: Plan, dtype: torch.dtype | None = None) -> None:
        graph = plan.graph
        self.graph, self.plan = graph, plan
        self.device = device_of(graph.model)
        self.nodes = list(graph.program.graph.nodes)
        self.state = _state(graph, dtype)
        self.cuts: dict[Node, list[tuple[int, int, Tensor]]] = {}
        self.narrow: dict[Node, tuple[int, Tensor]] = {}
        for c in graph.walk.contractions:
            gone = self._removed(c.ids)
            if gone.any():
                keep = torch.from_numpy(~gone).to(self.device)
                self.cuts.setdefault(c.node, []).append((c.operand, c.axis, keep))
        for i in graph.walk.inexact:
            gone = self._removed(i.ids)
            if gone.any():
                self.narrow[i.node] = (i.axis, torch.from_numpy(np.flatnonzero(~gone)).to(self.device))
        self.last: dict[Node, int] = {}
        for position, node in enumerate(self.nodes):
            for used in node.all_input_nodes:
                self.last[used] = position

    def _removed(self, ids: np.ndarray) -> np.ndarray:
        units = self.graph.unit_of[ids]
        return (units >= 0) & ~self.plan.keep[np.maximum(units, 0)]

    def __call__(self, *inputs: Any, watch: Callable[[Node, Any], None] | None = None, **kwargs: Any) -> list[Tensor]:
        """The outputs' tensors; `watch` sees every node's value."""
        flat = torch.utils._pytree.tree_leaves((inputs, kwargs))
        signature = self.graph.program.graph_signature
        waiting = iter(flat)
        env: dict[Node, Any] = {}
        with torch.no_grad():
            for position, node in enumerate(self.nodes):
                if node.op == "placeholder":
                    env[node] = self.state[node.name] if node.name in self.state else next(waiting)
                elif node.op == "call_function":
                    env[node] = self._call(node, env)
                    if watch is not None:
                        watch(node, env[node])
                elif node.op == "get_attr":
                    env[node] = getattr(self.graph.program.graph_module, str(node.target))
                elif node.op == "output":
                    specs = {
                        s.arg.name
                        for s in signature.output_specs
                        if s.kind.name == "USER_OUTPUT" and hasattr(s.arg, "name")
                    }
                    values = [env[a] for a in node.args[0] if isinstance(a, Node) and a.name in specs]  # type: ignore[union-attr]
                    return [v for v in torch.utils._pytree.tree_leaves(values) if isinstance(v, Tensor)]
                for used in node.all_input_nodes:
                    if self.last[used] == position and used.op != "placeholder":
                        env.pop(used, None)
        return []

    def _call(self, node: Node, env: dict[Node, Any]) -> Any:
        args = torch.fx.node.map_arg(node.args, lambda n: env[n])
        kwargs = torch.fx.node.map_arg(node.kwargs, lambda n: env[n])
        for operand, axis, keep in self.cuts.get(node, ()):
            args = _cut(args, operand, axis, keep)
        if node in self.narrow:
            return self._narrowed(node, args, kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def _narrowed(self, node: Node, args: Any, kwargs: Any) -> Any:
        """The node on kept entries only, scattered back among zeros."""
        axis, kept = self.narrow[node]
        name = op_name(node.target)
        if name == "scaled_dot_product_attention":
            q, k = args[0].index_select(axis, kept), args[1].index_select(axis, kept)
            return node.target(q, k, *args[2:], **kwargs)  # type: ignore[operator]
        x = args[0].index_select(axis, kept)
        rest = [a.index_select(0, kept) if isinstance(a, Tensor) and a.ndim == 1 else a for a in args[1:]]
        if name in ("layer_norm", "rms_norm"):
            rest[0] = [len(kept)]
        small = node.target(x, *rest, **kwargs)  # type: ignore[operator]
        return torch.zeros_like(args[0]).index_copy(axis, kept, small)


def _cut(args: Any, operand: int, axis: int, keep: Tensor) -> Any:
    """Zero the removed entries of one operand (the first of an einsum's list for -1)."""
    args = list(args)
    x = args[1][0] if operand == -1 else args[operand]
    shape = [1] * x.ndim
    shape[axis] = len(keep)
    masked = torch.where(keep.view(shape), x, torch.zeros((), dtype=x.dtype, device=x.device))
    if operand == -1:
        args[1] = [masked, *args[1][1:]]
    else:
        args[operand] = masked
    return tuple(args)


def _state(graph: ShrinkGraph, dtype: torch.dtype | None) -> dict[str, Any]:
    """Parameters, buffers and constants by placeholder."""
    signature = graph.program.graph_signature
    own = {
        **dict(graph.model.named_parameters(remove_duplicate=False)),
        **dict(graph.model.named_buffers(remove_duplicate=False)),
    }
    found: dict[str, Any] = {}
    for name, fqn in {**signature.inputs_to_parameters, **signature.inputs_to_buffers}.items():
        found[name] = own[fqn] if fqn in own else graph.program.state_dict.get(fqn, graph.program.constants.get(fqn))
    for name, fqn in signature.inputs_to_lifted_tensor_constants.items():
        found[name] = graph.program.constants[fqn]
    return {k: to_dtype(v.detach(), dtype) if isinstance(v, Tensor) else v for k, v in found.items()}


def to_dtype(x: Any, dtype: torch.dtype | None) -> Any:
    """Floating tensors in another precision; anything else unchanged."""
    return x.to(dtype) if dtype is not None and isinstance(x, Tensor) and x.is_floating_point() else x


def random_batches(graph: ShrinkGraph, count: int, seed: int = 0) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Inputs like the example: normal numbers of its spread, or a shuffle of its integers."""
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


def verify(plan: Plan, small: nn.Module, *, batches: int = 4, extra: tuple[Any, ...] | None = None) -> Verification:
    """Compare a shrunk network with its masked original in float64.

    Args:
        plan: what was removed.
        small: the shrunk network.
        batches: random batches of the example's shapes.
        extra: one more batch of real inputs.

    Raises:
        SurgeryError: they differ by more than 1e-8 of the largest output (or the shrunk network fails); names the first
            node that differs, its module and source line.
    """
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
            raise SurgeryError(
                "the shrunk network differs from its masked original",
                given=f"by {worst:.3g} at outputs up to {scale:.3g}; first at {_first_difference(plan, small, args, kwargs)}",
                expected=f"at most {tolerance * max(1.0, scale):.3g}",
                hint="freeze that module (frozen=[...]) and report the case: nothing was changed in your network",
            )
    kind = "float64" if dtype is torch.float64 else "the network's own precision"
    return Verification(worst, scale, len(cases), kind, not inexact, inexact)


def _difference(a: Tensor, b: Tensor) -> tuple[float, float]:
    """(largest |a - b|, largest finite |b|): infinite for other shapes, or where just one is NaN or infinite.

    Python's max() drops NaN and an infinite scale would allow anything, so both are settled here. Outputs without a single
    finite entry prove nothing, and differ infinitely.
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


def to_all(tree: Any, dtype: torch.dtype | None, device: torch.device) -> Any:
    """Every tensor of a nested value on a device and in a precision."""
    return torch.utils._pytree.tree_map(lambda v: to_dtype(v, dtype).to(device) if isinstance(v, Tensor) else v, tree)


def fixed_sizes(plan: Plan) -> list[tuple[Node, int, int]]:
    """(node, size in the code, size after surgery) of every call that was given a size which the plan changes."""
    found = []
    removed = _Removed(plan)
    for node in plan.graph.program.graph.nodes:
        if node.op != "call_function":
            continue
        name = op_name(node.target)
        if name in ("view", "reshape", "expand", "unflatten", "_unsafe_view", "flatten"):
            labels = plan.graph.walk.labels[node]
            for axis, size in enumerate(labels.shape):
                kept = size - removed.count(labels, axis)
                if kept != size:
                    found.append((node, size, kept))
        elif name in ("split", "chunk", "split_with_sizes", "slice", "narrow"):
            for labels in flat_labels(plan.graph.walk.labels[node]):
                for axis, size in enumerate(labels.shape):
                    kept = size - removed.count(labels, axis)
                    if kept != size:
                        found.append((node, size, kept))
    return found


class _Removed:
    """How many entries of an axis a plan removes."""

    def __init__(self, plan: Plan) -> None:
        units = plan.graph.unit_of
        self.gone = (units >= 0) & ~plan.keep[np.maximum(units, 0)] if len(plan.keep) else np.zeros(len(units), bool)

    def mask(self, labels: Labels, axis: int) -> np.ndarray | None:
        """(size,) True where an entry goes, or None when none does."""
        block = labels.block(axis)
        if block.ids is None:
            return None
        k = block.axes.index(axis)
        gone = np.moveaxis(self.gone[block.ids], k, 0).reshape(block.ids.shape[k], -1).all(1)
        return gone if gone.any() else None

    def count(self, labels: Labels, axis: int) -> int:
        """How many go."""
        gone = self.mask(labels, axis)
        return 0 if gone is None else int(gone.sum())


def _where_sizes_are_fixed(plan: Plan) -> str:
    lines = [f"{op_name(n.target)} at {source_of(n)} (was {a}, is {b})" for n, a, b in fixed_sizes(plan)[:3]]
    where = "; ".join(lines) or "the operation named above"
    return f"sizes written as constants must follow the widths: {where}; pass attributes={{YourModule: fix}}, or frozen=[...]"


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
        removed = _Removed(plan)
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
