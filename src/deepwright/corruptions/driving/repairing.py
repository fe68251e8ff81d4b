"""A repair: a pilot is trained again under what it failed under, and driven on other roads, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network, require_whole, require_within
from deepwright.core.results import Table
from deepwright.core.statistics import mcnemar
from deepwright.corruptions.driving.collecting import Demonstrations, imitate
from deepwright.corruptions.driving.evaluation import evaluate
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.scenarios import Outcome, Scenario
from deepwright.corruptions.driving.simulators import Simulator
from deepwright.corruptions.driving.summaries import CLEAN, Cell, by_cell
from deepwright.corruptions.suite import get

_DRAWS = 2  # perturbations of one batch


class Perturbing:
    """Perturbs a share of each batch: an `augment` of `imitate`.

    Each batch draws two of the perturbations, each at a severity of its own from 1 to 5, for half of that share.

    Args:
        names: of perturbations under which steering stays what it was.
        share: of the pictures.

    Raises:
        InputError: no names, a perturbation under which steering would have to change, a share outside [0, 1].
    """

    def __init__(self, names: Sequence[str], share: float = 0.5) -> None:
        if not names or isinstance(names, str):
            raise InputError("names", given=repr(names), expected="names of at least one perturbation")
        require_within(0, 1, share=share)
        for name in names:
            if not get(name).label_preserving:
                expected = "perturbations under which steering stays what it was"
                hint = "a turned or shifted picture needs another steering angle"
                raise InputError("names", given=name, expected=expected, hint=hint)
        self.names, self.share = tuple(names), share

    def __resume_identity__(self) -> Any:
        return type(self).__name__, self.names, self.share

    def __call__(self, pictures: Tensor, rng: torch.Generator) -> Tensor:
        """The batch, with a share of it perturbed.

        Args:
            pictures: (N, C, H, W) in [0, 1].
            rng: draws.
        """
        rows = torch.randperm(len(pictures), generator=rng, device=rng.device)
        each = round(self.share * len(pictures) / _DRAWS)
        out = pictures.clone()
        if each == 0:  # no share, or a last batch of one picture
            return out
        drawn = torch.randint(2**31, (_DRAWS, 3), generator=rng, device=rng.device).tolist()
        for mine, (which, severity, seed) in zip(rows[: each * _DRAWS].split(each), drawn):
            perturb = get(self.names[which % len(self.names)])
            at = mine.to(pictures.device)
            out[at] = perturb(pictures[at], 1 + severity % 5, seed, ids=mine.cpu())
        return out


@dataclass(frozen=True)
class Repaired:
    """A pilot after its repair, and what it did on the same roads before and after.

    Attributes:
        network: the repaired one, in eval mode.
        trained: the perturbations that it was trained on.
        before: outcomes of the pilot as it was.
        after: outcomes of the repaired one, of the same scenarios.
    """

    network: nn.Module
    trained: tuple[str, ...]
    before: list[Outcome]
    after: list[Outcome]

    @property
    def table(self) -> Table:
        """One row a cell: failure rates before and after, and McNemar's p of the roads on which the two differ."""
        rows: list[list[Any]] = []
        for old, new in zip(by_cell(self.before), by_cell(self.after)):
            pairs = [
                (a.failed, b.failed)
                for a, b in zip(self.before, self.after)
                if a.scenario.cell == old.cell and a.counts and b.counts
            ]
            first, second = torch.tensor(pairs, dtype=torch.bool).reshape(-1, 2).T
            shares = ["–" if c.failures is None else f"{c.failures:.2f}" for c in (old, new)]
            p = mcnemar(first, second) if pairs else None  # all lost to the infrastructure
            rows.append([*old.cell, self.role(old.cell), len(pairs), *shares, p])
        columns = ["perturbation", "severity", "in training", "roads", "failure rate before", "after", "p"]
        caption = "The repair, on roads that neither chose its perturbations nor were trained on"
        return Table(columns, rows, f"{caption}; intervals are Wilson's, 95 %; p is McNemar's")

    def role(self, cell: Cell) -> str:
        """ "clean", "trained on" or "held out".

        Args:
            cell: perturbation and severity.
        """
        if cell == CLEAN:
            return "clean"
        return "trained on" if cell[0] in self.trained else "held out"


