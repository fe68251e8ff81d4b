"""Q*, beams, both ends, many at once and compiled loops, against tables, Dijkstra and each other."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.resume import OtherWorkError
from deepwright.pathfinding import (
    DomainError,
    GraphDomain,
    LightsOut,
    Limits,
    LowerBoundHeuristic,
    NPuzzle,
    Pancakes,
    RubiksCube,
    TableHeuristic,
    ZeroHeuristic,
    beam,
    bidirectional,
    bwas,
    bwqs,
    greedy,
    q_from_v,
    solve,
    solve_many,
    validate_path,
)

SIXTEEN = torch.tensor([2, 3, 6, 1, 7, 4, 8, 5, 0], dtype=torch.uint8)
FARTHEST = torch.tensor([8, 6, 7, 2, 5, 4, 3, 0, 1], dtype=torch.uint8)
PUZZLE = NPuzzle(3)
MANHATTAN = LowerBoundHeuristic(PUZZLE)


@pytest.fixture(scope="module")
def table():
    return TableHeuristic(PUZZLE)


@pytest.mark.parametrize("batch", [1, 10, 100])
def test_edges_by_exact_values_lead_to_the_least_cost(table, batch):
    for start, least in ((SIXTEEN, 16), (FARTHEST, 31)):
        found = bwqs(PUZZLE, start, PUZZLE.goal, q_from_v(PUZZLE, table), batch_size=batch)
        assert (found.cost, found.bound, found.status) == (least, 1.0, "solved")
        assert batch > 1 or found.nodes_expanded == least


@pytest.mark.parametrize("weight", [1.0, 0.5])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_edges_keep_what_is_promised(table, weight, share):
    states, goals = PUZZLE.sample_instances(torch.full((4,), 30), 7)
    for state, best in zip(states, table(states, goals).tolist()):
        found = bwqs(
            PUZZLE, state, PUZZLE.goal, q_from_v(PUZZLE, MANHATTAN), batch_size=50, weight=weight, random_share=share
        )
        assert best <= found.cost <= best / weight
        assert found.lower_bound <= best


def test_edges_cost_what_dijkstra_says():
    import networkx as nx

    rng = torch.Generator().manual_seed(0)
    for seed in range(3):
        graph = nx.gnp_random_graph(40, 0.08, seed=seed, directed=True)
        edges = torch.tensor(list(graph.edges))
        costs = torch.rand(len(edges), generator=rng) * 0.9 + 0.1
        graph.add_weighted_edges_from([(*e, float(c)) for e, c in zip(edges.tolist(), costs)])
        domain = GraphDomain(edges, costs, nodes=40, goal=39)
        least = nx.single_source_dijkstra_path_length(graph.reverse(), 39)
        for start in (*range(0, 38, 6), 39):
            state = torch.tensor([start], dtype=torch.int32)
            found = bwqs(domain, state, domain.goal, q_from_v(domain, ZeroHeuristic()), batch_size=4)
            if start not in least:
                assert (found.status, found.actions, found.cost) == ("exhausted", None, math.inf)
            else:
                assert found.cost == pytest.approx(least[start], rel=1e-6)
                assert found.lower_bound <= least[start] * (1 + 1e-6)


def test_a_beam_holds_each_state_once(table):
    exact = beam(PUZZLE, FARTHEST, PUZZLE.goal, table, width=5)
    assert (exact.cost, exact.bound, exact.evaluations <= 31 * 5 * 3) == (31.0, None, True)
    assert greedy(PUZZLE, FARTHEST, PUZZLE.goal, q_from_v(PUZZLE, table)).cost == 31
    # wide enough for everything, a beam is breadth-first search: it makes each state once
    whole = beam(NPuzzle(2), torch.tensor([2, 1, 3, 0], dtype=torch.uint8), NPuzzle(2).goal, ZeroHeuristic(), width=99)
    assert (whole.status, whole.nodes_expanded) == ("missed", 12)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 1.0}, {"random_share": 0.2}, {"rollout": True, "max_steps": 40}, {"avoid_revisits": False}],
)
def test_beams_find_valid_paths_and_repeat_themselves(options):
    one, two = (beam(PUZZLE, SIXTEEN, PUZZLE.goal, MANHATTAN, width=100, seed=5, **options) for _ in range(2))
    assert one.status == "solved"
    assert one.actions == two.actions
    assert validate_path(PUZZLE, SIXTEEN, PUZZLE.goal, one.actions) == one.cost >= 16


@pytest.mark.parametrize("batch", [10, 1000])
def test_both_ends_meet_at_the_least_cost(batch):
    found = bidirectional(PUZZLE, SIXTEEN, PUZZLE.goal, ZeroHeuristic(), batch_size=batch)
    assert (found.cost, found.bound) == (16.0, 1.0)
    wise = bidirectional(PUZZLE, FARTHEST, PUZZLE.goal, MANHATTAN, batch_size=1000)
    assert (wise.cost, wise.bound) == (31.0, 1.0)


def test_both_ends_end_where_there_is_no_way_or_none_to_go():
    small = NPuzzle(2)
    lost = bidirectional(small, torch.tensor([2, 1, 3, 0], dtype=torch.uint8), small.goal, ZeroHeuristic())
    assert (lost.status, lost.actions) == ("exhausted", None)
    there = bidirectional(PUZZLE, PUZZLE.goal, PUZZLE.goal, ZeroHeuristic())
    assert (there.cost, there.actions) == (0.0, [])
    graph = GraphDomain(torch.tensor([[0, 1]]), goal=1)
    with pytest.raises(DomainError, match="inverses"):
        bidirectional(graph, torch.tensor([0], dtype=torch.int32), graph.goal, ZeroHeuristic())


def test_both_ends_agree_with_the_table(table):
    states, goals = PUZZLE.sample_instances(torch.full((6,), 16), 11)
    costs = [bidirectional(PUZZLE, s, PUZZLE.goal, ZeroHeuristic(), batch_size=7).cost for s in states]
    assert costs == table(states, goals).tolist()


def test_many_are_solved_as_each_alone_and_kept(tmp_path):
    states, _ = PUZZLE.sample_instances(torch.full((6,), 20), 3)
    goals = PUZZLE.goal.expand(6, 9)
    file, told = tmp_path / "paths.jsonl", []
    many = solve_many(
        PUZZLE, states, goals, MANHATTAN, batch_size=20, at_once=4, file=file, on_result=lambda i, r: told.append(i)
    )
    alone = [solve(PUZZLE, s, PUZZLE.goal, MANHATTAN, batch_size=20, engine="torch") for s in states]
    assert [r.actions for r in many] == [r.actions for r in alone]
    assert [r.evaluations for r in many] == [r.evaluations for r in alone]
    assert sorted(told) == list(range(6))
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:4]) + lines[4][:20])  # as a kill leaves it
    again = solve_many(
        PUZZLE, states, goals, MANHATTAN, batch_size=20, file=file, on_result=lambda i, r: told.append(i)
    )
    assert len(told) == 6 + 4  # the header, the heuristic's answers and two results were whole
    assert [r.actions for r in again] == [r.actions for r in many]
    with pytest.raises(OtherWorkError, match="options"):
        solve_many(PUZZLE, states, goals, MANHATTAN, batch_size=21, file=file)

    class LowerBoundHeuristic:  # of the same name
        admissible = True

        def __call__(self, states, goals):
            return MANHATTAN(states, goals) / 2

    with pytest.raises(OtherWorkError, match="heuristic"):
        solve_many(PUZZLE, states, goals, LowerBoundHeuristic(), batch_size=20, file=file)


@pytest.mark.parametrize("algorithm", ["bwqs", "beam", "greedy"])
def test_many_by_other_searches(table, algorithm):
    states, goals = PUZZLE.sample_instances(torch.full((5,), 30), 4)
    found = solve_many(PUZZLE, states, goals, q_from_v(PUZZLE, table), algorithm, batch_size=5)
    assert [r.cost for r in found] == table(states, goals).tolist()


def test_wrong_names_and_heuristics_are_refused(table):
    with pytest.raises(InputError, match="algorithm"):
        solve(PUZZLE, SIXTEEN, PUZZLE.goal, table, "astar")
    with pytest.raises(InputError, match="q_from_v"):
        solve(PUZZLE, SIXTEEN, PUZZLE.goal, table, "bwqs")
    with pytest.raises(InputError, match="of actions"):
        solve_many(PUZZLE, SIXTEEN[None], PUZZLE.goal[None], table, "bwqs")
    with pytest.raises(InputError, match="width"):
        beam(PUZZLE, SIXTEEN, PUZZLE.goal, table, width=0)
    with pytest.raises(InputError, match="engine"):
        bwas(PUZZLE, SIXTEEN, PUZZLE.goal, table, engine="fast")


DOMAINS = [PUZZLE, NPuzzle(3, strict_actions=False), Pancakes(7), LightsOut(4), RubiksCube(2)]


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: f"{d.name}{getattr(d, 'strict_actions', '')}")
@pytest.mark.parametrize("kind", ["zero", "bound"])
def test_compiled_loops_search_as_torch_does(domain, kind):
    pytest.importorskip("numba")
    heuristic = ZeroHeuristic() if kind == "zero" else LowerBoundHeuristic(domain)
    start = domain.sample_instances(torch.tensor([7]), 1)[0][0]
    for options in ({"batch_size": 13}, {"batch_size": 100, "weight": 0.6}, {"batch_size": 30, "ties": "fifo"}):
        one, two = (bwas(domain, start, domain.goal, heuristic, engine=e, **options) for e in ("numba", "torch"))
        assert one.to_dict() | {"seconds": 0} == two.to_dict() | {"seconds": 0}


def test_compiled_loops_reopen_as_torch_does():
    """A heuristic that isn't consistent makes nodes cheaper after they were expanded."""
    pytest.importorskip("numba")

    class Odd:
        admissible = True

        def __call__(self, states, goals):
            return MANHATTAN(states, goals) * (PUZZLE.keys(states) % 3 > 0)

    for batch in (1, 9, 200):
        one, two = (
            bwas(PUZZLE, SIXTEEN, PUZZLE.goal, Odd(), batch_size=batch, engine=e, trace=True)
            for e in ("numba", "torch")
        )
        assert one.trace == two.trace
        assert one.actions == two.actions


