"""Worlds of other packages: Gymnasium's where they are installed, CARLA's client against a stand-in for it."""

import math
import queue
import sys
import types

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.corruptions.driving import (
    CarlaSim,
    CarRacing,
    Highway,
    InfrastructureError,
    PurePursuit,
    Road,
    Scenario,
    Simulator,
    evaluate,
)


@pytest.fixture(scope="module")
def racing():
    pytest.importorskip("gymnasium")
    pytest.importorskip("Box2D")
    sim = CarRacing(1)
    yield sim
    sim.close()


@pytest.mark.slow
def test_car_racing_is_driven_round_a_bend_by_the_expert(racing):
    assert isinstance(racing, Simulator)
    assert racing.reset([None], [3]).shape == (1, 3, 96, 96)
    road = racing.roads[0]
    assert road.length > 500
    start = racing.telemetry()
    assert abs(float(start.xte)) < 1
    assert abs(float(start.heading_error)) < 0.2
    expert = PurePursuit(racing, points=4, speed=25.0)
    for _ in range(250):
        picture, seen = racing.step(expert(None))
    assert float(seen.arc) > 60
    assert abs(float(seen.xte)) < road.width / 2
    assert float(seen.speed) == pytest.approx(25, rel=0.4)
    assert 0 <= float(picture.min()) < float(picture.max()) <= 1


@pytest.mark.slow
def test_car_racing_repeats_itself_and_steers_to_the_left(racing):
    def drive(steering):
        racing.reset([None], [5])
        for _ in range(40):
            picture, seen = racing.step(torch.tensor([[steering, 0.6]]))
        return picture, seen

    first, left = drive(0.3)
    again, same = drive(0.3)
    _, right = drive(-0.3)
    assert torch.equal(first, again)
    assert torch.equal(left.position, same.position)
    assert float(left.heading) > float(right.heading)
    assert float(left.xte) > float(right.xte)


@pytest.mark.slow
def test_highway_shows_a_grid_and_no_pictures():
    pytest.importorskip("highway_env")
    sim = Highway(1)
    assert sim.reset([None], [0]).shape == (1, 2, 12, 12)
    _, left = sim.step(torch.tensor([[0.3, 0.0]]))
    sim.reset([None], [0])
    _, right = sim.step(torch.tensor([[-0.3, 0.0]]))
    assert float(left.xte) > float(right.xte)
    assert float(left.heading_error) > float(right.heading_error)
    steady = lambda grids: torch.zeros(len(grids), 2)  # noqa: E731
    outcome = evaluate(sim, steady, [Scenario()], timeout=1.0)[0]
    assert outcome.ended in ("passed", "left the lane", "stopped by the simulator")
    with pytest.raises(InputError, match="no pictures"):
        evaluate(sim, steady, [Scenario(None, "contrast", 3)])
    sim.close()


def test_worlds_have_roads_of_their_own(racing):
    with pytest.raises(InputError, match="seed"):
        racing.reset([Road.from_angles([0] * 4)], [0])


# --- CARLA: what its client's calls do, on a straight lane along x


class _Vector:
    def __init__(self, x=0.0, y=0.0, z=0.0):
        self.x, self.y, self.z = x, y, z


class _Rotation:
    def __init__(self, pitch=0.0, yaw=0.0):
        self.pitch, self.yaw = pitch, yaw


class _Transform:
    def __init__(self, location=None, rotation=None):
        self.location, self.rotation = location or _Vector(), rotation or _Rotation()


class _Actor:
    def __init__(self, world, kind, place):
        self.world, self.kind, self.place, self.alive = world, kind, place, True
        self.control = None

    def listen(self, hear):
        self.hear = hear

    def destroy(self):
        self.alive = False


class _Sensor(_Actor):
    stopped = False

    def stop(self):
        self.stopped = True


class _Car(_Actor):
    def apply_control(self, control):
        self.control = control

    def get_physics_control(self):
        return types.SimpleNamespace(wheels=[types.SimpleNamespace(max_steer_angle=70.0)])

    def get_transform(self):
        return self.place

    def get_velocity(self):
        return _Vector(3.0, 4.0)


class _World:
    """Left-handed, as CARLA is: y to the right, yaw clockwise; a tick moves the car a metre along its yaw."""

    def __init__(self):
        self.settings = types.SimpleNamespace(synchronous_mode=False, fixed_delta_seconds=None)
        self.actors, self.frame, self.quiet = [], 0, False

    def get_settings(self):
        return types.SimpleNamespace(**vars(self.settings))

    def apply_settings(self, settings):
        self.settings = settings

    def get_blueprint_library(self):
        def find(name):
            kind = types.SimpleNamespace(name=name, given={})
            kind.set_attribute = kind.given.__setitem__
            return kind

        return types.SimpleNamespace(find=find)

    def get_map(self):
        points = [
            _Transform(_Vector(10.0, 2.0), _Rotation(yaw=0.0)),
            _Transform(_Vector(50.0, 0.0), _Rotation(yaw=0.0)),
        ]
        lane = lambda at, project_to_road: types.SimpleNamespace(  # noqa: E731
            transform=_Transform(_Vector(at.x, 0.0), _Rotation(yaw=0.0))
        )
        return types.SimpleNamespace(get_spawn_points=lambda: points, get_waypoint=lane)

    def spawn_actor(self, kind, place, attach_to=None):
        made = (_Car if attach_to is None else _Sensor)(self, kind, place)
        self.actors.append(made)
        return made

    def tick(self):
        if self.quiet:
            raise RuntimeError("time-out of 20000ms while waiting for the simulator")
        self.frame += 1
        car, camera, bump = [a for a in self.actors if a.alive]
        if car.control is not None:
            turned = car.place.rotation.yaw + 10 * car.control.steer
            at = car.place.location
            radians = math.radians(turned)
            place = _Vector(at.x + math.cos(radians), at.y + math.sin(radians))
            car.place = _Transform(place, _Rotation(yaw=turned))
            if abs(place.y) > 4:
                bump.hear("hit")
        h, w = (int(camera.kind.given[f"image_size_{side}"]) for side in "yx")
        pixels = np.zeros((h, w, 4), np.uint8)
        pixels[..., 0], pixels[..., 2] = 255, 51  # blue, green, red, alpha
        for frame in (self.frame - 1, self.frame):  # a late one comes first
            camera.hear(types.SimpleNamespace(frame=frame, height=h, width=w, raw_data=pixels.tobytes()))
        return self.frame


