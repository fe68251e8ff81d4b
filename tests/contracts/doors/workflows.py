"""The doors of the workflows: audits, shrinking and exits that were interrupted, solutions, labelling.

An audit and a shrinking forget their state when they are done, so here they are stopped just before that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch
from torch import nn

from deepwright.checks import Finding
from deepwright.core.randomness import generator, local_rng
from deepwright.core.resume import stored
from deepwright.data import Data, Split
from deepwright.physics import Box, field, jet
from deepwright.physics.solve import Condition, PDEProblem
from deepwright.workflows import (
    AuditOptions,
    ExitOptions,
    HardenOptions,
    LabelOptions,
    ShrinkOptions,
    SolveOptions,
    audit,
    exits,
    harden,
    label,
    shrink,
    solve,
)
from doors import Door


class Enough(Exception):
    """The work is done but for forgetting its state."""


def network(start=0):
    with local_rng(start):
        return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def split(seed, shifted=False, n=60):
    y = torch.arange(n) % 3
    return Split(torch.randn(n, 6, generator=generator(seed)), (y + 1) % 3 if shifted else y)


def rows(train=1, validation=2, test=3, shifted=False, classes="abc"):
    return Data("rows", "tabular", tuple(classes), split(train), split(validation), split(test, shifted))


def counting(scale):
    def check_counted(subject):
        right = float(subject.right.double().mean())
        return Finding("counted", "info", f"{scale * right}", {"right": scale * right})

    return check_counted


def halting(subject):
    raise KeyboardInterrupt


def audited(folder, *, start=0, seed=0, limit=20, last=None, **data):
    seen = []

    def see(finding):
        seen.append((finding.check, finding.grade, finding.summary))
        if len(seen) == 3:
            raise Enough

    checks = ["accuracy", "calibration", counting(1.0)]
    if last is not None:  # after the second, so that the third is missing
        checks = ["accuracy", "calibration", last, counting(1.0)]
    options = AuditOptions(network(start), data=rows(**data), checks=checks, attack_limit=limit, seed=seed, out=folder)
    try:
        audit(options, on_finding=see)
    except Enough:
        return seen


@dataclass
class Stop:
    """Ends the work when it tells a certain thing."""

    at: str
    by: type[BaseException]

    def __call__(self, text):
        if text == self.at:
            raise self.by


def shrunk(folder, *, start=0, share=0.5, criterion="l2", epochs=2, seed=0, stop=None, **data):
    options = ShrinkOptions(
        network(start),
        data=rows(**data),
        goal=("params", share),
        importance=criterion,
        epochs=epochs,
        checks=["accuracy", counting(1.0)],
        seed=seed,
        out=folder,
    )
    try:
        shrink(options, say=stop or Stop("files", Enough))
    except Enough:
        state = folder / ".unfinished"
        tuned = stored(state / "fine-tune.pt")[1]
        kept = [json.loads(line)["value"] for line in (state / "after.jsonl").read_text().splitlines()[1:]]
        return [stored(state / "plan.pt")[1], tuned["model"], [(f["check"], f["summary"]) for f in kept]]


def hardened(folder, *, start=0, epochs=2, strength=None, seed=0, stop=None, **data):
    options = HardenOptions(
        network(start),
        data=rows(**data),
        method="smoothing",
        epochs=epochs,
        strength=strength,
        checks=["accuracy", counting(1.0)],
        attack_limit=5,
        seed=seed,
        out=folder,
    )
    try:
        harden(options, say=stop or Stop("files", Enough))
    except Enough:
        state = folder / ".unfinished"
        kept = [json.loads(line)["value"] for line in (state / "after.jsonl").read_text().splitlines()[1:]]
        return [stored(state / "training.pt")[1]["model"], [(f["check"], f["summary"]) for f in kept]]


def steadied(folder, *, start=0, epochs=2, beta=None, steps=2, seed=0, stop=None, **data):
    options = HardenOptions(
        network(start),
        data=rows(**data),
        method="trades",
        epochs=epochs,
        beta=beta,
        steps=steps,
        checks=["accuracy", counting(1.0)],
        seed=seed,
        out=folder,
    )
    try:
        harden(options, say=stop or Stop("files", Enough))
    except Enough:
        return stored(folder / ".unfinished" / "training.pt")[1]["model"]


def with_exits(folder, *, start=0, epochs=2, seed=0, **data):
    with local_rng(start):
        model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    options = ExitOptions(model, data=rows(**data), epochs=epochs, max_harm=0.5, seed=seed, out=folder)
    try:
        exits(options, say=Stop("thresholds", Enough))
    except Enough:
        return stored(folder / ".unfinished" / "heads.pt")[1]["model"]


def labelled(folder, *, start=0, strategy="margin", removed=0.5, round_size=8, epochs=1):
    options = LabelOptions(
        "breast-cancer",
        simulate=True,
        budget=24,
        strategy=strategy,
        removed=removed,
        round_size=round_size,
        epochs=epochs,
        seed=start,
        out=folder,
    )
    found = label(options)
    return found.result.indices, found.result.labels, dict(found.network.state_dict()), found.test_accuracy


def growth(strength, width, points):
    return PDEProblem(
        "growth",
        Box((0, 1)),
        [
            Condition("equation", lambda u, x: jet(u, x).J[0] - strength * u(x), points=points),
            Condition("start", lambda u, x: u(x) - 1, torch.zeros(1, 1).double()),
        ],
        network=lambda: field(1, 1, (width,)),
    )


def solved(folder, *, strength=1.0, width=6, points=20, steps=12, seed=0):
    found = solve(SolveOptions(growth(strength, width, points), steps=steps, seed=seed, out=folder))
    return [found.certificate, dict(found.network.state_dict()), found.training.steps]


DOORS = [
    Door(
        "workflows.audit",
        audited,
        file=".unfinished/findings.jsonl",
        changes={
            "model": {"start": 1},
            "train": {"train": 5},
            "another test": {"shifted": True},
            "classes": {"classes": "abd"},
            "options.seed": {"seed": 1},
            "attack_limit": {"limit": 10},
        },
        interrupt={"last": halting},
    ),
    Door(
        "workflows.shrink",
        shrunk,
        file=".unfinished/plan.pt",
        changes={
            "model": {"start": 1},
            "validation": {"validation": 5},
            "goal": {"share": 0.6},
            "importance": {"criterion": "l1"},
            "epochs": {"epochs": 1},
        },
        interrupt={"stop": Stop("audit of the shrunk network", KeyboardInterrupt)},
        flips=4,
    ),
    Door(
        "workflows.harden",
        hardened,
        file=".unfinished/harden.pt",
        changes={
            "model": {"start": 1},
            "validation": {"validation": 5},
            "strength": {"strength": 0.5},
            "epochs": {"epochs": 1},
        },
        interrupt={"stop": Stop("certificates", KeyboardInterrupt)},
        flips=4,
    ),
    Door(
        "workflows.harden by TRADES",
        steadied,
        file=".unfinished/harden.pt",
        changes={"model": {"start": 1}, "beta": {"beta": 3.0}, "steps": {"steps": 3}},
        interrupt={"stop": Stop("audit of the hardened network", KeyboardInterrupt)},
        flips=2,
    ),
    Door(
        "workflows.exits",
        with_exits,
        file=".unfinished/heads.pt",
        changes={
            "initial weights": {"start": 1},
            "training inputs": {"train": 5},
            "epochs": {"epochs": 3},
            "seed": {"seed": 1},
        },
        flips=4,
    ),
    Door(
        "workflows.label",
        labelled,
        file="labels.jsonl",
        changes={
            "seed": {"start": 1},
            "strategy": {"strategy": "entropy"},
            "selector.removed": {"removed": 0.25},
            "round size": {"round_size": 6},
            "trainer": {"epochs": 2},
        },
        flips=4,
    ),
    Door(
        "workflows.solve",
        solved,
        file="fit.pt",
        changes={
            "residual of equation": {"strength": 1.5},
            "points of equation": {"points": 21},
            "model": {"width": 7},
            "schedule": {"steps": 13},
        },
        flips=4,
    ),
]
