"""Pattern databases and linear conflict against exact tables."""

import itertools

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    AdditivePatterns,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    Pancakes,
    PatternDatabase,
    ProjectedTable,
    RubiksCube,
    TableHeuristic,
    bwas,
    corner_stickers,
    partition,
)
from deepwright.pathfinding.heuristics.conflicts import _passing

PUZZLE = NPuzzle(3)


@pytest.fixture(scope="module")
def boards():
    """All boards of the 8-puzzle that can be solved, with their least costs."""
    every = torch.tensor(list(itertools.permutations(range(9))), dtype=torch.uint8)
    least = TableHeuristic(PUZZLE)(every, PUZZLE.goal.expand(len(every), 9))
    kept = least < torch.inf
    return every[kept], PUZZLE.goal.expand(int(kept.sum()), 9), least[kept]


@pytest.fixture(scope="module")
def fives():
    return MaxHeuristic([PatternDatabase(PUZZLE, (0, 1, 2, 3, 4)), PatternDatabase(PUZZLE, (0, 5, 6, 7, 8))])


@pytest.mark.parametrize(
    ("make", "mean"),
    [
        (lambda: LowerBoundHeuristic(PUZZLE), 14.0),
        (lambda: LinearConflict(PUZZLE), 15.119),
        (lambda: AdditivePatterns(PUZZLE, [(1, 2, 3, 4), (5, 6, 7, 8)]), 18.508),
        (lambda: AdditivePatterns(PUZZLE, [(i,) for i in range(1, 9)]), 14.0),  # one tile a pattern: Manhattan distance
        (lambda: PatternDatabase(PUZZLE, (0, 1, 2, 3, 4)), None),
    ],
)
def test_nowhere_above_the_least_cost(boards, make, mean):
    states, goals, least = boards
    found = make()(states, goals)
    assert (found <= least).all()
    if mean is not None:
        assert float(found.mean()) == pytest.approx(mean, abs=6e-4)


def test_a_pattern_of_all_is_the_exact_table():
    small = NPuzzle(2)
    every = torch.tensor(list(itertools.permutations(range(4))), dtype=torch.uint8)
    goals = small.goal.expand(24, 4)
    exact = TableHeuristic(small)(every, goals)
    found = PatternDatabase(small, range(4))(every, goals)
    assert torch.equal(found[exact < torch.inf], exact[exact < torch.inf])
    assert (found[exact == torch.inf] == torch.inf).all()


def test_costs_do_not_fall_faster_than_moves_cost(boards, fives):
    states, goals = (x[::7] for x in boards[:2])
    found = PUZZLE.expand(states)
    row, action = found.valid.nonzero(as_tuple=True)
    for heuristic in (fives, LinearConflict(PUZZLE)):
        after = heuristic(found.states[row, action], goals[row])
        assert (heuristic(states, goals)[row] - after <= 1).all()


def test_better_bounds_expand_fewer_nodes(fives):
    start = torch.tensor([2, 3, 6, 1, 7, 4, 8, 5, 0], dtype=torch.uint8)
    counts = []
    for heuristic in (LowerBoundHeuristic(PUZZLE), LinearConflict(PUZZLE), fives):
        found = bwas(PUZZLE, start, PUZZLE.goal, heuristic, batch_size=5)
        assert found.cost == 16
        counts.append(found.nodes_expanded)
    assert counts == sorted(counts, reverse=True)
    assert counts[2] < counts[0]


def test_places_in_a_line_that_must_pass():
    orders = torch.tensor([[2, 1, 0], [1, 0, 2], [0, 1, 2], [-1, 1, 0], [-1, -1, 0], [2, 0, 1]])
    assert _passing(orders).tolist() == [2, 1, 0, 1, 0, 1]


