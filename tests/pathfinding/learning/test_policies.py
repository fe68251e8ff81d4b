"""Policies: what they learn, which paths a beam prefers by them, and what refuses them."""

import itertools

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    GraphDomain,
    LearnedHeuristic,
    Limits,
    NPuzzle,
    Pancakes,
    QNet,
    TableHeuristic,
    Trainer,
    ValueNet,
    audit_heuristic,
    beam,
    bwas,
    bwqs,
    solve,
    solve_many,
    states_within,
    validate_path,
)
from deepwright.pathfinding.learning.following import followed


class Fixed(nn.Module):
    """Logits by state, from a table."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, states, goals):
        return self.logits[states.long().flatten()]


STACK = Pancakes(5)


@pytest.fixture(scope="module")
def learned():
    """A policy of five pancakes."""
    trainer = Trainer(
        STACK,
        QNet(STACK, 32, 1, seed=0),
        "supervised",
        kind="policy",
        k_max=7,
        balance=False,
        batch_size=200,
        lr=1e-2,
        check_every=50,
    )
    return trainer.fit(max_itrs=100), trainer


def test_it_says_minus_the_logarithm_of_chances_of_what_can_be_done():
    puzzle = NPuzzle(3)
    policy = LearnedHeuristic(QNet(puzzle, 16, 1, seed=0).eval(), puzzle, "policy")
    states, goals = puzzle.sample_instances(torch.tensor([1, 5, 9]), 0)
    said, valid = policy.values(states, goals), puzzle.expand(states).valid
    assert bool((said < torch.inf).eq(valid).all())
    torch.testing.assert_close(said.neg().exp().sum(1), torch.ones(3))
    assert policy.values(puzzle.goal[None], puzzle.goal[None]).eq(0).all()
    assert not policy.admissible


def test_it_learns_the_ways_back(learned):
    policy, trainer = learned
    states, depths = states_within(STACK)
    goals = STACK.goal.expand(len(states), -1)
    likely = policy.values(states, goals).argmin(1)
    after = TableHeuristic(STACK)(STACK.step(states, likely)[0], goals)
    nearer = (after < depths)[depths > 0].float().mean()
    assert nearer > 0.6  # of four actions about 1.5 lead nearer
    assert trainer.history[-1]["solved"] > 0.5
    assert torch.equal(trainer.evaluate(states, goals, 7), followed(policy, states, goals, 7))


def test_beams_find_paths_that_are_replayed(learned):
    policy, _ = learned
    states, goals = STACK.sample_instances(torch.full((8,), 9), 3)
    together = solve_many(STACK, states, goals, policy, "beam", batch_size=20)
    for state, beside in zip(states, together, strict=True):
        found = beam(STACK, state, STACK.goal, policy, width=20)
        assert found.actions == beside.actions
        assert validate_path(STACK, state, STACK.goal, found.actions) == found.cost
        assert found.lower_bound is None
    mixed = beam(STACK, states[0], STACK.goal, policy, width=20, random_share=0.5, temperature=1.0, seed=2)
    assert mixed.status == "solved"


def forking():
    """0 -> 1 (likely) -> 3 or 4, each half as likely, and 0 -> 2 -> 5 for sure: 5 is the likeliest end."""
    domain = GraphDomain(
        torch.tensor([[0, 1], [0, 2], [1, 3], [1, 4], [2, 5], [5, 6], [3, 7], [4, 7]]), nodes=8, goal=6
    )
    even = [0.0] * domain.num_actions
    first = [0.2, 0.0, *even[2:]]
    return domain, LearnedHeuristic(Fixed([first, *[even] * 7]).eval(), domain, "policy")


def test_chances_add_up_along_paths():
    """The first action to 1 is likelier; of paths with two actions that over 2 is. A greedy one goes the wrong way."""
    domain, policy = forking()
    start = torch.tensor([0], dtype=torch.int32)
    found = beam(domain, start, domain.goal, policy, width=2)
    assert found.cost == 3
    assert beam(domain, start, domain.goal, policy, width=1).status == "missed"
    wide = beam(domain, start, domain.goal, policy, width=10, limits=Limits(nodes=100))
    assert wide.nodes_expanded > found.nodes_expanded


def test_what_is_kept_are_the_likeliest_paths(learned):
    """All paths of two actions by hand: the states of a layer are those with the largest products of chances."""
    from deepwright.pathfinding.search.beams import Layers

    policy, _ = learned
    start = STACK.sample_instances(torch.tensor([9]), 4)[0][0]
    layers = Layers(STACK, start, STACK.goal, 4, 0.0, 0.0, False, True, 5, 0)
    layers.by_actions = layers.summed = True
    for _ in range(3):
        states, goals = layers.propose()
        layers.absorb(policy.values(states, goals) if len(states) else torch.zeros(0, 4))
    one = policy.values(start[None], STACK.goal[None])[0]
    chances = {}
    for a, b in itertools.product(range(4), repeat=2):
        middle = STACK.step(start[None], torch.tensor([a]))[0]
        end = STACK.step(middle, torch.tensor([b]))[0]
        told = float(one[a] + policy.values(middle, STACK.goal[None])[0, b])
        key = tuple(end[0].tolist())
        chances[key] = min(chances.get(key, told), told)
    best = sorted(chances.values())[:4]
    assert sorted(layers.nodes.h[layers.layer].tolist()) == pytest.approx(best, rel=1e-4)


def test_it_is_kept_in_a_file_and_goes_on_bit_for_bit(learned, tmp_path):
    policy, _ = learned
    policy.save(tmp_path / "p.safetensors")
    again = LearnedHeuristic.load(tmp_path / "p.safetensors", STACK)
    states, goals = STACK.sample_instances(torch.arange(5), 1)
    assert torch.equal(again.values(states, goals), policy.values(states, goals))

    def trainer():
        return Trainer(STACK, QNet(STACK, 8, 1, seed=0), "supervised", kind="policy", k_max=5, batch_size=50)

    whole = trainer()
    whole.fit(max_itrs=6)
    trainer().fit(max_itrs=3, checkpoint=tmp_path / "t.state")
    parts = trainer()
    parts.fit(max_itrs=6, checkpoint=tmp_path / "t.state")
    assert all(torch.equal(a, b) for a, b in zip(whole.net.parameters(), parts.net.parameters(), strict=True))


def test_chances_are_no_costs(learned):
    policy, _ = learned
    start = STACK.sample_instances(torch.tensor([3]), 0)[0]
    calls = [
        lambda: bwqs(STACK, start[0], STACK.goal, policy),
        lambda: bwas(STACK, start[0], STACK.goal, policy),
        lambda: solve(STACK, start[0], STACK.goal, policy, "bwqs"),
        lambda: solve_many(STACK, start, STACK.goal[None], policy, "bwqs"),
        lambda: solve_many(STACK, start, STACK.goal[None], policy, "bwas"),
        lambda: audit_heuristic(policy, STACK, TableHeuristic(STACK), n=5),
    ]
    for call in calls:
        with pytest.raises(InputError, match="policy"):
            call()


@pytest.mark.parametrize("words", [{"method": "davi"}, {"method": "q"}, {"loss": "huber"}, {"over_weight": 2.0}])
def test_only_walks_teach_a_policy(words):
    with pytest.raises(InputError, match="policy"):
        Trainer(STACK, QNet(STACK, 8, 1), **{"method": "supervised", "kind": "policy", **words})
    with pytest.raises(InputError, match="output"):
        Trainer(STACK, ValueNet(STACK, 8, 1), "supervised", kind="policy", batch_size=20).fit(max_itrs=1)