@pytest.fixture
def carla(monkeypatch):
    world = _World()

    class Client:
        def __init__(self, host, port):
            self.place = host, port

        def set_timeout(self, seconds):
            world.timeout = seconds

        def get_world(self):
            return world

    module = types.ModuleType("carla")
    module.Client, module.Transform, module.Location, module.Rotation = Client, _Transform, _Vector, _Rotation
    module.VehicleControl = lambda **control: types.SimpleNamespace(**control)
    module.__spec__ = types.SimpleNamespace(name="carla")
    monkeypatch.setitem(sys.modules, "carla", module)
    return world


def test_carla_is_stepped_in_its_own_axes(carla):
    sim = CarlaSim(size=(12, 16), timeout=1.0)
    picture = sim.reset([None], [0])
    assert picture.shape == (1, 3, 12, 16)
    assert picture[0, :, 0, 0].tolist() == pytest.approx([0.2, 0.0, 1.0])  # red, green, blue
    assert (carla.settings.synchronous_mode, carla.settings.fixed_delta_seconds) == (True, 0.05)
    assert float(sim.telemetry().xte) == pytest.approx(-2.0)  # 2 m to the right of the lane
    assert sim.telemetry().position[0].tolist() == [10.0, -2.0]
    assert float(sim.telemetry().speed) == 5.0
    _, seen = sim.step(torch.tensor([[math.radians(35), 0.7]]))  # half of 70 degrees, to the left
    car = carla.actors[0]
    assert vars(car.control) == {"throttle": pytest.approx(0.7), "steer": pytest.approx(-0.5), "brake": 0.0}
    assert float(seen.xte) > -2.0
    assert float(seen.heading_error) == pytest.approx(math.radians(5))
    _, seen = sim.step(torch.tensor([[0.0, -0.4]]))
    assert (car.control.throttle, car.control.brake) == (0.0, pytest.approx(0.4))
    sim.close()
    assert not any(actor.alive for actor in carla.actors)
    assert carla.settings.synchronous_mode is False


def test_a_campaign_in_carla(carla):
    sim = CarlaSim(size=(12, 16), timeout=1.0)
    right = lambda pictures: torch.tensor([[-0.2, 0.5]])  # noqa: E731
    straight = lambda pictures: torch.tensor([[0.0, 0.5]])  # noqa: E731
    left_lane = evaluate(sim, right, [Scenario(seed=1)], max_xte=3.0, timeout=1.0)[0]
    assert left_lane.ended == "left the lane"
    bumped = evaluate(sim, right, [Scenario(seed=1)], max_xte=30.0, timeout=1.0)[0]
    assert bumped.ended == "stopped by the simulator"
    assert evaluate(sim, straight, [Scenario(seed=1)], timeout=1.0)[0].ended == "passed"  # the lane has no end
    carla.quiet = True
    lost = evaluate(sim, straight, [Scenario(seed=1)], timeout=1.0, tries=2)[0]
    assert (lost.ended, lost.counts) == ("infrastructure error", False)
    assert "time-out" in lost.reason


def test_carla_is_found_again_after_it_fell_silent(carla, monkeypatch):
    sim = CarlaSim(size=(12, 16), timeout=1.0, tries=1)
    sim.reset([None], [0])

    def dead(actor):
        raise RuntimeError("the actor is gone")

    with monkeypatch.context() as patch:
        patch.setattr(_Actor, "destroy", dead)
        with pytest.raises(InfrastructureError, match="gone"):
            sim.reset([None], [0])
        sim.close()  # a server that is gone is no reason to lose what was driven
    carla.actors.clear()
    assert carla.settings.synchronous_mode is False
    assert sim.reset([None], [0]).shape == (1, 3, 12, 16)
    assert carla.settings.synchronous_mode is True
    sim.close()


def test_carla_without_pictures(carla):
    sim = CarlaSim(size=(12, 16), timeout=0.05)
    sim.reset([None], [0])
    sim._pictures = queue.Queue()  # its camera fell silent
    carla.actors[1].hear = lambda image: None
    with pytest.raises(InfrastructureError, match="no picture"):
        sim.step(torch.zeros(1, 2))


def test_without_the_package():
    if "carla" not in sys.modules:
        with pytest.raises(MissingExtraError, match=r"deepwright\[carla\]"):
            CarlaSim().reset([None], [0])
