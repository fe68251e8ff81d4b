"""The proof that surgery owes: the shrunk network equals the masked original (`masked_original`) on real inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.arguments import require_type, running
from deepwright.compress.coupling.axes import Labels
from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.nodes import module_of, op_name, source_of
from deepwright.compress.errors import SurgeryError
from deepwright.compress.surgery.fixed_sizes import Removed, fixed_sizes
from deepwright.compress.surgery.masked_original import MaskedOriginal, to_dtype
from deepwright.compress.surgery.plans import Plan, kept_indices
from deepwright.core.copies import copied
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError, first_line
from deepwright.core.inference import evaluating
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_network

# A wrong wire can differ by very little (attention that is nearly even, say): float64 leaves room to be strict.
TOLERANCE = 1e-8
OWN_TOLERANCE = 1e-4  # in the network's own precision, where an operation insists on it
ROUNDING = 1e-12
Case = tuple[tuple[Any, ...], dict[str, Any]]


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
        informative: whether the network's outputs depend on its inputs. Where they are constant (a layer that is
            switched off, say) `error` proves nothing, and `random_error` alone does.
        random_error: the same as `error` with random weights, so that no branch is silent; relative to the largest
            output, None where the network isn't finite on them.
    """

    error: float
    scale: float
    batches: int
    dtype: str
    exact: bool
    inexact: tuple[str, ...]
    informative: bool = True
    random_error: float | None = None

    def __str__(self) -> str:
        but = "" if self.exact else ", but for what norms over removed channels compute on those that stay"
        if self.informative:
            return f"equal to the masked original within {self.error:.2g}{but}"
        return f"outputs are the same for every input that was tried, so the proof is on random weights alone{but}"


def verify(plan: Plan, small: nn.Module, *, batches: int = 4, extra: tuple[Any, ...] | None = None) -> Verification:
    """Compare a shrunk network with its masked original in float64, on its own weights and on random ones.

    Args:
        plan: what was removed.
        small: the shrunk network.
        batches: random batches of the example's shapes, 0 or more.
        extra: one more batch of real inputs.

    Raises:
        InputError: nothing to compare on.
        SurgeryError: they differ by more than 1e-8 of the largest output (or the shrunk network fails); names the first
            node that differs, its module and source line. Or outputs depend neither on inputs nor on weights.
    """
    require_network(small, "small")
    require_type("plan", plan, Plan, "a Plan, as plan(graph, scores, ...) makes it")
    if extra is not None and not (isinstance(extra, tuple) and extra):
        given = f"{type(extra).__name__} of {len(extra) if hasattr(extra, '__len__') else 0}"
        raise InputError("verify_with", given=given, expected="a tuple of the network's inputs", hint="(x,) for one")
    if isinstance(batches, bool) or not isinstance(batches, int) or batches < 0 or (batches == 0 and extra is None):
        raise InputError("batches", given=batches, expected="1 or more, or 0 beside a batch of your own (extra=)")
    graph = plan.graph
    inexact = tuple(
        f"{op_name(i.node.target)} in {module_of(i.node) or 'the network'}"
        for i in graph.walk.inexact
        if plan.removes(graph.unit_of[i.ids]).any()
    )
    cases: list[Case] = list(random_batches(graph, batches))
    if extra is not None:
        cases.append((extra, graph.kwargs))
    expected, results, dtype = _run_both(plan, small, cases)
    worst, scale = 0.0, 0.0
    for (args, kwargs), got, want in zip(cases, results, expected):
        gap, size = _largest(got, want)
        worst, scale = max(worst, gap), max(scale, size)
        if not worst <= _tolerance(dtype) * max(1.0, scale):
            raise _differs(plan, small, args, kwargs, worst, scale, dtype)
    informative = differ(expected)
    random_error = _on_random_weights(plan, small, cases[0], dtype)
    if random_error is None and not informative:
        raise SurgeryError(
            "the proof",
            given="outputs that are the same for every input and for any weights, or aren't finite",
            expected="outputs to compare",
            hint="pass a batch of real inputs (verify_with=, extra=)",
        )
    kind = "float64" if dtype is torch.float64 else "the network's own precision"
    return Verification(worst, scale, len(cases), kind, not inexact, inexact, informative, random_error)


