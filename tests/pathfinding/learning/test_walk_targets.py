"""Walks, small searches and their targets, against slow references."""

import itertools
import random

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import DomainError, GraphDomain, GridWorld, NPuzzle, RubiksCube, TableHeuristic
from deepwright.pathfinding.learning import (
    Forest,
    action_targets,
    backward_walks,
    forward_walks,
    goals_from,
    grow,
    hindsight,
    one_step_targets,
    path_bounds,
    tree_targets,
)
from deepwright.pathfinding.learning.relabelling import deepest_expanded


@pytest.fixture(scope="module")
def puzzle():
    return NPuzzle(3)


@pytest.fixture(scope="module")
def table(puzzle):
    return TableHeuristic(puzzle)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def random_forest(seed):
    """A tree of up to 60 nodes, with goals, leaves, dead ends and costs that differ."""
    draw = random.Random(seed)
    parent, depth = [-1], [0]
    for node in range(1, draw.randint(1, 60)):
        parent.append(draw.randrange(node) if draw.random() < 0.5 else node - 1)
        depth.append(depth[parent[-1]] + 1)
    n = len(parent)
    goal = torch.tensor([draw.random() < 0.05 for _ in range(n)])
    expanded = torch.tensor([i in parent or draw.random() < 0.1 for i in range(n)])  # some of them dead ends
    cost = torch.tensor([0.0] + [draw.uniform(0.1, 3) for _ in range(n - 1)])
    h = torch.tensor([draw.uniform(0, 9) for _ in range(n)]).masked_fill(goal, 0)
    zero = torch.zeros(n, dtype=torch.long)
    states = torch.arange(n, dtype=torch.int32)[:, None]
    one = torch.zeros(1, dtype=torch.long)
    shape = torch.tensor(parent), cost, torch.tensor(depth), h, goal, expanded
    return Forest(states, zero, *shape, states[:1], goal.any()[None], one)


def reference(forest, node, leaf):
    """b(n), by recursion."""
    if forest.goal[node]:
        return 0.0
    if not forest.expanded[node]:
        return float(leaf[node])
    children = (forest.parent == node).nonzero()[:, 0].tolist()
    return min((float(forest.cost[c]) + reference(forest, c, leaf) for c in children), default=float("inf"))


@pytest.mark.parametrize("seeds", [range(k, k + 25) for k in range(0, 100, 25)], ids=lambda r: f"from {r.start}")
def test_targets_of_random_trees_are_those_of_a_recursion(seeds):
    for seed in seeds:
        forest = random_forest(seed)
        deep, near, known = tree_targets(forest), one_step_targets(forest), path_bounds(forest)
        never = torch.full_like(forest.h, torch.inf)
        for node in range(len(forest.h)):
            trained = bool(forest.expanded[node])
            if trained or (forest.goal[node] and node == 0):
                assert float(deep[node]) == pytest.approx(reference(forest, node, forest.h), rel=1e-5)
                children = (forest.parent == node).nonzero()[:, 0]
                step = min((forest.cost[children] + forest.h[children]).tolist(), default=float("inf"))
                assert float(near[node]) == pytest.approx(0.0 if forest.goal[node] else step, rel=1e-6)
            else:
                assert deep[node] == near[node] == torch.inf
            assert float(known[node]) == pytest.approx(reference(forest, node, never), rel=1e-5)


def test_a_dead_end_has_no_target_and_lends_none():
    domain = GraphDomain(torch.tensor([[0, 1], [0, 2], [2, 3]]), goal=3)
    starts = torch.tensor([[0], [1]], dtype=torch.int32)
    goals = domain.goal.expand(2, 1)
    forest = grow(domain, starts, goals, lambda s, g: (s[:, 0] == 2).float(), 5)
    y = tree_targets(forest)
    assert {int(s): float(v) for s, v in zip(forest.states[forest.expanded], y[forest.expanded])} == {
        0: 2.0,
        1: torch.inf,
        2: 1.0,
    }
    assert forest.solved.tolist() == [True, False]


def test_every_valid_child_is_a_node_and_is_expanded_best_first(puzzle, table):
    walks = backward_walks(puzzle, torch.full((20,), 40), rng())
    forest = grow(puzzle, walks.states, walks.goals, table, 40)
    least = table(walks.states, walks.goals)
    assert bool(forest.solved.all())
    assert torch.bincount(forest.tree[forest.expanded]).tolist() == least.long().tolist()  # straight there
    own, children = forest.states[forest.expanded], torch.bincount(forest.parent[forest.parent >= 0])
    assert (children[forest.expanded.nonzero()[:, 0]] == puzzle.expand(own).valid.sum(1)).all()
    wanted = table(own, forest.goals[forest.tree[forest.expanded]])
    for y in (tree_targets(forest), one_step_targets(forest), path_bounds(forest)):
        assert torch.equal(y[forest.expanded], wanted)


