"""Polygons: areas, distances and points against formulas; files of each kind."""

import json
import math

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics import Box, Union
from deepwright.physics.geometry import Polygon

ELL = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]
RING = [(math.cos(2 * math.pi * k / 9), math.sin(2 * math.pi * k / 9)) for k in range(9)]


@pytest.mark.parametrize("corners", [ELL, ELL[::-1], [*ELL, ELL[0]]], ids=["left", "right", "closed"])
def test_a_corner_room(corners):
    region = Polygon(corners)
    assert (region.volume, region.area) == (3.0, 8.0)
    same = Union(Box((0, 2), (0, 1)), Box((0, 1), (0, 2)))
    x = Box((-0.5, 2.5), (-0.5, 2.5)).sample(1000)
    assert torch.equal(region.contains(x), same.contains(x))
    edge, normal = region.sample_boundary(400)
    assert not bool(region.contains(edge + 1e-6 * normal).any())
    assert [int((normal == torch.tensor(way)).all(1).sum()) for way in ([1.0, 0], [-1.0, 0], [0, 1.0], [0, -1.0])] == [
        100
    ] * 4


def test_distances_to_a_regular_polygon():
    """At its centre the distance is that of a side's line, cos(pi / 9); beyond a corner, to the corner."""
    region = Polygon(RING)
    assert region.volume == pytest.approx(4.5 * math.sin(2 * math.pi / 9))
    found = region.distance(torch.tensor([[0.0, 0.0], [3.0, 0.0]]).double())
    assert found.tolist() == pytest.approx([-math.cos(math.pi / 9), 2.0])


def test_points_are_even():
    """The centroid of an L of three squares is (5/6, 5/6); the second moment about 0 is 14/9 of each axis... over 3."""
    x = Polygon(ELL).sample(8192)
    assert x.mean(0).tolist() == pytest.approx([5 / 6, 5 / 6], abs=0.01)
    assert x.square().mean(0).tolist() == pytest.approx([(1 / 3 + 1 / 3 + 7 / 3) / 3] * 2, abs=0.01)


def test_a_polygon_far_from_the_origin_keeps_its_area():
    assert Polygon(np.array(ELL) + 1e8).volume == 3.0


def test_files(tmp_path):
    (tmp_path / "a.csv").write_text("# x, y\n" + "\n".join(f"{x}, {y}" for x, y in ELL))
    (tmp_path / "b.txt").write_text("\n".join(f"{x} {y}  # corner" for x, y in ELL))
    (tmp_path / "c.json").write_text(json.dumps(ELL))
    np.save(tmp_path / "d.npy", np.array(ELL))
    for file in sorted(tmp_path.iterdir()):
        assert Polygon.read(file).volume == 3.0


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "cross"),
        ([(0, 0), (2, 0), (2, 2), (1, 0), (0, 2)], "cross or touch"),
        ([(0, 0), (1, 0), (1, 0), (0, 1)], "corner 1 twice"),
        ([(0, 0), (1, 0), (2, 0)], "area|cross"),
    ],
)
def test_sides_that_meet_are_refused(corners, words):
    with pytest.raises(InputError, match=words):
        Polygon(corners)


def test_a_convex_polygon_s_smooth_distance_is_a_polynomial():
    """Of the square: 16 x (1 - x) y (1 - y)."""
    x = Box((0, 1), (0, 1)).sample(50)
    expected = 16 * (x * (1 - x)).prod(1)
    found = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)]).smooth_distance(x)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-9)  # its scale is from points, not the middle
    ratio = found / expected
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


@pytest.mark.parametrize("corners", [ELL, RING, [(0, 0), (3, 0), (3, 2), (2, 2), (2, 1), (1, 1), (1, 3), (0, 3)]])
def test_smooth_distances_vanish_on_all_sides_and_nowhere_inside(corners):
    """In the last, a side's line would cut the region: it is taken as a segment."""
    region = Polygon(corners)
    edge, normal = region.sample_boundary(500)
    assert float(region.smooth_distance(edge).abs().max()) < 1e-9
    assert bool((region.smooth_distance(region.sample(2000)) > 0).all())
    slope = region.smooth_distance(edge - 1e-6 * normal) / 1e-6  # it grows at once: u isn't held flat there
    assert float(slope.median()) > 0.05
