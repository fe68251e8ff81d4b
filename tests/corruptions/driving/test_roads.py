"""Roads against closed forms: straight lines, circles, the reference's numbers, and brute force for crossings."""

import numpy as np
import pytest

from deepwright.corruptions.driving import Road
from deepwright.corruptions.driving.road_shapes import crosses_itself, spline


def circle(radius, degrees=180, points=200, width=8.0):
    t = np.radians(np.linspace(0, degrees, points))
    return Road(radius * np.stack([np.cos(t), np.sin(t)], 1), width)


def test_a_road_without_angles_is_straight():
    road = Road.from_angles([0] * 8)
    assert len(road.points) == 134
    assert np.abs(road.points[-1] - [0, 175]).max() < 1e-9
    assert np.abs(road.points[:, 0]).max() < 1e-9
    assert (road.turns, road.curvature, road.length) == (0, 0.0, pytest.approx(175, abs=1e-9))


def test_the_reference_truncates_headings():
    assert Road.from_angles([0] * 8, literal=True).points[-1] == pytest.approx([3.054, 174.973], abs=1e-3)


def test_a_road_of_the_reference():
    road = Road.from_angles([0, 0, 35, 30, -20, -35, 25, 0])
    assert road.length == pytest.approx(176.0319, abs=1e-4)
    assert road.points[-1] == pytest.approx([-73.3554, 143.8209], abs=1e-4)
    assert road.curvature == pytest.approx(0.0595, abs=1e-4)
    assert road.is_valid()


def test_the_curve_goes_through_its_nodes_and_has_no_corners():
    rng = np.random.default_rng(0)
    nodes = np.cumsum(rng.uniform(0, 30, (7, 2)), 0)  # always to the right and up: no hairpins
    curve = spline(nodes, points=200)
    for node in nodes[1:-1]:
        assert np.linalg.norm(curve - node, axis=1).min() < 1e-9
    steps = np.diff(curve, axis=0)
    cosines = (steps[1:] * steps[:-1]).sum(1) / np.linalg.norm(steps[1:], axis=1) / np.linalg.norm(steps[:-1], axis=1)
    assert cosines.min() > 0.99


def test_six_turns_of_sixty_degrees_cross():
    road = Road.from_angles([0, *[60] * 6, 0])
    assert not road.is_valid()
    assert road.fault() == "it crosses itself"


def test_curvature_of_a_circle():
    road = circle(30)
    assert road.curvature == pytest.approx(1 / 30, rel=0.01)
    assert road.mean_curvature == pytest.approx(1 / 30, rel=0.01)
    assert road.turns == 0 or road.turns == 1  # whether .018 rad a step is reached


def test_bends_are_counted():
    assert Road.from_angles([0, 0, 30, 30, 30, 0, 0, 0]).turns == 1
    assert Road.from_angles([0, 0, 30, 30, -30, -30, 0, 0]).turns == 2


@pytest.mark.parametrize(
    ("road", "words"), [(circle(3.9), "tighter"), (Road.from_angles([0] * 12), "275 m across"), (circle(30, 350), None)]
)
def test_what_is_wrong_is_told(road, words):
    assert road.fault() is None if words is None else words in road.fault()


def _overlap_by_sampling(a, b):
    """Whether any of a grid of points of one quadrilateral lies inside the other."""
    s = np.linspace(0.01, 0.99, 15)
    u, v = np.meshgrid(s, s)
    inside = (
        (1 - u)[..., None] * ((1 - v)[..., None] * a[0] + v[..., None] * a[3])
        + u[..., None] * ((1 - v)[..., None] * a[1] + v[..., None] * a[2])
    ).reshape(-1, 2)
    edges = np.roll(b, -1, 0) - b
    crosses = edges[:, None, 0] * (inside[None, :, 1] - b[:, None, 1]) - edges[:, None, 1] * (
        inside[None, :, 0] - b[:, None, 0]
    )
    return bool(((crosses > 0).all(0) | (crosses < 0).all(0)).any())


@pytest.mark.slow
def test_crossings_are_those_of_brute_force():
    seen = set()
    for seed, angle in ((0, 80), (1, 60), (2, 170), (3, 170), (4, 150), (5, 120)):
        road = Road.random(seed, max_angle=angle, nodes=9, valid=False)
        left, right = (side[::6] for side in road.borders)
        quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], 1)
        pairs = [(i, j) for i in range(len(quads)) for j in range(i + 2, len(quads))]
        expected = any(_overlap_by_sampling(quads[i], quads[j]) for i, j in pairs)
        assert crosses_itself(left, right) == expected
        seen.add(expected)
    assert seen == {True, False}


def test_text_round_trip():
    road = Road.random(3)
    assert Road.parse(road.to_string()) == road
    assert road.to_string().count("@") == len(road.points) - 1


def test_random_roads_are_valid_and_hang_on_their_seed():
    roads = [Road.random(seed, max_angle=60) for seed in range(6)]
    assert all(road.is_valid() for road in roads)
    assert Road.random(4, max_angle=60) == roads[4]
    assert len({hash(road) for road in roads}) == 6


def test_borders_are_half_a_width_away_and_mirrored_roads_mirror_them():
    road = Road.random(5, max_angle=40)
    left, right = road.borders
    assert np.linalg.norm(left - road.points, axis=1) == pytest.approx(np.full(len(left), 4.0))
    mirror_left, _ = road.mirrored().borders
    assert mirror_left * [-1, 1] == pytest.approx(right)
