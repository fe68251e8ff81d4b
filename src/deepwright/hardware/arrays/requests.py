"""What an array costs for each request of a service, whose prompts have many lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepwright.core.requirements import require_positive, require_whole
from deepwright.hardware.arrays.baselines import ARRAYS
from deepwright.hardware.arrays.comparing import Arrays, sweep
from deepwright.hardware.arrays.conditions import Conditions
from deepwright.hardware.arrays.models import LanguageModel

LONGEST = 2048
DEFAULT = Conditions()


@dataclass(frozen=True)
class Serving:
    """Means over requests.

    Attributes:
        together: requests whose tokens are computed at once.
        tokens: of such a batch.
        cycles: by array, of a request.
        joules: by array, of a request.
        clocks: by array, cycles a second.
    """

    together: int
    tokens: float
    cycles: dict[str, float]
    joules: dict[str, float]
    clocks: dict[str, float]

    def speedup(self, name: str, over: str | None = None) -> float:
        """How many times as many requests in the same time as another array.

        Args:
            name: of an array.
            over: of another; the first where None.
        """
        other = over or next(iter(self.cycles))
        return (self.cycles[other] / self.clocks[other]) / (self.cycles[name] / self.clocks[name])


def serving(
    name: str | LanguageModel,
    arrays: Arrays = ARRAYS,
    together: int = 1,
    *,
    batches: int = 500,
    median: float = 12.0,
    sigma: float = 1.0,
    seed: int = 0,
    conditions: Conditions = DEFAULT,
) -> Serving:
    """Cycles and joules of a request's prompt, where prompts' lengths are lognormal (1 to 2,048 tokens).

    More requests together have more rows, which fill an array in one piece, too: what slabs gain goes with it.

    Args:
        name: of a model, or its sizes.
        arrays: by name.
        together: requests of a batch.
        batches: that are drawn.
        median: length of a prompt.
        sigma: of its logarithm.
        seed: of the draw.
        conditions: of memory, energy and fusion.

    Raises:
        InputError: an unknown model; numbers that aren't above 0.
    """
    require_whole(1, together=together, batches=batches)
    require_whole(0, seed=seed)
    require_positive(median=median, sigma=sigma)
    drawn = np.random.default_rng(seed).lognormal(np.log(median), sigma, (batches, together))
    rows = np.clip(np.rint(drawn), 1, LONGEST).astype(np.int64).sum(1)
    lengths, times = np.unique(rows, return_counts=True)
    found = sweep(name, lengths.tolist(), arrays, conditions)
    requests = batches * together

    def mean(values: object) -> float:
        return float((np.asarray(values, float) * times).sum() / requests)

    return Serving(
        together,
        float(rows.mean()),
        {word: mean(cycles) for word, cycles in found.cycles.items()},
        {word: mean(joules) for word, joules in found.joules.items()},
        found.clocks,
    )
