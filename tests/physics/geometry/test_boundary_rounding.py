"""Boundaries count as inside in single precision too, where points of them are rounded to either side."""

import pytest
import torch
from scipy.spatial import Delaunay

from deepwright.physics import Ball, Box, LevelSet, SpaceTime
from deepwright.physics.geometry import Difference, Intersection, Mesh, Polygon, Union

CLOUD = torch.rand(30, 2, generator=torch.Generator().manual_seed(0)).double()
SPACE = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)).double()
BALL, BOX = Ball((0.3, 0.4), 0.7), Box((0, 0.9), (0.1, 1.3))
REGIONS = {
    "box": BOX,
    "ball": BALL,
    "far ball": Ball((500.0, -300.0, 7.0), 0.7),
    "polygon": Polygon([(0, 0), (1, 0.1), (0.3, 0.9)]),
    "far polygon": Polygon([(100, 7), (101, 7.1), (100.3, 7.9)]),
    "triangles": Mesh(CLOUD, Delaunay(CLOUD).simplices),
    "far triangles": Mesh(CLOUD + 50, Delaunay(CLOUD).simplices),
    "tetrahedra": Mesh(SPACE, Delaunay(SPACE).simplices),
    "union": Union(BOX, BALL),
    "intersection": Intersection(BOX, BALL),
    "difference": Difference(BOX, Ball((0.4, 0.6), 0.2)),
    "nested": Difference(Intersection(Ball((9.0, 0.0), 9.0), BOX), Ball((0.4, 0.6), 0.2)),
    "level set": LevelSet(lambda x: 30 * (x[:, 0] ** 2 + 4 * x[:, 1] ** 2 - 1), Box((-1.5, 1.5), (-1.5, 1.5))),
    "space-time": SpaceTime(BALL, (0, 0.7)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", REGIONS)
def test_a_region_contains_its_own_boundary(name, dtype):
    x, normal = REGIONS[name].sample_boundary(1000)
    assert bool(REGIONS[name].contains(x.to(dtype)).all())
    assert not bool(REGIONS[name].contains((x + 3e-3 * normal).to(dtype)).any())


def test_each_axis_of_a_box_is_rounded_by_its_own_length():
    x = torch.tensor([[1.0, 1e6], [1.001, 5e5]])
    assert Box((0, 1), (0, 1e6)).contains(x).tolist() == [True, False]
