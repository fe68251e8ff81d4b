"""The one picture of a network that everything which shrinks stands on: coupled units over a `torch.export` graph.

Every axis of every parameter is labelled element by element (`labels`), every operation says what it ties (`rules`),
and the connected components are the *units*: the smallest sets of entries that can be removed together. Units that
touch the same axes form a *group*, a layer's width to the person who reads it.

Example:
    >>> graph = ShrinkGraph.from_module(model, torch.rand(2, 3, 32, 32))  # doctest: +SKIP
    >>> print(graph.describe())  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.coupling.axes import POLICIES, Birth, Labels, LabelSpace
from deepwright.compress.coupling.rules.pointwise import pointwise
from deepwright.compress.coupling.rules.table import RULES
from deepwright.compress.coupling.walk import Walk, flat_labels, frozen_like, op_name, shape_of
from deepwright.compress.errors import ExportError, ShapeError
from deepwright.core.errors import InputError
from deepwright.core.inference import device_of, evaluating
from deepwright.core.results import Table

Axis = tuple[str, int]

# Sources of ties that no node made.
ASKED, FIXED_ATTENTION = -1, -2
_REASONS = {
    ASKED: "asked to stay (frozen=...)",
    FIXED_ATTENTION: "nn.MultiheadAttention checks its widths against its input's",
}


@dataclass(frozen=True)
class Unsupported:
    """An operation that no rule knows: its inputs are frozen."""

    op: str
    fqn: str
    source_line: str


@dataclass(frozen=True)
class Member:
    """What a group's units hold of one axis: entry `indices[i]` belongs to unit `units[i]`."""

    fqn: str
    axis: int
    indices: np.ndarray
    units: np.ndarray


@dataclass(frozen=True)
class Group:
    """Units that touch the same axes of the same tensors.

    Attributes:
        name: of the first module whose output these are.
        size: number of units.
        members: what the units hold of each axis.
        producers: axes that make the values (rows of a weight); consumers: axes that are summed over.
        exact: whether removing units leaves the rest of the arithmetic as it was (no norm over them).
    """

    name: str
    size: int
    members: tuple[Member, ...]
    producers: tuple[Axis, ...]
    consumers: tuple[Axis, ...]
    exact: bool

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self.name == other.name and self.size == other.size


