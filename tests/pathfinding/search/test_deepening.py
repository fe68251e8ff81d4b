"""Iterative deepening: against exact tables and algebra; where it ends, and what it refuses. And minus zero."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    GraphDomain,
    LightsOut,
    Limits,
    LowerBoundHeuristic,
    NPuzzle,
    TableHeuristic,
    ZeroHeuristic,
    bwas,
    fewest_presses,
    idastar,
)

PUZZLE = NPuzzle(3)
NEAR = torch.tensor([2, 3, 6, 1, 7, 4, 8, 5, 0], dtype=torch.uint8)
FAR = torch.tensor([8, 6, 7, 2, 5, 4, 3, 0, 1], dtype=torch.uint8)
MANHATTAN = LowerBoundHeuristic(PUZZLE)


@pytest.fixture(scope="module")
def table():
    return TableHeuristic(PUZZLE)


def walks(domain, n, steps, seed=0):
    return domain.sample_instances(torch.full((n,), steps), seed)


def told(result):
    return {name: value for name, value in vars(result).items() if name not in ("seconds", "trace")}


# --- deepening -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 64, 5000])
def test_deepening_finds_the_published_lengths(batch_size):
    start = FAR if batch_size > 1 else NEAR
    found = idastar(PUZZLE, start, PUZZLE.goal, MANHATTAN, batch_size=batch_size)
    assert (found.cost, found.optimal) == (31 if batch_size > 1 else 16, True)


def test_deepening_agrees_with_tables_and_algebra(table):
    starts, goals = walks(PUZZLE, 10, 30)
    for start, goal in zip(starts, goals):
        assert idastar(PUZZLE, start, goal, MANHATTAN).cost == float(table(start[None], goal[None]))
    lights = LightsOut(5)
    starts, goals = walks(lights, 3, 4)
    for start, goal in zip(starts, goals):
        assert idastar(lights, start, goal, LowerBoundHeuristic(lights)).cost == fewest_presses(lights, start)


def test_deepening_ends_where_there_is_no_way_and_at_its_limits():
    domain = GraphDomain(torch.tensor([[0, 1], [1, 2]]), nodes=4, goal=3)
    zero, goal = (torch.tensor([n], dtype=domain.state_dtype) for n in (0, 3))
    assert idastar(domain, zero, goal, ZeroHeuristic()).status == "exhausted"
    found = idastar(PUZZLE, FAR, PUZZLE.goal, MANHATTAN, limits=Limits(nodes=500))
    assert found.status == "limit:nodes"
    assert found.actions is None
    assert found.lower_bound <= 31


class Unsure(ZeroHeuristic):
    admissible = False


def test_deepening_refuses_what_may_be_too_high():
    with pytest.raises(InputError, match="bwas"):
        idastar(PUZZLE, NEAR, PUZZLE.goal, Unsure())


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_a_zero_with_a_minus_is_a_zero(engine):
    """Its bits would be the largest: found by a reviewer in the order of the queue."""
    if engine == "numba":
        pytest.importorskip("numba")

    class Minus:
        admissible = True

        def __call__(self, states, goals):
            return -torch.zeros(len(states))

    starts, goals = walks(PUZZLE, 3, 8, seed=3)
    for start, goal in zip(starts, goals):
        plain = bwas(PUZZLE, start, goal, ZeroHeuristic(), batch_size=1, engine=engine)
        assert told(bwas(PUZZLE, start, goal, Minus(), batch_size=1, engine=engine)) == told(plain)
