"""Driving: roads, simulators, agents, and what perturbed pictures do to a vehicle that drives by them.

Begin with `evaluate(RoadSim(16), bundled_pilot(), [Scenario(Road.random(0, max_angle=35), "contrast", 5)])`.

Source: arXiv 2603.23661 and arXiv 2501.12269.
"""

from deepwright.corruptions.driving.agents import Agent, Pilot, bundled_pilot, dave2, tiny_pilot
from deepwright.corruptions.driving.cameras import Camera
from deepwright.corruptions.driving.carla_world import CarlaSim
from deepwright.corruptions.driving.collecting import Demonstrations, collect, imitate, steering_error
from deepwright.corruptions.driving.crossing import driving_threshold
from deepwright.corruptions.driving.donkey import DonkeySim, scene_names
from deepwright.corruptions.driving.donkey_server import DonkeyServer
from deepwright.corruptions.driving.evaluation import evaluate
from deepwright.corruptions.driving.experts import PurePursuit
from deepwright.corruptions.driving.filming import gif, replay
from deepwright.corruptions.driving.forewarning import Forewarning, forewarned
from deepwright.corruptions.driving.gym_worlds import CarRacing, Highway
from deepwright.corruptions.driving.recordings import read_recording
from deepwright.corruptions.driving.repairing import Perturbing, Repaired, repair, worst_families
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.roadsim import RoadSim
from deepwright.corruptions.driving.scenarios import Outcome, Scenario
from deepwright.corruptions.driving.searching import SearchResult, grid_search, search
from deepwright.corruptions.driving.simulators import Capabilities, InfrastructureError, Simulator, Telemetry
from deepwright.corruptions.driving.summaries import (
    Agreement,
    CellResult,
    OfflineCell,
    Threshold,
    agreement,
    by_cell,
    failure_thresholds,
    offline_errors,
    outcome_table,
)
from deepwright.corruptions.driving.udacity import UdacityClient, UdacitySim

__all__ = [
    "Agent",
    "Agreement",
    "Camera",
    "Capabilities",
    "CarRacing",
    "CarlaSim",
    "CellResult",
    "Demonstrations",
    "DonkeyServer",
    "DonkeySim",
    "Forewarning",
    "Highway",
    "InfrastructureError",
    "OfflineCell",
    "Outcome",
    "Perturbing",
    "Pilot",
    "PurePursuit",
    "Repaired",
    "Road",
    "RoadSim",
    "Scenario",
    "SearchResult",
    "Simulator",
    "Telemetry",
    "Threshold",
    "UdacityClient",
    "UdacitySim",
    "agreement",
    "bundled_pilot",
    "by_cell",
    "collect",
    "dave2",
    "driving_threshold",
    "evaluate",
    "failure_thresholds",
    "forewarned",
    "gif",
    "grid_search",
    "imitate",
    "offline_errors",
    "outcome_table",
    "read_recording",
    "repair",
    "replay",
    "scene_names",
    "search",
    "steering_error",
    "tiny_pilot",
    "worst_families",
]
