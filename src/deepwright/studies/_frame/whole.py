"""What a study says becomes one result, with all that a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepwright.core.machine import this_machine
from deepwright.core.results import Arm, Claim, Figure, StudyResult, Table
from deepwright.studies._frame.runs import Runs


def study_result(
    slug: str,
    runs: Sequence[Runs],
    *,
    seeds: Sequence[int],
    claims: list[Claim],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    summary: str,
    settings: dict[str, Any],
    arms: Sequence[Arm] = (),
    limits: Sequence[str] = (),
) -> StudyResult:
    """Everything that a study found, with the seeds it was found on, the machine, and what of it was replayed.

    `seconds` is what the trials took when they were run, less what was waited for them now; `run_study` adds the
    whole of this run, so that a trial counts once and a replay never.

    Args:
        slug: the study's name on the command line.
        runs: of every grid.
        seeds: of the main grid.
        claims: each can fail; `Claim.because` gives the reason of one that does.
        tables: the main one first.
        figures: at least one.
        summary: the sentence on top: every number in it stands in a claim or table.
        settings: what else the numbers depend on.
        arms: how each was selected; `select` makes them.
        limits: what this doesn't show, one sentence each.
    """
    recorded = {"seeds": list(seeds), **settings}
    replayed = sum(r.replayed for r in runs)
    if replayed:
        recorded["replayed from the store"] = f"{replayed} of {sum(map(len, runs))} trials"
    return StudyResult(
        slug,
        claims,
        tables[0],
        list(figures),
        list(tables[1:]),
        seconds=sum(r.seconds - r.waited for r in runs),
        settings=recorded,
        summary=summary,
        arms=list(arms),
        limits=list(limits),
        machine=_machine(runs),
    )


def _machine(runs: Sequence[Runs]) -> dict[str, Any]:
    """The machine of the trials; where they ran on several, each fact with all its values."""
    machines = [machine for r in runs for machine in r.machines] or [this_machine()]
    return {key: _one([machine[key] for machine in machines if key in machine]) for key in machines[0]}


def _one(values: list[Any]) -> Any:
    different = list(dict.fromkeys(values))
    return different[0] if len(different) == 1 else " and ".join(map(str, different))
