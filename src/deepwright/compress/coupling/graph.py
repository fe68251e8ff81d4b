"""The one picture of a network that everything which shrinks stands on: coupled units over a `torch.export` graph.

Every axis of every parameter is labelled element by element (`labels`), every operation says what it ties (`rules`),
and the connected components are the *units*: the smallest sets of entries that can be removed together. Units that
touch the same axes form a *group*, a layer's width to the person who reads it.

Example:
    >>> graph = ShrinkGraph.from_module(model, torch.rand(2, 3, 32, 32))  # doctest: +SKIP
    >>> print(graph.describe())  # doctest: +SKIP
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.arguments import require_batch
from deepwright.compress.coupling.axes import POLICIES, Birth, Labels, LabelSpace
from deepwright.compress.coupling.groups import Group, consumed_components, groups_of
from deepwright.compress.coupling.nodes import module_of, op_name, shape_of, source_of
from deepwright.compress.coupling.rules.table import RULES
from deepwright.compress.coupling.walk import Walk, flat_labels, frozen_like
from deepwright.compress.exporting import export_program
from deepwright.compress.whole_heads import WholeHeads
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network
from deepwright.core.results import Table

# Sources of ties that no node made.
ASKED, FIXED_ATTENTION, TOGETHER = -1, -2, -3
_REASONS = {
    ASKED: "asked to stay (frozen=...)",
    TOGETHER: "asked to go with something else (together=...)",
    FIXED_ATTENTION: "nn.MultiheadAttention loses whole heads only, and none with bias_k or zero attention",
}


@dataclass(frozen=True)
class Unsupported:
    """An operation that no rule knows: its inputs are frozen.

    Attributes:
        op: its name.
        fqn: the module that calls it.
        source_line: where.
    """

    op: str
    fqn: str
    source_line: str


@dataclass
class ShrinkGraph:
    """A network's units and groups. Build it with `from_module`.

    Attributes:
        model: the network, untouched.
        example: its example inputs, where it lives and in its dtype.
        kwargs: keyword inputs.
        program: its exported program.
        walk: what each operation said of its labels.
        space: labels and ties.
        component: (labels,) which go together; 0 is frozen.
        groups: what can be pruned, in the order of use.
        unsupported: operations without a rule.
        unit_of: (labels,) the number of each label's unit over all groups, -1 where it is frozen.
        options: what it was made with.
    """

    model: nn.Module
    example: tuple[Any, ...]
    kwargs: dict[str, Any]
    program: Any
    walk: Walk
    space: LabelSpace
    component: np.ndarray
    groups: list[Group]
    unsupported: list[Unsupported]
    unit_of: np.ndarray = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_module(
        cls,
        model: nn.Module,
        example_inputs: Any,
        *,
        attention: str = "heads",
        on_norm: str = "allow",
        frozen: Sequence[str] = (),
        together: Sequence[tuple[str, str]] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> ShrinkGraph:
        """Export a network and find its units.

        Args:
            model: any module that `torch.export` takes; left as found.
            example_inputs: a tensor or a tuple of them, as the network is called.
            attention: what goes where attention splits an axis: whole "heads", the width of every head ("head_dim"),
                or nothing ("freeze").
            on_norm: "allow" units of an axis that a layer or group norm runs over (their removal changes its
                statistics: such groups are not `exact`), or "freeze" them.
            frozen: names of modules or parameters that must stay as they are, or one axis as `fc.weight[0]`.
            together: pairs of axes, as ("embed.weight[0]", "attn.qkv.weight[0]"), whose entries go together position by
                position, the shorter one repeated: code that computes one width from another (`C // heads`) can't be
                seen in a graph.
            kwargs: keyword inputs.

        Raises:
            ExportError: the network can't be exported; names the source line.
            InputError: arguments, or a name in `frozen` that is no parameter's; a network all of whose weights are
                computed at each call (weight norm, parametrizations). Where some are, a warning names their layers.
        """
        if attention not in POLICIES or on_norm not in ("allow", "freeze"):
            raise InputError(
                "ShrinkGraph",
                given=f"attention={attention!r}, on_norm={on_norm!r}",
                expected=f"one of {POLICIES}, 'allow' or 'freeze'",
            )
        require_network(model)
        if isinstance(frozen, str):
            raise InputError("frozen", given=repr(frozen), expected="a list of names", hint=f"frozen=[{frozen!r}]")
        given = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
        require_batch(given, "example_inputs")
        example, kwargs = to_model(given, model), to_model(kwargs or {}, model)
        _require_finite((example, kwargs))
        program = export_program(model, example, kwargs)
        space = LabelSpace(attention)
        walk = Walk(space, on_norm, RULES)
        nodes = list(program.graph.nodes)
        _place_parameters(program, walk, nodes, _canonical_names(model))
        _freeze_named(model, space, frozen)
        for position, node in enumerate(nodes):
            space.where = position
            if node.op == "call_function":
                walk.labels[node] = _visit(walk, node)
            elif node.op == "output":
                for used in node.all_input_nodes:
                    for labels in flat_labels(walk.labels.get(used)):
                        space.freeze_all(labels)
            elif node not in walk.labels:
                walk.labels[node] = frozen_like(node.meta.get("val"))
        _tie_named(space, together)
        component = consumed_components(space, walk)
        groups, unit_of = groups_of(space, walk, component)
        unsupported = [Unsupported(op_name(n.target), module_of(n), source_of(n)) for n in walk.unsupported]
        _tell_computed(model, unsupported, bool(groups))
        options = {"attention": attention, "on_norm": on_norm, "frozen": tuple(frozen), "together": tuple(together)}
        return cls(model, example, kwargs, program, walk, space, component, groups, unsupported, unit_of, options)

    def __reduce__(self) -> Any:
        """In another process the network is exported again: programs don't travel."""
        return _rebuilt, (self.model, self.example, self.kwargs, self.options)

    def __getitem__(self, name: str) -> Group:
        """A group by its name."""
        for group in self.groups:
            if group.name == name:
                return group
        raise InputError("group", given=repr(name), expected="one of " + ", ".join(g.name for g in self.groups))

    @property
    def units(self) -> int:
        """Number of units in all groups."""
        return sum(g.size for g in self.groups)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Each group's first unit in the numbering over all groups."""
        starts = np.cumsum([0, *(g.size for g in self.groups)])
        return {g.name: int(s) for g, s in zip(self.groups, starts)}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter and buffer that the graph uses."""
        state = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        return {fqn: tuple(state[fqn].shape) for fqn in {b.fqn for b in self.space.births}}

    def why_frozen(self, fqn: str, axis: int) -> list[str]:
        """The chain of operations from an axis to what froze it; empty when it isn't frozen.

        Args:
            fqn: a parameter or buffer.
            axis: of it.
        """
        birth = self._birth(fqn, axis)
        ids = np.arange(birth.start, birth.start + birth.size)
        stuck = ids[self.component[ids] == 0]
        if len(stuck) == 0:
            return []
        nodes = list(self.program.graph.nodes)
        chain: list[str] = []
        for _, source in self.space.path_to_frozen(int(stuck[0])):
            line = _REASONS[source] if source < 0 else _tell(nodes[source], self.walk)
            if not chain or chain[-1] != line:
                chain.append(line)
        return chain

    def _birth(self, fqn: str, axis: int) -> Birth:
        for birth in self.space.births:
            if birth.fqn == fqn and birth.axis == axis:
                return birth
        known = sorted({b.fqn for b in self.space.births})
        raise InputError(
            "axis", given=f"{fqn!r}, axis {axis}", expected="an axis longer than 1 of " + ", ".join(known[:20])
        )

    def frozen_axes(self) -> list[tuple[str, int, int, int]]:
        """(fqn, axis, entries, frozen entries) of every axis of a weight that can't wholly be pruned."""
        rows = []
        for birth in self.space.births:
            ids = np.arange(birth.start, birth.start + birth.size)
            stuck = int((self.component[ids] == 0).sum())
            if stuck and birth.axis < 2:
                rows.append((birth.fqn, birth.axis, birth.size, stuck))
        return rows

    def table(self) -> Table:
        """One row a group."""
        rows = [
            [
                g.name,
                g.size,
                ", ".join(f"{f}[{a}]" for f, a in g.producers[:3]) + (" ..." if len(g.producers) > 3 else ""),
                len(g.consumers),
                "yes" if g.exact else "no: a norm runs over it",
            ]
            for g in self.groups
        ]
        caption = f"{len(self.groups)} groups, {self.units} units"
        return Table(["group", "units", "producers", "consumers", "exact"], rows, caption)  # type: ignore[arg-type]

    def describe(self) -> str:
        """What can be pruned, and what is frozen and why, as text."""
        lines = [self.table().caption]
        for g in self.groups:
            inexact = "" if g.exact else "  (inexact: a norm runs over it)"
            lines.append(
                f"  {g.name}: {g.size} units, {len(g.producers)} producers, {len(g.consumers)} consumers{inexact}"
            )
        frozen = self.frozen_axes()
        if frozen:
            lines.append("frozen axes:")
        for fqn, axis, size, stuck in frozen:
            chain = self.why_frozen(fqn, axis)
            part = "" if stuck == size else f" ({stuck} of {size})"
            lines.append(f"  {fqn}[{axis}]{part}: {chain[-1] if chain else 'input or output'}")
        for u in self.unsupported:
            lines.append(f"  no rule for {u.op} in {u.fqn or 'the network'}: {u.source_line}")
        return "\n".join(lines)


