"""One head on one draw of data, judged on validation rows and measured on test rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.inference import logits_of
from deepwright.data import Data, gaussian_spurious, mnist_dominoes
from deepwright.shift import (
    AFR,
    DFR,
    ERM,
    HSFM,
    JTT,
    CVaRDRO,
    GroupDRO,
    HeadMethod,
    LastLayerRetrain,
    extract_features,
    group_metrics,
    make_groups,
)
from deepwright.shift.methods import halves
from deepwright.shift.problems import pose
from deepwright.studies._clock import one_thread
from deepwright.studies._networks import built, train

NAME_ERM, FROZEN, DIRECT, OURS = "ERM", "frozen support", "direct-hard", "HSFM"
LAST, NAME_AFR, NAME_JTT, CVAR = "last layer", "AFR", "JTT", "CVaR-DRO"
NAME_DFR, DRO = "DFR", "GroupDRO"
META = (OURS, DIRECT, FROZEN)
ON_VALIDATION = (LAST, NAME_AFR, NAME_DFR, DRO)
"""Trained on validation rows: judged on the half that they weren't trained on, both ways round."""
VARIANTS = {OURS: "hsfm", DIRECT: "direct-hard", FROZEN: "frozen-support"}
_PAIRS: dict[str, tuple[tuple[str, tuple[float, ...]], tuple[str, tuple[float, ...]]]] = {
    **dict.fromkeys(META, (("k_hard", (16, 64, 256)), ("head_lr_rel", (0.004, 0.008, 0.016)))),
    NAME_AFR: (("gamma", (0.0, 1.0, 6.0, 20.0, 60.0, 200.0)), ("pull", (0.03, 0.1, 0.3, 1.0, 3.0, 10.0))),
    NAME_JTT: (("up", (5.0, 20.0, 50.0)), ("weakness", (0.1, 1.0, 3.0))),
    CVAR: (("alpha", (0.05, 0.1, 0.3)), ("l2", (1e-4, 1e-3, 1e-2))),
    DRO: (("l2", (1e-3, 1e-2, 1e-1)), ("eta", (0.01, 0.1, 1.0))),
}
_SINGLE = {
    LAST: ("l2", (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)),
    NAME_DFR: ("l1", (1e-4, 3e-4, 1e-3, 3e-3, 6e-3, 1e-2, 2e-2, 4e-2, 8e-2)),
}
ARMS = (NAME_ERM, LAST, NAME_AFR, NAME_JTT, CVAR, *META, NAME_DFR, DRO)


def settings_of(arm: str) -> list[dict[str, float]]:
    """What is tried of an arm: nine settings each, AFR's 36, ERM's only one.

    Args:
        arm: of `ARMS`.
    """
    if arm in _PAIRS:
        (first, these), (second, those) = _PAIRS[arm]
        return [{first: a, second: b} for a in these for b in those]
    if arm in _SINGLE:
        name, values = _SINGLE[arm]
        return [{name: value} for value in values]
    return [{}]


def method_of(arm: str, setting: dict[str, float], seed: int) -> HeadMethod:
    """An arm at one setting.

    Args:
        arm: of `ARMS`.
        setting: of `settings_of`.
        seed: of its draws.
    """
    if arm in META:
        own = {**setting, "k_hard": int(setting["k_hard"])} if "k_hard" in setting else setting
        return HSFM(variant=VARIANTS[arm], seed=seed, **own)  # type: ignore[arg-type]
    one: dict[str, Any] = {name: (value,) if name in _TUPLES else value for name, value in setting.items()}
    made: dict[str, Callable[..., HeadMethod]] = {
        NAME_ERM: ERM,
        LAST: LastLayerRetrain,
        NAME_AFR: AFR,
        NAME_JTT: JTT,
        CVAR: CVaRDRO,
        NAME_DFR: DFR,
        DRO: GroupDRO,
    }
    if arm == CVAR:
        one["l2"] = setting["l2"]
    if arm in (NAME_DFR, DRO):
        one["seed"] = seed
    return made[arm](**one)


_TUPLES = ("gamma", "pull", "up", "alpha", "l1", "l2")
Rows = tuple[Tensor, Tensor, Tensor]


def rows_of(data: Data) -> tuple[Rows, Rows, Rows]:
    """Features, classes and groups of each split.

    Args:
        data: of two classes, with the column "attribute".
    """
    first = sorted({str(v) for v in data.train.columns["attribute"]})
    found = []
    for split in (data.train, data.validation, data.test):
        attribute = torch.tensor([first.index(str(v)) for v in split.columns["attribute"]])
        found.append((split.inputs(), split.y, make_groups(split.y, attribute, 2)))
    return found[0], found[1], found[2]


