"""How a search breeds and selects: NSGA-II, MOEA/D, or a genetic algorithm of pymoo.

An engine has no state of its own: everything it decides follows from the population that it is given and a generator,
so a search that was killed goes on to the same end whichever engine it runs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray as Array

from deepwright.core.errors import InputError, MissingExtraError, unknown_name
from deepwright.core.pareto import polynomial_mutation, simulated_binary_crossover, survivors, tournament


class Engine:
    """NSGA-II (Deb et al. 2002), and what the other engines change."""

    name = "nsga2"
    most_objectives: float = float("inf")

    def children(
        self,
        genomes: Float[Array, "n d"],
        fitness: Float[Array, "n k"],
        low: Float[Array, " d"],
        high: Float[Array, " d"],
        count: int,
        rng: np.random.Generator,
    ) -> Float[Array, "count d"]:
        """Real-valued children within the bounds: tournaments, simulated binary crossover, polynomial mutation."""
        parents = tournament(fitness, 2 * (-(-count // 2)), rng)
        c, d = simulated_binary_crossover(genomes[parents[::2]], genomes[parents[1::2]], low, high, rng)
        return polynomial_mutation(np.concatenate([c, d])[:count], low, high, rng, 1 / genomes.shape[1])

    def survivors(self, fitness: Float[Array, "n k"], count: int, worst: Float[Array, " k"]) -> Int64[Array, " m"]:
        """Who stays among real-valued candidates; `worst` are the largest objectives of the archive."""
        return survivors(fitness, count)

    def bit_survivors(self, fitness: Float[Array, "n k"], count: int, worst: Float[Array, " k"]) -> Int64[Array, " m"]:
        """Who stays among bit strings."""
        return survivors(fitness, count)

    def parents(self, fitness: Float[Array, "n k"], count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Pairs that breed bit strings."""
        picks = tournament(fitness, 2 * count, rng)
        return list(zip(picks[::2].tolist(), picks[1::2].tolist()))


class Moead(Engine):
    """Bit strings by MOEA/D (Zhang and Li 2007): Tchebycheff sub-problems along the front, parents from neighbours."""

    name = "moead"
    most_objectives = 2
    neighbours = 10

    def bit_survivors(self, fitness: Float[Array, "n k"], count: int, worst: Float[Array, " k"]) -> Int64[Array, " m"]:
        """Each weight vector keeps its best; one solution takes two places at most."""
        if len(fitness) <= count:
            return survivors(fitness, count)
        ideal = fitness.min(0)
        scaled = (fitness - ideal) / (np.maximum(worst, ideal + 1e-12) - ideal)
        first = np.linspace(0, 1, count)
        weights = np.stack([first, 1 - first], 1)
        values = (weights[:, None] * scaled[None]).max(2) + 1e-6 * scaled.sum(1)
        used = np.zeros(len(fitness), int)
        for row in values:
            order = np.argsort(row, kind="stable")
            used[order[used[order] < 2][:1]] += 1
        return np.flatnonzero(used)

    def parents(self, fitness: Float[Array, "n k"], count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Both parents from the nearest sub-problems."""
        if len(fitness) < 3:
            return super().parents(fitness, count, rng)
        order = np.argsort(fitness[:, 1], kind="stable")
        pairs = []
        for i in range(count):
            centre = round(i * (len(order) - 1) / max(count - 1, 1))
            low = max(0, min(centre - self.neighbours // 2, len(order) - self.neighbours))
            a, b = rng.choice(order[low : low + self.neighbours], 2).tolist()
            pairs.append((a, b))
        return pairs


class PymooEngine(Engine):
    """Phase 1 bred and selected by a genetic algorithm of pymoo; phase 2 stays NSGA-II on bits.

    Args:
        algorithm: an algorithm object of pymoo with `mating` and `survival` (its NSGA2, SMSEMOA, ...); NSGA2 by
            default.

    Raises:
        MissingExtraError: pymoo isn't installed.
        InputError: an algorithm without these two parts.
    """

    def __init__(self, algorithm: Any = None) -> None:
        try:
            from pymoo.algorithms.moo.nsga2 import NSGA2
        except ImportError as error:
            raise MissingExtraError("pymoo", "peers", "PymooEngine") from error
        self.algorithm = NSGA2() if algorithm is None else algorithm
        if not hasattr(self.algorithm, "mating") or not hasattr(self.algorithm, "survival"):
            raise InputError(
                "algorithm", given=type(algorithm).__name__, expected="a genetic algorithm with mating and survival"
            )
        self.name = f"pymoo {type(self.algorithm).__name__}"
        self._as_given = copy.deepcopy(self.algorithm)  # breeding leaves problem and population in the other

    def __resume_identity__(self) -> tuple[str, Any]:
        """What a resumed search must find again."""
        return self.name, self._as_given

    def children(
        self,
        genomes: Float[Array, "n d"],
        fitness: Float[Array, "n k"],
        low: Float[Array, " d"],
        high: Float[Array, " d"],
        count: int,
        rng: np.random.Generator,
    ) -> Float[Array, "count d"]:
        """By the algorithm's own selection, crossover and mutation."""
        from pymoo.core.problem import Problem

        problem = Problem(n_var=genomes.shape[1], n_obj=fitness.shape[1], xl=low, xu=high)
        population = self._ranked(genomes, fitness, problem, len(genomes))
        mating, algorithm = self.algorithm.mating, self.algorithm
        algorithm.problem, algorithm.pop = problem, population
        with _ties_broken_by(rng):
            born = mating.do(problem, population, count, algorithm=algorithm, random_state=rng)
        return np.asarray(born.get("X"), dtype=float).reshape(-1, genomes.shape[1])

    def survivors(self, fitness: Float[Array, "n k"], count: int, worst: Float[Array, " k"]) -> Int64[Array, " m"]:
        """By the algorithm's own survival."""
        from pymoo.core.problem import Problem

        problem = Problem(n_var=1, n_obj=fitness.shape[1], xl=0, xu=len(fitness))
        numbered = np.arange(len(fitness), dtype=float)[:, None]
        return self._ranked(numbered, fitness, problem, count).get("X")[:, 0].astype(int)

    def _ranked(self, x: Array, fitness: Array, problem: Any, count: int) -> Any:
        from pymoo.core.population import Population

        population = Population.new(X=x, F=fitness)
        rng = np.random.default_rng(0)  # only breaks ties
        with _ties_broken_by(rng):
            return self.algorithm.survival.do(
                problem, population, n_survive=min(count, len(x)), algorithm=self.algorithm, random_state=rng
            )


@contextmanager
def _ties_broken_by(rng: np.random.Generator) -> Iterator[None]:
    """What asks for an unseeded generator gets this one.

    pymoo's tournaments don't pass on the generator that they are given: equals would be told apart by the system's
    entropy, and no search would end twice in the same front.
    """
    fresh = np.random.default_rng

    def seeded(seed: Any = None) -> np.random.Generator:
        return rng if seed is None else fresh(seed)

    with mock.patch.object(np.random, "default_rng", seeded):
        yield


ENGINES: dict[str, type[Engine]] = {"nsga2": Engine, "moead": Moead}


def named_engine(engine: str | Engine) -> Engine:
    """An engine by name."""
    if isinstance(engine, Engine):
        return engine
    if not isinstance(engine, str) or engine not in ENGINES:
        raise unknown_name("engine", str(engine), ENGINES)
    return ENGINES[engine]()
