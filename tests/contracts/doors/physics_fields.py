"""The doors of kinetic equations, UniFluids and its baselines."""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import nn

from deepwright.core.randomness import local_rng
from deepwright.physics.kinetic import (
    AffineVelocity,
    CallablePotential,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PairInteraction,
    PlasmaWave,
    Poisson1d,
    train_shared,
)
from deepwright.physics.pde_data import ChannelRegistry, line_corpus, unified
from deepwright.physics.unifluids import FNO, UniFluids, train_next_frame, train_unifluids
from doors import Door

STEPS = 6
REGISTRY = ChannelRegistry()


def quartic(power):
    return CallablePotential(lambda x: x.pow(power).sum(1) / power)


def repulsion(width):
    return lambda r: torch.exp(-r.square().sum(1) / width)


def drawn_velocity(scale):
    """A control whose first weights come from the global generator."""

    class Drawn(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = AffineVelocity(1)
            self.factor = nn.Parameter(1 + scale * torch.rand(1, dtype=torch.float64))

        def forward(self, s, x, v):
            a, slope = self.inner(s, x, v)
            return self.factor * a, self.factor * slope

    return Drawn


def interrupting():
    """A look at every step that interrupts in the middle."""
    seen = []

    def on_step(info):
        seen.append(info)
        if len(seen) == STEPS // 2:
            raise KeyboardInterrupt

    return on_step


def start_of(mean, spread=0.4):
    return GaussianMixture.gaussian(torch.tensor([mean, -0.5]), torch.diag(torch.tensor([0.6, spread])))


def story(run):
    infos = [dataclasses.asdict(info) for info in run.infos]
    return {"x": run.now.x, "v": run.now.v, "log": run.now.log_density, "energies": run.energies, "infos": infos}


def kinetic(folder, *, power=4, mean=1.5, friction=1.0, temperature=0.5, scale=0.1, stop=False, **other):
    system = KineticFokkerPlanck(quartic(power), friction, temperature, 1)
    options = {"step_size": 0.05, "iterations": 8, "first": 12, "batch_size": 64, "particles": 64, "lr": 1e-2}
    run = KineticJKO(system, start_of(mean), velocity=drawn_velocity(scale), **{**options, **other})
    run.run(STEPS, checkpoint=folder / "run.pt", on_step=interrupting() if stop else None)
    return story(run)


def adaptive(folder, *, length=6.0, amplitude=0.3, tolerance=0.05, **other):
    options = {"step_size": 0.05, "iterations": 8, "first": 12, "batch_size": 64, "particles": 64, "velocity": "affine"}
    system = KineticFokkerPlanck(Harmonic(0.0), 1.0, 1.0, 1, Poisson1d(length))
    run = KineticJKO(system, PlasmaWave(length, amplitude), tolerance=tolerance, **{**options, **other})
    run.run(until=0.4, checkpoint=folder / "adaptive.pt")
    return story(run)


def pairs(folder, *, width=1.0, seed=0, partners=8, stop=False):
    """Forces from random partners: the generator goes on where it was."""
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1, PairInteraction(repulsion(width), partners, seed))
    options = {"step_size": 0.05, "iterations": 8, "first": 12, "batch_size": 64, "particles": 64}
    run = KineticJKO(system, start_of(1.0), velocity="affine", **options)
    run.run(STEPS, checkpoint=folder / "pairs.pt", on_step=interrupting() if stop else None)
    return story(run)


def shared(folder, *, power=4, mean=1.5, steps=2, iterations=12, start=0, lr=1e-2):
    system = KineticFokkerPlanck(quartic(power), 1.0, 0.5, 1)
    run = KineticJKO(system, start_of(mean), step_size=0.05, batch_size=32, particles=32, lr=lr)
    with local_rng(start):
        network = AffineVelocity(1)
        nn.init.normal_(network.bv, std=0.01)
    train_shared(run, steps, network, iterations=iterations, checkpoint=folder / "shared.pt", every=4)
    return {**story(run), "weights": dict(network.state_dict())}