def _tolerance(dtype: torch.dtype | None) -> float:
    return TOLERANCE if dtype is not None else OWN_TOLERANCE


def _run_both(
    plan: Plan, small: nn.Module, cases: Sequence[Case]
) -> tuple[list[list[Tensor]], list[list[Tensor]], torch.dtype | None]:
    """The masked original's outputs, the shrunk network's, and their precision.

    That is float64, or the network's own (None) where an operation insists on it.
    """
    for dtype in (torch.float64, None):
        try:
            original, twin = MaskedOriginal(plan, dtype), _twin(small, dtype)
            expected = [_called(original, case, dtype) for case in cases]
        except RuntimeError:
            if dtype is not None:
                continue
            with running("inputs of the proof", cases):
                raise
        try:
            return expected, [_outputs(twin, *case, dtype) for case in cases], dtype
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            if dtype is not None and isinstance(error, RuntimeError):
                continue
            raise SurgeryError(
                "the shrunk network fails on its input",
                given=first_line(error),
                expected="the masked original's output",
                hint=_where_sizes_are_fixed(plan),
            ) from error
    raise AssertionError


def _called(original: MaskedOriginal, case: Case, dtype: torch.dtype | None) -> list[Tensor]:
    args, kwargs = to_all(case, dtype, original.device)
    return original(*args, **kwargs)


def outputs_of(model: nn.Module, args: Any, kwargs: Any, dtype: torch.dtype | None) -> list[Tensor]:
    """The tensors among a network's outputs, computed by a copy in another precision.

    Args:
        model: left as found.
        args: its inputs.
        kwargs: keyword inputs.
        dtype: of the copy; None for the network's own.
    """
    return _outputs(_twin(model, dtype), args, kwargs, dtype)


def _outputs(twin: nn.Module, args: Any, kwargs: Any, dtype: torch.dtype | None) -> list[Tensor]:
    args, kwargs = to_all((args, kwargs), dtype, device_of(twin))
    with evaluating(twin), torch.no_grad():
        out = twin(*args, **kwargs)
    return tensors_of(out)


def tensors_of(out: Any) -> list[Tensor]:
    """The tensors among outputs of any form, in order.

    Args:
        out: a tensor, or tuples, lists, dicts and libraries' own containers of some.
    """
    return [v for v in torch.utils._pytree.tree_leaves(_plain(out)) if isinstance(v, Tensor)]


def _largest(got: Sequence[Tensor], want: Sequence[Tensor]) -> tuple[float, float]:
    """The largest difference of several outputs, and the largest of what they should be."""
    found = [difference(a, b) for a, b in zip(got, want)]
    worst = max((d for d, _ in found), default=0.0)
    return math.inf if len(got) != len(want) else worst, max((s for _, s in found), default=0.0)


def differ(several: Sequence[Sequence[Tensor]]) -> bool:
    """Whether outputs differ between cases, beyond rounding; a single case is told by its rows.

    Args:
        several: a case's outputs, each.
    """
    for values in zip(*several):
        rows = list(values[0]) if len(values) == 1 and values[0].ndim else list(values)
        for other in rows[1:]:
            gap, scale = difference(other, rows[0])
            if not gap <= ROUNDING * scale:
                return True
    return False


def _differs(
    plan: Plan, small: nn.Module, args: Any, kwargs: Any, worst: float, scale: float, dtype: torch.dtype | None
) -> SurgeryError:
    first = _first_difference(plan, small, args, kwargs)
    return SurgeryError(
        "the shrunk network differs from its masked original",
        given=f"by {worst:.3g} at outputs up to {scale:.3g}; first at {first}",
        expected=f"at most {_tolerance(dtype) * max(1.0, scale):.3g}",
        hint="freeze that module (frozen=[...]) and report the case: nothing was changed in your network",
    )


