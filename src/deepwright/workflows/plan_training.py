"""The learned heuristic of a plan: trained here, or taken from an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding import Domain, LearnedHeuristic, Trainer, ValueNet
from deepwright.workflows.options import Say
from deepwright.workflows.plan_options import PlanOptions

FILE = "heuristic.safetensors"
_COPIED = 15  # iterations from one copy of the target to the next: the study of this system chose it for all
_RATE = 25.0  # iterations a second of a small network on two cores: by then lr has fallen to a tenth


def learned_heuristic(
    domain: Domain, options: PlanOptions, state: Path, device: torch.device, say: Say, starts: Tensor
) -> tuple[LearnedHeuristic, list[str]]:
    """The heuristic, and what its training did in words.

    Args:
        domain: that it is for.
        options: of the plan.
        state: the folder of what an interrupted training goes on from.
        device: where the network works.
        say: told how training goes.
        starts: where walks begin if actions can't be taken back: (n, *state_shape).

    Raises:
        InputError: a file of another domain, or none; a domain in which nothing can be trained.
    """
    if options.heuristic is not None:
        return _earlier(Path(options.heuristic), domain, device)
    told = options.training
    forwards = domain.inverse is None
    trainer = Trainer(
        domain,
        ValueNet(domain, told.width, told.blocks, goals=forwards or domain.goal is None, seed=options.seed),
        told.method,
        k_max=options.reach,
        balance=False,
        search_itrs=10 if told.method == "lhbl" else 1,
        batch_size=500,
        target_update=_COPIED,
        lr_decay=0.1 ** (1 / max(_RATE * told.seconds, 1)),
        begin=_Drawn(starts.cpu()) if forwards else None,
        seed=options.seed,
        device=device,
    )
    say(f"training on {domain.name} for {told.seconds:g} s in all: {told.method}, walks of up to {options.reach} steps")
    found = trainer.fit(max_seconds=told.seconds, checkpoint=state / "training.pt", report=say, report_every=10)
    found.save(Path(options.out) / FILE)
    return found, [_told(trainer, options)]


@dataclass(frozen=True)
class _Drawn:
    """Some of a file's states, as walks begin there."""

    starts: Tensor

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        return self.starts[torch.randint(len(self.starts), (n,), generator=rng)]


def _earlier(path: Path, domain: Domain, device: torch.device) -> tuple[LearnedHeuristic, list[str]]:
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError("heuristic", given=f"{file} does not exist", expected=f"a folder of a plan, or its {FILE}")
    found = LearnedHeuristic.load(file, domain)
    found.module.to(device)
    return found, [f"the heuristic of {file}"]


def _told(trainer: Trainer, options: PlanOptions) -> str:
    done = f"{options.training.method}, {trainer.iteration:,} iterations, {trainer.states_seen:,} states"
    if not trainer.history:
        return f"{done}: too few for a check of what it solves"
    row = trainer.history[-1]
    solved = f"{row['solved']:.0%} of walks of up to {row['k']:.0f} steps"
    return f"{done}; at the last check a search of few nodes solved {solved}"
