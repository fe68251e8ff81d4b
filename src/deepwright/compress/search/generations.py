"""One generation after the other: candidates are asked for, their objectives told, and the best stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from deepwright.compress.search.bits import BitMoves, flip_chance, spread_over
from deepwright.compress.search.corridor import open_corridor
from deepwright.compress.search.engines import Engine
from deepwright.compress.search.racing import key
from deepwright.compress.search.space import Space
from deepwright.compress.search.state import SearchState
from deepwright.compress.search.thresholds import first_thresholds, next_thresholds
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

FROM_PHASE_1 = 0.4  # of phase 2's first population
TRIES = 5  # for a child that wasn't seen before
STALE = 5  # generations in a row without one new network: the phase has no more to find


@dataclass(frozen=True)
class Candidate:
    """A mask that waits for its objectives.

    Attributes:
        number: counted over the search.
        mask: which bits stay.
        phase: that made it.
        operator: of phase 2's moves; -1 where none made it.
    """

    number: int
    mask: Bool[Array, " d"]
    phase: int
    operator: int = -1


class Generations:
    """Both phases, by asking and telling.

    Args:
        space: of masks.
        engine: that breeds and selects.
        sizes: phase -> {"pop": ..., "gen": ...}.
        slacks: errors above the best of the two networks that span the corridor.
        guided: moves of phase 2 lean on importance.
        escape: share of a child's flips that may leave the corridor.
        state: where the search stands.
        raw_seeds: phase 1 begins with global cuts of raw scores too.
    """

    def __init__(
        self,
        space: Space,
        engine: Engine,
        sizes: Mapping[int, Mapping[str, int]],
        slacks: tuple[float, float],
        guided: bool,
        escape: float,
        state: SearchState,
        raw_seeds: bool = False,
    ) -> None:
        self.raw_seeds = raw_seeds
        self.space, self.engine, self.sizes, self.slacks = space, engine, sizes, slacks
        self.guided, self.escape, self.state = guided, escape, state
        self.waiting: list[Candidate] = []
        self.told: dict[int, tuple[Candidate, Array | None]] = {}
        self._genomes: dict[int, Array] = {}
        self.asked: set[int] = set()

    def take_up(self, state: SearchState) -> None:
        """Go on from another state.

        Args:
            state: between two generations.
        """
        self.state = state
        self.waiting, self.told, self._genomes, self.asked = [], {}, {}, set()

    @property
    def done(self) -> bool:
        """Whether both phases have run."""
        return self.state.phase > 2

    def begin_with(self, masks: Bool[Array, "p d"]) -> None:
        """Leave phase 1 out: phase 2 begins with these networks, and may move every bit.

        Args:
            masks: one network a row.

        Raises:
            InputError: the search has begun already, or no mask is left.
        """
        if self.state.candidates:
            raise InputError("begin_with", given=f"{self.state.candidates} candidates so far", expected="a new search")
        self.state.phase, self.state.generation, self.state.skipped = 2, 1, True
        for mask in masks:
            self._add(mask, 2)
        if not self.waiting:
            raise InputError("masks", given="none", expected="at least one")

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Candidates of the current generation; none when the search is done.

        Args:
            n: at most so many; all by default.
        """
        if n is not None:
            require_whole(1, n=n)
        if not self.waiting and not self.told:
            self._breed()
        taken = self.waiting[: n or len(self.waiting)]
        self.waiting = self.waiting[len(taken) :]
        self.asked |= {c.number for c in taken}
        return taken

    def tell(self, candidates: Sequence[Candidate], objectives: Float[Array, "p k"]) -> None:
        """Hand in objectives.

        Args:
            candidates: from `ask`.
            objectives: one row each; a row that isn't finite marks a candidate as dropped or infeasible.

        Raises:
            InputError: another number of rows or columns, or candidates that nobody asked for.
        """
        objectives = np.asarray(objectives, dtype=float)
        wanted = (len(candidates), self.state.archive.fitness.shape[1])
        if objectives.shape != wanted:
            raise InputError("objectives", given=f"shape {objectives.shape}", expected=f"{wanted}, one row a candidate")
        foreign = [c.number for c in candidates if c.number not in self.asked]
        if foreign:
            raise InputError("candidates", given=f"numbers {foreign[:5]}", expected="those that `ask` gave, each once")
        self.asked -= {c.number for c in candidates}
        for candidate, row in zip(candidates, objectives):
            self.told[candidate.number] = (candidate, row if np.isfinite(row).all() else None)
        if not self.waiting:
            self._close_generation()

    def _allowance(self) -> int:
        """New networks that the phase may still make: pop (gen + 1), and in phase 2 what phase 1 didn't need.

        What was seen before costs nothing: only networks that are evaluated count.
        """
        state = self.state
        upto = sum(p["pop"] * (p["gen"] + 1) for n, p in self.sizes.items() if n <= state.phase and not self._skips(n))
        return upto - state.candidates

    def _skips(self, phase: int) -> bool:
        """Whether a phase isn't run: phase 2 without generations, phase 1 where networks to begin with were given."""
        return self.state.skipped if phase == 1 else self.sizes[2]["gen"] == 0

    def _breed(self) -> None:
        if self.done:
            return
        state = self.state
        if state.candidates and len(state.archive) == 0:
            given = f"{state.candidates} candidates without finite objectives"
            raise InputError("the search", given=given, expected="one that can be a parent")
        room = min(self.sizes[state.phase]["pop"], self._allowance())
        if state.phase == 1:
            self._breed_thresholds(room)
        elif state.generation == 0:
            # those that phase 1 knew are parents already; they need no second evaluation
            pop = self.sizes[2]["pop"]
            known = spread_over(state.archive, max(2, round(FROM_PHASE_1 * pop)))
            state.population, state.fitness = state.archive.masks[known], state.archive.fitness[known]
            for mask in self._moves().first(state.population, pop)[: len(known) + room]:
                self._add(mask, 2)
        else:
            self._breed_bits(room)
        state.stale = 0 if self.waiting else state.stale + 1
        if not self.waiting:  # nothing new under the sun: the generation passes
            self._close_generation()

    def _breed_thresholds(self, room: int) -> None:
        """Children until `room` of them make masks that weren't seen before, or several broods have passed."""
        state = self.state
        for brood in range(TRIES):
            if len(self.waiting) == room:
                break
            if state.generation == 0:
                if brood:
                    break
                genomes = first_thresholds(self.space, room, state.rng, self.raw_seeds)
            else:
                genomes = next_thresholds(self.engine, state.thresholds, state.fitness, room, state.rng)
            for genome, mask in zip(genomes, self.space.from_thresholds(genomes)):
                if len(self.waiting) < room:
                    self._add(mask, 1, genome=genome)

    def _moves(self) -> BitMoves:
        state = self.state
        left, made = self._allowance(), state.candidates - state.phase_began
        return BitMoves(self.space, state.corridor, state.rng, self.guided, self.escape, made / max(made + left, 1))

    def _breed_bits(self, room: int) -> None:
        """Children until `room` of them weren't seen before, or every pair has had its tries."""
        state, moves = self.state, self._moves()
        chance = flip_chance(state.operator_wins)
        for a, b in self.engine.parents(state.fitness, room, state.rng):
            for _ in range(TRIES):
                mask, operator = moves.child(state.population[a], state.population[b], chance)
                if self._add(mask, 2, operator):
                    break

    def _add(self, mask: Array, phase: int, operator: int = -1, genome: Array | None = None) -> bool:
        name = key(mask)
        if name in self.state.seen:
            return False
        self.state.seen.add(name)
        candidate = Candidate(self.state.candidates, mask, phase, operator)
        if genome is not None:
            self._genomes[candidate.number] = genome
        self.state.candidates += 1
        self.waiting.append(candidate)
        return True

    def _close_generation(self) -> None:
        told = [self.told[k] for k in sorted(self.told)]
        good = [(c, f) for c, f in told if f is not None]
        self.told = {}
        wins = self._select(good) if good else (0, 0)
        self._genomes = {}
        state = self.state
        if state.phase == 2:
            state.operator_wins.append(wins)
            state.corridor.adopt(state.archive)
        state.generation += 1
        if len(state.archive):
            state.history.append((state.evaluations, state.archive.hypervolume(), state.phase))
        self._advance()

    def _select(self, good: list[tuple[Candidate, Array]]) -> tuple[int, int]:
        """Who stays in archive and population; children of (flips, swaps) that entered the archive."""
        state = self.state
        masks, f = np.stack([c.mask for c, _ in good]), np.stack([v for _, v in good])
        entered = state.archive.add(masks, f, np.array([c.phase for c, _ in good]))
        state.mistakes.keep_only(state.archive.masks)
        operators = [c.operator for (c, _), inside in zip(good, entered) if inside]
        pool, values = np.concatenate([state.population, masks]), np.concatenate([state.fitness, f])
        select = self.engine.survivors if state.phase == 1 else self.engine.bit_survivors
        kept = select(values, self.sizes[state.phase]["pop"], state.archive.fitness.max(0))
        state.population, state.fitness = pool[kept], values[kept]
        if state.phase == 1:
            genomes = np.stack([self._genomes[c.number] for c, _ in good])
            state.thresholds = np.concatenate([state.thresholds, genomes])[kept]
        return operators.count(0), operators.count(1)

    def _advance(self) -> None:
        state = self.state
        if self._allowance() > 0 and state.stale < STALE:
            return
        if state.phase == 1 and self.sizes[2]["gen"] > 0 and len(state.archive):
            state.corridor, log = open_corridor(state.archive, self.slacks)
            state.log += log
            state.phase, state.generation, state.stale, state.phase_began = 2, 0, 0, state.candidates
        else:
            state.phase = 3