def _require_finite(inputs: Any) -> None:
    """Random inputs of a proof are like the example's, so that NaN would be all that they are."""
    for value in torch.utils._pytree.tree_leaves(inputs):
        if isinstance(value, Tensor) and value.is_floating_point() and value.isnan().any():
            raise InputError("example_inputs", given="NaN", expected="numbers")


def _tell_computed(model: nn.Module, unsupported: Sequence[Unsupported], any_left: bool) -> None:
    """Layers whose weights are computed at each call by what has no rule: nothing of them can be removed."""
    old = {name for name, module in model.named_modules() if "weight_g" in module._parameters}
    named = [u.fqn.partition(".parametrizations")[0] for u in unsupported if ".parametrizations" in u.fqn]
    layers = list(dict.fromkeys([*named, *(u.fqn for u in unsupported if u.fqn in old)]))
    if not layers:
        return
    given = f"weights that are computed at each call, in {', '.join(layers[:5])}{', ...' if len(layers) > 5 else ''}"
    hint = (
        "make them plain: torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight'), or "
        "torch.nn.utils.remove_weight_norm(layer) of the older kind"
    )
    if not any_left:
        raise InputError("model", given=given, expected="weights that are parameters", hint=hint)
    warnings.warn(f"nothing is removed from {given}; {hint}", stacklevel=3)


