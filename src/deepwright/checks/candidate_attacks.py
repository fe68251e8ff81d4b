"""What attacks with an aim of their own do to a detector: objects vanish, are made up, or get another label."""

from __future__ import annotations

from typing import Any

from deepwright.adversarial import Attack, Fabricate, Mislabel, Noise, Vanish
from deepwright.checks.subjects.subject import Subject
from deepwright.core.inference import read_outputs
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import CandidateDetection
from deepwright.data import Split

_STEPS = 20
_COLUMNS = ["attack", "images where it succeeds", "95 % from", "95 % to", "objects missed", "false alarms an image"]


def attacked_candidates(subject: Subject, split: Split, eps: float, budget: str) -> tuple[dict[str, Interval], Table]:
    """The share of images where each aim is reached, and what the detector then misses and makes up.

    Vanish and Mislabel are counted over images with objects, none of whose objects may be left as they were; Fabricate
    over all, where one detection of nothing is enough. What noise of the same size does stands beside it.

    Args:
        subject: a detector whose candidates are seen, with gradients.
        split: the samples that are attacked, with an object at least.
        eps: the L-inf budget.
        budget: in words.
    """
    task = subject.task
    assert isinstance(task, CandidateDetection)
    options: dict[str, Any] = {"task": task, "bounds": subject.bounds, "seed": subject.seed}
    attacks: dict[str, Attack | None] = {"none": None, "noise of the same size": Noise(eps, **options)}
    attacks |= {"Vanish": Vanish(eps, steps=_STEPS, **options), "Fabricate": Fabricate(eps, steps=_STEPS, **options)}
    if task.classes > 1:
        attacks["Mislabel"] = Mislabel(eps, steps=_STEPS, **options)
    values, rows = dict[str, Interval](), list[list[Any]]()
    for name, attack in attacks.items():
        reached, able, outputs = 0, 0, []
        for x, y in split.batches(subject.batch_size):
            found = None if attack is None else attack(subject.model, x, y)
            seen = x if found is None else found.x_adv
            outputs.append(task.join(read_outputs(subject.model, [seen], lambda o, n: task.read(o, n, strict=False))))
            if found is not None and not isinstance(attack, Noise):
                counts = [name == "Fabricate" or len(truth) > 0 for truth in y]
                able += sum(counts)
                reached += sum(c and bool(s) for c, s in zip(counts, found.success.tolist(), strict=True))
        share = wilson(reached, able) if able else None
        if share is not None:
            values[f"{name.lower()}_succeeds"] = share
        rates = task.error_rates(task.join(outputs), split.y)
        ends = [None] * 3 if share is None else [share.value, share.low, share.high]
        rows.append([name, *ends, rates["false_negative_rate"], rates["false_positives_per_image"]])
    return values, Table(
        _COLUMNS, rows, f"attacks on the detector's candidates at a budget of {budget}, {_STEPS} steps"
    )
