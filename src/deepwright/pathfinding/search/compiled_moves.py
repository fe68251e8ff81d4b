"""Domains whose actions move or toggle cells of an array, as tables for compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.domains.lightsout import LightsOut
from deepwright.pathfinding.domains.npuzzle import NPuzzle
from deepwright.pathfinding.domains.permutations import PermutationDomain


@dataclass(frozen=True)
class Moves:
    """By context and action the cells that change, and where their new values come from. Every action costs 1.

    Attributes:
        first: (contexts * actions + 1,) where each list begins.
        to: cells that change.
        source: where what they get was; where the cells toggle, of no use.
        valid: (contexts * actions,).
        toggles: 0 and 1 change places in these cells.
        blank: the context is the place of the 0; else there is one context.
    """

    first: Any
    to: Any
    source: Any
    valid: Any
    toggles: bool
    blank: bool


def moves_of(domain: Domain) -> Moves | None:
    """The tables of a domain; None where its class, or what a subclass made of it, has none.

    Args:
        domain: any.
    """
    kind = type(domain)
    if (
        kind.is_goal not in (Domain.is_goal, LightsOut.is_goal)
        or kind.keys is not Domain.keys
        or domain.state_dtype != torch.uint8
    ):
        return None
    if domain.num_actions > 2**15 - 1:
        return None
    if isinstance(domain, PermutationDomain) and _own(kind, PermutationDomain):
        sources = domain.generators.cpu().numpy()[None]
        return _listed(sources, np.ones(sources.shape[:2], dtype=bool), blank=False)
    if isinstance(domain, NPuzzle) and _own(kind, NPuzzle):
        return _sliding(domain)
    if isinstance(domain, LightsOut) and _own(kind, LightsOut) and not domain.commutative:
        cells = [row.nonzero()[0] for row in domain.presses.cpu().numpy()]
        to = np.concatenate(cells).astype(np.int32)
        first = np.cumsum([0, *map(len, cells)]).astype(np.int64)
        return Moves(first, to, to, np.ones(len(cells), dtype=bool), True, False)
    return None


def _own(kind: type[Domain], base: type[Domain]) -> bool:
    """Whether a class moves as the one that has tables."""
    return kind.expand is base.expand and kind.step is base.step


def _sliding(domain: NPuzzle) -> Moves:
    """Seen at boards that differ in the place of the blank, with their other tiles in order."""
    n = domain.n**2
    boards = torch.arange(1, n, dtype=torch.uint8).expand(n, n - 1)
    boards = torch.stack([torch.cat([b[:i], b.new_zeros(1), b[i:]]) for i, b in enumerate(boards)])
    found = domain.expand(boards)
    sources = (found.states[:, :, :, None] == boards[:, None, None, :]).long().argmax(3)
    return _listed(sources.numpy(), found.valid.numpy(), blank=True)


def _listed(sources: Any, valid: Any, blank: bool) -> Moves:
    """Of permutations (contexts, actions, cells) the cells that aren't left alone."""
    moved = sources != np.arange(sources.shape[2])
    first = np.concatenate([[0], moved.sum(2).ravel().cumsum()]).astype(np.int64)
    to = np.broadcast_to(np.arange(sources.shape[2]), sources.shape)[moved].astype(np.int32)
    return Moves(first, to, sources[moved].astype(np.int32), valid.ravel().copy(), False, blank)
