"""Domains against what is known of them: sizes of spheres, the order of groups, linear algebra, Gray codes."""

import itertools

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    DomainError,
    GraphDomain,
    GridWorld,
    Hanoi,
    LightsOut,
    LowerBoundHeuristic,
    NPuzzle,
    Pancakes,
    PermutationDomain,
    RubiksCube,
    TableHeuristic,
    check_domain,
    fewest_presses,
    nullity,
    sphere_sizes,
)

MAP = torch.tensor([[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]]).bool()
DOMAINS = [
    *(NPuzzle(2), NPuzzle(3), NPuzzle(4), NPuzzle(3, strict_actions=False), LightsOut(3), LightsOut(7)),
    *(Pancakes(5), RubiksCube(2), RubiksCube(3), Hanoi(3), Hanoi(4, 4), GridWorld(MAP, (2, 0))),
    PermutationDomain([[1, 2, 0], [2, 0, 1]], name="turns"),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_it_keeps_its_word(domain):
    if domain.name == "npuzzle.3" and not domain.strict_actions:
        with pytest.raises(DomainError, match="lead back"):  # a move that changes nothing isn't undone by another
            check_domain(domain, 60)
        return
    assert check_domain(domain, 120) > 1


def test_quarter_turns_of_the_cube():
    assert sphere_sizes(RubiksCube(3), 4) == [1, 12, 114, 1068, 10011]


@pytest.mark.slow
def test_quarter_turns_of_the_cube_farther_out():
    assert sphere_sizes(RubiksCube(3), 5)[-1] == 93840


def test_quarter_turns_of_the_small_cube():
    assert sphere_sizes(RubiksCube(2), 6) == [1, 6, 27, 120, 534, 2256, 8969]


@pytest.mark.parametrize("face", range(6))
def test_a_face_turned_four_times_is_as_it_was(face):
    cube = RubiksCube(3)
    one, back = cube.generators[2 * face + 1], cube.generators[2 * face]
    still = torch.arange(54)
    assert torch.equal(one[one][one][one], still)
    assert torch.equal(one[back], still)
    assert int((one != still).sum()) == 20
    assert cube.names[2 * face : 2 * face + 2] == tuple(f"{'UDLRBF'[face]}{turn}" for turn in (-1, 1))


def test_eight_puzzle_whole():
    table = TableHeuristic(NPuzzle(3))
    assert sum(table.sizes) == 181440
    assert len(table.sizes) - 1 == 31
    assert sum(d * n for d, n in enumerate(table.sizes)) / 181440 == pytest.approx(21.9724, abs=1e-4)
    assert table.complete


def test_manhattan_distance_is_nowhere_above_the_least_cost():
    puzzle = NPuzzle(3)
    states, goals = puzzle.sample_instances(torch.arange(400) % 60, 3)
    least = TableHeuristic(puzzle)(states, goals)
    bound = LowerBoundHeuristic(puzzle)(states, goals)
    assert (bound <= least).all()
    assert ((least - bound) % 2 == 0).all()
    assert (bound == least).any()


def test_half_of_the_boards_can_be_solved():
    puzzle = NPuzzle(2)
    boards = torch.tensor(list(itertools.permutations(range(4))), dtype=torch.uint8)
    goals = puzzle.goal.expand(24, 4)
    assert torch.equal(puzzle.is_solvable(boards, goals), TableHeuristic(puzzle)(boards, goals) < torch.inf)


def test_hanoi_takes_two_to_the_n_less_one():
    towers = Hanoi(6)
    start = torch.zeros(1, 6, dtype=torch.uint8)
    assert float(TableHeuristic(towers)(start, towers.goal[None])) == 2**6 - 1


def test_pancakes_of_four_take_four_flips_at_most():
    assert len(TableHeuristic(Pancakes(4)).sizes) - 1 == 4
    assert sum(TableHeuristic(Pancakes(5)).sizes) == 120


def test_nullities_of_lights_out():
    assert [nullity(n) for n in range(2, 10)] == [0, 0, 4, 2, 0, 0, 0, 8]


def test_fewest_presses_are_those_of_the_table():
    lights = LightsOut(3)
    table = TableHeuristic(lights)
    assert sum(table.sizes) == 2**9
    states = torch.randint(0, 2, (20, 9), generator=torch.Generator().manual_seed(0)).byte()
    found = [fewest_presses(lights, s) for s in states]
    assert found == table(states, lights.goal.expand(20, 9)).int().tolist()


def test_what_nothing_darkens_is_told():
    lights = LightsOut(5)
    states = torch.eye(25, dtype=torch.uint8)
    found = [fewest_presses(lights, s) for s in states]
    assert None in found
    assert any(f is not None for f in found)


def test_walks_are_drawn_by_their_seed_and_never_step_back():
    puzzle = NPuzzle(3)
    steps = torch.full((50,), 2)
    states, goals = puzzle.sample_instances(steps, 4)
    assert torch.equal(states, puzzle.sample_instances(steps, 4)[0])
    assert not torch.equal(states, puzzle.sample_instances(steps, 5)[0])
    assert (TableHeuristic(puzzle)(states, goals) == 2).all()


def test_beyond_its_radius_a_table_says_no_more_than_it_knows():
    puzzle = NPuzzle(3)
    states, goals = puzzle.sample_instances(torch.full((100,), 40), 0)
    near, whole = TableHeuristic(puzzle, radius=8), TableHeuristic(puzzle)
    assert torch.equal(near(states, goals), whole(states, goals).clamp(max=9))


class Broken(NPuzzle):
    """Moves cost nothing."""

    def expand(self, states):
        found = super().expand(states)
        return type(found)(found.states, found.costs * 0, found.valid)


def test_a_domain_that_breaks_its_word_is_named():
    with pytest.raises(DomainError, match="cost of 0"):
        check_domain(Broken(3), 20)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NPuzzle(1),
        lambda: LightsOut(16),
        lambda: RubiksCube(4),
        lambda: Pancakes(1),
        lambda: Hanoi(3, 2),
        lambda: GridWorld(MAP, (1, 1)),
        lambda: GridWorld(MAP.float(), (0, 0)),
        lambda: PermutationDomain([]),
        lambda: PermutationDomain([[0, 0, 1]]),
        lambda: GraphDomain(torch.tensor([[0, 1]]), torch.tensor([0.0])),
        lambda: GraphDomain(torch.tensor([[0, -1]])),
        lambda: TableHeuristic(GraphDomain(torch.tensor([[0, 1]]))),
        lambda: TableHeuristic(NPuzzle(4), max_states=1000),
    ],
)
def test_what_is_no_domain_is_refused(make):
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize(
    "states",
    [
        torch.zeros(1, 9, dtype=torch.uint8),
        torch.arange(9)[None],
        torch.arange(8, dtype=torch.uint8)[None],
        torch.full((1, 9), 9, dtype=torch.uint8),
    ],
)
def test_what_is_no_board_is_refused(states):
    with pytest.raises(InputError, match=r"npuzzle\.3"):
        NPuzzle(3).require_states(states)
