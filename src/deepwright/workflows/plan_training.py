"""The learned heuristic of a plan: trained here, or taken from an earlier one."""

from __future__ import annotations

from pathlib import Path

import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import Domain, LearnedHeuristic, Trainer, ValueNet
from deepwright.workflows.options import Say
from deepwright.workflows.plan_options import PlanOptions

FILE = "heuristic.safetensors"
_COPIED = 15  # iterations from one copy of the target to the next: the study of this system chose it for all
_RATE = 25.0  # iterations a second of a small network on two cores: by then lr has fallen to a tenth


def learned_heuristic(
    domain: Domain, options: PlanOptions, state: Path, device: torch.device, say: Say
) -> tuple[LearnedHeuristic, list[str]]:
    """The heuristic, and what its training did in words.

    Args:
        domain: that it is for.
        options: of the plan.
        state: the folder of what an interrupted training goes on from.
        device: where the network works.
        say: told how training goes.

    Raises:
        InputError: a file of another domain, or none; a domain in which nothing can be trained.
    """
    if options.heuristic is not None:
        return _earlier(Path(options.heuristic), domain, device)
    search = 10 if options.method == "lhbl" else 1
    trainer = Trainer(
        domain,
        ValueNet(domain, options.width, options.blocks, goals=domain.goal is None, seed=options.seed),
        options.method,
        k_max=options.reach,
        balance=False,
        search_itrs=search,
        batch_size=500,
        target_update=_COPIED,
        lr_decay=0.1 ** (1 / max(_RATE * options.seconds, 1)),
        seed=options.seed,
        device=device,
    )
    say(f"training on {domain.name} for {options.seconds:g} s: {options.method}, walks of up to {options.reach} steps")
    found = trainer.fit(max_seconds=options.seconds, checkpoint=state / "training.pt", report=say, report_every=10)
    found.save(Path(options.out) / FILE)
    return found, [_told(trainer, options)]


def _earlier(path: Path, domain: Domain, device: torch.device) -> tuple[LearnedHeuristic, list[str]]:
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError("heuristic", given=f"{file} does not exist", expected=f"a folder of a plan, or its {FILE}")
    found = LearnedHeuristic.load(file, domain)
    found.module.to(device)
    return found, [f"the heuristic of {file}"]


def _told(trainer: Trainer, options: PlanOptions) -> str:
    done = f"{options.method}, {trainer.iteration:,} iterations, {trainer.states_seen:,} states"
    if not trainer.history:
        return f"{done}: too few for a check of what it solves"
    row = trainer.history[-1]
    solved = f"{row['solved']:.0%} of walks of up to {row['k']:.0f} steps"
    return f"{done}; at the last check a search of few nodes solved {solved}"
