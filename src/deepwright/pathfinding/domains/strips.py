"""Classical planning tasks as a domain: a state says of each fact whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.identity import digest
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError
from deepwright.pathfinding.domains.pddl import Atom, Schema, Task, read_task

_MOST = 100_000  # ground actions
_CELLS = 20_000_000  # numbers of states, actions and facts at once
Ground = tuple[str, frozenset[Atom], frozenset[Atom], frozenset[Atom], frozenset[Atom]]


class Strips(Domain):
    """A task of facts and actions, as PDDL says it; every action costs 1.

    A state has a 1 for each fact that holds, of those that can ever change and that something can make true. A goal
    names some facts as 1 or 0, and has -1 where anything will do: (facts,) int16.

    Args:
        task: see `read_task`.

    Attributes:
        facts: their names, in the order of a state's cells.
        names: of the actions.
        start: where the task begins.
        wanted: its goal.

    Raises:
        InputError: no action can ever be taken, or there are too many.

    Example:
        >>> from deepwright.pathfinding import LowerBoundHeuristic, bwas
        >>> domain = "(define (domain lamp) (:predicates (on)) (:action press :effect (on)))"
        >>> task = Strips.from_pddl(domain, "(define (problem p) (:domain lamp) (:init) (:goal (on)))")
        >>> [task.names[a] for a in bwas(task, task.start, task.wanted, LowerBoundHeuristic(task)).actions]
        ['press']
    """

    num_values = 2

    def __init__(self, task: Task) -> None:
        actions = _reachable(task, list(_grounded(task)))
        fluent = {a[0] for s in task.schemas for a in (*s.added, *s.removed)}
        asked = set(task.true) | set(task.false)
        changing = {a for _, _, _, added, _ in actions for a in added} | {a for a in task.init if a[0] in fluent}
        facts = sorted(changing | asked)
        if not actions or not facts:
            raise InputError("PDDL", given="no action that can ever be taken", expected="one or more")
        self.facts = tuple(f"{a[0]}({','.join(a[1:])})" for a in facts)
        self.names = tuple(name for name, *_ in actions)
        place = {atom: i for i, atom in enumerate(facts)}
        self.name, self.state_shape, self.num_actions = f"pddl.{task.name}", (len(facts),), len(actions)
        self.true, self.false, self.added, self.removed = (
            _table([cast(frozenset[tuple[str, ...]], action[k]) for action in actions], place) for k in range(1, 5)
        )
        self.removed &= ~self.added  # what is removed and added holds
        self.start = _row(task.init, place)
        self.wanted = torch.full((len(facts),), -1, dtype=torch.int16)
        self.wanted[_row(task.false, place).bool()] = 0
        self.wanted[_row(task.true, place).bool()] = 1

    @classmethod
    def from_pddl(cls, domain: str, problem: str) -> Strips:
        """A task of two texts.

        Args:
            domain: in PDDL, of STRIPS with types, negative preconditions and equality.
            problem: likewise.

        Raises:
            InputError: what isn't that, with the line.
        """
        return cls(read_task(domain, problem))

    @classmethod
    def from_files(cls, domain: Path | str, problem: Path | str) -> Strips:
        """A task of two files.

        Args:
            domain: of the domain.
            problem: of the problem.

        Raises:
            InputError: files that can't be read, or what isn't PDDL of the kind that `from_pddl` takes.
        """
        texts = []
        for path in (domain, problem):
            with reading(f"cannot read {path}", "PDDL as text", path):
                texts.append(Path(path).read_text(encoding="utf-8"))
        return cls.from_pddl(*texts)

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`.

        Args:
            states: (B, facts).
        """
        self._move(states.device)
        held = states[:, None].bool()
        after = (held & ~self.removed) | self.added
        valid = self._valid(states)
        return Children(after.to(torch.uint8), torch.ones(valid.shape, device=states.device), valid)

    def step(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Domain.step`; no other child is made.

        Args:
            states: (B, facts).
            actions: (B,).
        """
        self._move(states.device)
        held = states.bool()
        valid = ~((self.true[actions] & ~held) | (self.false[actions] & held)).any(1)
        after = ((held & ~self.removed[actions]) | self.added[actions]).to(torch.uint8)
        return torch.where(valid[:, None], after, states), torch.ones(len(states), device=states.device), valid

    def is_goal(self, states: Tensor, goals: Tensor) -> Bool[Tensor, " b"]:
        """Whether all that a goal names is so.

        Args:
            states: (B, facts).
            goals: (B, facts), -1 where anything will do.
        """
        return ((goals < 0) | (states == goals)).all(1)

    def lower_bound(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """h_max: what the costliest fact of the goal takes if nothing is ever removed; infinity where nothing makes it.

        Facts that are not to hold, and preconditions of that kind, are counted as free.

        Args:
            states: (B, facts).
            goals: (B, facts), -1 where anything will do.

        Source: B. Bonet and H. Geffner, "Planning as heuristic search", Artificial Intelligence 129, 2001.
        """
        self._move(states.device)
        part = max(_CELLS // self.true.numel(), 1)
        pairs = zip(states.split(part), goals.split(part))
        found = [self._hardest(s, g) for s, g in pairs]
        return torch.cat(found) if found else torch.zeros(0, device=states.device)

    def _hardest(self, states: Tensor, goals: Tensor) -> Tensor:
        cost = torch.where(states.bool(), 0.0, torch.inf)
        while True:
            reached = cost[:, None].masked_fill(~self.true, 0).amax(2)  # of each action
            made = (reached[:, :, None] + 1).masked_fill(~self.added, torch.inf).amin(1)
            better = torch.minimum(cost, made)
            if bool((better == cost).all()):
                return cost.masked_fill(goals != 1, 0).amax(1)
            cost = better

    def goal_from_state(self, states: Tensor) -> Tensor:
        """Goals that name every fact of a state.

        Args:
            states: (B, facts).
        """
        return states.to(torch.int16)

    def starts(self, n: int, rng: torch.Generator) -> Tensor:
        """The task's own start, n times: where walks of training begin.

        Args:
            n: how many.
            rng: of no use here.
        """
        return self.start.expand(n, -1).clone()

    def require_goals(self, goals: Tensor, what: str = "goals") -> None:
        """See `Domain.require_goals`.

        Args:
            goals: (B, facts), -1 where anything will do.
            what: what they are called in the error.
        """
        super().require_goals(goals, what)
        if goals.shape[1:] != self.state_shape or bool(((goals < -1) | (goals > 1)).any()):
            given, expected = f"{tuple(goals.shape)} of {goals.dtype}", f"(B, {len(self.facts)}) of -1, 0 and 1"
            raise DomainError(f"{what} of {self.name}", given=given, expected=expected)

    def fingerprint(self) -> str:
        """See `Domain.fingerprint`: of all facts and actions."""
        tables = {name: getattr(self, name).cpu() for name in ("true", "false", "added", "removed")}
        return str(digest({**tables, "facts": self.facts}))

    def to_text(self, state: Tensor) -> str:
        """The facts that hold.

        Args:
            state: (facts,).
        """
        return " ".join(self.facts[i] for i in state.nonzero()[:, 0].tolist()) or "nothing"

    def _valid(self, states: Tensor) -> Tensor:
        """Which actions can be taken: no precondition is broken. Counts of broken ones are whole and small."""
        held = states.float()
        return (1 - held) @ self.true.T.float() + held @ self.false.T.float() == 0

    def _move(self, device: torch.device) -> None:
        if self.true.device != device:
            for name in ("true", "false", "added", "removed"):
                setattr(self, name, getattr(self, name).to(device))


def _row(atoms: Iterable[Atom], place: dict[Atom, int]) -> Tensor:
    row = torch.zeros(len(place), dtype=torch.uint8)
    row[[place[a] for a in atoms if a in place]] = 1
    return row


def _table(atoms: list[frozenset[Atom]], place: dict[Atom, int]) -> Tensor:
    """(actions, facts): facts that never change have no column."""
    return torch.stack([_row(some, place) for some in atoms]).bool()


def _grounded(task: Task) -> Iterator[Ground]:
    """Each action with objects for its variables, where what never changes lets it be."""
    fluent = {a[0] for s in task.schemas for a in (*s.added, *s.removed)}
    count = 0
    for schema in task.schemas:
        for binding in _bindings(schema, task, fluent):
            count += 1
            if count > _MOST:
                raise InputError("PDDL", given=f"more than {_MOST} actions of objects", expected="fewer objects")
            put = _substitution(binding)
            name = " ".join([schema.name, *(binding[v] for v, _ in schema.parameters)])
            true, false = (frozenset(put(a) for a in some if a[0] in fluent) for some in (schema.true, schema.false))
            yield name, true, false, frozenset(map(put, schema.added)), frozenset(map(put, schema.removed))


def _substitution(binding: dict[str, str]) -> Callable[[Atom], Atom]:
    def put(atom: Atom) -> Atom:
        return (atom[0], *(binding.get(x, x) for x in atom[1:]))

    return put


def _bindings(schema: Schema, task: Task, fluent: set[str]) -> Iterator[dict[str, str]]:
    """Objects for variables, one variable after another; what never changes is looked at as soon as it is known."""
    fixed = [(a, True) for a in schema.true if a[0] not in fluent]
    fixed += [(a, False) for a in schema.false if a[0] not in fluent]

    def fits(binding: dict[str, str]) -> bool:
        put = _substitution(binding)
        for atom, wanted in fixed:
            told = put(atom)
            if not any(x.startswith("?") for x in told[1:]):
                holds = told[1] == told[2] if told[0] == "=" else told in task.init
                if holds != wanted:
                    return False
        return True

    stack: list[dict[str, str]] = [{}]
    while stack:
        binding = stack.pop()
        if not fits(binding):
            continue
        if len(binding) == len(schema.parameters):
            yield binding
            continue
        variable, kind = schema.parameters[len(binding)]
        stack += [{**binding, variable: name} for name in reversed(task.objects[kind])]


def _reachable(task: Task, actions: list[Ground]) -> list[Ground]:
    """Those whose positive preconditions can come true if nothing is ever removed."""
    known, kept, waiting = set(task.init), list[Ground](), actions
    while True:
        ready = [a for a in waiting if a[1] <= known]
        if not ready:
            return sorted(kept, key=_first)
        kept += ready
        waiting = [a for a in waiting if not a[1] <= known]
        for action in ready:
            known |= action[3]


def _first(action: Ground) -> str:
    return action[0]
