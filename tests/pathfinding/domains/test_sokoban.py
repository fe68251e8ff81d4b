"""Sokoban against the whole of small rooms, and its text."""

import itertools

import pytest
import torch

from deepwright.pathfinding import (
    DomainError,
    LowerBoundHeuristic,
    Sokoban,
    ZeroHeuristic,
    bwas,
    check_domain,
    read_levels,
)

SMALL = """; the first
#####
#@$.#
#####

Two boxes
 ######
##    #
#  .$ #
# $. @#
#######
"""


def whole(walls: str, targets: list[int], boxes: int):
    """All states of a room with their exact costs, by iterating the Bellman equation."""
    domain = Sokoban(*(len(walls.split()), len(walls.split()[0])), boxes=1)
    room = torch.tensor([3 if c == "#" else 0 for row in walls.split() for c in row], dtype=torch.uint8)
    floor = (room == 0).nonzero()[:, 0].tolist()
    states = []
    for agent, *placed in itertools.permutations(floor, boxes + 1):
        if placed == sorted(placed):
            state = room.clone()
            state[agent], state[placed] = 2, 1
            states.append(state)
    states = torch.stack(states)
    goal = torch.zeros_like(room)
    goal[targets] = 1
    goals = goal.expand(len(states), -1)
    order = domain.keys(states).argsort()
    states = states[order]
    keys = domain.keys(states)
    found = domain.expand(states)
    child = torch.searchsorted(keys, domain.keys(found.states.flatten(0, 1))).view(found.valid.shape)
    assert (states[child][found.valid] == found.states[found.valid]).all()
    cost = torch.where(domain.is_goal(states, goals), 0.0, torch.inf)
    for _ in range(200):
        cost = torch.minimum(cost, torch.where(found.valid, cost[child] + 1, torch.inf).amin(1))
    return domain, states, goals, cost


ROOMS = [
    ("###### #....# #.##.# #....# #...## ######", [8, 21], 2),
    ("####### #.....# #..#..# #.....# #######", [9, 24, 26], 3),
    ("##### #...# #...# #...# #####", [12], 1),
]


@pytest.mark.parametrize("room", ROOMS, ids=["ring", "three", "one"])
def test_what_it_calls_lost_is_lost_and_its_bound_is_one(room):
    domain, states, goals, cost = whole(*room)
    bound = domain.lower_bound(states, goals)
    assert (bound <= cost).all()
    lost = cost.isinf()
    assert (bound[lost].isinf().float().mean() > 0.5).item()
    found = domain.expand(states)
    row, action = found.valid.nonzero(as_tuple=True)
    after = domain.lower_bound(found.states[row, action], goals[row])
    before = bound[row]
    assert after[before.isinf()].isinf().all()  # what is lost stays lost
    assert (before - after <= 1)[before.isfinite()].all()


def test_searches_find_the_least_number_of_moves():
    domain, states, goals, cost = whole(*ROOMS[0])
    for i in range(0, len(states), 97):
        found = bwas(domain, states[i], goals[i], LowerBoundHeuristic(domain), batch_size=20)
        assert found.cost == cost[i]
        assert found.status == ("exhausted" if cost[i].isinf() else "solved")


def test_it_keeps_its_word():
    assert check_domain(Sokoban(7, 8, 2), 150) > 100


def test_rooms_are_drawn_by_their_seed_and_can_be_solved():
    domain = Sokoban(6, 6, 2)
    steps = torch.tensor([0, 5, 12, 30])
    states, goals = domain.sample_instances(steps, 5)
    assert torch.equal(states, domain.sample_instances(steps, 5)[0])
    assert not torch.equal(states, domain.sample_instances(steps, 6)[0])
    domain.require_states(states)
    domain.require_states(goals, "goals")
    assert ((states == 1).sum(1) == 2).all()
    for state, goal, most in zip(states, goals, steps):
        assert bwas(domain, state, goal, LowerBoundHeuristic(domain), batch_size=50).cost <= most


def test_levels_from_text():
    levels = read_levels(SMALL)
    assert [level.title for level in levels] == ["the first", "Two boxes"]
    domain, states, goals = Sokoban.from_text(SMALL)
    assert domain.name == "sokoban.5x7"
    assert domain.to_text(states[1], goals[1]).splitlines()[1:] == SMALL.splitlines()[7:]
    assert domain.lower_bound(states, goals).tolist() == [1.0, 3.0]
    assert bwas(domain, states[0], goals[0], ZeroHeuristic()).actions == [3]
    again = domain.to_text(states[1], goals[1])
    assert torch.equal(domain.instances(read_levels(again))[0][0], states[1])


def test_a_level_in_another_room_asks_its_own_table():
    domain, states, goals = Sokoban.from_text(SMALL)
    alone = [domain.lower_bound(states[i : i + 1], goals[i : i + 1]) for i in (0, 1, 0)]
    assert torch.cat(alone[:2]).tolist() == domain.lower_bound(states, goals).tolist()
    assert torch.equal(alone[0], alone[2])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#####\n#@x.#\n#####", "line 2, column 3"),
        ("#####\n#@$.#\n#@  #\n#####", "line 2, column 2; line 3, column 2"),
        ("\n\n#####\n# $.#\n#####", "line 3; given: 0 agents"),
        ("#####\n#@$ #\n#####", "1 boxes and 0 targets"),
        ("#####\n#@..#\n#####", "0 boxes and 2 targets"),
        ("#" * 65 + "\n#@$.#", "1 x 65|2 x 65"),
        ("", "none"),
        ("only words", "none"),
        ("#" * 4_000_001, "4000001 characters"),
    ],
)
def test_what_is_no_level_is_named_with_its_place(text, told):
    with pytest.raises(DomainError, match=told):
        read_levels(text)


def test_bad_input_is_refused():
    with pytest.raises(DomainError, match="a quarter"):
        Sokoban(4, 4, boxes=4).sample_instances(torch.tensor([1]), 0)
    for size in ((2, 5), (5, 65)):
        with pytest.raises(ValueError, match=r"rows|room"):
            Sokoban(*size)
    domain = Sokoban(5, 5, 1)
    with pytest.raises(DomainError, match="0 agents"):
        domain.require_states(torch.zeros(1, 25, dtype=torch.uint8))
    with pytest.raises(DomainError, match="at most 5 x 5"):
        domain.instances(read_levels("######\n#@ $.#\n######"))


def test_its_picture():
    domain, states, goals = Sokoban.from_text(SMALL)
    picture = domain.picture(states[0], goals[0], cell=10)
    assert picture.shape == (50, 70, 3)
    assert picture[15, 15].tolist() == [52, 110, 190]  # the agent
    assert picture[15, 25].tolist() == [176, 116, 52]  # the box
    assert picture[15, 35].tolist() == [200, 40, 40]  # the target
    assert picture[5, 5].tolist() == [84, 80, 78]  # a wall
