"""The door of `corruptions`: the suite, a perturbation and severity at a time."""

from __future__ import annotations

import torch
from torch import nn

from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import Classification
from deepwright.corruptions import CycleGAN, Suite, failure_threshold
from deepwright.corruptions.driving import (
    Camera,
    Demonstrations,
    Outcome,
    Road,
    RoadSim,
    Scenario,
    evaluate,
    repair,
    tiny_pilot,
)
from doors import Door


def network(start=0):
    with local_rng(start):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3)).eval()


def batches(seed=0, shifted=False):
    x = torch.rand(40, 3, 16, 16, generator=generator(seed))
    with torch.no_grad():
        y = network()(torch.rand(40, 3, 16, 16, generator=generator(0))).argmax(1)
    y = (y + 1) % 3 if shifted else y
    return list(zip(x.split(20), y.split(20)))


def wrong_by(share):
    return lambda out, y: share * (out.argmax(1) != y).double()


def evaluated(
    folder, *, start=0, beside=1, seed=0, shifted=False, draw=0, share=1.0, which=("gaussian_noise", "contrast")
):
    report = Suite(which, severities=(1, 3, 5), seed=draw).evaluate(
        network(start),
        batches(seed, shifted),
        wrong_by(share),
        checkpoint=folder / "suite.jsonl",
        baseline=network(beside),
    )
    return report.clean, report.errors, report.mce


def by_task(folder, *, seed=0, shifted=False, outputs="logits", measure="score", keep=False):
    report = Suite(("gaussian_noise", "rotate"), severities=(2, 4)).evaluate(
        network(),
        batches(seed, shifted),
        task=Classification(3, outputs=outputs),
        measure=measure,
        keep_targets=keep,
        checkpoint=folder / "suite.jsonl",
    )
    return report.clean, report.errors, report.mce


def threshold(folder, *, start=0, seed=0, shifted=False, draw=0, which="gaussian_noise", level=0.5, share=1.0):
    return failure_threshold(
        which,
        network(start),
        batches(seed, shifted),
        wrong=wrong_by(share),
        level=level,
        tolerance=0.3,
        seed=draw,
        checkpoint=folder / "threshold.jsonl",
    )


def domains(folder, *, seed=0, other=1, lr=2e-4, cycle=10.0, order=0, width=2):
    day, night = (torch.rand(4, 3, 24, 24, generator=generator(s)) for s in (seed, other))
    gan = CycleGAN(width=width, blocks=1)
    found = gan.fit(day, night, epochs=2, batch_size=2, lr=lr, cycle=cycle, seed=order, checkpoint=folder / "gan.pt")
    return gan.transform(day), [row["loss"] for row in found.history]


def steer(share):
    return lambda pictures: share * pictures.flatten(1)[:, :2]


def driven(
    folder, *, share=0.1, angle=30, name="gaussian_noise", severity=3, seed=0, speed=8.0, max_xte=4.0, frozen=False
):
    sim = RoadSim(2, speed=speed, camera=Camera((16, 32)))
    road = Road.from_angles([angle, 0, 0, 0])
    scenarios = [Scenario(road, name, severity, seed + i) for i in range(4)]
    outcomes = evaluate(
        sim, steer(share), scenarios, max_xte=max_xte, frozen=frozen, timeout=1.5, checkpoint=folder / "blocks"
    )
    return [(o.ended, o.xte, o.steering) for o in outcomes]


def mended(folder, *, seed=0, shift=0.0, share=0.5, lr=1e-3):
    sim = RoadSim(2, camera=Camera((24, 32)))
    network = tiny_pilot(1, (24, 32)).eval()
    rng = torch.Generator().manual_seed(0)
    data = Demonstrations(torch.rand(8, 1, 24, 32, generator=rng), torch.randn(8, 2, generator=rng) / 10 + shift)
    failed = [Outcome(Scenario(None, "contrast", 5), "left the lane", 4.0, 0.1)]
    roads = [Road.from_angles([30, 0, 0, 0])]
    found = repair(
        sim, network, data, failed, roads, epochs=2, share=share, lr=lr, timeout=0.5, seed=seed, checkpoint=folder / "r"
    )
    return [(o.ended, o.xte) for o in (*found.before, *found.after)], dict(found.network.state_dict())


DOORS = [
    Door(
        "failure threshold",
        threshold,
        file="threshold.jsonl",
        changes={
            "model": {"start": 2},
            "data": {"seed": 1},
            "another data": {"shifted": True},
            "seed": {"draw": 1},
            "wrong": {"share": 0.5},
            "perturbation": {"which": "speckle_noise"},
            "options": {"level": 0.4},
        },
    ),
    Door(
        "cyclegan",
        domains,
        file="gan.pt",
        changes={
            "training data": {"seed": 2},
            "another training data": {"other": 2},
            "optimizer": {"lr": 1e-3},
            "cycle": {"cycle": 1.0},
            "seed": {"order": 1},
            "another model": {"width": 3},
        },
    ),
    Door(
        "driving campaign",
        driven,
        file=None,
        changes={
            "agent": {"share": 0.2},
            "road": {"angle": 20},
            "perturbation": {"name": "posterize"},
            "severity": {"severity": 4},
            "seed": {"seed": 5},
            "simulator": {"speed": 9.0},
            "limit": {"max_xte": 0.2},
            "frozen": {"frozen": True},
        },
    ),
    Door(
        "repair of a pilot",
        mended,
        file="r/training.pt",
        changes={
            "training targets": {"shift": 0.1},
            "augment": {"share": 0.3},
            "optimizer": {"lr": 2e-3},
            "seed": {"seed": 1},
        },
    ),
    Door(
        "corruption suite",
        evaluated,
        file="suite.jsonl",
        changes={
            "model": {"start": 2},
            "baseline": {"beside": 2},
            "data": {"seed": 1},
            "another data": {"shifted": True},
            "seed": {"draw": 1},
            "wrong": {"share": 0.5},
            "perturbations": {"which": ("gaussian_noise", "increase_brightness")},
        },
    ),
    Door(
        "corruption suite, by a task",
        by_task,
        file="suite.jsonl",
        changes={
            "data": {"seed": 1},
            "another data": {"shifted": True},
            "another task.outputs: 'auto'": {"outputs": "auto"},
            "another measure: 'right'": {"measure": "right"},
            "another keep targets: True": {"keep": True},
        },
    ),
]
