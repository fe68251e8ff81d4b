"""Two-phase, importance-guided, multi-objective search for pruned networks.

Phase 1 searches one threshold a layer (a few real numbers, NSGA-II). Its front gives two anchors, a heavy and a light
network; what both keep is kept for good, what both drop is dropped for good, and phase 2 searches bits only where they
disagree, with moves that lean on importance. Every point found stays in one archive.

Source: "A Hierarchical Importance-Guided Multi-objective Evolutionary Framework for Deep Neural Network Pruning",
arXiv 2604.01076. Where the paper leaves constants open they are ours, as are widening, escape and racing.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from deepwright.compress.search.engines import Engine, named_engine
from deepwright.compress.search.front import ParetoResult
from deepwright.compress.search.racing import Mistakes, key
from deepwright.compress.search.runner import Runner
from deepwright.compress.search.spaces import COSTS, Accuracy, Evaluate, Space, UnitSpace, WeightSpace, percentiles
from deepwright.compress.search.state import load_search, save_search
from deepwright.core.errors import InputError
from deepwright.core.files import hash_model
from deepwright.core.interrupt import graceful
from deepwright.core.pareto import (
    hypervolume,
    nondominated,
    thin,
)
from deepwright.core.progress import bar

T_MAX = 2.5
ARCHIVE = 200


class SearchError(InputError, RuntimeError):
    """A search that can't go on."""


@dataclass(frozen=True)
class Candidate:
    """A mask that waits for its objectives."""

    number: int
    mask: np.ndarray
    phase: int
    operator: int = -1


