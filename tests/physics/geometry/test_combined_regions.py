"""Unions, intersections and differences: even points inside and on the boundary, against areas in closed form."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics import Ball, Box, LevelSet, SpaceTime, jet, require_inside
from deepwright.physics.geometry import Difference, Intersection, Polygon, Union

N = 8000
SQUARE = Box((0, 1), (0, 1))
HOLE = Ball((0.5, 0.5), 0.2)
# region, area, length of the boundary
KNOWN = {
    "hole": (Difference(SQUARE, HOLE), 1 - math.pi * 0.04, 4 + 0.4 * math.pi),
    "bite": (Difference(SQUARE, Ball((0, 0), 0.5)), 1 - math.pi / 16, 3 + math.pi / 4),
    "two holes": (
        Difference(SQUARE, Ball((0.25, 0.5), 0.1), Ball((0.75, 0.5), 0.2)),
        1 - math.pi * 0.05,
        4 + 0.6 * math.pi,
    ),
    "touching": (Union(Box((0, 1), (0, 1)), Box((1, 2), (0, 2))), 3.0, 8.0),
    "overlapping": (Union(Box((0, 2), (0, 1)), Box((0, 1), (0, 2))), 3.0, 8.0),
    "apart": (Union(Ball((0, 0), 1), Ball((3, 0), 0.5)), 1.25 * math.pi, 3 * math.pi),
    "quarter": (Intersection(Ball((0, 0), 1), Box((0, 2), (0, 2))), math.pi / 4, 2 + math.pi / 2),
    "nested": (Difference(Union(SQUARE, Box((0.5, 2), (0, 1))), HOLE), 2 - math.pi * 0.04, 6 + 0.4 * math.pi),
    "polygon": (Difference(Polygon([(0, 0), (2, 0), (0, 2)]), Ball((0.5, 0.5), 0.2)), 2 - math.pi * 0.04, None),
    "shell": (Difference(Ball((0, 0, 0), 1), Ball((0, 0, 0), 0.5)), 4 / 3 * math.pi * 7 / 8, 5 * math.pi),
    "rods": (Union(Box((0, 1)), Box((2, 4))), 3.0, 4.0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_points_are_inside_and_boundaries_have_two_sides(name):
    region = KNOWN[name][0]
    require_inside(region, region.sample(500))
    x, normal = region.sample_boundary(500)
    assert torch.allclose(normal.norm(dim=1), torch.ones(500).double())
    assert float(region.distance(x).abs().max()) < 1e-9
    assert bool(region.contains(x - 1e-4 * normal).all())
    assert not bool(region.contains(x + 1e-4 * normal).any())


@pytest.mark.parametrize("name", KNOWN)
def test_the_part_of_the_bounds_that_is_inside_is_the_area(name):
    """A share of even points, within four deviations of what chance allows (quasi-random points are far closer)."""
    region, area, _ = KNOWN[name]
    box = Box(*region.bounds)
    share = float(region.contains(box.sample(N)).double().mean())
    assert abs(share - area / box.volume) < 4 * math.sqrt(share * (1 - share) / N) + 1e-12


@pytest.mark.parametrize("name", [k for k, v in KNOWN.items() if v[2] is not None and v[0].dim > 1])
def test_boundary_points_are_even(name):
    """So many on the first part's boundary as its length has of the whole: the divergence theorem gives the area.

    The integral of x . n over the boundary is d times the volume, so mean(x . n) = d volume / area.
    """
    region, volume, length = KNOWN[name]
    x, normal = region.sample_boundary(N)
    flux = (x * normal).sum(1)
    slack = 5 * float(flux.std()) / math.sqrt(N)
    assert abs(float(flux.mean()) - region.dim * volume / length) < slack


def test_a_hole_s_normals_point_into_it():
    x, normal = KNOWN["hole"][0].sample_boundary(2000)
    around = (x - 0.5).norm(dim=1) < 0.3
    assert int(around.sum()) / 2000 == pytest.approx(0.4 * math.pi / (4 + 0.4 * math.pi), abs=0.03)
    assert torch.allclose(normal[around], (0.5 - x[around]) / 0.2, atol=1e-9)


@pytest.mark.parametrize("name", KNOWN)
def test_distances_are_bounds(name):
    """Never more than the way to the nearest of many boundary points; of the right sign."""
    region = KNOWN[name][0]
    x = Box(*[(a - 0.3, b + 0.3) for a, b in region.bounds]).sample(400)
    edge, _ = region.sample_boundary(20_000)
    nearest = torch.cdist(x, edge).amin(1)
    assert bool((region.distance(x).abs() <= nearest + 1e-9).all())
    assert torch.equal(region.distance(x) <= 0, region.contains(x))


@pytest.mark.parametrize("name", [k for k in KNOWN if k != "touching"])
def test_smooth_distances_vanish_on_the_boundary_alone_and_have_second_derivatives(name):
    region = KNOWN[name][0]
    edge, _ = region.sample_boundary(300)
    assert float(region.smooth_distance(edge).abs().max()) < 1e-6
    x = region.sample(300)
    assert bool((region.smooth_distance(x) > 0).all())
    found = jet(lambda z: region.smooth_distance(z)[:, None], x, None, "laplacian")
    assert bool(torch.isfinite(found.S).all())


def test_a_seam_between_touching_parts_has_no_smooth_distance():
    """It would be 0 there, and hold the solution where nothing is asked of it."""
    with pytest.raises(InputError, match=r"touch.*overlap"):
        KNOWN["touching"][0].smooth_distance(torch.rand(3, 2).double())


def test_a_region_in_time():
    domain = SpaceTime(KNOWN["hole"][0], (0, 2))
    require_inside(domain, domain.sample(100))
    x, normal = domain.sample_boundary(100)
    assert bool((normal[:, 2] == 0).all())
    assert float(KNOWN["hole"][0].distance(x[:, :2]).abs().max()) < 1e-9


@pytest.mark.parametrize("method", ["uniform", "lhs", "grid"])
def test_ways_of_drawing(method):
    x = KNOWN["hole"][0].sample(200, method)
    assert x.shape == (200, 2)
    assert torch.equal(x, KNOWN["hole"][0].sample(200, method))


def test_level_sets_are_combined_by_their_functions():
    level = LevelSet(lambda x: x.norm(dim=1) - 1, Box((-2, 2), (-2, 2)))
    with pytest.raises(InputError, match=r"LevelSet.*torch\.maximum"):
        Union(level, SQUARE)


@pytest.mark.parametrize("name", [name for name, (*_, length) in KNOWN.items() if length is not None])
def test_the_area_is_that_of_the_whole_boundary(name):
    """Parts that overlap, or a hole's far side, don't count twice."""
    region, _, length = KNOWN[name]
    assert region.area == pytest.approx(length, rel=0.01)
