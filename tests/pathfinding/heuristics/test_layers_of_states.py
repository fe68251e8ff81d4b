"""Layers of states are made a part at a time, and never larger than memory."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import NPuzzle, Pancakes, PermutationDomain, TableHeuristic, growth, sphere_sizes
from deepwright.pathfinding.heuristics import layers


class Watched(Pancakes):
    """Pancakes that say how many states were expanded at once."""

    most = calls = 0

    def expand(self, states):
        self.calls += 1
        self.most = max(self.most, len(states))
        return super().expand(states)


def test_parts_are_small_where_states_are_large(monkeypatch):
    monkeypatch.setattr(layers, "_AT_ONCE", 19 * 20 * 7)
    for make in (sphere_sizes, growth):
        stack = Watched(20)
        assert make(stack, 2) == [1, 19, 342]
        assert stack.most == 7


def test_the_layer_beyond_the_radius_is_not_made(monkeypatch):
    monkeypatch.setattr(layers, "_AT_ONCE", 1)
    stack = Watched(20)
    table = TableHeuristic(stack, radius=2)
    assert not table.complete
    assert table.sizes == [1, 19, 342]
    assert stack.calls == 1 + 19 + 1  # the first part beyond says that there is more
    assert TableHeuristic(NPuzzle(2), radius=6).complete
    assert not TableHeuristic(NPuzzle(2), radius=5).complete


def test_parts_make_the_same_layers(monkeypatch):
    whole = growth(Pancakes(7))
    assert sum(whole) == 5040
    assert whole == sphere_sizes(Pancakes(7), 20)
    monkeypatch.setattr(layers, "_PART", 11)
    assert growth(Pancakes(7)) == whole == sphere_sizes(Pancakes(7), 20)
    assert growth(PermutationDomain.from_cycles("(1,2,3,4,5)", add_inverses=False)) == [1] * 5


def test_too_much_is_refused_before_it_is_there(monkeypatch):
    with pytest.raises(InputError, match="more than 1000 states"):
        growth(Pancakes(8), max_states=1000)
    assert growth(Pancakes(5), max_states=120) == growth(Pancakes(5))
    with pytest.raises(InputError, match="more than 119 states"):
        TableHeuristic(Pancakes(5), max_states=119)
    monkeypatch.setattr(layers, "_MOST", 1000)
    monkeypatch.setattr(layers, "_PART", 5)
    with pytest.raises(InputError, match="more than 125 states of 8 bytes"):
        growth(Pancakes(8), 5)


def test_tables_of_parts_are_exact(monkeypatch):
    puzzle = NPuzzle(2)
    states, goals = puzzle.sample_instances(torch.arange(7), 0)
    least = TableHeuristic(puzzle)(states, goals)
    monkeypatch.setattr(layers, "_PART", 2)
    assert torch.equal(TableHeuristic(puzzle)(states, goals), least)