def _rebuilt(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
) -> ShrinkGraph:
    return ShrinkGraph.from_module(model, example, kwargs=kwargs, **options)


def _visit(walk: Walk, node: Node) -> Any:
    try:
        return walk.visit(node)
    except (AssertionError, IndexError, KeyError, StopIteration, ValueError, TypeError, AttributeError):
        return walk.give_up(node)  # a call that the rule wasn't written for: frozen and listed, never guessed


def _canonical_names(model: nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer -> the first name of the same tensor."""
    first: dict[int, str] = {}
    names = {}
    for kind in (model.named_parameters, model.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            names[name] = first.setdefault(id(tensor), name)
    return names


def _place_parameters(program: Any, walk: Walk, nodes: list[Node], canonical: dict[str, str]) -> None:
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    known: dict[str, Labels] = {}
    for node in nodes:
        if node.op != "placeholder" or node.name not in names or not isinstance(node.meta.get("val"), Tensor):
            continue
        fqn = canonical.get(names[node.name], names[node.name])
        if fqn not in known:
            known[fqn] = walk.space.born(fqn, shape_of(node))
        walk.labels[node] = known[fqn]
        walk.parameters.add(node)


def _freeze_named(model: nn.Module, space: LabelSpace, frozen: Sequence[str]) -> None:
    """Freeze what the user named, and attention modules whose own checks tie their width to the input's."""
    attention = [n for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention) and _fixed(m, space)]
    for names, reason in ((frozen, ASKED), (attention, FIXED_ATTENTION)):
        space.where = reason
        for name in names:
            inside = [b for b in space.births if _is_named(b, name)]
            if not inside and reason == ASKED:
                raise InputError(
                    "frozen",
                    given=repr(name),
                    expected="a module, a parameter, or an axis such as 'fc.weight[0]' of the network",
                )
            for b in inside:
                space.freeze(np.arange(b.start, b.start + b.size))


def _tie_named(space: LabelSpace, together: Sequence[tuple[str, str]]) -> None:
    """Tie the axes that the user named, the shorter one as often as it fits."""
    space.where = TOGETHER
    named = {f"{b.fqn}[{b.axis}]": np.arange(b.start, b.start + b.size) for b in space.births}
    for pair in together:
        unknown = [name for name in pair if name not in named]
        if unknown or len(pair) != 2:
            given = repr(unknown[0]) if unknown else repr(pair)
            raise InputError(
                "together", given=given, expected="pairs of axes such as ('fc.weight[0]', 'qkv.weight[0]')"
            )
        short, long = sorted((named[name] for name in pair), key=len)
        if len(long) % len(short):
            raise InputError("together", given=f"axes of {len(short)} and {len(long)}", expected="a multiple")
        space.tie(np.tile(short, len(long) // len(short)), long)


def _fixed(module: nn.MultiheadAttention, space: LabelSpace) -> bool:
    """Whether nothing of it can go: attention of whole heads does without these."""
    own_forward = type(module).forward not in (nn.MultiheadAttention.forward, WholeHeads.forward)
    return space.attention != "heads" or module.bias_k is not None or module.add_zero_attn or own_forward


def _is_named(birth: Birth, name: str) -> bool:
    if name.endswith("]"):
        return f"{birth.fqn}[{birth.axis}]" == name
    return name == "" or birth.fqn == name or birth.fqn.startswith(f"{name}.")


def _tell(node: Node, walk: Walk) -> str:
    where = module_of(node)
    place = f" in {where}" if where else ""
    if node.op == "output":
        return "the network's output"
    note = f" ({walk.notes[node]})" if node in walk.notes else ""
    return f"{op_name(node.target)}{place}{note}: {source_of(node)}"