def test_compiled_loops_stop_at_limits_and_are_refused_elsewhere():
    pytest.importorskip("numba")
    cube = RubiksCube(3)
    start = cube.sample_instances(torch.tensor([20]), 1)[0][0]
    for limits, status in (
        (Limits(nodes=5000), "limit:nodes"),
        (Limits(seconds=0.01), "limit:time"),
        (Limits(bytes=10**6), "limit:memory"),
    ):
        found = bwas(cube, start, cube.goal, ZeroHeuristic(), batch_size=10, limits=limits, engine="numba")
        assert (found.status, found.actions) == (status, None)
    graph = GraphDomain(torch.tensor([[0, 1]]), goal=1)
    with pytest.raises(InputError, match="permutations"):
        bwas(graph, torch.tensor([0], dtype=torch.int32), graph.goal, ZeroHeuristic(), engine="numba")


class Costly(NPuzzle):
    """Another domain of the same name."""

    def expand(self, states):
        found = super().expand(states)
        return type(found)(found.states, 2 * found.costs, found.valid)


def test_results_of_another_domain_of_the_same_name_are_refused(tmp_path):
    starts, goals = PUZZLE.sample_instances(torch.tensor([3, 4]), 0)
    file, bound = tmp_path / "paths.jsonl", ZeroHeuristic()
    solve_many(PUZZLE, starts, goals, bound, file=file)
    solve_many(NPuzzle(3), starts, goals, bound, file=file)  # the same one, which remembers nothing yet
    with pytest.raises(InputError, match="domain"):
        solve_many(Costly(3), starts, goals, bound, file=file)
