"""Meshes against closed forms: volumes, boundaries and even points of triangles and tetrahedra."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay

from deepwright.core.errors import InputError
from deepwright.physics import Ball, Box, Difference, require_inside
from deepwright.physics.geometry import Mesh, Polygon

ELL = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]


def disc(rings=6, sides=40):
    """Triangles of concentric rings, mixed up and of either orientation."""
    around = 2 * np.pi * np.arange(sides) / sides
    points = [
        [0.0, 0.0],
        *([r / rings * math.cos(t), r / rings * math.sin(t)] for r in range(1, rings + 1) for t in around),
    ]
    cells = Delaunay(points).simplices
    return Mesh(points, np.random.default_rng(0).permutation(cells)), sides


def cube():
    """Eight cubes of side 1/2, each in six tetrahedra along its diagonal."""
    points = np.array(list(itertools.product([0.0, 0.5, 1.0], repeat=3)))
    row = {tuple(p): i for i, p in enumerate((2 * points).astype(int))}
    cells = []
    for corner in itertools.product(range(2), repeat=3):
        for order in itertools.permutations(np.eye(3, dtype=int)):
            path = np.cumsum([np.array(corner), *order], 0)
            cells.append([row[tuple(p)] for p in path])
    return Mesh(points, cells)


def test_a_disc_of_triangles():
    region, sides = disc()
    assert region.volume == pytest.approx(sides / 2 * math.sin(2 * math.pi / sides))
    assert region.area == pytest.approx(2 * sides * math.sin(math.pi / sides))
    x, normal = region.sample_boundary(400)
    assert bool(((x * normal).sum(1) > 0.99).all())
    assert not bool(region.contains(x + 1e-6 * normal).any())


def test_points_of_a_disc_are_even():
    region, _ = disc()
    x = region.sample(8192)
    require_inside(region, x)
    assert float((x.norm(dim=1) < 0.5).double().mean()) == pytest.approx(0.25 * math.pi / region.volume, abs=0.01)


def test_a_cube_of_tetrahedra():
    region = cube()
    assert region.volume == pytest.approx(1)
    assert region.area == pytest.approx(6)
    x = region.sample(4096)
    assert x.mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.02)
    assert x.square().mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    edge, normal = region.sample_boundary(600)
    assert bool((normal.abs().amax(1) > 0.999).all())
    assert float((edge * normal).sum(1).mean()) == pytest.approx(3 / 6, abs=0.03)  # divergence theorem


def test_a_mesh_is_the_polygon_that_it_fills():
    corners = torch.tensor(ELL, dtype=torch.float64)
    mesh, drawn = Mesh(corners, [[0, 1, 2], [0, 2, 3], [0, 3, 5], [3, 4, 5]]), Polygon(corners)
    x = Box((-0.5, 2.5), (-0.5, 2.5)).sample(300)
    torch.testing.assert_close(mesh.distance(x), drawn.distance(x))
    torch.testing.assert_close(mesh.level(x), drawn.level(x))
    hole = Difference(mesh, Ball((0.5, 0.5), 0.2))
    assert bool(hole.contains(hole.sample(50)).all())


@pytest.mark.parametrize("names", [("vertices", "triangles"), ("points", "cells")])
def test_files(names, tmp_path):
    region, _ = disc()
    np.savez(tmp_path / "disc.npz", **dict(zip(names, (region.vertices.numpy(), region.cells.numpy()))))
    assert Mesh.read(tmp_path / "disc.npz").volume == region.volume


@pytest.mark.parametrize("beside", [[], [[3, 4, 5]]])
def test_a_triangle_given_twice_is_refused(beside):
    corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 0.0], [6.0, 0.0], [5.0, 1.0]]
    with pytest.raises(InputError, match="1 of them given twice"):
        Mesh(corners, [[0, 1, 2], [1, 2, 0], *beside])