def worst_families(outcomes: Sequence[Outcome], most: int = 5, hold_out: Sequence[str] = ()) -> list[str]:
    """The perturbations under which most episodes failed and steering stays what it was; worst first.

    Args:
        outcomes: of a campaign.
        most: how many.
        hold_out: names that are left out.

    Raises:
        InputError: none that failed is left.
    """
    require_whole(1, most=most)
    rates: dict[str, list[float]] = {}
    for cell in by_cell(outcomes):
        if cell.cell != CLEAN and cell.failures is not None:
            rates.setdefault(cell.cell[0], []).append(cell.failures.value)
    means = {name: sum(found) / len(found) for name, found in rates.items()}
    able = [n for n, rate in means.items() if rate > 0 and n not in hold_out and get(n).label_preserving]
    if not able:
        left = [n for n, rate in means.items() if rate > 0]
        given = f"failures under {', '.join(left)} alone" if left else "no failures"
        expected = "failures under a perturbation that leaves steering what it was, and isn't held out"
        raise InputError("a campaign to repair", given=given, expected=expected)
    return sorted(able, key=lambda name: -means[name])[:most]


def repair(
    sim: Simulator,
    network: nn.Module,
    data: Demonstrations,
    outcomes: Sequence[Outcome],
    roads: Sequence[Road | None],
    *,
    most: int = 5,
    hold_out: Sequence[str] = (),
    share: float = 0.5,
    epochs: int = 8,
    batch_size: int = 64,
    lr: float = 2e-3,
    max_xte: float = 4.0,
    timeout: float = 62.0,
    frozen: bool = False,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> Repaired:
    """Train a copy of a pilot on what it failed under, and drive both on fresh roads under all that was driven.

    What a campaign failed under is chosen by it, so that its own roads would flatter the repair: before and after are
    driven on `roads`. Perturbations that aren't trained on are the test of whether more was learned than these.

    Args:
        sim: in which it is driven.
        network: as it drove the campaign; it stays as it is.
        data: pictures with an expert's actions, to train on.
        outcomes: of the campaign.
        roads: others than the campaign's; None where the simulator has its own.
        most: perturbations to train on.
        hold_out: perturbations that aren't trained on whatever they did.
        share: of each batch that is perturbed.
        epochs: passes over the data.
        batch_size: pictures a step.
        lr: the largest learning rate.
        max_xte: see `evaluate`.
        timeout: see `evaluate`.
        frozen: see `evaluate`.
        seed: of training, worlds and perturbations.
        checkpoint: a folder; an interrupted repair goes on there.

    Returns:
        The copy, in eval mode, with what it was trained on and both drives.

    Raises:
        InputError: a campaign without failures that can be trained on, no roads; bad input of any kind.
    """
    require_network(network, "network")
    names = worst_families(outcomes, most, hold_out)
    if not roads:
        raise InputError("roads", given="none", expected="at least one")
    cells = list(dict.fromkeys(o.scenario.cell for o in outcomes))
    scenarios = [
        Scenario(road, None if cell == CLEAN else cell[0], cell[1], seed + i)
        for cell in dict.fromkeys((CLEAN, *cells))
        for i, road in enumerate(roads)
    ]
    folder = None if checkpoint is None else Path(checkpoint)
    limits: dict[str, Any] = {"max_xte": max_xte, "timeout": timeout, "frozen": frozen, "checkpoint": folder}
    before = evaluate(sim, network, scenarios, **limits)
    repaired = copied(network).train()
    imitate(
        repaired,
        data,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        augment=Perturbing(names, share),
        checkpoint=None if folder is None else folder / "training.pt",
        seed=seed,
    )
    return Repaired(repaired.eval(), tuple(names), before, evaluate(sim, repaired, scenarios, **limits))
