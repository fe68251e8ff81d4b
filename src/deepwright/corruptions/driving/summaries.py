"""What outcomes say together: failure rates with intervals, thresholds, and whether offline errors would have told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, bootstrap, resamples, wilson
from deepwright.corruptions.driving.agents import Agent
from deepwright.corruptions.driving.collecting import Demonstrations, steering_of
from deepwright.corruptions.driving.scenarios import Outcome
from deepwright.corruptions.suite import get

Cell = tuple[str, float]
CLEAN: Cell = ("clean", 0)


@dataclass(frozen=True)
class CellResult:
    """The episodes of one perturbation at one severity.

    Attributes:
        cell: ("clean", 0) without a perturbation.
        failures: how many failed, with Wilson's interval of their share; None where none counts.
        tighter: likewise with the tighter limit.
        n: episodes that count.
        mean_max_xte: mean over episodes of the largest distance to the middle; NaN where none was driven.
        mean_time: mean simulated seconds to failure; None where none failed.
        mean_jerk: mean over episodes of the steering's jerk; NaN where none was long enough.
        lost: episodes that the infrastructure ended.
        latency: median over steps of the seconds that the agent took for one; NaN where it isn't known.
    """

    cell: Cell
    failures: Interval | None
    tighter: Interval | None
    n: int
    mean_max_xte: float
    mean_time: float | None
    mean_jerk: float
    lost: int
    latency: float = math.nan


def by_cell(outcomes: Sequence[Outcome], tighter: float = 2.0) -> list[CellResult]:
    """Each cell's episodes together, in the order in which cells first come.

    Args:
        outcomes: of any scenarios.
        tighter: a second limit in metres, at which failures are counted too.
    """
    found = []
    for cell in dict.fromkeys(o.scenario.cell for o in outcomes):
        mine = [o for o in outcomes if o.scenario.cell == cell]
        counted = [o for o in mine if o.counts]
        failures = sum(o.failed for o in counted)
        limit = min(tighter, min((o.limit for o in mine), default=tighter))
        closer = sum(o.failed_at(limit) for o in counted)
        times = [t for o in counted if (t := o.time_to_failure) is not None]
        found.append(
            CellResult(
                cell,
                wilson(failures, len(counted)) if counted else None,
                wilson(closer, len(counted)) if counted else None,
                len(counted),
                _mean([o.max_xte for o in counted]),
                sum(times) / len(times) if times else None,
                _mean([o.steering_jerk for o in counted]),
                len(mine) - len(counted),
                _median([o.latency for o in counted]),
            )
        )
    return found


def outcome_table(outcomes: Sequence[Outcome], tighter: float = 2.0) -> Table:
    """One row a cell: failures at both limits, distances, times, jerk, and how long the agent takes for a step.

    Args:
        outcomes: of any scenarios, driven with one limit.
        tighter: a second limit in metres.
    """
    rows: list[list[Any]] = []
    for cell in by_cell(outcomes, tighter):
        share = "–" if cell.failures is None else f"{cell.failures:.2f}"
        closer = "–" if cell.tighter is None else f"{cell.tighter:.2f}"
        step = 1000 * cell.latency if math.isfinite(cell.latency) else None
        numbers = [cell.mean_max_xte, cell.mean_time, cell.mean_jerk, step]
        rows.append([*cell.cell, cell.n, share, closer, *numbers])
    limits = sorted({o.limit for o in outcomes})
    limit = limits[0] if len(limits) == 1 else None
    at = "the limit" if limit is None else f"{limit:g} m"
    columns = ["perturbation", "severity", "episodes", f"failure rate at {at}", f"at {tighter:g} m"]
    columns += ["mean of max |xte| (m)", "seconds to failure", "steering jerk (rad/s2)", "median step (ms)"]
    lost = sum(not o.counts for o in outcomes)
    caption = f"{len(outcomes)} episodes; intervals are Wilson's, 95 %"
    return Table(columns, rows, caption + (f"; {lost} lost to the infrastructure" if lost else ""))


@dataclass(frozen=True)
class Threshold:
    """The smallest severity at which most episodes fail.

    Attributes:
        perturbation: its name.
        severity: None where no severity that was driven does it.
        failures: failure rate there, or at the largest severity that was driven.
    """

    perturbation: str
    severity: float | None
    failures: Interval

    def __str__(self) -> str:
        where = f"severity {self.severity}" if self.severity is not None else "none of the severities driven"
        return f"{self.perturbation}: {where} (failure rate {self.failures:.2f})"


def failure_thresholds(outcomes: Sequence[Outcome], share: float = 0.5) -> list[Threshold]:
    """For each perturbation, the smallest severity whose failure rate is above a share.

    Args:
        outcomes: of any scenarios.
        share: of episodes that fail.
    """
    cells = [c for c in by_cell(outcomes) if c.cell != CLEAN and c.failures is not None]
    found = []
    for name in dict.fromkeys(c.cell[0] for c in cells):
        mine = sorted((c for c in cells if c.cell[0] == name), key=lambda c: c.cell[1])
        over = [c for c in mine if c.failures is not None and c.failures.value > share]
        first = over[0] if over else mine[-1]
        assert first.failures is not None
        found.append(Threshold(name, first.cell[1] if over else None, first.failures))
    return found


@dataclass(frozen=True)
class OfflineCell:
    """How far steering is off on recorded pictures, without driving.

    Attributes:
        cell: perturbation and severity.
        error: mean |steering - the expert's|, in radians, with a bootstrap interval.
        drift: mean |steering - that on the clean pictures|, in radians.
        ratio: error over the clean error; None where that is 0.
    """

    cell: Cell
    error: Interval
    drift: float
    ratio: float | None


def offline_errors(
    agent: Agent, data: Demonstrations, cells: Sequence[Cell], *, seed: int = 0, batch_size: int = 256
) -> list[OfflineCell]:
    """The clean cell first, then each of the others.

    Args:
        agent: a network or a function.
        data: pictures with an expert's actions.
        cells: (perturbation, severity), severities above 0.
        seed: of the perturbations.
        batch_size: pictures at a time.

    Raises:
        InputError: less than two pictures.
    """
    require_whole(1, batch_size=batch_size)
    if len(data) < 2:
        raise InputError("demonstrations", given=f"{len(data)} pictures", expected="two or more")
    truth = data.actions[:, 0].double()
    clean = _steering(agent, data, CLEAN, seed, batch_size)
    base = (clean - truth).abs()
    found = [OfflineCell(CLEAN, bootstrap(base), 0.0, 1.0 if float(base.mean()) > 0 else None)]
    for cell in cells:
        steering = _steering(agent, data, cell, seed, batch_size)
        error = (steering - truth).abs()
        ratio = float(error.mean() / base.mean()) if float(base.mean()) > 0 else None
        found.append(OfflineCell(cell, bootstrap(error), float((steering - clean).abs().mean()), ratio))
    return found


def _steering(agent: Agent, data: Demonstrations, cell: Cell, seed: int, batch_size: int) -> Tensor:
    perturb = None if cell == CLEAN else get(cell[0])
    found = []
    for first in range(0, len(data), batch_size):
        pictures = data.pictures[first : first + batch_size]
        if perturb is not None:
            ids = torch.arange(first, first + len(pictures))
            pictures = perturb(pictures, cell[1], seed, ids=ids)
        found.append(steering_of(agent, pictures))
    return torch.cat(found).double().cpu()


@dataclass(frozen=True)
class Agreement:
    """Whether errors on recorded pictures tell which cells fail on the road.

    Attributes:
        rho: Spearman's rank correlation over cells, with a bootstrap interval over roads; None where it isn't defined.
        reason: why not.
        discordant: cells where the two disagree, and how.
    """

    rho: Interval | None
    reason: str
    discordant: list[tuple[Cell, str]]


def agreement(
    ratios: Mapping[Cell, float | None],
    outcomes: Sequence[Outcome],
    *,
    high: float = 2.0,
    rows: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Offline error ratios against failure rates, over the cells that have both.

    Discordant is a cell with a ratio of `high` or more in which nobody failed, and one with a smaller ratio in which
    most did.

    Args:
        ratios: offline error over the clean error, by cell.
        outcomes: of the same cells, each on the same roads in the same order.
        high: a ratio that counts as high.
        rows: bootstrap resamples of roads.
        seed: of the resamples.

    Raises:
        InputError: cells that weren't driven on as many roads.
    """
    require_positive(high=high)
    require_whole(1, rows=rows)
    cells = [c.cell for c in by_cell(outcomes) if c.cell != CLEAN and ratios.get(c.cell) is not None and not c.lost]
    failed = [[o.failed for o in outcomes if o.scenario.cell == cell] for cell in cells]
    if len({len(row) for row in failed}) > 1:
        raise InputError("outcomes", given="cells with other numbers of roads", expected="the same roads for each cell")
    if len(cells) < 3:
        return Agreement(None, f"{len(cells)} cells have a ratio and outcomes; 3 are needed", [])
    x = torch.tensor([float(ratios[cell] or 0.0) for cell in cells], dtype=torch.float64)
    fails = torch.tensor(failed, dtype=torch.float64)
    rate = fails.mean(1)
    pairs = list(zip(cells, x.tolist(), rate.tolist()))
    discordant = [(c, f"ratio {r:.1f}, and none failed") for c, r, f in pairs if r >= high and f == 0]
    discordant += [(c, f"ratio {r:.1f}, and {f:.0%} failed") for c, r, f in pairs if r < high and f > 0.5]
    if x.unique().numel() == 1 or rate.unique().numel() == 1:
        what = "ratio" if x.unique().numel() == 1 else "failure rate"
        return Agreement(None, f"the {what} is the same in all cells", discordant)
    point = float(_spearman(x, rate[None])[0])
    drawn = fails[:, resamples(fails.shape[1], rows, seed)].mean(2).T
    values = _spearman(x, drawn)
    values = values[values.isfinite()]
    known = len(values) > rows // 2 and fails.shape[1] > 1
    ends = torch.quantile(values, torch.tensor([0.025, 0.975]).double()).tolist() if known else [math.nan, math.nan]
    return Agreement(Interval(point, min(ends[0], point), max(ends[1], point)), "", discordant)


def _spearman(x: Tensor, rows: Tensor) -> Tensor:
    """Rank correlation of x with each row, by mid-ranks; NaN where a row is constant."""
    a, b = _ranks(x[None]), _ranks(rows)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def _ranks(rows: Tensor) -> Tensor:
    """Mid-ranks: how many are smaller, and half of the others that are equal."""
    less = (rows[:, :, None] > rows[:, None, :]).sum(2)
    equal = (rows[:, :, None] == rows[:, None, :]).sum(2)
    return less.double() + (equal.double() - 1) / 2


def _median(parts: Sequence[Tensor]) -> float:
    known = torch.cat([p[p.isfinite()] for p in parts]) if parts else torch.zeros(0)
    return float(known.median()) if len(known) else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan
