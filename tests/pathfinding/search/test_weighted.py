"""Batch weighted A* against exhaustive tables and Dijkstra."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    GraphDomain,
    InvalidPathError,
    LightsOut,
    Limits,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    Pancakes,
    TableHeuristic,
    ZeroHeuristic,
    bwas,
    fewest_presses,
    states_along,
    validate_path,
)
from deepwright.pathfinding.search.nodes import Nodes, first_of_each
from deepwright.pathfinding.search.queue import Queue

SIXTEEN = torch.tensor([2, 3, 6, 1, 7, 4, 8, 5, 0], dtype=torch.uint8)
FARTHEST = torch.tensor([8, 6, 7, 2, 5, 4, 3, 0, 1], dtype=torch.uint8)


@pytest.fixture(scope="module")
def puzzle():
    return NPuzzle(3)


@pytest.fixture(scope="module")
def table(puzzle):
    return TableHeuristic(puzzle)


@pytest.mark.parametrize("batch", [100, 1000])
def test_without_a_heuristic_it_finds_the_least_cost(puzzle, batch):
    found = bwas(puzzle, SIXTEEN, puzzle.goal, ZeroHeuristic(), batch_size=batch)
    assert (found.cost, found.status, found.optimal) == (16.0, "solved", True)


def test_the_exact_table_leads_straight_there(puzzle, table):
    newest = bwas(puzzle, FARTHEST, puzzle.goal, table, batch_size=1)
    assert (newest.cost, newest.bound) == (31.0, 1.0)
    assert newest.nodes_expanded <= 31
    oldest = bwas(puzzle, FARTHEST, puzzle.goal, table, batch_size=1, ties="fifo")
    assert oldest.cost == 31.0
    assert oldest.nodes_expanded == 526  # what the same rule costs elsewhere


@pytest.mark.parametrize("weight", [1.0, 0.8, 0.5])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_costs_and_lower_bounds_are_within_what_is_promised(puzzle, table, weight, share):
    states, goals = puzzle.sample_instances(torch.full((12,), 60), 7)
    least = table(states, goals).tolist()
    for state, best in zip(states, least):
        found = bwas(
            puzzle,
            state,
            puzzle.goal,
            LowerBoundHeuristic(puzzle),
            batch_size=50,
            weight=weight,
            random_share=share,
        )
        assert best <= found.cost <= best / weight + 1e-9
        assert found.lower_bound <= best
        assert found.bound is None or found.cost <= found.bound * best + 1e-9


def test_costs_that_differ_are_those_of_dijkstra():
    import networkx as nx

    rng = torch.Generator().manual_seed(0)
    for seed in range(6):
        graph = nx.gnp_random_graph(40, 0.08, seed=seed, directed=True)
        edges = torch.tensor(list(graph.edges))
        costs = torch.rand(len(edges), generator=rng) * 0.9 + 0.1
        graph.add_weighted_edges_from([(*e, float(c)) for e, c in zip(edges.tolist(), costs)])
        domain = GraphDomain(edges, costs, nodes=40, goal=39)
        least = nx.single_source_dijkstra_path_length(graph.reverse(), 39)
        for start in range(0, 38, 4):
            found = bwas(domain, torch.tensor([start], dtype=torch.int32), domain.goal, ZeroHeuristic(), batch_size=4)
            if start not in least:
                assert (found.status, found.actions, found.cost) == ("exhausted", None, math.inf)
            else:
                assert found.cost == pytest.approx(least[start], rel=1e-6)
                assert found.lower_bound <= least[start] * (1 + 1e-6)


def test_lights_go_out_in_as_few_presses_as_algebra_says():
    lights = LightsOut(7)
    states, _ = lights.sample_instances(torch.tensor([3, 4, 5]), 1)
    for state in states:
        found = bwas(lights, state, lights.goal, LowerBoundHeuristic(lights), batch_size=100)
        assert found.cost == fewest_presses(lights, state)


def test_a_start_that_is_the_goal_costs_nothing(puzzle):
    found = bwas(puzzle, puzzle.goal, puzzle.goal, ZeroHeuristic())
    assert (found.cost, found.actions, found.bound) == (0.0, [], 1.0)


def test_a_board_that_parity_forbids_is_exhausted():
    puzzle = NPuzzle(2)
    start = torch.tensor([2, 1, 3, 0], dtype=torch.uint8)
    found = bwas(puzzle, start, puzzle.goal, ZeroHeuristic(), batch_size=3)
    assert (found.status, found.actions) == ("exhausted", None)
    assert found.nodes_expanded == 12


@pytest.mark.parametrize("limit", ["nodes", "seconds", "bytes"])
def test_a_limit_ends_it(limit):
    puzzle = NPuzzle(4)
    start, _ = puzzle.sample_instances(torch.tensor([80]), 0)
    limits = Limits(**{limit: {"nodes": 500, "seconds": 0.05, "bytes": 60_000}[limit]})
    found = bwas(puzzle, start[0], puzzle.goal, ZeroHeuristic(), batch_size=20, limits=limits)
    assert found.status == f"limit:{ {'seconds': 'time', 'bytes': 'memory'}.get(limit, limit) }"
    assert found.actions is None
    assert found.lower_bound <= 80


def test_a_learned_heuristic_has_no_bound(puzzle, table):
    class Learned:
        admissible = False

        def __call__(self, states, goals):
            return 1.5 * table(states, goals)

    found = bwas(puzzle, SIXTEEN, puzzle.goal, Learned(), batch_size=10)
    assert found.lower_bound is None
    assert found.bound is None
    assert found.cost >= 16
    assert not MaxHeuristic([Learned(), table]).admissible


def test_the_same_seed_gives_the_same_search(puzzle):
    one, two = (
        bwas(puzzle, FARTHEST, puzzle.goal, LowerBoundHeuristic(puzzle), random_share=0.2, seed=3, trace=True)
        for _ in range(2)
    )
    assert one.trace == two.trace
    assert one.actions == two.actions


def test_paths_are_replayed(puzzle):
    found = bwas(puzzle, SIXTEEN, puzzle.goal, LowerBoundHeuristic(puzzle), batch_size=10)
    assert validate_path(puzzle, SIXTEEN, puzzle.goal, found.actions) == 16
    assert torch.equal(states_along(puzzle, SIXTEEN, found.actions)[-1], puzzle.goal)
    with pytest.raises(InvalidPathError) as told:
        validate_path(puzzle, SIXTEEN, puzzle.goal, found.actions[:-1])
    assert told.value.step == 15
    with pytest.raises(InvalidPathError, match="can't be taken"):
        validate_path(puzzle, SIXTEEN, puzzle.goal, [0, 0])
    with pytest.raises(InvalidPathError, match="of 4"):
        validate_path(puzzle, SIXTEEN, puzzle.goal, [4])


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": 1.1},
        {"weight": math.nan},
        {"batch_size": 0},
        {"ties": "oldest"},
        {"random_share": 1.0},
        {"start": SIXTEEN.long()},
        {"start": torch.zeros(9, dtype=torch.uint8)},
    ],
)
def test_bad_input_is_refused(puzzle, changes):
    start = changes.pop("start", SIXTEEN)
    with pytest.raises(InputError):
        bwas(puzzle, start, puzzle.goal, ZeroHeuristic(), **changes)


@pytest.mark.parametrize("answer", [lambda s: torch.full((len(s),), torch.nan), lambda s: torch.zeros(len(s), 1)])
def test_a_heuristic_that_gives_no_numbers_is_named(puzzle, answer):
    class Odd:
        admissible = False

        def __call__(self, states, goals):
            return answer(states)

    with pytest.raises(InputError, match="heuristic"):
        bwas(puzzle, SIXTEEN, puzzle.goal, Odd())


def test_states_without_a_way_on_are_left_out(puzzle):
    class Blind:
        admissible = True

        def __call__(self, states, goals):
            return torch.full((len(states),), torch.inf)

    assert bwas(puzzle, SIXTEEN, puzzle.goal, Blind()).status == "exhausted"


def test_nodes_are_found_again_after_they_grew():
    domain = Pancakes(8)
    nodes = Nodes(domain, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    known: dict = {}
    for _ in range(6):
        states = torch.stack([torch.randperm(8, generator=rng) for _ in range(1500)]).byte()
        keys = domain.keys(states)
        kept = first_of_each(states, keys, torch.rand(1500, generator=rng))
        states, keys = states[kept], keys[kept]
        new = nodes.find(states, keys) < 0
        zeros = torch.zeros(int(new.sum()))
        numbers = nodes.add(states[new], keys[new], zeros.double(), zeros, zeros.long() - 1, zeros.long())
        known |= {tuple(s.tolist()): int(n) for s, n in zip(states[new], numbers)}
        assert nodes.find(states, keys).tolist() == [known[tuple(s.tolist())] for s in states]


def test_a_queue_gives_what_sorting_does():
    rng = torch.Generator().manual_seed(1)
    for newest in (True, False):
        queue, held, count = Queue(torch.device("cpu"), newest), [], 0
        for _ in range(60):
            n = int(torch.randint(1, 400, (), generator=rng))
            f, h = (torch.randint(0, 20, (n,), generator=rng).float() for _ in range(2))
            node = torch.arange(count, count + n)
            count += n
            queue.push(f, h, node, torch.zeros(n, dtype=torch.int32))
            held += list(zip(f.tolist(), h.tolist(), node.tolist()))
            take = int(torch.randint(1, 300, (), generator=rng))
            held.sort(key=lambda e: (e[0], e[1], -e[2]) if newest else (e[0], e[2]))
            assert queue.pop(take)[1].tolist() == [e[2] for e in held[:take]]
            held = held[take:]
            assert len(queue) == len(held)
