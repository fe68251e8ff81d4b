"""From which severity on a driver fails, found by driving: bisection between two levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.corruptions.driving.agents import Agent
from deepwright.corruptions.driving.evaluation import evaluate
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.scenarios import Scenario
from deepwright.corruptions.driving.simulators import Simulator
from deepwright.corruptions.suite import get
from deepwright.corruptions.thresholds import FailureThreshold, failing_severity


def driving_threshold(
    sim: Simulator,
    agent: Agent,
    roads: Sequence[Road | None],
    perturbation: str,
    *,
    level: float = 0.5,
    tolerance: float = 0.25,
    max_xte: float = 4.0,
    timeout: float = 62.0,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> FailureThreshold:
    """The severity from which on a driver fails on more than so many roads, with the interval that the roads allow.

    All six whole severities are driven, and what lies between two of them where the perturbation has something there.

    Args:
        sim: in which it is driven.
        agent: see `evaluate`.
        roads: each with a seed of its own, at all severities; None for a simulator's own.
        perturbation: its name.
        level: of the failure rate.
        tolerance: of severities.
        max_xte: see `evaluate`.
        timeout: see `evaluate`.
        seed: of worlds and perturbations.
        checkpoint: a folder of finished blocks.

    Raises:
        InputError: no roads, an unknown perturbation, episodes all of which the infrastructure ended.
    """
    chosen = get(perturbation)
    if not roads:
        raise InputError("roads", given="none", expected="at least one")
    options: dict[str, Any] = {"max_xte": max_xte, "timeout": timeout, "checkpoint": checkpoint}
    seeds = [derive_seed("threshold", i, seed=seed) for i in range(len(roads))]

    def failures(severity: float) -> tuple[int, int]:
        name = perturbation if severity else None
        scenarios = [Scenario(road, name, severity, own) for road, own in zip(roads, seeds)]
        counted = [o for o in evaluate(sim, agent, scenarios, **options) if o.counts]
        return sum(o.failed for o in counted), len(counted)

    return failing_severity(failures, name=chosen.name, least=chosen.least, level=level, tolerance=tolerance)
