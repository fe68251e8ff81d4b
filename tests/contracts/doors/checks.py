"""The door of `checks`: an audit, a check at a time."""

from __future__ import annotations

import torch
from torch import nn

from deepwright.checks import Finding, audit
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import Classification
from doors import Door


def network(start=0):
    with local_rng(start):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()


def batches(seed, shifted=False):
    x = torch.rand(60, 1, 8, 8, generator=generator(seed))
    y = torch.arange(60) % 3
    return [(x, (y + 1) % 3 if shifted else y)]


def counting(scale):
    def check_counted(subject):
        right = float(subject.right.double().mean())
        return Finding("counted", "info", f"{scale * right}", {"right": scale * right})

    return check_counted


def halting(subject):
    raise KeyboardInterrupt


def audited(
    folder,
    *,
    start=0,
    train=1,
    validation=2,
    test=3,
    shifted=False,
    seed=0,
    limit=20,
    classes="abc",
    groups="class",
    outputs="auto",
    last=None,
):
    report = audit(
        network(start),
        batches(test, shifted),
        train=batches(train),
        validation=batches(validation),
        class_names=list(classes),
        task=Classification(3, outputs=outputs),
        checks=["accuracy", counting(1.0), "calibration", *([] if last is None else [last])],
        journal=folder / "audit.jsonl",
        seed=seed,
        groups=groups,
        attack_limit=limit,
    )
    return [(f.check, f.grade, f.summary) for f in report.findings]


DOORS = [
    Door(
        "audit",
        audited,
        file="audit.jsonl",
        changes={
            "model": {"start": 1},
            "train": {"train": 5},
            "validation": {"validation": 5},
            "test": {"test": 5},
            "another test": {"shifted": True},
            "classes": {"classes": "abd"},
            "task": {"outputs": "logits"},
            "groups": {"groups": "brightness"},
            "seed": {"seed": 1},
            "attack_limit": {"limit": 10},
        },
        interrupt={"last": halting},
    ),
]
