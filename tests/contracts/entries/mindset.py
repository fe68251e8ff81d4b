"""Calls of the room that explains networks: probes work where the network lives, pictures stay where they are drawn."""

import torch
from torch import nn

from deepwright.interpret import (
    StimulusDecoder,
    as_pixels,
    judge_similarity,
    list_experiments,
    make_stimuli,
    measure_experiment,
)
from deepwright.interpret.mindset import Plan, observe
from entries import Entry


def network(device):
    torch.manual_seed(0)
    body = nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(24, 5)).eval().to(device)


def stimuli(device):
    return [make_stimuli(e.name, 1, size=48, device=device).images.float() for e in list_experiments()]


def similarity(device):
    drawn = make_stimuli("NAP_vs_MP_2D_lines", 3, size=32)
    return judge_similarity(network(device), drawn, "Type", "reference", preprocess=as_pixels).per_layer


def seen(device):
    drawn = make_stimuli("decomposition", 3, size=32)
    return observe(network(device), drawn, ("0", "features", "pixels", "bounding box"), preprocess=as_pixels)


def readout(device):
    drawn = make_stimuli("ebbinghaus_illusion", 30, size=32)
    decoder = StimulusDecoder(network(device), "TargetSize", preprocess=as_pixels).fit(drawn)
    return decoder.predict(drawn), decoder.score(drawn)["features"]["r2"]


def measured(device):
    plan = Plan(items=10, train=40, held_out=20, refits=5, size=32)
    return measure_experiment(network(device), "emergent_features", plan=plan, preprocess=as_pixels).items["features"]


ENTRIES = [
    Entry("interpret: make_stimuli", stimuli, tolerance=0.01, slow=True),
    Entry("interpret: judge_similarity", similarity),
    Entry("interpret: observe", seen),
    Entry("interpret: StimulusDecoder", readout, tolerance=0.01),
    Entry("interpret: measure_experiment", measured, returns="cpu"),
]
