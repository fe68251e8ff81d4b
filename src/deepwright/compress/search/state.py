"""Where a search stands: everything that decides how it goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from deepwright.compress.search.archive import Archive
from deepwright.compress.search.corridor import Corridor
from deepwright.compress.search.racing import Mistakes


@dataclass
class SearchState:
    """The state between two generations.

    Attributes:
        rng: for all draws.
        population: (P, D) masks.
        fitness: (P, k) their objectives.
        thresholds: (P, L) of the population, in phase 1.
        archive: the front so far.
        corridor: bits that may move in phase 2.
        phase: 1, 2, or 3 when both have run.
        generation: of the phase.
        evaluations: so far; one is one candidate on the whole validation set.
        candidates: made so far.
        infeasible: of these, those without finite objectives.
        phase_began: candidates that there were when the phase began.
        stale: generations in a row that found no mask which wasn't seen before.
        skipped: phase 1 was left out.
        history: (evaluations, hypervolume, phase) after each generation.
        operator_wins: children of (flips, swaps) that entered the archive, after each generation of phase 2.
        log: what was decided on the way.
        seen: names of all masks that were made.
        mistakes: which samples the archive's networks get wrong, for racing.
    """

    rng: np.random.Generator
    population: Bool[Array, "p d"]
    fitness: Float[Array, "p k"]
    thresholds: Float[Array, "parents layers"]
    archive: Archive
    corridor: Corridor
    phase: int = 1
    generation: int = 0
    evaluations: float = 0.0
    candidates: int = 0
    infeasible: int = 0
    phase_began: int = 0
    stale: int = 0
    skipped: bool = False
    history: list[tuple[float, float, int]] = field(default_factory=list)
    operator_wins: list[tuple[int, int]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    mistakes: Mistakes = field(default_factory=Mistakes)

    @classmethod
    def start(cls, size: int, layers: int, objectives: int, seed: int) -> SearchState:
        """Before anything was done.

        Args:
            size: bits of a mask.
            layers: thresholds of phase 1.
            objectives: how many.
            seed: of everything.
        """
        return cls(
            rng=np.random.default_rng(seed),
            population=np.zeros((0, size), bool),
            fitness=np.zeros((0, objectives)),
            thresholds=np.zeros((0, layers)),
            archive=Archive.empty(size, objectives),
            corridor=Corridor.everything(size),
        )

    def plain(self) -> dict[str, Any]:
        """As tensors and plain data, for a file."""
        keys = sorted(self.mistakes.rows)
        wrong = [self.mistakes.rows[k] for k in keys]
        return {
            "rng": json.dumps(self.rng.bit_generator.state),
            "population": _packed(self.population),
            "fitness": _tensor(self.fitness),
            "thresholds": _tensor(self.thresholds),
            "archive": {
                "masks": _packed(self.archive.masks),
                "fitness": _tensor(self.archive.fitness),
                "phase": _tensor(self.archive.phase),
            },
            "corridor": {"lower": _tensor(self.corridor.lower), "upper": _tensor(self.corridor.upper)},
            "counts": [self.phase, self.generation, self.candidates, self.infeasible],
            "course": [self.phase_began, self.stale, int(self.skipped)],
            "evaluations": self.evaluations,
            "history": [list(h) for h in self.history],
            "operator_wins": [list(w) for w in self.operator_wins],
            "log": list(self.log),
            "seen": _joined(sorted(self.seen)),
            "mistakes": {
                "keys": _joined(keys),
                "rows": _tensor(np.stack(wrong) if wrong else np.zeros((0, 0), np.uint8)),
            },
        }

    @classmethod
    def restored(cls, plain: dict[str, Any], size: int) -> SearchState:
        """The state that `plain` came from.

        Args:
            plain: see `plain`.
            size: bits of a mask.
        """
        rng = np.random.default_rng()
        rng.bit_generator.state = json.loads(plain["rng"])
        width = -(-size // 8)
        archive, corridor, mistakes = plain["archive"], plain["corridor"], plain["mistakes"]
        phase, generation, candidates, infeasible = plain["counts"]
        phase_began, stale, skipped = plain["course"]
        return cls(
            rng=rng,
            population=_unpacked(plain["population"], size),
            fitness=_array(plain["fitness"]),
            thresholds=_array(plain["thresholds"]),
            archive=Archive(_unpacked(archive["masks"], size), _array(archive["fitness"]), _array(archive["phase"])),
            corridor=Corridor(_array(corridor["lower"]), _array(corridor["upper"])),
            phase=phase,
            generation=generation,
            evaluations=plain["evaluations"],
            candidates=candidates,
            infeasible=infeasible,
            phase_began=phase_began,
            stale=stale,
            skipped=bool(skipped),
            history=[(float(a), float(b), int(c)) for a, b, c in plain["history"]],
            operator_wins=[(int(a), int(b)) for a, b in plain["operator_wins"]],
            log=list(plain["log"]),
            seen=set(_pieces(plain["seen"], width)),
            mistakes=Mistakes(dict(zip(_pieces(mistakes["keys"], width), _array(mistakes["rows"])))),
        )


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(tensor: torch.Tensor) -> Array:
    return tensor.numpy().copy()


def _packed(masks: Array) -> torch.Tensor:
    return torch.from_numpy(np.packbits(masks, axis=1))


def _unpacked(packed: torch.Tensor, size: int) -> Array:
    return np.unpackbits(packed.numpy(), axis=1, count=size).astype(bool)


def _joined(keys: list[bytes]) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(b"".join(keys), np.uint8).copy())


def _pieces(flat: torch.Tensor, width: int) -> list[bytes]:
    data = flat.numpy().tobytes()
    return [data[i : i + width] for i in range(0, len(data), width)]
