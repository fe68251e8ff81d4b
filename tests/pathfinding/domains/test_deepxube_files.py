"""Domains and files of deepxube, with stand-ins for its classes."""

import pickle
import random
import sys
import types

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    DeepXubeAdapter,
    DomainError,
    NPuzzle,
    ZeroHeuristic,
    bwas,
    check_domain,
    read_deepxube,
    validate_path,
)


class Number:
    """A state: a number on a circle."""

    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return isinstance(other, Number) and self.n == other.n

    def __hash__(self):
        return hash(self.n)


class Circle:
    """Steps of 1 and 5 on a circle of 23, as deepxube has its domains; at 7 nothing can be done but a step of 1."""

    def get_actions_fixed(self):
        return [1, 5]

    def expand(self, states):
        actions = [[1] if s.n == 7 else [1, 5] for s in states]
        to = [[Number((s.n + a) % 23) for a in row] for s, row in zip(states, actions)]
        return to, actions, [[1.0] * len(row) for row in actions]

    def is_solved(self, states, goals):
        return [s.n == g["at"] for s, g in zip(states, goals)]

    def sample_problem_instances(self, steps):
        return [Number(random.randrange(23)) for _ in steps], [{"at": 0} for _ in steps]

    def __repr__(self):
        return "circle"


def test_a_domain_of_objects_is_searched():
    domain = DeepXubeAdapter(Circle())
    start = domain.numbers([Number(13)])
    goal = domain.goal_numbers([{"at": 0}])
    found = bwas(domain, start[0], goal[0], ZeroHeuristic(), batch_size=3)
    assert (found.cost, found.actions, found.optimal) == (2.0, [1, 1], True)
    blocked = bwas(domain, domain.numbers([Number(7)])[0], goal[0], ZeroHeuristic(), batch_size=3)
    assert blocked.cost == 4  # 8, 13, 18, 0
    assert [n.n for n in domain.objects(domain.numbers([Number(13), Number(4)]))] == [13, 4]
    assert check_domain(domain, states=domain.numbers([Number(i) for i in range(23)])) == 23


def test_instances_are_drawn_by_their_seed_and_nothing_else_is_changed():
    domain = DeepXubeAdapter(Circle())
    before = torch.get_rng_state()
    states, goals = domain.sample_instances(torch.zeros(9, dtype=torch.long), 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(domain.sample_instances(torch.zeros(9, dtype=torch.long), 4)[0], states)
    assert domain.is_goal(states, goals).tolist() == [s.n == 0 for s in domain.objects(states)]


def test_what_is_no_domain_is_refused():
    with pytest.raises(DomainError, match="is_solved"):
        DeepXubeAdapter(object())
    with pytest.raises(DomainError, match="actions"):
        domain = DeepXubeAdapter(Circle(), num_actions=1)
        domain.expand(domain.numbers([Number(1)]))
    with pytest.raises(DomainError, match="numbers"):
        DeepXubeAdapter(Circle()).require_states(torch.zeros(1, 1, dtype=torch.int32))


class Slots:
    """As deepxube's states are."""

    __slots__ = ["hash", "tiles"]

    def __init__(self, tiles):
        self.tiles, self.hash = tiles, None


@pytest.fixture
def held(monkeypatch):
    """Classes with deepxube's names, and a way to write objects of them."""
    module = types.ModuleType("deepxube.domains.all")
    monkeypatch.setitem(sys.modules, "deepxube", types.ModuleType("deepxube"))
    monkeypatch.setitem(sys.modules, "deepxube.domains", types.ModuleType("deepxube.domains"))
    monkeypatch.setitem(sys.modules, "deepxube.domains.all", module)

    def make(name, base=(), **attributes):
        kind = getattr(module, name, None) or type(name, base, {"__module__": "deepxube.domains.all"})
        setattr(module, name, kind)
        one = kind.__new__(kind)
        for key, value in attributes.items():
            setattr(one, key, value)
        return one

    return make


def test_results_are_read_and_replayed(held, tmp_path):
    puzzle = NPuzzle(3)
    start = np.array([1, 2, 3, 4, 5, 6, 0, 7, 8], dtype=np.uint8)
    goal = puzzle.goal.numpy()
    written = {
        "states": [held("NPState", (Slots,), tiles=t, hash=None) for t in (start, goal)],
        "goals": [held("NPGoal", tiles=goal) for _ in range(2)],
        "actions": [[held("NPAction", action=a) for a in (2, 2)], []],
        "solved": [True, True],
        "path_costs": [2.0, np.float64(0)],
    }
    file = tmp_path / "results.pkl"
    file.write_bytes(pickle.dumps(written, protocol=-1))
    with pytest.raises(InputError, match="allow_pickle=True"):
        read_deepxube(file)
    found = read_deepxube(file, allow_pickle=True)
    assert found.domain.name == "npuzzle.3"
    assert found.costs == [2.0, 0.0]
    paid = [validate_path(found.domain, *rest) for rest in zip(found.states, found.goals, found.actions)]
    assert paid == found.costs


def test_rooms_and_maps_are_read(held, tmp_path):
    walls, boxes, wanted = np.ones((10, 10), np.uint8), np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    walls[1, 1:5], boxes[1, 2], wanted[1, 4] = 0, 1, 1
    room = held("SkState", agent=np.array([1, 1]), boxes=boxes, walls=walls, hash=None)
    file = tmp_path / "rooms.pkl"
    file.write_bytes(pickle.dumps({"states": [room], "goals": [held("SkGoal", boxes=wanted)]}))
    found = read_deepxube(file, allow_pickle=True)
    assert found.domain.to_text(found.states[0], found.goals[0]).splitlines()[1] == "#@$ .#####"
    assert bwas(found.domain, found.states[0], found.goals[0], ZeroHeuristic()).actions == [3, 3]
    at = {"states": [held("GridState", robot_x=2, robot_y=0)], "goals": [held("GridGoal", robot_x=0, robot_y=3)]}
    file.write_bytes(pickle.dumps(at))
    found = read_deepxube(file, allow_pickle=True)
    assert bwas(found.domain, found.states[0], found.goals[0], ZeroHeuristic()).cost == 5


class Harm:
    """Would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_that_acts_is_refused(tmp_path):
    file, trace = tmp_path / "bad.pkl", tmp_path / "trace"
    file.write_bytes(pickle.dumps({"states": [Harm(str(trace))]}))
    with pytest.raises(InputError, match="open"):
        read_deepxube(file, allow_pickle=True)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1]), pickle.dumps({"states": []}), b"\x80\x04}."])
def test_what_is_no_file_of_deepxube_is_refused(tmp_path, content):
    file = tmp_path / "x.pkl"
    file.write_bytes(content)
    with pytest.raises(InputError):
        read_deepxube(file, allow_pickle=True)


def test_odd_states_are_refused(held, tmp_path):
    file = tmp_path / "x.pkl"
    tiles = np.zeros(9, dtype=np.uint8)
    for states, goals in (
        ([held("Other", tiles=tiles)], []),
        ([held("NPState", tiles=tiles)], [held("NPGoal", tiles=tiles)]),
        ([held("NPState", tiles=tiles / 2)], [held("NPGoal", tiles=tiles)]),
        ([held("NPState")], [held("NPGoal", tiles=tiles)]),
    ):
        file.write_bytes(pickle.dumps({"states": states, "goals": goals}))
        with pytest.raises(InputError):
            read_deepxube(file, allow_pickle=True)