@functools.cache
def corpus(seed=0):
    return [a for a, _ in unified(line_corpus(6, 2, points=32, frames=8, seed=seed), REGISTRY).values()]


def fluids(folder, *, seed=0, data=0, target="auto", steps=12, lr=3e-3, sensors=None, batch_size=2, decay=0.9):
    model = UniFluids(REGISTRY, [s.pde for s in corpus()], (32, 1, 2), target=target, seed=seed)
    averaged, found = train_unifluids(
        model,
        corpus(data),
        steps=steps,
        lr=lr,
        batch_size=batch_size,
        decay=decay,
        sensors=sensors,
        checkpoint=folder / "fluids.pt",
        every=2,
    )
    return {"loss": found.history[0]["loss"], "weights": dict(averaged.state_dict())}


def operator(folder, *, data=0, seed=0, lr=2e-3, push=False, epochs=3, width=6):
    model = FNO(1, 4, 1, width, 4, 2, seed=seed)
    found = train_next_frame(
        model, corpus(data)[0], epochs=epochs, batch_size=8, lr=lr, push=push, checkpoint=folder / "fno.pt"
    )
    return {"losses": [row["loss"] for row in found.history], "weights": dict(model.state_dict())}


DOORS = [
    Door(
        "KineticJKO.run",
        kinetic,
        "run.pt",
        {
            "system.potential": {"power": 6},
            "another start": {"mean": 1.0},
            "system.friction: 2.0, was 1.0": {"friction": 2.0},
            "system.temperature: 1.0, was 0.5": {"temperature": 1.0},
            "another velocity": {"scale": 0.2},
            "lr: 0.02, was 0.01": {"lr": 2e-2},
            "step size: 0.1, was 0.05": {"step_size": 0.1},
            "scheme: 'split', was 'constrained'": {"scheme": "split"},
            "batch size: 32, was 64": {"batch_size": 32},
            "particles: 32, was 64": {"particles": 32},
            "iterations: 9, was 8": {"iterations": 9},
            "seed: 1, was 0": {"seed": 1},
        },
        {"stop": True},
    ),
    Door(
        "KineticJKO.run, adaptive, with a field",
        adaptive,
        "adaptive.pt",
        {
            "another start": {"amplitude": 0.2},
            "system.interaction": {"length": 7.0},
            "tolerance: 0.1, was 0.05": {"tolerance": 0.1},
            "largest: 0.2, was inf": {"largest": 0.2},
        },
    ),
    Door(
        "KineticJKO.run, random partners",
        pairs,
        "pairs.pt",
        {"another system.interaction": {"width": 2.0}, "system.interaction": {"seed": 1}},
        {"stop": True},
    ),
    Door(
        "train_shared",
        shared,
        "shared.pt",
        {
            "model.run.system": {"power": 6},
            "model.run.start": {"mean": 1.0},
            "model.steps: 3, was 2": {"steps": 3},
            "initial weights": {"start": 1},
            "training inputs": {"iterations": 13},
            "optimizer": {"lr": 2e-2},
        },
    ),
    Door(
        "train_unifluids",
        fluids,
        "fluids.pt",
        {
            "another model.sets": {"data": 1},
            "initial weights": {"seed": 1},
            "another model.network": {"target": "field"},
            "model.drawing.sensors": {"sensors": (0.2, 0.5)},
            "model.drawing.batch_size: 3, was 2": {"batch_size": 3},
            "training inputs": {"steps": 13},
            "optimizer": {"lr": 1e-3},
        },
    ),
    Door(
        "train_next_frame",
        operator,
        "fno.pt",
        {
            "training inputs": {"data": 1},
            "training targets": {"data": 1},
            "initial weights": {"seed": 1},
            "another model": {"width": 7},
            "step.push: True, was False": {"push": True},
            "optimizer": {"lr": 1e-3},
            "epochs: 4, was 3": {"epochs": 4},
        },
    ),
]
