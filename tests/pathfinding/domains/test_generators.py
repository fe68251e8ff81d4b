"""Generators in cycle notation and how groups grow; commuting presses; maps and graphs as users have them."""

import itertools
import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    DomainError,
    GraphDomain,
    GridWorld,
    LightsOut,
    LowerBoundHeuristic,
    NPuzzle,
    PermutationDomain,
    RubiksCube,
    TableHeuristic,
    ZeroHeuristic,
    bwas,
    check_domain,
    growth,
    read_cycles,
    sphere_sizes,
)

# The 2 x 2 x 2 cube as 24 facelets with one corner fixed, in half turns and quarter turns of three faces
POCKET = """[ (1,2,4,3)(9,5,21,17)(10,6,22,18), (5,6,8,7)(3,17,14,12)(4,19,13,10) ]"""


def test_cycles_are_read_as_gap_reads_them():
    a, b = read_cycles(["(1,2,3)", "(2,4)"])
    assert a == [2, 0, 1, 3]
    place = torch.arange(4)
    word = place[torch.tensor(a)][torch.tensor(b)]  # GAP: 1 -> 2 -> 4
    assert word[3] == 0
    assert read_cycles("(1,2,3), (2,4)") == [a, b] == read_cycles("[ (1,2,3),\n(2,4) ]")
    assert read_cycles("()", points=3) == [[0, 1, 2]]
    assert read_cycles("(1,3)(2,4)") == [[2, 3, 0, 1]]


def test_symmetric_groups_grow_as_inversions_count():
    neighbours = PermutationDomain.from_cycles("(1,2), (2,3), (3,4), (4,5)")
    mahonian = [1, 4, 9, 15, 20, 22, 20, 15, 9, 4, 1]  # permutations of 5 by their number of inversions
    assert growth(neighbours) == mahonian == sphere_sizes(neighbours, 10)
    assert neighbours.num_actions == 4  # each is its own inverse


def test_inverses_are_added_where_they_are_missing():
    one = PermutationDomain.from_cycles("(1,2,3,4,5,6,7)")
    assert one.names == ("0", "0^-1")
    assert growth(one) == [1, 2, 2, 2]
    assert check_domain(one, 30) == 7
    alone = PermutationDomain.from_cycles("(1,2,3,4,5,6,7)", add_inverses=False)
    assert alone.inverse is None
    assert growth(alone) == [1] * 7


def test_a_group_has_as_many_elements_as_it_has():
    assert sum(growth(PermutationDomain.from_cycles("(1,2,3,4,5), (1,2,3)"))) == 60  # A5
    m11 = "(1,2,3,4,5,6,7,8,9,10,11), (3,7,11,8)(4,10,5,6)"
    assert sum(growth(PermutationDomain.from_cycles(m11))) == 7920
    assert growth(PermutationDomain.from_cycles(POCKET), 1) == [1, 4]


def test_cosets_grow_too():
    alike = PermutationDomain.from_cycles("(1,2), (2,3), (3,4)", goal=[0, 0, 1, 1])
    assert growth(alike) == [1, 1, 2, 1, 1]  # Gauss's binomial coefficient


def test_growth_equals_spheres():
    assert growth(RubiksCube(2), 4) == sphere_sizes(RubiksCube(2), 4)
    assert sum(growth(NPuzzle(2))) == 12
    with pytest.raises(InputError, match="100 states"):
        growth(NPuzzle(3), max_states=100)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(1,2", "column 1"),
        ("(1,2))", "column 6"),
        ("(1 2)", "column 4"),
        ("(1,,2)", "column 4"),
        ("(0,1)", "column 2"),
        ("(1,2);", "column 6"),
        ("[(1,2)", "column 6"),
        ("(1,2),", "separated by commas"),
        ("(1,2,)", "column 6"),
        ("(1,2)(2,3)", "twice"),
        ("(1,2,1)", "twice"),
        ("", "separated by commas"),
        ("(1,999999999)", "at most 100000"),
        ("__import__", "column 1"),
    ],
)
def test_what_are_no_cycles_is_named_with_its_column(text, told):
    with pytest.raises(InputError, match=told):
        read_cycles(text)


def test_too_few_points_are_refused():
    with pytest.raises(InputError, match="point 3 of 2"):
        read_cycles("(1,3)", points=2)


def test_presses_that_commute_cost_the_same():
    free, ordered = LightsOut(3), LightsOut(3, commutative=True)
    table = TableHeuristic(free)
    boards = torch.tensor(list(itertools.product((0, 1), repeat=9)), dtype=torch.uint8)
    goals = free.goal.expand(512, 9)
    exact = table(boards, goals)
    found, cost = ordered.expand(boards), torch.where(boards.bool().any(1), torch.inf, 0.0)
    index = (found.states.long() * 2 ** torch.arange(8, -1, -1)).sum(2)
    for _ in range(12):
        cost = torch.minimum(cost, torch.where(found.valid, cost[index] + 1, torch.inf).amin(1))
    assert torch.equal(cost, exact)
    assert found.valid.sum(1).max() == 5


def test_presses_that_commute_generate_fewer_children():
    ordered, free = LightsOut(7, commutative=True), LightsOut(7)
    check_domain(ordered, 50)
    states, _ = ordered.sample_instances(torch.tensor([4, 5]), 1)
    for state in states:
        one, two = (bwas(d, state, d.goal, LowerBoundHeuristic(d), batch_size=20) for d in (ordered, free))
        assert one.cost == two.cost
        assert one.nodes_generated < two.nodes_generated / 10
    with pytest.raises(DomainError, match="darkness"):
        ordered.is_goal(states, states)


def test_maps_from_text():
    room, start = GridWorld.from_text("S..#\n##..\nG...")
    found = bwas(room, start, room.goal, LowerBoundHeuristic(room))
    assert "".join(room.names[a] for a in found.actions) == "RRDDLL"
    assert room.to_text(start) == "S..#\n##..\nG..."
    with pytest.raises(DomainError, match="line 2, column 2"):
        GridWorld.from_text("S.\n.x\nG.")
    with pytest.raises(DomainError, match="one each"):
        GridWorld.from_text("S.\nS.\nG.")


def test_graphs_of_networkx():
    import networkx as nx

    graph = nx.Graph()
    graph.add_weighted_edges_from([("a", "b", 0.5), ("b", "c", 0.25), ("a", "c", 2.0)])
    graph.add_node("alone")
    domain, nodes = GraphDomain.from_networkx(graph, "c")
    start = [torch.tensor([nodes.index(n)], dtype=torch.int32) for n in ("a", "alone")]
    assert bwas(domain, start[0], domain.goal, ZeroHeuristic()).cost == 0.75
    assert bwas(domain, start[1], domain.goal, ZeroHeuristic()).cost == math.inf
    steps, _ = GraphDomain.from_networkx(graph, "c", weight=None)
    assert bwas(steps, start[0], steps.goal, ZeroHeuristic()).cost == 1
    with pytest.raises(InputError, match="'d'"):
        GraphDomain.from_networkx(graph, "d")