def test_another_goal():
    goal = torch.tensor([1, 2, 3, 8, 0, 4, 7, 6, 5], dtype=torch.uint8)
    table = TableHeuristic(PUZZLE, radius=12, goal=goal)
    states, _ = PUZZLE.sample_instances(torch.arange(200) % 30, 1)
    goals = goal.expand(200, 9)
    exact = table(states, goals)
    near = exact <= 12
    for heuristic in (LinearConflict(PUZZLE), PatternDatabase(PUZZLE, (1, 2, 3), goal=goal)):
        assert (heuristic(states, goals)[near] <= exact[near]).all()
    with pytest.raises(InputError, match="goals"):
        PatternDatabase(PUZZLE, (1, 2))(states, goals)


def test_tiles_in_patterns():
    assert partition(4, 5) == [(1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (11, 12, 13, 14, 15)]
    assert partition(3, 3) == [(1, 2, 3), (4, 5, 6), (7, 8)]


def test_larger_boards():
    puzzle = NPuzzle(5)
    states, goals = puzzle.sample_instances(torch.arange(60), 2)
    two = AdditivePatterns(puzzle, partition(5, 2))(states, goals)
    assert (two <= torch.arange(60)).all()
    assert (two >= LowerBoundHeuristic(puzzle)(states, goals)).all()


@pytest.mark.parametrize("alike", [[(0, 1), (2, 3), (4, 5)], [(2, 3, 4, 5)]])
def test_a_cube_with_colours_that_look_alike(alike):
    cube = RubiksCube(2)
    near = TableHeuristic(cube, radius=5)
    table = ProjectedTable(cube, alike=alike)
    states, goals = cube.sample_instances(torch.arange(400) % 12, 3)
    found = table(states, goals)
    assert (found.clamp(max=6) <= near(states, goals)).all()
    assert table.table.complete
    assert (found > 0).any()


def test_corners_of_a_cube_see_nothing_else():
    cube = RubiksCube(3)
    axes = torch.tensor([0, 0, 1, 1, 1, 1], dtype=torch.uint8)  # U and D against the rest: orientations of corners
    table = ProjectedTable(cube, corner_stickers(cube), alike=[(0, 1), (2, 3, 4, 5)])
    assert sum(table.table.sizes) == 3**7
    small = ProjectedTable(RubiksCube(2), alike=[(0, 1), (2, 3, 4, 5)])
    assert sum(small.table.sizes) == 3**6  # one corner stays; what the others turn adds up to none
    states, goals = cube.sample_instances(torch.arange(50) % 9, 0)
    assert (table(states, goals) <= torch.arange(50) % 9).all()
    turned = axes[states.long()] != axes[goals.long()]
    assert (table(states, goals)[~turned[:, corner_stickers(cube)].any(1)] == 0).all()


def test_pancakes_of_which_some_look_alike():
    stack = Pancakes(6)
    exact = TableHeuristic(stack)
    table = ProjectedTable(stack, alike=[(3, 4, 5)])
    states, goals = stack.sample_instances(torch.arange(100) % 9, 1)
    assert (table(states, goals) <= exact(states, goals)).all()
    assert sum(table.table.sizes) == 6 * 5 * 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: PatternDatabase(PUZZLE, ()),
        lambda: PatternDatabase(PUZZLE, (1, 1)),
        lambda: PatternDatabase(PUZZLE, (9,)),
        lambda: PatternDatabase(PUZZLE, (0, 1), "own"),
        lambda: PatternDatabase(PUZZLE, (1,), "mine"),
        lambda: PatternDatabase(NPuzzle(5), range(1, 10)),
        lambda: AdditivePatterns(PUZZLE, [(1, 2), (2, 3)]),
        lambda: AdditivePatterns(PUZZLE, []),
        lambda: ProjectedTable(Pancakes(4), places=[0]),
        lambda: ProjectedTable(Pancakes(4), places=[9]),
        lambda: ProjectedTable(Pancakes(4), alike=[(0, 1), (1, 2)]),
        lambda: corner_stickers(RubiksCube(2)),
        lambda: partition(3, 0),
    ],
)
def test_what_makes_no_table_is_refused(make):
    with pytest.raises(InputError):
        make()
