"""The table of a cube's corners: its coordinates against stickers, its numbers against what is published."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import CornerTable, RubiksCube, TableHeuristic, bwas, states_within
from deepwright.pathfinding.heuristics import corners
from deepwright.pathfinding.heuristics.corners import ORDERS, TWISTS, corner_index

CUBE = RubiksCube(3)


def test_turns_of_coordinates_are_those_of_stickers():
    states, _ = CUBE.sample_instances(torch.arange(200), 3)
    order, twist = (torch.from_numpy(moves).long() for moves in corners._moves(CUBE))
    index, after = corner_index(states), CUBE.expand(states).states
    told = order[:, index // TWISTS] * TWISTS + twist[:, index % TWISTS]
    assert torch.equal(told.T, corner_index(after.flatten(0, 1)).view(200, 12))
    assert int(corner_index(CUBE.goal[None])) == 0
    assert int(index.max()) < ORDERS * TWISTS


def test_numbers_tell_all_corners_apart():
    states, _ = states_within(CUBE, 3)
    seen = states[:, corners._corners()[0].flatten()].unique(dim=0)
    assert len(corner_index(states).unique()) == len(seen)


def test_breadth_both_ways_is_that_of_a_list(monkeypatch):
    """On twists alone, of which few are left at the end, so that these ask their neighbours."""
    order, twist = corners._moves(CUBE)
    monkeypatch.setattr(corners, "ORDERS", 1)
    found = corners._by_breadth(order[:, :1] * 0, twist)
    depth, seen, layer = 0, {0: 0}, [0]
    while layer:
        depth += 1
        layer = [to for at in layer for to in set(twist[:, at].tolist()) if seen.setdefault(to, depth) == depth]
        layer = list(dict.fromkeys(layer))
    assert found.tolist() == [seen[i] for i in range(TWISTS)]


def test_another_cube_other_colours_and_other_goals_are_refused():
    with pytest.raises(InputError, match="RubiksCube"):
        CornerTable(RubiksCube(2))
    wrong = CUBE.goal.clone()
    wrong[[2, 44]] = wrong[[44, 2]]  # a corner as its mirror has it
    with pytest.raises(InputError, match="eight corners"):
        corner_index(wrong[None])


def test_corners_that_no_cube_has_and_twisted_ones():
    places, state = corners._corners()[0], CUBE.goal.clone()[None]
    twice, beyond, twisted = state.clone(), state.clone(), state.clone()
    twice[0, places[1]] = state[0, places[0]]
    beyond[0, places[0]] = 9
    for wrong in (twice, beyond):
        with pytest.raises(InputError, match="corners"):
            corner_index(wrong)
    with pytest.raises(InputError, match="54"):
        corner_index(state[:, :20])
    table = object.__new__(CornerTable)
    table.goal, table.table = CUBE.goal, torch.zeros(ORDERS * TWISTS, dtype=torch.uint8)
    twisted[0, places[0]] = state[0, places[0].roll(1)]
    assert table(torch.cat([state, twisted]), torch.cat([state, state])).tolist() == [0.0, float("inf")]


@pytest.mark.slow
def test_the_whole_table(tmp_path):
    table = CornerTable(CUBE, tmp_path / "corners")
    published = [1, 12, 114, 924, 6539, 39528, 199926, 806136, 2761740, 8656152, 22334112, 32420448, 18780864, 2166720]
    assert table.sizes == [*published, 6624]
    assert sum(table.sizes) == 88_179_840
    again = CornerTable(CUBE, tmp_path / "corners")
    assert torch.equal(again.table, table.table)
    states, depths = states_within(CUBE, 4)
    goals = CUBE.goal.expand(len(states), -1)
    said = table(states, goals)
    assert bool((said <= depths).all())
    assert float((said == depths).float().mean()) > 0.5
    after = table(CUBE.expand(states).states.flatten(0, 1), goals.repeat_interleave(12, 0)).view(-1, 12)
    assert bool(((after - said[:, None]).abs() == 1).all())  # consistent, and of the other parity
    start, _ = CUBE.sample_instances(torch.tensor([7]), 1)
    near = bwas(CUBE, start[0], CUBE.goal, TableHeuristic(CUBE, radius=3), batch_size=50)
    found = bwas(CUBE, start[0], CUBE.goal, table, batch_size=50)
    assert found.optimal
    assert found.cost == near.cost
    with pytest.raises(InputError, match="another"):
        table(states[:1], states[1:2])
    (tmp_path / "other").write_text("a note")
    with pytest.raises(InputError):
        CornerTable(CUBE, tmp_path / "other")
