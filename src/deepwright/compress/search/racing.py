"""Racing: candidates that a better network of no greater cost beats for certain are dropped before a full run."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from scipy import stats

from deepwright.compress.search.runner import Runner
from deepwright.core.pareto import nondominated


class Mistakes:
    """Which validation samples the archive's networks get wrong: what later candidates race against.

    Args:
        rows: name of a mask (see `key`) -> its mistakes, eight a byte.
    """

    def __init__(self, rows: dict[bytes, np.ndarray] | None = None) -> None:
        self.rows = {} if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def remember(self, masks: Bool[Array, "p d"], wrong: Bool[Array, "p n"]) -> None:
        """Keep which samples were wrong.

        Args:
            masks: one network a row.
            wrong: its mistakes.
        """
        for mask, row in zip(masks, wrong):
            self.rows[key(mask)] = np.packbits(row)

    def keep_only(self, masks: Bool[Array, "p d"]) -> None:
        """Forget every other network.

        Args:
            masks: one network a row.
        """
        inside = {key(m) for m in masks}
        self.rows = {k: v for k, v in self.rows.items() if k in inside}

    def knows(self, masks: Bool[Array, "m d"]) -> Bool[Array, " m"]:
        """Whose mistakes are kept.

        Args:
            masks: one network a row.
        """
        return np.array([key(m) in self.rows for m in masks], bool)

    def of(self, masks: Bool[Array, "m d"], n: int) -> Bool[Array, "r n"]:
        """Mistakes of those whose are kept, in the order of the masks.

        Args:
            masks: one network a row.
            n: samples.
        """
        rows = [np.unpackbits(self.rows[k], count=n) for k in map(key, masks) if k in self.rows]
        return np.stack(rows).astype(bool) if rows else np.zeros((0, n), bool)

    def race(
        self,
        runner: Runner,
        masks: Bool[Array, "p d"],
        cost: Float[Array, " p"],
        archive: Bool[Array, "m d"],
        fitness: Float[Array, "m k"],
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        """Evaluate on 1/8, 1/4, 1/2 and all of the validation set, dropping on the way.

        Args:
            runner: evaluates.
            masks: one candidate a row.
            cost: of each.
            archive: the networks found so far.
            fitness: their (error, cost).

        Returns:
            Errors, NaN for the dropped, and the share of the validation set that each was run on.
        """
        order, n = runner.evaluate.order, len(runner.evaluate)
        front = np.flatnonzero(nondominated(fitness))
        rivals, rival_cost = self.of(archive[front], n), fitness[front[self.knows(archive[front])], 1]
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
                lost = [beaten(found[i, :part], cost[i], rivals[:, :part], rival_cost) for i in alive]
                alive = alive[~np.array(lost, bool)]
                if len(alive) == 0:
                    break
        errors = np.full(len(masks), np.nan)
        errors[alive] = found[alive].mean(1)
        self.remember(masks[alive], found[alive])
        return errors, share


def key(mask: Bool[Array, " d"]) -> bytes:
    """A mask as a name, eight bits a byte.

    Args:
        mask: of one network.
    """
    return np.packbits(mask).tobytes()


def beaten(wrong: np.ndarray, cost: float, rivals: np.ndarray, rival_cost: np.ndarray) -> bool:
    """Whether the best rival of no greater cost is better for certain: the sign test where the two differ.

    One rival (on a front the dearest of the cheaper ones errs least) and three looks: p < 0.01 / 3.

    Args:
        wrong: where the candidate is wrong.
        cost: of the candidate.
        rivals: where each rival is.
        rival_cost: of each.
    """
    cheaper = np.flatnonzero(rival_cost <= cost)
    if len(cheaper) == 0:
        return False
    rival = rivals[cheaper[np.argmax(rival_cost[cheaper])]]
    worse, better = int((wrong & ~rival).sum()), int((~wrong & rival).sum())
    return bool(stats.binom.sf(worse - 1, worse + better, 0.5) < 0.01 / 3)
