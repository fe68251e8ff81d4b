"""What an attack found, put on the levels of a file: successes that rounding loses are looked for farther out."""

from __future__ import annotations

from deepwright.adversarial.projections import column, norms, project
from deepwright.adversarial.rounding import on_levels
from deepwright.adversarial.victim import Batch, Best, Victim

_FARTHER = tuple(1 + 0.05 * 2**k for k in range(8))  # 1.05 to 7.4, of the way from x
_ROOM = 1e-3  # of the budget: what is nearer to its end is there


def settle(victim: Victim, batch: Batch, best: Best, levels: int, norm: str, bounds: tuple[float, float]) -> None:
    """Round the best tries to levels and judge them again.

    A search for the smallest change ends at the boundary itself, where rounding loses what it found. Such a sample is
    tried again farther from x, as far as its budget goes, and the first try that fools is taken.

    Args:
        victim: the network.
        batch: the samples.
        best: whose tries are put on levels.
        levels: above zero.
        norm: "linf", "l2" or "l1".
        bounds: the box.
    """
    x, eps, found, won = batch.x, batch.eps, best.x, best.success
    best.x = on_levels(found, x, levels, eps, norm, bounds)
    best.loss, best.success = victim.judge(best.x, batch.y, batch.rows)
    way = found - x
    room = norms(way, norm) < eps * (1 - _ROOM)
    for factor in _FARTHER:
        rows = (won & room & ~best.success).nonzero().flatten()
        if len(rows) == 0:
            return
        moved = project(way[rows] * factor, x[rows], eps[rows], norm, bounds)
        point = on_levels((x[rows] + moved).clamp(*bounds), x[rows], levels, eps[rows], norm, bounds)
        loss, success = victim.judge(point, batch.y[rows], rows)
        best.x[rows] = point.where(column(success, point), best.x[rows])
        best.loss[rows] = loss.to(best.loss).where(success, best.loss[rows])
        best.success[rows] = success