def _on_random_weights(plan: Plan, small: nn.Module, case: Case, dtype: torch.dtype | None) -> float | None:
    """The largest relative difference with weights that leave no unit silent, None where they tell nothing.

    Branches that a network's own weights switch off (a scale of zero, a bias far below) can be wired wrongly and still
    compute the same; the wiring doesn't depend on the weights, so it is proved on others too.
    """
    big, cut = _twin(plan.graph.model, dtype), _twin(small, dtype)
    try:
        if not _randomise(plan, big, cut, 0):
            return None
        want = _called(MaskedOriginal(plan, dtype, big), case, dtype)
        got = _outputs(cut, *case, dtype)
        _randomise(plan, big, cut, 1)
        other = _called(MaskedOriginal(plan, dtype, big), case, dtype)
    except (RuntimeError, ValueError, TypeError, AssertionError):
        return None
    if not differ([want, other]) or not all(torch.isfinite(v).all() for v in want):
        return None
    gap, scale = _largest(got, want)
    if not gap <= _tolerance(dtype) * max(1.0, scale):
        _randomise(plan, big, cut, 0)
        raise _differs(plan, cut, *case, gap, scale, dtype)
    return gap / max(1.0, scale)


def _randomise(plan: Plan, big: nn.Module, small: nn.Module, seed: int) -> bool:
    """The same random parameters in both, cut in the small one; False where their names or shapes don't tell how."""
    own, kept, rng = dict(small.named_parameters()), kept_indices(plan), generator(seed, "verify", "weights")
    with torch.no_grad():
        for name, p in big.named_parameters():
            if not p.is_floating_point():
                continue
            if p.ndim < 2:  # biases, scales: all of them on, and no rectifier off
                value = 0.5 + torch.rand(p.shape, generator=rng, dtype=torch.float64)
            else:
                value = torch.randn(p.shape, generator=rng, dtype=torch.float64)
                value = value * math.sqrt(p.shape[0] / max(p.numel(), 1))
            p.copy_(value)
            part = p.detach()
            for axis, indices in kept.get(name, {}).items():
                part = part.index_select(axis, torch.from_numpy(indices).to(p.device))
            if name not in own or own[name].shape != part.shape:
                return False
            own[name].copy_(part)
    return True


def require_same_function(model: nn.Module, other: nn.Module, graph: ShrinkGraph, tolerance: float, what: str) -> None:
    """Run two networks on inputs like the graph's example, in float64, or in their own precision if they insist on it.

    Args:
        model: left as found.
        other: whose outputs it must have.
        graph: whose example.
        tolerance: of the largest output, in float64.
        what: the network is, for the error.

    Raises:
        SurgeryError: they differ.
    """
    cases = list(random_batches(graph, 2))
    try:
        found = [_largest(*(outputs_of(m, *case, torch.float64) for m in (model, other))) for case in cases]
    except RuntimeError:
        found = [_largest(*(outputs_of(m, *case, None) for m in (model, other))) for case in cases]
        tolerance = OWN_TOLERANCE
    for worst, scale in found:
        if not worst <= tolerance * max(1.0, scale):
            raise SurgeryError(
                what,
                given=f"outputs that differ by {worst:.3g} where the largest is {scale:.3g}",
                expected=f"at most {tolerance * max(1.0, scale):.3g}",
                hint="nothing was changed in your network; please report the case",
            )


def difference(a: Tensor, b: Tensor) -> tuple[float, float]:
    """(largest |a - b|, largest finite |b|): infinite for other shapes, or where just one is NaN or infinite.

    Python's max() drops NaN and an infinite scale would allow anything, so both are settled here. Outputs without a
    single finite entry prove nothing, and differ infinitely.

    Args:
        a: an output.
        b: what it should be.
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
    twin = copied(small)
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
