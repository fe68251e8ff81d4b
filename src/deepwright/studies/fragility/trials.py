"""One trial: every setting of one loss trained on one table, its best moment by each rule, and what the test says."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.data import Data
from deepwright.studies.fragility.arms import ARMS, DECAYS, RATES
from deepwright.studies.fragility.measures import at_matched, cross_entropy, indices, margins, measured, temperatures
from deepwright.studies.fragility.stacked import Stacks, train
from deepwright.studies.fragility.worlds import MADE, WORLDS, table_of

RULES = ("ce", "nfi")  # on validation rows, at the temperature fitted there; the lower the better
HIDDEN = (64, 64)
STEPS, EVERY = 200, 4  # of the optimiser, and between two looks


class Best:
    """The weights of each member at its best look by each rule."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y
        self.looks = 0
        self.value: dict[str, Tensor] = {}
        self.at: dict[str, Tensor] = {}
        self.weights: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def __call__(self, stacks: Stacks) -> None:
        """Look once."""
        self.looks += 1
        z = stacks(self.x)
        matched = z.double() / temperatures(z, self.y)[:, None, None]
        now = {"ce": cross_entropy(matched, self.y), "nfi": indices(margins(matched, self.y))[1]}
        for rule in RULES:
            if rule not in self.value:
                self.value[rule] = torch.full_like(now[rule], math.inf)
                self.at[rule] = torch.zeros(len(z), dtype=torch.long)
                self.weights[rule] = {k: v.clone() for k, v in stacks.state_dict().items()}
            better = now[rule] < self.value[rule]
            self.value[rule] = torch.where(better, now[rule], self.value[rule])
            self.at[rule] = torch.where(better, self.looks, self.at[rule])
            for name, kept in self.weights[rule].items():
                stack = int(name.split(".")[1])
                mine = better.chunk(len(stacks.rates))[stack]
                kept[mine] = stacks.state_dict()[name][mine]


def trial(data: str, arm: str, seed: int, root: str | None, steps: int) -> list[dict[str, Any]]:
    """Train all settings of a loss on one table.

    Args:
        data: a world's name.
        arm: of `ARMS`.
        seed: of the table, the split, the start and the batches.
        root: a folder with real data.
        steps: of the optimiser.

    Returns:
        One row a rule and setting: the rule, the setting, the learning rate, the validation's value, the look it was
        taken at, and every measure on the test rows.
    """
    world, table, what = WORLDS[data], table_of(data, seed, root), ARMS[arm]
    own, decay = (torch.tensor(column).repeat(len(RATES)) for column in zip(*what.tries))
    stacks = Stacks((table.shape[0], *HIDDEN, len(table.classes)), len(what.tries), RATES, seed)
    best = Best(table.validation.x, table.validation.y)
    batch = min(world.batch, len(table.train.y))
    per_epoch = math.ceil(len(table.train.y) / batch)
    train(
        stacks,
        (table.train.x, table.train.y),
        lambda out, y: what.loss(out, y, own),
        decay,
        epochs=max(1, steps // per_epoch),
        batch_size=batch,
        look=best,
        every=max(1, EVERY // per_epoch),
        seed=seed,
    )
    rates = [rate for rate in RATES for _ in what.tries]
    names = [
        {"setting": setting, "decay": decay, "lr": rate}
        for (setting, decay), rate in zip(what.tries * len(RATES), rates)
    ]
    return [row for rule in RULES for row in _rows(stacks, best, rule, names, table, world.source != MADE)]


@torch.no_grad()
def _rows(
    stacks: Stacks, best: Best, rule: str, names: list[dict[str, float]], table: Data, few: bool
) -> list[dict[str, Any]]:
    """What the validation says of all settings; what the test says of the best at each own, and with common decays."""
    stacks.load_state_dict(best.weights[rule])
    rows: list[dict[str, Any]] = [
        {"rule": rule, **name, "validation": float(value), "look": int(look), "looks": best.looks}
        for name, value, look in zip(names, best.value[rule], best.at[rule])
    ]
    values = [row["validation"] for row in rows]
    same = [i for i, row in enumerate(rows) if row["decay"] in DECAYS]
    groups = [
        same,
        *([i for i in range(len(rows)) if rows[i]["setting"] == own] for own in {r["setting"] for r in rows}),
    ]
    winners = sorted({min(group, key=values.__getitem__) for group in groups})
    test = table.test
    z = stacks(test.x)[winners]
    fitted = at_matched((stacks(best.x)[winners], best.y), z, test.y, few)
    learnt = cross_entropy(stacks(table.train.x)[winners], table.train.y)
    for i, loss, found in zip(winners, learnt, measured(z, test.y, *fitted)):
        rows[i] |= {"train_ce": float(loss), **found}
    return rows
