"""Symmetries of cubes: they commute with turns, and orbits are as many as Burnside's lemma says."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import NPuzzle, RubiksCube, TableHeuristic, symmetries_of


def sphere(cube, radius):
    """All states at a distance."""
    layers = [cube.goal[None], cube.goal[None]]
    known = set(cube.keys(cube.goal[None]).tolist())
    for _ in range(radius):
        children = cube.expand(layers[-1]).states.flatten(0, 1).unique(dim=0)
        new = torch.tensor([k not in known for k in cube.keys(children).tolist()])
        layers.append(children[new])
        known |= set(cube.keys(children).tolist())
    return layers[-1]


@pytest.mark.parametrize(("size", "count"), [(3, 48), (2, 6)])
def test_they_take_actions_to_actions(size, count):
    cube = RubiksCube(size)
    maps = symmetries_of(cube)
    assert len(maps) == count
    states, _ = cube.sample_instances(torch.arange(6) * 3, 1)
    images = maps.images(states)
    assert torch.equal(images[:, 0], states)
    assert (maps.images(cube.goal[None]) == cube.goal).all()
    children = maps.images(cube.expand(states).states.flatten(0, 1)).unflatten(0, (6, -1))  # (B, A, K, n)
    there = cube.expand(images.flatten(0, 1)).states.unflatten(0, (6, -1))  # (B, K, A, n)
    for k in range(count):
        assert torch.equal(there[:, k, maps.actions[k]], children[:, :, k])


def test_orbits_are_as_many_as_burnside_says():
    cube = RubiksCube(3)
    maps = symmetries_of(cube)
    for radius, orbits in ((1, 1), (2, 5), (3, 25)):
        states = sphere(cube, radius)
        fixed = (maps.images(states) == states[:, None]).all(2).sum()
        assert int(fixed) == orbits * 48
        assert len(maps.canonical(states).unique(dim=0)) == orbits


def test_images_are_equally_far():
    cube = RubiksCube(2)
    maps = symmetries_of(cube)
    table = TableHeuristic(cube, radius=4)
    states, _ = cube.sample_instances(torch.arange(40) % 6, 2)
    images = maps.images(states)
    far = table(images.flatten(0, 1), cube.goal.expand(240, -1)).view(40, 6)
    assert (far == far[:, :1]).all()
    same = maps.canonical(images.flatten(0, 1)).view(40, 6, 24)
    assert (same == same[:, :1]).all()
    assert (cube.keys(same[:, 0]) == cube.keys(maps.canonical(states))).all()


def test_other_domains_are_refused():
    with pytest.raises(InputError, match="RubiksCube"):
        symmetries_of(NPuzzle(3))
