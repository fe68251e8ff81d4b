"""Bad input to driving: roads, cameras, simulators, scenarios, campaigns, the command."""

import math

import numpy as np
import torch
from refusals import Bad, command, over

from deepwright.corruptions.driving import (
    Camera,
    CarlaSim,
    Demonstrations,
    DonkeyServer,
    DonkeySim,
    Outcome,
    Perturbing,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    agreement,
    collect,
    dave2,
    evaluate,
    gif,
    grid_search,
    imitate,
    offline_errors,
    read_recording,
    repair,
    search,
    tiny_pilot,
    worst_families,
)
from deepwright.corruptions.driving.connections import Listener
from deepwright.workflows import DriveOptions, drive

ROAD = Road.from_angles([0] * 4)
FAR = Road.from_angles([0] * 4, 1e6)


def steady(pictures):
    return torch.zeros(len(pictures), 2)


def world(n=1):
    return RoadSim(n, (16, 32))


def ready():
    sim = world()
    sim.reset([ROAD], [0])
    return sim


def of_data(n=0, steering=0.0):
    return Demonstrations(torch.rand(n, 1, 40, 80), torch.full((n, 2), steering))


def on_a_taken_port(_):
    listener = Listener()
    try:
        DonkeyServer(listener.port, sim=world())
    finally:
        listener.close()