def test_no_state_is_expanded_twice_in_a_tree(puzzle):
    walks = backward_walks(puzzle, torch.full((6,), 60), rng(1))
    forest = grow(puzzle, walks.states, walks.goals, lambda s, g: torch.zeros(len(s)), 60)
    for tree in range(6):
        keys = puzzle.keys(forest.states[forest.expanded & (forest.tree == tree)]).tolist()
        assert len(keys) == len(set(keys)) == 60
        depths = forest.depth[forest.expanded & (forest.tree == tree)]
        assert bool((depths.diff() >= 0).all())  # by breadth


def test_a_cheaper_way_to_a_state_that_waits_is_taken():
    edges = torch.tensor([[0, 1], [0, 2], [2, 1], [1, 3], [3, 4]])
    domain = GraphDomain(edges, torch.tensor([5.0, 1.0, 1.0, 1.0, 1.0]), goal=4)
    forest = grow(
        domain, torch.tensor([[0]], dtype=torch.int32), domain.goal[None], lambda s, g: torch.zeros(len(s)), 9
    )
    assert forest.states[forest.expanded][:, 0].tolist() == [0, 2, 1, 3]
    assert float(path_bounds(forest)[0]) == 4.0


def test_solved_instances_make_room_for_spares(puzzle):
    near, far = (backward_walks(puzzle, torch.full((5,), k), rng(k)) for k in (1, 50))
    forest = grow(puzzle, near.states, near.goals, lambda s, g: torch.zeros(len(s)), 6, spares=(far.states, far.goals))
    assert forest.instance.tolist() == list(range(10))
    roots = forest.parent < 0
    assert torch.equal(forest.states[roots], torch.cat([near.states, far.states]))
    assert torch.bincount(forest.tree[forest.expanded]).tolist() == [1] * 5 + [5] * 5
    assert (forest.tree[forest.parent[~roots]] == forest.tree[~roots]).all()


def brute_hindsight(forest, domain, values):
    """Relabelled targets of each failed tree by loops: {(state, new goal): y}, one a node."""
    found = []
    for tree in range(len(forest.goals)):
        nodes = [n for n in range(len(forest.tree)) if forest.tree[n] == tree]
        grown = [n for n in nodes if forest.expanded[n]]
        if forest.solved[tree] or not grown:
            continue
        goal = forest.states[max(grown, key=lambda n: (int(forest.depth[n]), n))]

        def b(n, goal=goal, nodes=nodes):
            if torch.equal(forest.states[n], goal):
                return 0.0
            if not forest.expanded[n]:
                return float(values(forest.states[n][None], goal[None]))
            return min(float(forest.cost[c]) + b(c) for c in nodes if forest.parent[c] == n)

        found += [(forest.states[n].tolist(), goal.tolist(), b(n)) for n in grown]
    return found


def test_hindsight_is_that_of_loops(puzzle):
    def values(states, goals):
        return (states != goals).sum(1).float() * 0.7

    walks = backward_walks(puzzle, torch.tensor([1, 2, 20, 25, 30, 40]), rng(2))
    forest = grow(puzzle, walks.states, walks.goals, values, 7)
    again = hindsight(forest, puzzle, values)
    y, on = tree_targets(again), again.expanded
    got = [(s.tolist(), g.tolist(), float(v)) for s, g, v in zip(again.states[on], again.goals[again.tree[on]], y[on])]
    wanted = brute_hindsight(forest, puzzle, values)
    assert len(wanted) >= 21
    key = [lambda row: (row[1], row[0], row[2])] * 2
    for a, b in zip(sorted(got, key=key[0]), sorted(wanted, key=key[1]), strict=True):
        assert a[:2] == b[:2]
        assert a[2] == pytest.approx(b[2], rel=1e-5)
    assert bool(again.solved.all())


def test_the_deepest_is_the_last_of_the_deepest():
    forest = random_forest(3)
    grown = forest.expanded.nonzero()[:, 0].tolist()
    assert deepest_expanded(forest).tolist() == [max(grown, key=lambda n: (int(forest.depth[n]), n))]