def gaussian_trial(arm: str, setting: dict[str, float], p_val: float, seed: int, n: tuple[int, int, int]) -> Any:
    """Features of which one direction is the shortcut.

    Args:
        arm: of `ARMS`.
        setting: of `settings_of`.
        p_val: how often the shortcut holds among validation rows.
        seed: of data and method.
        n: rows of the splits.
    """
    with one_thread():
        made = gaussian_spurious(seed, p_val=p_val, n=n)
        found = measured(arm, setting, rows_of(made.data), seed)
        return {**found, "bound": made.best_accuracy}


def measured(arm: str, setting: dict[str, float], rows: tuple[Rows, Rows, Rows], seed: int, head: Any = None) -> Any:
    """Worst group on validation rows that judged the head, and on test rows.

    Args:
        arm: of `ARMS`.
        setting: of it.
        rows: of the splits.
        seed: of the method.
        head: the network's own.
    """
    training, validation, test = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.process_time()
        method = method_of(arm, setting, seed).fit(*training[:2], *validation, head=head)
        seconds = time.process_time() - begin
        judged = _on_halves(arm, setting, rows, seed, head) if arm in ON_VALIDATION else _worst(method, validation)
    found = group_metrics(method.predict(test[0]), test[1], test[2])
    return {
        "validation": judged,
        "worst": found.worst_group,
        "average": found.average,
        "seconds": seconds,
        "best epoch": getattr(method, "best_epoch_", 0),
        "labels": list(method.label_use_.words()),
    }


def _worst(method: HeadMethod, rows: Rows) -> float:
    return group_metrics(method.predict(rows[0]), rows[1], rows[2]).worst_group


def _on_halves(arm: str, setting: dict[str, float], rows: tuple[Rows, Rows, Rows], seed: int, head: Any) -> float:
    training, validation, _ = rows
    first, second = halves(pose(*training[:2], *validation), seed)
    scores = []
    for some, others in ((first, second), (second, first)):
        half = [part[some] for part in validation]
        method = method_of(arm, setting, seed).fit(*training[:2], *half, head=head)
        scores.append(_worst(method, (validation[0][others], validation[1][others], validation[2][others])))
    return sum(scores) / 2


def choice_trial(select: str, p_val: float, seed: int, n: tuple[int, int, int]) -> Any:
    """HSFM with its defaults, whose head is chosen in another way.

    Args:
        select: see `HSFM`.
        p_val: how often the shortcut holds among validation rows.
        seed: of data and method.
        n: rows of the splits.
    """
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training, validation, test = rows_of(gaussian_spurious(seed, p_val=p_val, n=n).data)
        method = HSFM(select=select, seed=seed).fit(*training[:2], *validation)
        return {"worst": _worst(method, test), "labels": list(method.label_use_.words())}


DOMINOES = (NAME_ERM, LAST, NAME_AFR, NAME_JTT, OURS, NAME_DFR)


def dominoes_trial(p: float, seed: int, n: tuple[int, int, int], epochs: int) -> Any:
    """Pictures end to end: a network is trained, its last layer replaced; each head's setting chosen on validation.

    Args:
        p: how often the shortcut holds in training.
        seed: of pictures, network and heads.
        n: pairs of the splits.
        epochs: of the network's training.
    """
    with one_thread():
        data = mnist_dominoes(seed, p=p, p_val=0.5, n=n)
        model = train(built(SmallNetwork, seed), (data.train.inputs(), data.train.y), epochs, seed)
        found, rows = [], rows_of(data)
        for x, y, groups in rows:
            features = extract_features(model, list(zip(x.split(250), y.split(250))))
            found.append((features.x, y, groups))
        head = extract_features(model, [rows[0][0][:4]]).head
        parts = (found[0], found[1], found[2])
        best = {arm: _best(arm, parts, seed, head) for arm in DOMINOES}
        logits = logits_of(model, rows[2][0].split(250))
        asked = group_metrics(logits, rows[2][1], rows[2][2]).worst_group
        headroom = best[NAME_DFR]["validation"] - best[NAME_ERM]["validation"]
        return {"heads": best, "network": asked, "headroom": headroom}


def _best(arm: str, rows: tuple[Rows, Rows, Rows], seed: int, head: nn.Linear) -> Any:
    tried = [measured(arm, setting, rows, seed, head) | {"setting": setting} for setting in settings_of(arm)]
    scores = [row["validation"] for row in tried]
    return tried[scores.index(max(scores))]


class SmallNetwork(nn.Module):
    """Two convolutions and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 3, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of two classes."""
        return self.head(self.body(x))
