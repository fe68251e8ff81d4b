"""Another last layer in place of a network's own: the methods of `shift`, on the groups of a column."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from deepwright.checks import NotApplicableError, Subject
from deepwright.checks.held_out import why_none
from deepwright.checks.quality.shortcuts import attribute_of, head_rows
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.inference import read_outputs
from deepwright.core.randomness import local_rng
from deepwright.data import Data, mnist_dominoes, read_column, with_column
from deepwright.shift import AFR, DFR, HSFM, JTT, GroupDRO, HeadMethod, LastLayerRetrain, replace_head
from deepwright.workflows.recipes import Hardened, Recipe

HEADS: dict[str, Callable[..., HeadMethod]] = {
    "hsfm": HSFM,
    "dfr": DFR,
    "afr": AFR,
    "jtt": JTT,
    "group-dro": GroupDRO,
    "last-layer": LastLayerRetrain,
}
"""Name -> the method, as `deepwright harden --with` has it."""
CHECKS = ("accuracy", "calibration", "groups")
"""What is measured before and after where no check is named."""


def require_grouped(subject: Subject) -> None:
    """Refuse what has no last layer to relearn, or no groups to look at.

    Args:
        subject: any.

    Raises:
        NotApplicableError: no classes, no column, no held-out validation samples.
    """
    if not subject.has_classes:
        raise NotApplicableError(f"a {subject.task.kind} has no class a sample, and so no groups of class and column")
    if subject.groups is None:
        raise NotApplicableError("no column was named (--groups COLUMN or FILE.csv, groups= from Python)")
    if subject.groups == "class":
        raise NotApplicableError("the class is no attribute: name a column that may go with it")
    attribute_of(subject, subject.groups)
    why = why_none(subject)
    if why:
        raise NotApplicableError(f"a last layer is learned on held-out samples: {why}")
    if not len(subject.data.train):
        raise NotApplicableError("there are no training samples")


def new_head(name: str, subject: Subject, recipe: Recipe) -> Hardened:
    """Learn another last layer on cached features, and put it in the network's place.

    Args:
        name: of `HEADS`.
        subject: see `require_grouped`.
        recipe: of which the features' and the head's progress are told.
    """
    recipe.say("features")
    rows = head_rows(subject, attribute_of(subject, str(subject.groups)))
    recipe.say(f"last layer by {name}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        method = HEADS[name](seed=subject.seed) if name != "jtt" else JTT()
        method.fit(*rows.train[:2], *rows.validation, head=rows.head)
    model = replace_head(subject.model, method.head_, name=_layer(subject.model, rows.head)).eval()
    _require_same(subject, model, method, rows.test[0][:16])
    training, choice = method.label_use_.words()
    notes = [
        f"{name}: the last layer alone is new; it was learned on {len(rows.validation[1])} validation samples "
        f"(group labels in training: {training}, in the choice of settings: {choice})",
        *dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, UserWarning)),
    ]
    if method.chosen_:
        notes.append("chosen: " + ", ".join(f"{key} = {value:g}" for key, value in method.chosen_.items()))
    if isinstance(method, HSFM):
        notes.append(f"epoch {method.best_epoch_} of {method.epochs} was kept; 0 is the head as it was")
    return Hardened(model, notes=notes)


def head_methods() -> dict[str, Callable[[Subject, Recipe], Hardened]]:
    """Name -> what it does, for the table of methods."""
    return {name: partial(new_head, name) for name in HEADS}


def _layer(model: nn.Module, head: nn.Linear) -> str:
    """The name of the layer that the head was read from."""
    wanted = head.weight.detach()
    for name, part in model.named_modules():
        if not isinstance(part, nn.Linear):
            continue
        weight = part.weight.detach().cpu().to(wanted.dtype)
        found = wanted if len(weight) == len(wanted) else wanted[1:] - wanted[:1]
        if weight.shape == found.shape and torch.equal(weight, found):
            return name
    raise InputError("model", given="a last layer that is no nn.Linear", expected="one whose weights can be replaced")


def _require_same(subject: Subject, model: nn.Module, method: HeadMethod, features: torch.Tensor) -> None:
    """Whether the network with the new head answers as the head does on the features."""
    known = attribute_of(subject, str(subject.groups)).test >= 0
    x = subject.data.test.where(known.nonzero().flatten()[: len(features)]).inputs()
    task = subject.task
    out = task.join(read_outputs(model, [x], lambda o, n: task.read(o, n, strict=False)))
    found = task.class_logits(out)
    assert found is not None
    with torch.no_grad():
        wanted = method.head_(features.to(method.head_.weight))
    a, b = (v.double().cpu() - v.double().cpu().mean(1, keepdim=True) for v in (found, wanted))
    rounding = max((torch.finfo(p.dtype).eps for p in model.parameters() if p.is_floating_point()), default=0.0)
    if not bool((a - b).abs().max() <= max(1e-3, 8 * rounding) * b.abs().max().clamp_min(1e-6)):
        raise InputError("model", given="other answers than its new last layer's", expected="a head that ends it")


def with_groups(subject: Subject, groups: str | Path) -> tuple[Data, str]:
    """The subject's data and the column of groups.

    Args:
        subject: with data.
        groups: a column, or a .csv with the columns "file" and another one.
    """
    if str(groups).endswith(".csv"):
        name, by_file = read_column(groups)
        return with_column(subject.data, name, by_file), name
    return subject.data, str(groups)


def dominoes_subject(seed: int) -> Subject:
    """What is hardened where nothing is named: a small network on pairs of digits of which the upper one misleads.

    Args:
        seed: of pictures and network.
    """
    data = mnist_dominoes(seed, p=0.98)
    with local_rng(seed):
        model = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 3, 64),
            nn.ReLU(),
            nn.Linear(64, 2),
        )
    fit(
        model,
        (data.train.inputs(), data.train.y),
        epochs=5,
        batch_size=64,
        optimizer=adamw(2e-3, 1e-4),
        scheduler=one_cycle(2e-3),
        seed=seed,
        description="train the default network",
    )
    return Subject(model.eval(), data, name="small network on dominoes", seed=seed, groups="attribute")
