"""From a logic program to a path: models are drawn, searched for, and banned where nothing leads to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.goals.partial import PartialGoals
from deepwright.pathfinding.goals.program import GoalProgram, Model
from deepwright.pathfinding.heuristics.heuristic import LowerBoundHeuristic
from deepwright.pathfinding.search.paths import states_along
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.weighted import bwas

Search = Callable[[Domain, Tensor, Tensor], Result]


@dataclass(frozen=True)
class Pursuit:
    """What became of a goal program.

    Attributes:
        status: "solved"; "impossible": no state that can be reached is a goal; "limit": the tries, or a search, ended
            before either was known.
        result: of the last search; that of the path where it is solved.
        model: the atoms that were reached, None where nothing was.
        tries: models that were searched for.
        unreachable: models to which nothing leads.
    """

    status: str
    result: Result | None
    model: Model | None
    tries: int
    unreachable: tuple[Model, ...]


def pursue(
    program: GoalProgram, start: Tensor, search: Search | None = None, max_tries: int = 100, minimal: bool = True
) -> Pursuit:
    """A path from a state to one for which a program derives `goal`.

    A model is drawn and searched for. A state that is reached may hold more than the model says, and so break what a
    clause forbids: then the model alone is banned, and those that say more are drawn. A model to which nothing leads is
    banned with all that contain it.

    Args:
        program: the goal.
        start: (*state_shape).
        search: takes `PartialGoals`, start and goal; batch weighted A* up to a million nodes where not given.
        max_tries: how many models are searched for.
        minimal: draw models of which no atom can be left out: the largest sets of states.
    """
    require_whole(1, max_tries=max_tries)
    domain = PartialGoals(program.space.domain, program.space)
    within: Model = frozenset()
    result, unreachable, sure = None, list[Model](), True
    for tries in range(max_tries):
        model = next(program.models(1, within, minimal), None)
        if model is None and within:  # nothing more specific is left
            within = frozenset()
            model = next(program.models(1, within, minimal), None)
        if model is None:
            return Pursuit("impossible" if sure else "limit", result, None, tries, tuple(unreachable))
        result = (search or _search)(domain, start, program.partial(model).view(start.shape).to(start.device))
        if result.actions is None:
            program.ban(model)
            within = frozenset()
            unreachable.append(model)
            sure &= result.status == "exhausted"
        elif program.check(states_along(domain, start, result.actions)[-1]):
            return Pursuit("solved", result, model, tries + 1, tuple(unreachable))
        else:
            program.ban(model, whole=False)
            within = model
    return Pursuit("limit", result, None, max_tries, tuple(unreachable))


def _search(domain: Domain, start: Tensor, goal: Tensor) -> Result:
    return bwas(domain, start, goal, LowerBoundHeuristic(domain), batch_size=100, limits=Limits(nodes=1_000_000))
