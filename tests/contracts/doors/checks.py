"""The door of `checks`: an audit, a check at a time."""

from __future__ import annotations

import torch
from PIL import Image
from torch import nn

from deepwright.checks import Finding, Subject, audit
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import Classification
from deepwright.data import load
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


def write_pictures(folder, painted):
    """45 pictures of three classes in their parts; `painted` of the first in one of them, as somebody edits a file."""
    pixels = torch.randint(0, 256, (45, 6, 6, 3), dtype=torch.uint8, generator=generator(0)).numpy()
    for i in range(45):
        part = ("train", "val", "test")[i // 15]
        place = folder / part / "abc"[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        if part == painted and i % 15 == 0:
            pixels[i, 2, 3, 1] ^= 1
        Image.fromarray(pixels[i]).save(place / f"{i}.png")
    return folder


def streamed(folder, *, painted="", last=None):
    with local_rng(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(108, 3)).eval()
    data = load(write_pictures(folder / "pictures", painted), stream=True)
    checks = ["accuracy", counting(1.0), "calibration", *([] if last is None else [last])]
    report = audit(Subject(model, data, batch_size=4), checks=checks, journal=folder / "audit.jsonl")
    return [(f.check, f.grade, f.summary) for f in report.findings]


DOORS = [
    Door(
        "audit of files",
        streamed,
        file="audit.jsonl",
        changes={"train": {"painted": "train"}, "validation": {"painted": "val"}, "test": {"painted": "test"}},
        interrupt={"last": halting},
        flips=2,
    ),
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
