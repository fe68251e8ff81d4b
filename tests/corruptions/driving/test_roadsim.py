"""RoadSim against closed forms: circles of a bicycle, distances by brute force, and what batches and mirrors keep."""

import math

import numpy as np
import pytest
import torch

from deepwright.corruptions.driving import Camera, Road, RoadSim

STRAIGHT = Road.from_angles([0] * 8)


def steering(*angles):
    return torch.tensor([[angle, 0.0] for angle in angles])


def test_straight_ahead_on_a_straight_road():
    sim = RoadSim(1)
    sim.reset([STRAIGHT], [0])
    for step in range(1, 221):
        _, seen = sim.step(steering(0.0))
        assert abs(float(seen.xte)) < 1e-6
        assert float(seen.arc) == pytest.approx(min(0.8 * step, 175.0))
        assert bool(seen.finished) == (float(seen.arc) >= STRAIGHT.arc[-2] + 0.95 * (175 - STRAIGHT.arc[-2]) - 1e-9)


@pytest.mark.parametrize("delta", [0.05, 0.2, 0.4, -0.3])
def test_constant_steering_drives_a_circle(delta):
    sim = RoadSim(1, dt=0.1)
    sim.reset([STRAIGHT], [0])
    turn = 0.8 / 2.5 * math.tan(delta)
    places = []
    for _ in range(40):
        _, seen = sim.step(steering(delta))
        places.append(seen.position[0].numpy())
    a, b, c = places[0], places[13], places[26]
    area = (b - a)[0] * (c - b)[1] - (b - a)[1] * (c - b)[0]
    radius = np.prod([np.linalg.norm(v) for v in (b - a, c - b, a - c)]) / (2 * area)
    assert radius == pytest.approx(2.5 / math.tan(delta), rel=1e-3)
    assert abs(radius) == pytest.approx(0.4 / math.sin(abs(turn) / 2), rel=1e-6)  # Euler's own (angles come in float32)
    assert float(seen.heading) == pytest.approx(math.pi / 2 + 40 * turn)


def test_distance_is_that_of_brute_force():
    roads = [Road.random(seed, max_angle=35) for seed in range(8)]
    sim = RoadSim(8)
    sim.reset(roads, range(8))
    generator = torch.Generator().manual_seed(0)
    for _ in range(25):
        _, seen = sim.step(torch.rand(8, 2, generator=generator) * 0.3 - 0.15)
        for road, place, xte in zip(roads, seen.position.numpy(), seen.xte.tolist()):
            a, step = road.points[:-1], np.diff(road.points, axis=0)
            share = np.clip(((place - a) * step).sum(1) / (step**2).sum(1), 0, 1)
            gaps = np.linalg.norm(place - a - share[:, None] * step, axis=1)
            assert abs(xte) == pytest.approx(gaps.min(), abs=1e-9)
            i = int(gaps.argmin())
            assert np.sign(xte) == np.sign(step[i, 0] * (place - a[i])[1] - step[i, 1] * (place - a[i])[0])


@pytest.mark.parametrize("rgb", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_batch_is_its_singles_bit_for_bit(rgb):
    roads = [Road.random(seed, max_angle=35) for seed in range(16)]
    actions = torch.rand(6, 16, 2, generator=torch.Generator().manual_seed(1)) * 0.4 - 0.2
    together = RoadSim(16, rgb=rgb, lag=0.1)
    pictures = [together.reset(roads, range(16))] + [together.step(action)[0] for action in actions]
    for i in (0, 3, 15):
        alone = RoadSim(1, rgb=rgb, lag=0.1)
        assert torch.equal(alone.reset([roads[i]], [i]), pictures[0][i : i + 1])
        for action, picture in zip(actions, pictures[1:]):
            assert torch.equal(alone.step(action[i : i + 1])[0], picture[i : i + 1])
        assert torch.equal(alone.telemetry().position, together.telemetry().position[i : i + 1])


def test_a_mirrored_road_is_the_mirrored_picture():
    sim = RoadSim(2, camera=Camera(texture=0.0, noise=0.0))
    road = Road.random(1, max_angle=35)
    sim.reset([road, road.mirrored()], [0, 0])
    for k in range(40):
        angle = 0.05 * math.sin(k / 5)
        picture, seen = sim.step(steering(angle, -angle))
        assert float(seen.xte.sum()) == pytest.approx(0, abs=1e-9)
        assert (picture[0] - picture[1].flip(-1)).abs().mean() < 1e-5


def test_pictures_show_the_road():
    sim = RoadSim(1, camera=Camera(texture=0.0, noise=0.0))
    picture = sim.reset([STRAIGHT], [0])[0, 0]
    assert picture[0].tolist() == pytest.approx([0.7] * 80)
    assert picture[-1, 30].item() == pytest.approx(0.38)  # asphalt before the car
    assert picture[14, 2].item() == pytest.approx(0.25)  # verge far to the left
    assert picture.max() <= 0.85 + 1e-6
    # a border line is seen where the pinhole puts it: 4 m to the left, in the lowest row that holds it
    table = Camera().ground()
    row = table[(table[:, 1] - 4).abs() < table[:, 2] / 2]
    assert len(row) > 10


def test_noise_is_drawn_anew_each_frame_and_hangs_on_the_seed():
    sim = RoadSim(3, speed=1e-9)
    first = sim.reset([STRAIGHT] * 3, [7, 7, 8])
    again, _ = sim.step(torch.zeros(3, 2))
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    noise = (again - first)[0, 0, :8]  # the sky
    assert noise.std().item() == pytest.approx(0.015 * math.sqrt(2), rel=0.1)


def test_throttle_and_drag():
    sim = RoadSim(1, speed=None)
    sim.reset([STRAIGHT], [0])
    for _ in range(50):
        _, seen = sim.step(torch.tensor([[0.0, 0.5]]))
    assert float(seen.speed) == pytest.approx(15 * (1 - (1 - 0.01) ** 50))  # dv = (1.5 - .1 v) dt


def test_wheels_follow_with_a_lag():
    sim, at_once = RoadSim(1, lag=0.1), RoadSim(1)
    for s in (sim, at_once):
        s.reset([STRAIGHT], [0])
    turns = [float(s.step(steering(0.2))[1].heading) - math.pi / 2 for s in (sim, at_once)]
    reached = 0.2 * (1 - math.exp(-1))
    assert turns[0] / turns[1] == pytest.approx(math.tan(reached) / math.tan(0.2))


def test_steering_is_limited():
    sim = RoadSim(2)
    sim.reset([STRAIGHT] * 2, [0, 0])
    _, seen = sim.step(steering(0.5, 3.0))
    assert float(seen.heading[0]) == float(seen.heading[1])
