"""Walks where every action can be taken: the same as step by step, of the right lengths, never straight back."""

import pytest
import torch

from deepwright.pathfinding import (
    Domain,
    DomainError,
    LightsOut,
    NPuzzle,
    Pancakes,
    PermutationDomain,
    RubiksCube,
    TableHeuristic,
    check_domain,
)
from deepwright.pathfinding.learning.free_walks import drawn_actions
from deepwright.pathfinding.learning.walks import backward_walks, forward_walks

DOMAINS = [RubiksCube(3), RubiksCube(2), Pancakes(6), LightsOut(4), PermutationDomain([[1, 2, 0], [2, 0, 1]])]


@pytest.mark.parametrize("domain", [*DOMAINS, NPuzzle(3), LightsOut(3, commutative=True)])
def test_following_is_step_after_step(domain):
    states, _ = domain.sample_instances(torch.arange(50) % 7, 2)
    actions = torch.randint(domain.num_actions + 1, (50, 8), generator=torch.Generator().manual_seed(1))
    assert torch.equal(domain.follow(states, actions), Domain.follow(domain, states, actions))


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_action_takes_back_the_one_before(domain):
    steps = torch.arange(200).flip(0) % 9
    steps = steps.sort(descending=True).values
    actions = drawn_actions(domain, steps, torch.Generator().manual_seed(0), "direct")
    assert torch.equal((actions < domain.num_actions).sum(1), steps)
    back = torch.tensor([*domain.inverse, -1])
    one, two = actions[:, :-1], actions[:, 1:]
    assert not bool(((back[one] == two) & (two < domain.num_actions)).any())
    assert set(actions.unique().tolist()) == set(range(domain.num_actions + 1))


@pytest.mark.parametrize("walk", ["direct", "plain"])
def test_ends_are_where_actions_lead_and_first_is_the_way_back(walk):
    cube, steps = RubiksCube(2), torch.tensor([0, 5, 1, 3, 2, 4, 0, 3])
    found = backward_walks(cube, steps, torch.Generator().manual_seed(3), walk)
    table = TableHeuristic(cube, radius=6)
    assert torch.equal(found.lengths, steps)
    assert bool((table(found.states, found.goals) <= found.costs).all())
    assert (found.first < 0).tolist() == (steps == 0).tolist()
    on = steps > 0
    nearer = cube.step(found.states[on], found.first[on])[0]
    assert bool((table(nearer, found.goals[on]) <= steps[on] - 1).all())
    ahead = forward_walks(cube, found.states, steps, torch.Generator().manual_seed(4), walk)
    assert torch.equal(ahead.states, found.states)
    assert (ahead.first < 0).tolist() == (steps == 0).tolist()


def test_walks_of_every_length_are_drawn_alike():
    """Two steps of the cube that don't turn back: 12 times 11 ways, to the 114 states two turns away."""
    cube = RubiksCube(3)
    found = backward_walks(cube, torch.full((20_000,), 2), torch.Generator().manual_seed(0))
    keys, counts = cube.keys(found.states).unique(return_counts=True)
    assert len(keys) == TableHeuristic(cube, radius=2).sizes[2] == 114
    # 96 states by one way, 18 by two: of the opposite faces (12) and of half turns (6)
    assert counts.double().sort().values[:96].mean() == pytest.approx(20_000 / 132, rel=0.05)
    assert counts.double().sort().values[96:].mean() == pytest.approx(2 * 20_000 / 132, rel=0.05)


class Barred(PermutationDomain):
    def expand(self, states):
        found = super().expand(states)
        found.valid[:, 0] = states[:, 0] != 0
        return found


def test_a_subclass_that_bars_actions_walks_by_its_own_rules():
    domain = Barred([[1, 0, 2], [0, 2, 1]])
    assert not domain.always_valid
    found = backward_walks(domain, torch.ones(100, dtype=torch.long), torch.Generator().manual_seed(0))
    assert bool((found.states == torch.tensor([0, 2, 1], dtype=torch.uint8)).all())

    class Lying(Barred):
        always_valid = True

    with pytest.raises(DomainError, match="always_valid"):
        check_domain(Lying([[1, 0, 2], [0, 2, 1]]), 20)
