"""Walks in domains whose actions can always be taken: all are drawn first, and then taken several at a time."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain


def drawn_actions(domain: Domain, steps: Int[Tensor, " b"], rng: torch.Generator, walk: str) -> Int[Tensor, "b t"]:
    """Actions of each walk in their order, `num_actions` behind its end.

    Args:
        domain: whose actions can always be taken, with two or more of them.
        steps: how long each walk is, the longest first.
        rng: on the CPU.
        walk: "direct" leaves out the action that takes back the one before.
    """
    actions, device = domain.num_actions, steps.device
    longest = int(steps[0]) if len(steps) else 0
    found = torch.full((longest, len(steps)), actions, device=device)
    back = None if domain.inverse is None or walk == "plain" else torch.tensor(domain.inverse, device=device)
    # how many walks take a step of each number: those that are longer
    counts = (len(steps) - torch.bincount(steps, minlength=1).cumsum(0)).tolist()[:longest]
    for number, n in enumerate(counts):
        if back is None or not number:
            found[number, :n] = torch.randint(actions, (n,), generator=rng).to(device)
        else:
            drawn = torch.randint(actions - 1, (n,), generator=rng).to(device)
            found[number, :n] = drawn + (drawn >= back[found[number - 1, :n]])
    return found.T


def free_walk(
    domain: Domain, begin: Tensor, steps: Int[Tensor, " b"], rng: torch.Generator, walk: str
) -> tuple[Tensor, ...]:
    """Ends, last actions and first actions; -1 where none was taken.

    Args:
        domain: as in `drawn_actions`.
        begin: (B, *state_shape).
        steps: how long each walk is, the longest first.
        rng: on the CPU.
        walk: as in `drawn_actions`.
    """
    actions = drawn_actions(domain, steps, rng, walk)
    none = torch.full_like(steps, -1)
    if not actions.shape[1]:
        return begin.clone(), none, none
    moved = steps > 0
    last = torch.where(moved, actions.gather(1, (steps - 1).clamp_min(0)[:, None])[:, 0], none)
    return domain.follow(begin, actions), last, torch.where(moved, actions[:, 0], none)