class EvolutionaryPruner:
    """Search a front of pruned networks.

    Args:
        model: trained; left as found.
        example_inputs: as for `ShrinkGraph`.
        granularity: "unit" (coupled units: each point is a really smaller network), "weight" (single weights: sparse) or
            "block" (1 x 4 blocks of weights, for sparse kernels).
        objectives: "error" first, then costs ("params", "macs", "bytes"; for weights all are the kept share), then names
            of further values that a user's `evaluate` returns.
        phase1, phase2: {"pop": ..., "gen": ...}; gen=0 in phase2 stops after phase 1.
        importance: "magnitude", "taylor", "fisher" or, for units, any criterion of `importance`; both phases rank by it.
        data: batches (inputs, targets) for importances that need gradients.
        corridor: errors above the best (heavy, light) that pick the two anchors.
        engine: "nsga2", "moead" (phase 2's selection; two objectives) or an `Engine`, such as `PymooEngine(algorithm)`.
        escape: from the middle of phase 2 on, this share of a child's flips may leave the corridor.
        guided: moves lean on importance (False: every bit alike; for comparison).
        seed: of everything.
        min_keep: bits that each layer keeps.
        frozen: modules that stay whole.

    Raises:
        InputError: nothing to prune, weights that aren't finite, unknown options.
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: Any,
        *,
        granularity: str = "unit",
        objectives: Sequence[str] = ("error", "params"),
        phase1: Mapping[str, int] | None = None,
        phase2: Mapping[str, int] | None = None,
        importance: str = "magnitude",
        data: Any = None,
        corridor: tuple[float, float] = (0.01, 0.10),
        engine: str | Engine = "nsga2",
        escape: float = 0.05,
        guided: bool = True,
        seed: int = 0,
        min_keep: int = 1,
        frozen: Sequence[str] = (),
    ) -> None:
        if granularity not in ("unit", "weight", "block"):
            raise InputError("granularity", given=repr(granularity), expected="'unit', 'weight' or 'block'")
        self.engine = named_engine(engine)
        if len(objectives) < 2 or objectives[0] != "error" or objectives[1] not in COSTS:
            raise InputError("objectives", given=list(objectives), expected=f"'error', then one of {', '.join(COSTS)}")
        if len(objectives) > self.engine.most_objectives:
            raise InputError(
                "objectives",
                given=list(objectives),
                expected=f"two for engine={self.engine.name!r}",
                hint="use 'nsga2'",
            )
        self.space: Space
        if granularity == "unit":
            criterion = "hessian_diag" if importance == "fisher" else importance
            self.space = UnitSpace.of(model, example_inputs, criterion, data, min_keep, frozen=frozen)
        else:
            block = 4 if granularity == "block" else 1
            self.space = WeightSpace.of(model, importance, data, min_keep, frozen, block)
        self.model, self.objectives = model, tuple(objectives)
        self.costs = [o for o in objectives[1:] if o in COSTS]
        self.extra = [o for o in objectives[1:] if o not in COSTS]
        self.sizes = {1: {"pop": 40, "gen": 50, **(phase1 or {})}, 2: {"pop": 40, "gen": 50, **(phase2 or {})}}
        self.corridor, self.escape, self.guided, self.seed = corridor, escape, guided, seed
        self.importance, self.frozen = importance, tuple(frozen)
        self.rng = np.random.default_rng(seed)
        self.phase, self.generation, self.evaluations = 1, 0, 0.0
        self.population = np.zeros((0, self.space.size), bool)
        self.fitness = np.zeros((0, len(objectives)))
        self.thresholds = np.zeros((0, len(self.space.names)))
        self.archive = np.zeros((0, self.space.size), bool)
        self.archive_fitness = np.zeros((0, len(objectives)))
        self.archive_phase = np.zeros(0, int)
        self.history: list[tuple[float, float, int]] = []
        self.log: list[str] = []
        self.lower = np.zeros(self.space.size, bool)
        self.upper = np.ones(self.space.size, bool)
        self.operator_wins: list[tuple[int, int]] = []
        self.infeasible = 0
        self._seen: set[bytes] = set()
        self._waiting: list[Candidate] = []
        self._told: dict[int, tuple[Candidate, np.ndarray | None]] = {}
        self._number = 0
        self._genomes: dict[int, np.ndarray] = {}
        self.mistakes = Mistakes()

    # --- ask and tell ------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Up to n candidates of the current generation; empty when the search is done."""
        if not self._waiting and not self._told:
            self._breed()
        taken = self._waiting[: n or len(self._waiting)]
        self._waiting = self._waiting[len(taken) :]
        return taken

    def tell(self, candidates: Sequence[Candidate], objectives: np.ndarray) -> None:
        """Objectives (len(candidates), k); a row that isn't finite marks a candidate as dropped or infeasible."""
        for candidate, row in zip(candidates, np.asarray(objectives, dtype=float)):
            self._told[candidate.number] = (candidate, row if np.isfinite(row).all() else None)
        if not self._waiting:
            self._close_generation()

    @property
    def done(self) -> bool:
        """Whether both phases have run."""
        return self.phase > 2

    @property
    def free(self) -> np.ndarray:
        """(D,) bits that may change in the present phase."""
        return self.upper & ~self.lower

    def _breed(self) -> None:
        if self.done:
            return
        if self.phase == 1:
            genomes = self._first_thresholds() if self.generation == 0 else self._next_thresholds()
            masks = self.space.from_thresholds(genomes)
            for genome, mask in zip(genomes, masks):
                self._add(mask, 1, genome=genome)
        elif self.generation == 0:
            for mask in self._first_bits():
                self._add(mask, 2)
        else:
            self._next_bits()
        if not self._waiting:  # nothing new under the sun: the generation passes
            self._close_generation()

    def _add(self, mask: np.ndarray, phase: int, operator: int = -1, genome: np.ndarray | None = None) -> bool:
        name = key(mask)
        if name in self._seen:
            return False
        self._seen.add(name)
        candidate = Candidate(self._number, mask, phase, operator)
        if genome is not None:
            self._genomes[candidate.number] = genome
        self._number += 1
        self._waiting.append(candidate)
        return True

    # --- phase 1: thresholds -----------------------------------------------------------------------------------

    def _first_thresholds(self) -> np.ndarray:
        """The dense network, global cuts at ten levels (the front starts as good as magnitude pruning), random ones."""
        pop, layers = self.sizes[1]["pop"], len(self.space.names)
        levels = np.quantile(self.space.score, np.linspace(0.05, 0.95, 10))
        cuts = np.minimum(levels[:, None] / self.space.scale, T_MAX)
        rest = max(0, pop - 11)
        random = self.rng.random((rest, layers)) * self.rng.random((rest, 1)) * T_MAX
        return np.concatenate([np.zeros((1, layers)), cuts, random])[: max(pop, 2)]

    def _next_thresholds(self) -> np.ndarray:
        pop, layers = self.sizes[1]["pop"], len(self.space.names)
        low, high = np.zeros(layers), np.full(layers, T_MAX)
        return self.engine.children(self.thresholds, self.fitness, low, high, pop, self.rng)

    # --- the corridor ------------------------------------------------------------------------------------------

    def _open_corridor(self) -> None:
        front = nondominated(self.archive_fitness)
        masks, f = self.archive[front], self.archive_fitness[front]
        heavy_slack, light_slack = self.corridor
        for _ in range(8):
            heavy = masks[self._anchor(f, heavy_slack, densest=True)]
            light = masks[self._anchor(f, light_slack, densest=False)]
            self.upper, self.lower = heavy | light, heavy & light
            size = int(self.free.sum())
            if size < 32:
                self.log.append(f"corridor of {size} bits at light slack {light_slack:g}: widened")
                light_slack *= 2
            elif size > 0.9 * self.space.size and light_slack > heavy_slack:
                self.log.append(f"corridor of {size} of {self.space.size} bits: narrowed")
                light_slack = max(heavy_slack, light_slack / 2)
            else:
                break
        if self.space.size <= 64 or int(self.free.sum()) < 32:
            self.log.append("the corridor is everything")
            self.upper, self.lower = np.ones(self.space.size, bool), np.zeros(self.space.size, bool)
        self.log.append(f"phase 2 moves {int(self.free.sum())} of {self.space.size} bits")

    @staticmethod
    def _anchor(f: np.ndarray, slack: float, densest: bool) -> int:
        good = np.flatnonzero(f[:, 0] <= f[:, 0].min() + slack)
        order = np.argsort(f[good, 1], kind="stable")
        return int(good[order[-1 if densest else 0]])

    # --- phase 2: bits -----------------------------------------------------------------------------------------

    def _ranks(self) -> np.ndarray:
        """Percentile ranks of the free bits within their layers."""
        free = np.flatnonzero(self.free)
        ranks = np.zeros(self.space.size)
        if len(free):
            _, layer = np.unique(self.space.layer[free], return_inverse=True)
            ranks[free] = percentiles(self.space.score[free], layer)
        return ranks if self.guided else np.where(self.free, 0.5, 0.0)

    def _first_bits(self) -> np.ndarray:
        pop = self.sizes[2]["pop"]
        front = np.flatnonzero(nondominated(self.archive_fitness))
        order = front[np.argsort(self.archive_fitness[front, 1], kind="stable")]
        take = order[np.unique(np.linspace(0, len(order) - 1, max(2, round(0.4 * pop))).round().astype(int))]
        known = self._clip(self.archive[take])
        count = pop - len(known)
        density = self.rng.random((count, 1))
        ranks = self._ranks() if self.guided else self.rng.random(self.space.size)
        probability = 1 / (1 + np.exp(-12 * (ranks - (1 - density))))
        drawn = self.rng.random((count, self.space.size)) < probability
        # those that phase 1 knew are parents already; they need no second evaluation
        self.population, self.fitness = self.archive[take], self.archive_fitness[take]
        return np.concatenate([known, self._clip(drawn)])

    def _clip(self, masks: np.ndarray) -> np.ndarray:
        return self.space.repair((masks & self.upper) | self.lower)

    def _next_bits(self) -> None:
        pop, generations = self.sizes[2]["pop"], self.sizes[2]["gen"]
        free, ranks = np.flatnonzero(self.free), self._ranks()
        progress = self.generation / max(generations, 1)
        rate = max(1.0, 0.02 * len(free) * (1 - progress)) / max(len(free), 1)
        parents = self.engine.parents(self.fitness, pop, self.rng)
        chances = self._operator_chances()
        for a, b in parents:
            for _ in range(5):  # a few tries for a child that wasn't seen before
                child = self.population[a].copy()
                if self.rng.random() < 0.9:
                    mixed = self.rng.random(len(free)) < 0.5
                    child[free] = np.where(mixed, self.population[b][free], child[free])
                child = (child & self.upper) | self.lower
                operator = int(self.rng.random() >= chances[0])
                child = self._flip(child, free, ranks, rate) if operator == 0 else self._swap(child, free, ranks)
                if progress >= 0.5 and self.escape > 0:
                    child = self._leave(child, rate * len(free))
                if self._add(self.space.repair(child[None])[0], 2, operator):
                    break

    def _flip(self, child: np.ndarray, free: np.ndarray, ranks: np.ndarray, rate: float) -> np.ndarray:
        """Drop unimportant bits and take back important ones; a drift both ways along the front, drawn for each child."""
        drift = self.rng.random() * 2
        r = ranks[free]
        down, up = 2 * rate * (1 - r) * drift, 2 * rate * r * (2 - drift)
        chance = np.where(child[free], down, up)
        flips = self.rng.random(len(free)) < chance
        if not flips.any() and len(free):
            flips[self.rng.integers(len(free))] = True
        child[free[flips]] ^= True
        return child

    def _swap(self, child: np.ndarray, free: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """Exchange one kept bit of low importance for one dropped bit of high importance."""
        kept, dropped = free[child[free]], free[~child[free]]
        if len(kept) and len(dropped):
            out = 1 - ranks[kept] + 1e-3
            into = ranks[dropped] + 1e-3
            child[self.rng.choice(kept, p=out / out.sum())] = False
            child[self.rng.choice(dropped, p=into / into.sum())] = True
        return child

    def _leave(self, child: np.ndarray, flips: float) -> np.ndarray:
        """A few bits outside the corridor may flip too."""
        outside = np.flatnonzero(~self.free)
        count = self.rng.binomial(max(1, round(flips)), self.escape) if len(outside) else 0
        if count:
            child[self.rng.choice(outside, min(count, len(outside)), replace=False)] ^= True
        return child

    def _operator_chances(self) -> np.ndarray:
        """Chances of (flip, swap) by their children that entered the archive in the last five generations."""
        recent = np.array(self.operator_wins[-5:]).reshape(-1, 2).sum(0) + 1.0
        share = recent / recent.sum()
        return np.clip(share, 0.1, 0.9)

    # --- the end of a generation -------------------------------------------------------------------------------

    def _close_generation(self) -> None:
        told = [self._told[k] for k in sorted(self._told)]
        good = [(c, f) for c, f in told if f is not None]
        self._told = {}
        wins = [0, 0]
        if good:
            masks, f = np.stack([c.mask for c, _ in good]), np.stack([v for _, v in good])
            phases = np.array([c.phase for c, _ in good])
            entered = self._to_archive(masks, f, phases)
            for (candidate, _), inside in zip(good, entered):
                if inside and candidate.operator >= 0:
                    wins[candidate.operator] += 1
            pop = self.sizes[self.phase]["pop"]
            pool, values = np.concatenate([self.population, masks]), np.concatenate([self.fitness, f])
            if self.phase == 1:
                genomes = np.stack([self._genomes.pop(c.number) for c, _ in good])
                pool_genomes = np.concatenate([self.thresholds, genomes])
            select = self.engine.survivors if self.phase == 1 else self.engine.bit_survivors
            kept = select(values, pop, self.archive_fitness.max(0))
            self.population, self.fitness = pool[kept], values[kept]
            if self.phase == 1:
                self.thresholds = pool_genomes[kept]
        self._genomes = {}
        if self.phase == 2:
            self.operator_wins.append((wins[0], wins[1]))
            self._adopt_escaped()
        self.generation += 1
        if len(self.archive):
            self.history.append((self.evaluations, self.hypervolume(), self.phase))
        self._advance()

    def _advance(self) -> None:
        if self.generation > self.sizes[self.phase]["gen"] or self.sizes[self.phase]["gen"] == 0:
            if self.phase == 1 and self.sizes[2]["gen"] > 0 and len(self.archive):
                self._open_corridor()
                self.phase, self.generation = 2, 0
            else:
                self.phase = 3

    def _to_archive(self, masks: np.ndarray, f: np.ndarray, phases: np.ndarray) -> np.ndarray:
        """Merge, keep what nothing dominates, cap; gives which of the new ones are inside."""
        before = len(self.archive)
        pool, values = np.concatenate([self.archive, masks]), np.concatenate([self.archive_fitness, f])
        phase = np.concatenate([self.archive_phase, phases])
        front = np.flatnonzero(nondominated(values))
        _, first = np.unique(values[front], axis=0, return_index=True)
        front = front[np.sort(first)]
        if len(front) > ARCHIVE:
            best = int(np.argmin(values[front, 0]))
            front = front[thin(values[front], ARCHIVE, keep=(best,))]
        self.archive, self.archive_fitness, self.archive_phase = pool[front], values[front], phase[front]
        self.mistakes.keep_only(self.archive)
        return np.isin(np.arange(before, len(pool)), front)

    def _adopt_escaped(self) -> None:
        """Bits outside the corridor that survive in the archive may move from now on."""
        mine = self.archive[self.archive_phase == 2]
        if len(mine) == 0:
            return
        self.lower &= ~(~mine).any(0)
        self.upper |= mine.any(0)

    def hypervolume(self) -> float:
        """Of the archive in (error, cost), reference (1, 1), fixed before the search."""
        return hypervolume(self.archive_fitness[:, :2], (1.0, 1.0))

    # --- running -----------------------------------------------------------------------------------------------

    def fit(
        self,
        evaluate: Evaluate,
        *,
        budget: float | None = None,
        state_dir: Path | str | None = None,
        executor: Executor | str | None = None,
        jobs: int = 1,
        racing: bool = False,
        test: tuple[Tensor, Tensor] | None = None,
    ) -> ParetoResult:
        """Run to the end (or the budget).

        Args:
            evaluate: `accuracy_on(x, y)`, or a function of a network that gives its error (and the further objectives).
            budget: evaluations at most; one is one candidate on the whole validation set, a dropped one counts its share.
            state_dir: state is kept here after every generation; a killed search goes on from there to the same end.
            executor: None, an executor of `concurrent.futures`, or "ray"; the result doesn't depend on it.
            jobs: chunks that a generation is cut into for an executor.
            racing: evaluate on 1/8, 1/4, 1/2 and all of the validation set and drop early what a better network at no
                greater cost beats for certain (sign test, p < 0.01 over all tests).
            test: data that the validation set must not share (an overlap is refused).

        Raises:
            SearchError: more than 20 % of the candidates without finite objectives.
            StateMismatchError: state of another network, other settings or other validation data.
            InputError: a budget below two populations; validation samples that are in the test set.
        """
        if budget is not None and budget < 2 * self.sizes[1]["pop"]:
            raise InputError("budget", given=budget, expected=f"at least {2 * self.sizes[1]['pop']}, two populations")
        if test is not None and isinstance(evaluate, Accuracy):
            _require_disjoint(evaluate.x, test[0])
        path = None if state_dir is None else Path(state_dir) / "search.pt"
        identity = {} if path is None else self._identity(evaluate)
        if path is not None and path.exists():
            load_search(self, path, identity)
        runner = Runner(evaluate, self.space, executor, jobs) if isinstance(evaluate, Accuracy) else None
        total = sum(p["pop"] * (p["gen"] + 1) for p in self.sizes.values() if p["gen"])
        with graceful() as stop, bar("search", total) as running:
            while not self.done and (budget is None or self.evaluations < budget):
                batch = self.ask()
                if batch:
                    self.tell(batch, self._evaluate(batch, evaluate, runner, racing))
                    self._check_feasible()
                running.advance(len(batch), f"phase {min(self.phase, 2)}, hypervolume {self.hypervolume():.4f}")
                if path is not None and not self._waiting and not self._told:
                    save_search(self, path, identity)
                if stop:
                    warnings.warn(
                        "stopped; the front so far is returned" + (f", {path} goes on" if path else ""), stacklevel=2
                    )
                    break
        return self.result()

    def result(self) -> ParetoResult:
        """The front so far."""
        order = np.argsort(self.archive_fitness[:, 1], kind="stable")
        return ParetoResult(
            self.space, self.objectives, self.archive_fitness[order], np.packbits(self.archive[order], axis=1),
            self.archive_phase[order], list(self.history), list(self.log), self.evaluations,
        )  # fmt: skip

    def _evaluate(
        self, batch: list[Candidate], evaluate: Evaluate, runner: Runner | None = None, racing: bool = False
    ) -> np.ndarray:
        masks = np.stack([c.mask for c in batch])
        costs = self.space.costs(masks, self.costs)
        if not isinstance(evaluate, Accuracy):
            values = [np.atleast_1d(np.asarray(evaluate(self.space.build(m)), dtype=float)) for m in masks]
            self.evaluations += len(batch)
            rows = np.stack([self._row(v, c) for v, c in zip(values, costs)])
            self.infeasible += int((~np.isfinite(rows).all(1)).sum())
            return rows
        wrong = runner or Runner(evaluate, self.space, None, 1)
        if racing and self.mistakes and len(self.objectives) == 2:
            errors, share = self.mistakes.race(wrong, masks, costs[:, 0], self.archive, self.archive_fitness)
        else:
            found = wrong(masks, evaluate.order)
            errors, share = found.mean(1), np.ones(len(masks))
            if racing:
                self.mistakes.remember(masks, found)
        self.evaluations += float(share.sum())
        return np.concatenate([errors[:, None], costs], 1)

    def _row(self, values: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """The user's values in the order of `objectives`."""
        if len(values) != 1 + len(self.extra):
            raise InputError(
                "evaluate",
                given=f"{len(values)} values",
                expected=f"{1 + len(self.extra)}: error, {', '.join(self.extra)}",
            )
        named = dict(zip(self.costs, costs)) | dict(zip(self.extra, values[1:]))
        return np.array([values[0], *(named[o] for o in self.objectives[1:])])

    def _check_feasible(self) -> None:
        none = len(self.archive) == 0 and not self._told
        if none or (self._number >= 40 and self.infeasible > 0.2 * self._number):
            raise SearchError(
                "the search", given=f"{self.infeasible} of {self._number} candidates without finite objectives",
                expected="at most 20 %", hint="look at what `evaluate` returns",
            )  # fmt: skip

    # --- state -------------------------------------------------------------------------------------------------

    def _identity(self, evaluate: Evaluate) -> dict[str, str]:
        """What must be the same to go on: the network, the settings and, where they are known, the validation data."""
        settings = {
            "model": hash_model(self.model),
            "granularity": [self.space.granularity, getattr(self.space, "block", 1)],
            "objectives": list(self.objectives),
            "sizes": {str(k): dict(v) for k, v in self.sizes.items()},
            "corridor": list(self.corridor),
            "engine": self.engine.name,
            "escape": self.escape,
            "guided": self.guided,
            "seed": self.seed,
            "importance": self.importance,
            "min_keep": self.space.min_keep,
            "frozen": sorted(self.frozen),
            "validation data": evaluate.fingerprint() if isinstance(evaluate, Accuracy) else "",
        }
        return {k: json.dumps(v) for k, v in settings.items()}


def _require_disjoint(validation: Tensor, test: Tensor) -> None:
    """No validation sample may be in the test set."""

    def keys(x: Tensor) -> set[bytes]:
        return {row.tobytes() for row in x.detach().cpu().reshape(len(x), -1).numpy()}

    shared = keys(validation) & keys(test) if validation.shape[1:] == test.shape[1:] else set()
    if shared:
        raise InputError(
            "validation data", given=f"{len(shared)} samples that are in the test set too", expected="none",
            hint="search on validation data only; the test set is for the end",
        )  # fmt: skip
