"""Domains whose actions are permutations of a state's places: cubes, pancakes, whatever generators say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.cycles import read_cycles
from deepwright.pathfinding.domains.domain import Children, Domain

_PRODUCTS = 200_000  # numbers in a table of products


class PermutationDomain(Domain):
    """states' = states[generator]: place i takes what was in place generator[i].

    Args:
        generators: one permutation of 0..n-1 an action.
        goal: what is in each place of the goal; each place its own number where not given.
        name: of the domain.
        names: of the actions.
        add_inverses: also the inverses of generators that have none among them, named as these with a "^-1".

    Raises:
        InputError: no generators, something that is no permutation, or others of another length.
    """

    always_valid = True

    def __init_subclass__(cls) -> None:
        """A subclass that moves otherwise promises nothing, unless it says so itself."""
        super().__init_subclass__()
        if {"expand", "step"} & set(vars(cls)) and "always_valid" not in vars(cls):
            cls.always_valid = False

    def __init__(
        self,
        generators: Sequence[Sequence[int]],
        goal: Sequence[int] | None = None,
        *,
        name: str = "permutations",
        names: Sequence[str] | None = None,
        add_inverses: bool = False,
    ) -> None:
        if not generators:
            raise InputError("generators", given="none", expected="one permutation or more")
        n = len(generators[0])
        for number, one in enumerate(generators):
            if sorted(one) != list(range(n)):
                raise InputError(
                    f"generator {number}", given=list(one), expected=f"each of 0..{n - 1} once, as in the first"
                )
        if goal is not None and (len(goal) != n or min(goal) < 0 or max(goal) > 255):
            raise InputError("goal", given=list(goal), expected=f"{n} whole numbers in 0..255")
        if goal is None and n > 256:
            raise InputError("generators", given=f"of {n} places", expected="at most 256, or a goal with fewer values")
        if names is not None and len(names) != len(generators):
            raise InputError("names", given=len(names), expected=f"{len(generators)}, one a generator")
        self.name = name
        self.generators = torch.tensor([list(one) for one in generators])
        self.names = tuple(names) if names is not None else tuple(map(str, range(len(generators))))
        if add_inverses:
            self.generators, self.names = _closed(self.generators, self.names)
        self.goal = torch.tensor(list(range(n) if goal is None else goal), dtype=torch.uint8)
        self.state_shape, self.num_actions = (n,), len(self.generators)
        self.num_values = int(self.goal.max()) + 1
        self.inverse = _inverses(self.generators)

    @classmethod
    def from_cycles(
        cls,
        text: str | Sequence[str],
        goal: Sequence[int] | None = None,
        *,
        points: int | None = None,
        name: str = "permutations",
        add_inverses: bool = True,
    ) -> PermutationDomain:
        """Generators in GAP's cycle notation, as "(1,2,3)(4,5), (1,5)".

        Args:
            text: see `read_cycles`.
            goal: what is in each place of the goal; each place its own number where not given.
            points: how many places there are; the largest that is named where not given.
            name: of the domain.
            add_inverses: so that the generators' inverses are actions too.

        Raises:
            InputError: what isn't a list of permutations, with the column.

        Example:
            >>> from deepwright.pathfinding import growth
            >>> growth(PermutationDomain.from_cycles("(1,2), (1,2,3,4)"))  # of all 24
            [1, 3, 5, 6, 5, 3, 1]
        """
        return cls(read_cycles(text, points), goal, name=name, add_inverses=add_inverses)

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`: every action is valid and costs 1.

        Args:
            states: (B, n).
        """
        if self.generators.device != states.device:
            self.generators = self.generators.to(states.device)
        shape = (len(states), self.num_actions)
        whole = torch.ones(shape, device=states.device)
        return Children(states[:, self.generators], whole, whole.bool())

    def step(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Domain.step`; no other child is made.

        Args:
            states: (B, n).
            actions: (B,).
        """
        if self.generators.device != states.device:
            self.generators = self.generators.to(states.device)
        costs = torch.ones(len(states), device=states.device)
        return states.gather(1, self.generators[actions]), costs, costs.bool()

    def follow(self, states: Tensor, actions: Tensor) -> Tensor:
        """See `Domain.follow`: products of generators are looked up, so that few of them are applied.

        Args:
            states: (B, n).
            actions: (B, T); `num_actions` is none.
        """
        if not self.always_valid:
            return super().follow(states, actions)
        products, at_once = self._looked_up(states.device)
        base = self.num_actions + 1
        for some in actions.split(at_once, 1):
            index = torch.zeros(len(states), dtype=torch.long, device=states.device)
            for column in range(at_once):
                taken = some[:, column] if column < some.shape[1] else self.num_actions
                index = index * base + taken
            states = states.gather(1, products[index])
        return states

    def _looked_up(self, device: torch.device) -> tuple[Tensor, int]:
        """All products of as many actions, or none, as a table of moderate size holds."""
        kept: tuple[Tensor, int] | None = self.__dict__.get("_products")
        if kept is None or kept[0].device != device:
            n = self.generators.shape[1]
            single = torch.cat([self.generators.to(device), torch.arange(n, device=device)[None]])
            found, at_once = single, 1
            while len(found) * len(single) * n <= _PRODUCTS:
                found, at_once = found[:, single].flatten(0, 1), at_once + 1
            kept = self.__dict__["_products"] = found, at_once
        return kept

    def fingerprint(self) -> str:
        """See `Domain.fingerprint`: of the generators."""
        return str(digest({"generators": self.generators.cpu()}))

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """See `Domain.require_states`; the same numbers as the goal's, each as often.

        Args:
            states: (B, n).
            what: what they are called in the error.
        """
        super().require_states(states, what)
        assert self.goal is not None
        wrong = (states.sort(1).values != self.goal.to(states.device).sort().values).any(1)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise InputError(
                f"{what} of {self.name}",
                given=f"{states[row].tolist()} in row {row}",
                expected="the numbers of the goal, each as often",
            )


def _inverses(generators: Tensor) -> tuple[int, ...] | None:
    """For each generator the one that undoes it; None where one has none."""
    known = {tuple(g.tolist()): i for i, g in enumerate(generators)}
    found = [known.get(tuple(g.argsort().tolist())) for g in generators]
    return None if None in found else tuple(f for f in found if f is not None)


def _closed(generators: Tensor, names: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    """With the inverses that are missing."""
    known = {tuple(g) for g in generators.tolist()}
    rows, called = [generators], list(names)
    for one, name in zip(generators, names):
        back = one.argsort()
        if tuple(back.tolist()) not in known:
            rows.append(back[None])
            called.append(f"{name}^-1")
    return torch.cat(rows), tuple(called)


class Pancakes(PermutationDomain):
    """A stack of pancakes: action k turns the upper k + 2 of them over.

    Args:
        n: how many, 2 to 255.
    """

    def __init__(self, n: int = 8) -> None:
        require_whole(2, n=n)
        flips = [[*reversed(range(k)), *range(k, n)] for k in range(2, n + 1)]
        super().__init__(flips, name=f"pancake.{n}", names=[f"flip {k}" for k in range(2, n + 1)])

    def lower_bound(self, states: Tensor, goals: Tensor) -> Tensor:
        """The gap heuristic: neighbours that aren't neighbours in the goal, the plate's counted. Each flip mends one.

        Args:
            states: (B, n).
            goals: (B, n).
        """
        place = goals.long().argsort(1).gather(1, states.long())  # where each pancake belongs
        plate = torch.full_like(place[:, :1], place.shape[1])
        return ((torch.cat([place, plate], 1).diff(dim=1)).abs() != 1).sum(1).float()
