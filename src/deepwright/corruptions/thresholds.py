"""The severity at which something fails, with its interval; and the severity at which a picture changes so much."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.journal import Journal
from deepwright.core.requirements import require_callable, require_positive, require_within
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Task
from deepwright.corruptions.cells import Cells, opened
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.evaluation import paired
from deepwright.corruptions.guided.perturbation import Guided
from deepwright.corruptions.sample_errors import ErrorOf
from deepwright.corruptions.suite import get

Counts = tuple[int, int]
_MOST = 5


@dataclass(frozen=True)
class FailureThreshold:
    """Where a failure rate passes a level.

    Attributes:
        name: of the perturbation.
        severity: the smallest whose failure rate is above the level; None where none is up to 5.
        low: the smallest severity at which it may be above, by the 95 % interval of the rate there; None above 5.
        high: the smallest at which it surely is; None where it isn't up to 5.
        rate: the failure rate at `severity` (at 5 where there is none), with its interval.
        level: of the failure rate.
        tolerance: as near as the ends were looked for; 1 where there is nothing between two levels.
        rates: severity -> failure rate, of all that were measured.
    """

    name: str
    severity: float | None
    low: float | None
    high: float | None
    rate: Interval
    level: float
    tolerance: float
    rates: dict[float, float] = field(default_factory=dict)

    @property
    def rises(self) -> bool:
        """Whether no measured rate is below that of a lower severity: else "the smallest" is that of the whole ones."""
        values = [self.rates[s] for s in sorted(self.rates)]
        return all(b >= a for a, b in itertools.pairwise(values))

    def __str__(self) -> str:
        found = "> severity 5" if self.severity is None else f"severity {self.severity:.3g}"
        ends = " to ".join("> 5" if end is None else f"{end:.3g}" for end in (self.low, self.high))
        at = _MOST if self.severity is None else self.severity
        return f"{self.name}: fails from {found} on ({ends}); failure rate {self.rate} at {at:.3g}"


def failing_severity(
    failures: Callable[[float], Counts],
    *,
    name: str = "",
    least: float | None = 0.0,
    level: float = 0.5,
    tolerance: float = 0.05,
) -> FailureThreshold:
    """The smallest severity at which a failure rate is above a level, by bisection between whole ones.

    The whole severities 0..5 are measured first, so that a rate that falls again isn't missed between them; then the
    first step across the level is halved until it is narrower than the tolerance. The interval's ends are found alike:
    where the rate's own 95 % interval begins to reach above the level, and where all of it is above. Measure the same
    samples (episodes, roads) with the same random numbers at each severity.

    Args:
        failures: severity -> (failures, attempts): images of a network, or episodes of a vehicle.
        name: of the perturbation.
        least: the severity above which there is something between two levels (`Perturbation.least`); None for whole
            ones only.
        level: of the failure rate, .5 in the field.
        tolerance: of severities.

    Raises:
        InputError: no function; a level outside [0, 1); a tolerance that isn't positive; counts that are none.
    """
    require_callable("failures", failures, "a function (severity) -> (failures, attempts)")
    require_within(0, 1, ends="[)", level=level)
    require_positive(tolerance=tolerance)
    measured: dict[float, Interval] = {}

    def at(severity: float) -> Interval:
        if severity not in measured:
            measured[severity] = wilson(*_counts(failures(severity)))
        return measured[severity]

    def crossing(is_above: Callable[[Interval], bool]) -> float | None:
        whole = [is_above(at(float(s))) for s in range(_MOST + 1)]
        first = whole.index(True) if any(whole) else None
        if first is None or first == 0 or least is None or first - 1 < least:
            return None if first is None else float(first)
        below, above = first - 1.0, float(first)
        while above - below > tolerance:
            middle = (below + above) / 2
            below, above = (below, middle) if is_above(at(middle)) else (middle, above)
        return above

    ends: list[Callable[[Interval], float]] = [lambda r: r.value, lambda r: r.high, lambda r: r.low]
    severity, low, high = (crossing(lambda rate, end=end: end(rate) > level) for end in ends)  # type: ignore[misc]
    rate = at(float(_MOST) if severity is None else severity)
    shown = {s: measured[s].value for s in sorted(measured)}
    return FailureThreshold(name, severity, low, high, rate, level, 1.0 if least is None else tolerance, shown)


def failure_threshold(
    perturbation: str | Perturbation | Guided,
    model: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    *,
    task: Task | None = None,
    wrong: Callable[[Any, Any], Tensor] | None = None,
    level: float = 0.5,
    tolerance: float = 0.05,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> FailureThreshold:
    """The severity from which on a network is wrong on more than so many of its samples.

    Example:
        >>> import torch
        >>> from deepwright.corruptions import failure_threshold
        >>> class Bright(torch.nn.Module):
        ...     def forward(self, x):
        ...         return torch.stack([x.mean((1, 2, 3)) - 0.3, 0.3 - x.mean((1, 2, 3))], 1)
        >>> x = torch.full((20, 3, 8, 8), 0.5)
        >>> print(failure_threshold("decrease_brightness", Bright(), [(x, torch.zeros(20).long())]))
        decrease_brightness: fails from severity 3.03 on (3.03 to 3.03); failure rate 1 [0.8389, 1] at 3.03

    Args:
        perturbation: of pictures, or its name.
        model: on pixels in [0, 1]; left as found.
        batches: (images, targets).
        task: what outputs and targets mean; by default the class with the largest of (N, classes) outputs. A sample
            fails where `task.right` says so.
        wrong: (outputs, targets) -> 1 for each sample that fails, in place of a task.
        level: of the failure rate.
        tolerance: of severities.
        seed: of the streams: at each severity the same numbers are drawn.
        checkpoint: JSON lines, one a severity; an interrupted search goes on.

    Raises:
        InputError: an unknown perturbation; what says nothing on these data, with the reason; what
            `Suite.evaluate` refuses.
    """
    chosen = get(perturbation) if isinstance(perturbation, str) else perturbation
    if not isinstance(chosen, Perturbation | Guided):
        raise InputError("perturbation", given=repr(perturbation), expected="one of pictures, or its name")
    error = ErrorOf(task, wrong=wrong) if wrong is not None else ErrorOf(task, "right")
    data, error = paired(model, batches, error)
    cells = Cells([model], data, error, seed)
    for reason in cells.left_out([chosen]).values():
        raise InputError("perturbation", given=f"{chosen.name}: {reason}", expected="one that says something here")
    attempts = sum(len(x) for x, _ in data) - sum(cells.without_attention([chosen]).values())
    made_from = {"model": model, "data": data, "seed": seed, "perturbation": chosen, "options": (level, tolerance)}
    log = Journal(checkpoint, made_from | error.made_from(), kind="failure threshold")

    with opened(cells) as measured:

        def failures(severity: float) -> Counts:
            key = f"{severity:.9g}"
            if key not in log.rows:
                log.add(key, sum(map(sum, cells.clean())) if severity == 0 else measured(0, (chosen, severity))[0])
            samples = sum(len(x) for x, _ in data)
            return round(log.rows[key] * attempts / samples), attempts

        return failing_severity(failures, name=chosen.name, least=chosen.least, level=level, tolerance=tolerance)


def _counts(found: Any) -> Counts:
    good = isinstance(found, tuple) and len(found) == 2 and all(isinstance(k, int) for k in found)
    if not good or not 0 <= found[0] <= found[1] or found[1] == 0:
        raise InputError("failures(severity)", given=repr(found), expected="(failures, attempts), one attempt or more")
    counts: Counts = found
    return counts


def severity_for_change(
    perturbation: str | Perturbation | Guided,
    images: Tensor,
    change: float,
    *,
    distance: Callable[[Tensor, Tensor], Tensor] | None = None,
    seed: int = 0,
    tolerance: float = 0.01,
) -> float | None:
    """The smallest severity at which pictures change by so much: perturbations of like strength, side by side.

    Args:
        perturbation: of pictures, or its name.
        images: (N, C, H, W), floats in [0, 1] or uint8.
        change: what the distance should be, in the mean over pictures.
        distance: (before, after), floats in [0, 1] -> (N,) or one number; the mean of |after - before| by default.
        seed: of the streams.
        tolerance: of severities.

    Returns:
        A severity, to the tolerance; a whole one where nothing lies between two; None where 5 changes less.

    Raises:
        InputError: an unknown perturbation; a change that isn't positive; pictures that it refuses.
    """
    chosen = get(perturbation) if isinstance(perturbation, str) else perturbation
    require_positive(change=change, tolerance=tolerance)

    def changed(severity: float) -> float:
        after = chosen(images, severity, seed)
        before, after = (x.float() / 255 if not x.is_floating_point() else x.float() for x in (images, after))
        return float((after - before).abs().mean() if distance is None else distance(before, after).float().mean())

    first = next((s for s in range(1, _MOST + 1) if changed(float(s)) >= change), None)
    if first is None or chosen.least is None or first - 1 < chosen.least:
        return None if first is None else float(first)
    below, above = first - 1.0, float(first)
    for _ in range(math.ceil(math.log2(1 / tolerance)) if tolerance < 1 else 0):
        middle = (below + above) / 2
        below, above = (below, middle) if changed(middle) >= change else (middle, above)
    return above
