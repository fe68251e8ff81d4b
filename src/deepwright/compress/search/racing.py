"""Racing: candidates that a better network of no greater cost beats for certain are dropped before they cost a full run."""

from __future__ import annotations

import numpy as np
from scipy import stats

from deepwright.compress.search.runner import Runner
from deepwright.core.pareto import nondominated


class Mistakes:
    """Which validation samples the archive's networks get wrong, bit-packed: what later candidates race against."""

    def __init__(self) -> None:
        self.rows: dict[bytes, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def remember(self, masks: np.ndarray, wrong: np.ndarray) -> None:
        """Keep which samples were wrong."""
        for mask, row in zip(masks, wrong):
            self.rows[key(mask)] = np.packbits(row)

    def keep_only(self, masks: np.ndarray) -> None:
        """Forget every network that isn't among these."""
        inside = {key(m) for m in masks}
        self.rows = {k: v for k, v in self.rows.items() if k in inside}

    def race(
        self, runner: Runner, masks: np.ndarray, cost: np.ndarray, archive: np.ndarray, fitness: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate on 1/8, 1/4, 1/2 and all of the validation set, dropping on the way.

        Args:
            runner: evaluates; masks: (P, D) candidates; cost: (P,) of each.
            archive: (M, D) the networks found so far; fitness: (M, 2) their (error, cost).

        Returns:
            (errors, NaN for the dropped; share of the validation set that each was run on).
        """
        order, n = runner.evaluate.order, len(runner.evaluate)
        front = np.flatnonzero(nondominated(fitness))
        keys = [key(m) for m in archive[front]]
        known = [i for i, k in enumerate(keys) if k in self.rows]
        rivals = np.stack([np.unpackbits(self.rows[keys[i]], count=n).astype(bool) for i in known])
        rival_cost = fitness[front[known], 1]
        alive = np.arange(len(masks))
        found = np.zeros((len(masks), n), bool)
        share, done = np.zeros(len(masks)), 0
        for part in (n // 8, n // 4, n // 2, n):
            if part <= done:
                continue
            found[alive, done:part] = runner(masks[alive], order[done:part])
            share[alive] = part / n
            done = part
            if part < n:
                beaten = [_beaten(found[i, :part], cost[i], rivals[:, :part], rival_cost) for i in alive]
                alive = alive[~np.array(beaten, bool)]
                if len(alive) == 0:
                    break
        errors = np.full(len(masks), np.nan)
        errors[alive] = found[alive].mean(1)
        self.remember(masks[alive], found[alive])
        return errors, share


def key(mask: np.ndarray) -> bytes:
    """A mask as a name, eight bits a byte."""
    return np.packbits(mask).tobytes()


def _beaten(wrong: np.ndarray, cost: float, rivals: np.ndarray, rival_cost: np.ndarray) -> bool:
    """Whether the best rival of no greater cost is better for certain: the sign test where the two differ.

    One rival (on a front the dearest of the cheaper ones errs least) and three looks: p < 0.01 / 3.
    """
    cheaper = np.flatnonzero(rival_cost <= cost)
    if len(cheaper) == 0:
        return False
    rival = rivals[cheaper[np.argmax(rival_cost[cheaper])]]
    worse, better = int((wrong & ~rival).sum()), int((~wrong & rival).sum())
    return bool(stats.binom.sf(worse - 1, worse + better, 0.5) < 0.01 / 3)