@dataclass
class ShrinkGraph:
    """A network's units and groups. Build it with `from_module`.

    Attributes:
        model: the network, untouched.
        example: its example inputs.
        groups: what can be pruned, in the order of use.
        unsupported: operations without a rule.
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
    """(labels,) the number of each label's unit over all groups, -1 where it is frozen."""
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    """What it was made with."""

    @classmethod
    def from_module(
        cls,
        model: nn.Module,
        example_inputs: Any,
        *,
        attention: str = "heads",
        on_norm: str = "allow",
        frozen: Sequence[str] = (),
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
            kwargs: keyword inputs.

        Raises:
            ExportError: the network can't be exported; names the source line.
            InputError: arguments, or a name in `frozen` that is no parameter's.
        """
        if attention not in POLICIES or on_norm not in ("allow", "freeze"):
            raise InputError(
                "ShrinkGraph",
                given=f"attention={attention!r}, on_norm={on_norm!r}",
                expected=f"one of {POLICIES}, 'allow' or 'freeze'",
            )
        example = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
        program = export_program(model, example, kwargs or {})
        space = LabelSpace(attention)
        walk = Walk(space, on_norm, RULES, pointwise)
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
        component = space.components()
        component = _drop_unconsumed(space, walk, component)
        groups, unit_of = _groups(space, walk, component)
        unsupported = [Unsupported(op_name(n.target), module_of(n), source_of(n)) for n in walk.unsupported]
        options = {"attention": attention, "on_norm": on_norm, "frozen": tuple(frozen)}
        return cls(model, example, kwargs or {}, program, walk, space, component, groups, unsupported, unit_of, options)

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
        """The chain of operations from an axis to what froze it; empty when it isn't frozen."""
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


def _rebuilt(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
) -> ShrinkGraph:
    return ShrinkGraph.from_module(model, example, kwargs=kwargs, **options)


def export_program(model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`torch.export` in eval mode, with errors that name the source line.

    Raises:
        ShapeError: the network doesn't run on the example.
        ExportError: it runs but can't be exported.
    """
    device = device_of(model)
    example = tuple(e.to(device) if isinstance(e, Tensor) else e for e in example)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluating(model):
            try:
                with torch.no_grad():
                    model(*example, **kwargs)
            except (RuntimeError, TypeError, ValueError) as error:
                raise ShapeError(
                    "example_inputs",
                    given=f"{[tuple(e.shape) for e in example if isinstance(e, Tensor)]}: {str(error).splitlines()[0]}",
                    expected="inputs that the network takes",
                ) from error
            try:
                return torch.export.export(model, example, kwargs)
            except Exception as error:
                raise ExportError(error) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


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
    attention = [n for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)]
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


def _is_named(birth: Birth, name: str) -> bool:
    if name.endswith("]"):
        return f"{birth.fqn}[{birth.axis}]" == name
    return name == "" or birth.fqn == name or birth.fqn.startswith(f"{name}.")


def _drop_unconsumed(space: LabelSpace, walk: Walk, component: np.ndarray) -> np.ndarray:
    """Units that nothing sums over can't be cut anywhere: frozen."""
    consumed = np.zeros(component.max() + 1, bool)
    for ids in (*walk.consumed, *walk.summed):
        consumed[component[ids.ravel()]] = True
    return np.where(consumed[component], component, 0)


def _groups(space: LabelSpace, walk: Walk, component: np.ndarray) -> tuple[list[Group], np.ndarray]:
    """Units with the same set of axes, by a random hash of that set."""
    births = space.births
    unit_of = np.full(space.count, -1)
    if not births:
        return [], unit_of
    owner = np.zeros(space.count, int)  # birth of each label
    for i, b in enumerate(births):
        owner[b.start : b.start + b.size] = i
    live = np.flatnonzero(component > 0)
    if len(live) == 0:
        return [], unit_of
    pairs = np.unique(np.stack([component[live], owner[live]], 1), axis=0)
    marks = np.random.default_rng(0).integers(1, 2**62, len(births), dtype=np.int64)
    signature = np.zeros(component.max() + 1, np.int64)
    np.add.at(signature, pairs[:, 0], marks[pairs[:, 1]])
    first = np.full(component.max() + 1, space.count)
    np.minimum.at(first, component[live], live)
    ids = np.unique(pairs[:, 0])
    keys, inverse = np.unique(signature[ids], return_inverse=True)
    order = np.full(len(keys), space.count)
    np.minimum.at(order, inverse, first[ids])
    consumed, produced, changed = _roles(space, walk)
    groups: list[Group] = []
    used = 0
    for key in np.argsort(order):
        parts = ids[inverse == key]
        parts = parts[np.argsort(first[parts])]
        number = np.full(component.max() + 1, -1)
        number[parts] = np.arange(len(parts))
        members, producers, consumers = [], [], []
        for i in sorted(set(pairs[np.isin(pairs[:, 0], parts), 1].tolist())):
            b = births[i]
            units = number[component[b.start : b.start + b.size]]
            here = np.flatnonzero(units >= 0)
            members.append(Member(b.fqn, b.axis, here, units[here]))
            mine = b.start + here
            if consumed[mine].any():
                consumers.append((b.fqn, b.axis))
            elif produced[mine].any():
                producers.append((b.fqn, b.axis))
        exact = not changed[component_members(component, parts)].any()
        label = producers[0][0] if producers else members[0].fqn
        name = label.rsplit(".", 1)[0] if "." in label else label
        taken = {g.name for g in groups}
        if name in taken:
            name = next(n for k in range(2, len(births) + 3) if (n := f"{name}#{k}") not in taken)
        groups.append(Group(name, len(parts), tuple(members), tuple(producers), tuple(consumers), exact))
        inside = np.flatnonzero(number[component] >= 0)
        unit_of[inside] = used + number[component[inside]]
        used += len(parts)
    return groups, unit_of


def component_members(component: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """All labels of some components."""
    return np.flatnonzero(np.isin(component, parts))


def _roles(space: LabelSpace, walk: Walk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels that are summed over, labels that are the outputs of weights, labels under a norm)."""
    consumed, produced, changed = (np.zeros(space.count, bool) for _ in range(3))
    for ids in walk.consumed:
        consumed[ids.ravel()] = True
    for ids in walk.produced:
        produced[ids.ravel()] = True
    for item in walk.inexact:
        changed[item.ids.ravel()] = True
    return consumed, produced, changed


def module_of(node: Node) -> str:
    """The fully qualified name of the innermost module that ran a node."""
    stack = node.meta.get("nn_module_stack") or {}
    return list(stack.values())[-1][0] if stack else ""


def source_of(node: Node) -> str:
    """The innermost line of user code behind a node, as `file:line: text`."""
    return last_line(node.meta.get("stack_trace") or "")


def last_line(trace: str) -> str:
    """The last frame of a stack trace, in one line."""
    lines = [line.strip() for line in trace.strip().splitlines() if line.strip()]
    places = [i for i, line in enumerate(lines) if line.startswith('File "')]
    if not places:
        return ""
    own = [i for i in places if "/torch/" not in lines[i]]
    at = (own or places)[-1]
    file, _, rest = lines[at].removeprefix('File "').partition('", line ')
    number = rest.split(",")[0]
    return f"{file}:{number}: {lines[at + 1] if at + 1 < len(lines) else ''}"


def _tell(node: Node, walk: Walk) -> str:
    where = module_of(node)
    place = f" in {where}" if where else ""
    if node.op == "output":
        return "the network's output"
    note = f" ({walk.notes[node]})" if node in walk.notes else ""
    return f"{op_name(node.target)}{place}{note}: {source_of(node)}"