def test_action_targets_are_values_when_q_is_exact(puzzle, table):
    walks = backward_walks(puzzle, torch.arange(60), rng(4))
    found = puzzle.expand(walks.states)

    def exact(states):
        children = puzzle.expand(states)
        h = torch.stack([table(children.states[:, a], walks.goals) for a in range(4)], 1)
        return (children.costs + h).masked_fill(~children.valid, torch.inf)

    h, q = table(walks.states, walks.goals), exact(walks.states)
    at_goal = puzzle.is_goal(walks.states, walks.goals)
    assert torch.equal(q.amin(1)[~at_goal], h[~at_goal])
    for action in range(4):
        on = found.valid[:, action]
        after = found.states[:, action]
        done = puzzle.is_goal(after, walks.goals)
        y = action_targets(found.costs[:, action], done, exact(after), puzzle.expand(after).valid, at_goal)
        assert torch.equal(y[on & ~at_goal], q[on & ~at_goal, action])
        assert (y[at_goal] == 0).all()
    dead = action_targets(
        torch.ones(1), torch.tensor([False]), torch.ones(1, 2), torch.zeros(1, 2).bool(), at_goal[1:2]
    )
    assert dead.tolist() == [torch.inf]


@pytest.mark.parametrize("make", [lambda: NPuzzle(3), lambda: RubiksCube(3)], ids=["puzzle", "cube"])
def test_walks_never_turn_back_and_know_the_way(make):
    domain = make()
    two = backward_walks(domain, torch.full((300,), 2), rng())
    assert not domain.is_goal(two.states, two.goals).any()
    walks = backward_walks(domain, torch.arange(40), rng(5))
    assert torch.equal(walks.lengths, torch.arange(40))
    assert torch.equal(walks.costs, torch.arange(40).float())
    assert walks.first[0] == -1
    ones = backward_walks(domain, torch.ones(50, dtype=torch.long), rng(6))
    back, _, valid = domain.step(ones.states, ones.first)
    assert bool(valid.all())
    assert bool(domain.is_goal(back, ones.goals).all())


def test_every_action_is_drawn_as_often():
    domain = RubiksCube(2)
    first = torch.bincount(backward_walks(domain, torch.ones(6000, dtype=torch.long), rng()).first, minlength=6)
    assert (first - 1000).abs().max() < 5 * (6000 * 5 / 36) ** 0.5


def test_plain_walks_stand_still_where_they_are_blocked(puzzle):
    walks = backward_walks(puzzle, torch.full((4000,), 1), rng(7), walk="plain")
    stayed = puzzle.is_goal(walks.states, walks.goals)
    assert abs(float(stayed.float().mean()) - 0.5) < 0.04  # in a corner two of four moves are blocked
    assert (walks.costs[stayed] == 0).all()


def test_walks_are_seeded_and_independent_of_order(puzzle):
    a, b = (backward_walks(puzzle, torch.tensor([30, 3, 17]), rng(8)) for _ in range(2))
    assert torch.equal(a.states, b.states)
    assert a.lengths.tolist() == [30, 3, 17]


def test_a_walk_into_a_dead_end_ends_there():
    corridor = GridWorld(torch.zeros(1, 4, dtype=torch.bool))
    walks = backward_walks(corridor, torch.tensor([9, 2, 0]), rng())
    assert walks.lengths.tolist() == [3, 2, 0]
    assert walks.states.tolist() == [[0, 3], [0, 2], [0, 0]]


def test_forward_walks_make_goals_of_where_they_end():
    domain = GraphDomain(torch.tensor([[0, 1], [1, 2], [2, 0]]), torch.tensor([1.0, 2.0, 4.0]), goal=2)
    begin = torch.zeros(3, 1, dtype=torch.int32)
    walks = forward_walks(domain, begin, torch.tensor([0, 1, 2]), rng())
    assert (walks.goals[:, 0].tolist(), walks.costs.tolist()) == ([0, 1, 2], [0.0, 1.0, 3.0])
    assert walks.first.tolist() == [-1, 0, 0]
    with pytest.raises(DomainError, match="can't be walked backwards"):
        backward_walks(domain, torch.ones(2, dtype=torch.long), rng())


def test_goals_that_arent_reached_are_named(puzzle):
    class Odd(NPuzzle):
        def goal_from_state(self, states):
            return states.flip(1)

    with pytest.raises(DomainError, match="isn't reached by it"):
        goals_from(Odd(3), puzzle.goal[None])


@pytest.mark.parametrize(("steps", "walk", "said"), [([1], "zigzag", "walk"), ([-1], "direct", "steps")])
def test_walks_refuse(puzzle, steps, walk, said):
    with pytest.raises(InputError, match=said):
        backward_walks(puzzle, torch.tensor(steps), rng(), walk=walk)


def test_nothing_is_nothing(puzzle):
    walks = backward_walks(puzzle, torch.zeros(0, dtype=torch.long), rng())
    assert len(walks.states) == 0
    assert list(itertools.chain(walks.costs)) == []