ROWS = [
    Bad("two angles", lambda _: Road.from_angles([0, 0]), ("angles", "four control nodes")),
    Bad("an angle of NaN", lambda _: Road.from_angles([0, math.nan, 0]), ("angles",)),
    Bad("lengths of another number", lambda _: Road.from_angles([0] * 4, [25] * 3), ("lengths", "3", "4")),
    Bad("a length of 0", lambda _: Road.from_angles([0] * 4, 0.0), ("lengths", "above 0")),
    Bad("nodes that coincide", lambda _: Road(np.zeros((5, 2))), ("repeated",)),
    Bad("three points", lambda _: Road(np.arange(6).reshape(3, 2)), ("4 or more",)),
    Bad("a width of 0", lambda _: Road.from_angles([0] * 4, width=0), ("width",)),
    Bad("no road's text", lambda _: Road.parse("left, right"), ("road in text", "x,z,y")),
    Bad("an empty text", lambda _: Road.parse(""), ("road in text",)),
    Bad("no text", lambda _: Road.parse(3), ("road in text",)),
    Bad("roads that can't be valid", lambda _: Road.random(0, nodes=14, max_angle=0), ("valid random road", "none in")),
    Bad("max_angle of 400", lambda _: Road.random(0, max_angle=400), ("max_angle",)),
    Bad("three nodes", lambda _: Road.random(0, nodes=3), ("nodes",)),
    Bad("pictures of 4 pixels", lambda _: Camera((4, 80)), ("height of the picture", "8 or more")),
    Bad("a camera that looks down", lambda _: Camera(pitch=90), ("pitch",)),
    Bad("no cars", lambda _: RoadSim(0), ("n", "1 or more")),
    Bad("a speed of 0", lambda _: RoadSim(1, speed=0.0), ("speed",)),
    Bad("a lag below 0", lambda _: RoadSim(1, lag=-1), ("lag",)),
    Bad("a device that isn't here", lambda _: RoadSim(1, device="cuda:77"), ("device",)),
    Bad("roads of another number", lambda _: world(2).reset([ROAD], [0]), ("roads", "2, one a vehicle")),
    Bad("seeds of another number", lambda _: world().reset([ROAD], [0, 1]), ("roads and seeds",)),
    Bad("no road to RoadSim", lambda _: world().reset([None], [0]), ("Road for each",)),
    Bad("a step before a reset", lambda _: world().step(torch.zeros(1, 2)), ("reset",)),
    Bad("actions of one column", lambda _: ready().step(torch.zeros(1, 1)), ("action", "(1, 2)")),
    Bad("steering in degrees", lambda _: ready().step(torch.tensor([[20.0, 0.0]])), ("radians", "deg2rad")),
    Bad("steering of NaN", lambda _: ready().step(torch.tensor([[math.nan, 0.0]])), ("steering", "nan")),
    Bad("whole actions", lambda _: ready().step(torch.zeros(1, 2, dtype=torch.long)), ("int64",)),
    Bad("an expert that looks nowhere", lambda _: PurePursuit(world(), points=0), ("points",)),
    Bad("an unknown perturbation", lambda _: Scenario(ROAD, "contrst", 2), ("contrast",)),
    Bad("severity 6", lambda _: Scenario(ROAD, "contrast", 6), ("severity", "0, 5")),
    Bad("a severity of nothing", lambda _: Scenario(ROAD, None, 3), ("scenario", "no perturbation at severity 3")),
    Bad("a scenario from a list", lambda _: Scenario.from_dict([1]), ("scenario",)),
    Bad("no scenarios", lambda _: evaluate(world(), steady, []), ("scenarios",)),
    Bad("roads as scenarios", lambda _: evaluate(world(), steady, [ROAD]), ("scenarios",)),
    Bad("no agent", lambda _: evaluate(world(), None, [Scenario(ROAD)]), ("agent",)),
    Bad("a network in train mode", lambda _: evaluate(world(), tiny_pilot(), [Scenario(ROAD)]), ("agent.eval()",)),
    Bad("a limit of 0", lambda _: evaluate(world(), steady, [Scenario(ROAD)], max_xte=0), ("max_xte",)),
    Bad("no tries", lambda _: evaluate(world(), steady, [Scenario(ROAD)], tries=0), ("tries",)),
    Bad("a wider limit afterwards", lambda _: Outcome(Scenario(), "passed", 4.0, 0.1).failed_at(5.0), ("limit", "4")),
    Bad("no roads to collect on", lambda _: collect(world(), steady, []), ("roads",)),
    Bad("noise below 0", lambda _: collect(world(), steady, [ROAD], noise=-1), ("noise",)),
    Bad("steering that never changes", lambda _: imitate(tiny_pilot(), of_data(5, 0.1)), ("changes", "turns")),
    Bad("no demonstrations", lambda _: imitate(tiny_pilot(), of_data()), ("demonstrations",)),
    Bad("one picture offline", lambda _: offline_errors(steady, of_data(1), []), ("two or more",)),
    Bad("no recording", lambda p: read_recording(p), ("recording", "driving_log.csv", "tub")),
    Bad("a recording that isn't there", lambda p: read_recording(p / "no"), ("does not exist",)),
    Bad("a limit of no pictures", lambda p: read_recording(p, limit=0), ("limit", "1 or more")),
    Bad("steering of 0 at most", lambda p: read_recording(p, max_steering=0.0), ("max_steering", "above 0")),
    Bad("one name to perturb by", lambda _: Perturbing("snow"), ("names", "at least one")),
    Bad("a share above 1", lambda _: Perturbing(["snow"], share=2.0), ("share",)),
    Bad("perturbations that turn", lambda _: Perturbing(["rotate"]), ("rotate", "another steering angle")),
    Bad("no failures to repair", lambda _: worst_families([]), ("no failures",)),
    Bad("a function to repair", lambda _: repair(world(), steady, of_data(4, 0.1), [], [ROAD]), ("network",)),
    Bad("no family to repair", lambda _: worst_families([], 0), ("most",)),
    Bad("a share of latencies", lambda _: Outcome(Scenario(), "passed", 4.0, 0.1).latency_at(2.0), ("share",)),
    Bad("pictures too small for DAVE-2", lambda _: dave2(1, (40, 80)), ("larger",)),
    Bad("pictures of another size", lambda _: tiny_pilot()(torch.rand(1, 1, 20, 20)), ("pictures", "40")),
    Bad("severities that fall", lambda _: grid_search(world(), steady, [ROAD], ["contrast"], (3, 1)), ("growing",)),
    Bad("one name as several", lambda _: grid_search(world(), steady, [ROAD], "contrast"), ("perturbations",)),
    Bad("no roads in a grid", lambda _: grid_search(world(), steady, [], ["contrast"]), ("roads",)),
    Bad("a budget below a generation", lambda _: search(world(), steady, ["contrast"], budget=5), ("budget",)),
    Bad("a search in CARLA", lambda _: search(CarlaSim(), steady, ["contrast"]), ("roads of its own",)),
    Bad("a high of 0", lambda _: agreement({}, [], high=0), ("high",)),
    Bad("no frames", lambda p: gif(torch.zeros(0, 1, 8, 8), torch.zeros(0, 1, 8, 8), p / "a.gif"), ("frames",)),
    Bad("port 0 of Donkey", lambda _: DonkeySim(port=0), ("port",)),
    Bad("a port above all of Donkey", lambda _: DonkeySim(port=99_999).reset([None], [0]), ("port", "65535")),
    Bad("a port above all", lambda _: DriveOptions(sim="donkey", port=99_999), ("port", "65535")),
    Bad("a port that is taken", on_a_taken_port, ("port", "free")),
    Bad("a road of 4000 km", lambda _: world().reset([FAR], [0]), ("road", "smaller")),
    Bad("a timeout of 0", lambda _: DonkeySim(timeout=0), ("timeout",)),
    Bad("two cars behind Donkey", lambda _: DonkeyServer(0, sim=world(2)), ("sim", "2 cars")),
    Bad("an unknown simulator", lambda _: DriveOptions(sim="roadsin"), ("roadsim",)),
    Bad("a port of RoadSim", lambda _: DriveOptions(port=9091), ("port", "this process")),
    Bad("a host of RoadSim", lambda _: DriveOptions(host="far.away"), ("host", "this process")),
    Bad("a size of Donkey", lambda _: DriveOptions(sim="donkey", size=(66, 200)), ("size", "66 x 200", "its own")),
    Bad("colour in CARLA", lambda _: DriveOptions(sim="carla", rgb=True), ("size", "in colour")),
    Bad("jobs in Donkey", lambda _: DriveOptions(sim="donkey", jobs=2), ("jobs",)),
    Bad("one perturbation as several", lambda _: DriveOptions(perturbations="contrast"), ("several",)),
    Bad("a tighter limit that is wider", lambda _: DriveOptions(tighter=5.0), ("tighter", "4")),
    Bad("weights of nothing", lambda _: DriveOptions(weights="a.pt"), ("weights", "factory")),
    Bad(
        "a network of ten columns",
        lambda p: drive(DriveOptions(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3200, 10)).eval(), out=p)),
        ("agent", "(2, 2)"),
    ),
    Bad("an order that isn't known", lambda _: DriveOptions(order="best-first"), ("order", "worst-first")),
    Bad("an order without pictures", lambda _: DriveOptions(sim="donkey", order="worst-first"), ("recording=",)),
    Bad("a budget of no time", lambda _: DriveOptions(time_budget=0.0), ("time_budget",)),
    Bad("a repair in Donkey", lambda _: DriveOptions(sim="donkey", repair=True), ("repair", "roadsim")),
    Bad("a folder as JUnit XML", lambda p: DriveOptions(junit=p), ("JUnit", "folder")),
    Bad("a repair of a function", lambda p: drive(DriveOptions(steady, repair=True, out=p)), ("repair", "a network")),
    Bad("a size on the command line", lambda _: command("drive", "--size", "40"), ("--size", "HEIGHTxWIDTH")),
    Bad("severity 7 there", lambda _: command("drive", "--severity", "7"), ("severity", "0, 5")),
    Bad("an agent beside --serve", lambda _: command("drive", "a:b", "--serve", "donkey"), ("AGENT", "beside --serve")),
    Bad("roads beside --serve", lambda _: command("drive", "--roads", "2", "--serve", "donkey"), ("--roads", "--seed")),
    Bad("nobody to serve", lambda _: command("drive", "--serve", "udacity", "--port", "1"), ("a driver that listens",)),
    Bad("an unknown one there", lambda _: command("drive", "--perturbation", "contrst"), ("contrast",)),
]

test_it_is_refused = over(ROWS)
