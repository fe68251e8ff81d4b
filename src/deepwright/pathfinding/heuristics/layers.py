"""All states one action farther than a layer of them, a part of it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Domain

_AT_ONCE = 2**24  # bytes of children, about; their keys take several times as many
_MOST = 2**31  # bytes of a layer's states
_PART = 200_000  # states expanded at once, at most


def next_layer(
    domain: Domain, layer: Tensor, known: Tensor, before: Tensor, met: int, max_states: int, what: str
) -> tuple[Tensor, Tensor]:
    """The states one action farther, each once, with their keys, which are sorted.

    Where actions can be taken back, a neighbour of a layer is in it, in the one before, or in the next; else `known`
    are all that were met.

    Args:
        domain: whose.
        layer: (n, *state_shape).
        known: sorted keys, of the layer or of all that were met.
        before: sorted keys of the layer before it.
        met: how many states there are already.
        max_states: more than these in all are refused.
        what: what asks, in the error.

    Raises:
        InputError: more states than `max_states`, or than 2 GiB of memory hold; said before they are there.
    """
    state_bytes = layer[:1].element_size() * prod(domain.state_shape)
    most = max_states - met
    fitting = min(most, _MOST // max(state_bytes, 1))
    states, keys = [layer[:0]], [known[:0]]
    waiting = 0
    for found, own in _new(domain, layer, known, before):
        states.append(found)
        keys.append(own)
        waiting += len(own)
        if waiting > fitting and len(keys) > 2:  # many may be there twice
            joined, own = _distinct(torch.cat(states), torch.cat(keys))
            states, keys, waiting = [joined], [own], len(own)
        if waiting > fitting:
            raise _too_many(what, max_states, fitting if fitting < most else None, state_bytes)
    if len(keys) == 2:  # a single part: distinct and in order as it is
        return states[1], keys[1]
    return _distinct(torch.cat(states), torch.cat(keys))


def goes_on(domain: Domain, layer: Tensor, known: Tensor, before: Tensor) -> bool:
    """Whether there is any state one action farther.

    Args:
        domain: see `next_layer`.
        layer: see `next_layer`.
        known: see `next_layer`.
        before: see `next_layer`.
    """
    return any(len(own) for _, own in _new(domain, layer, known, before))


def _new(domain: Domain, layer: Tensor, known: Tensor, before: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each part of a layer the children that nobody has met, by key."""
    own_bytes = domain.num_actions * layer[:1].element_size() * prod(domain.state_shape)
    for part in layer.split(min(_PART, max(1, _AT_ONCE // max(own_bytes, 1)))):
        found = domain.expand(part)
        states = found.states.flatten(0, 1) if domain.always_valid else found.states[found.valid]
        own, order = domain.keys(states).sort()
        first = _first(own)
        own, order = own[first], order[first]
        new = ~_among(own, known) & ~_among(own, before)
        yield states[order[new]], own[new]  # only now are states copied


def _too_many(what: str, max_states: int, fitting: int | None, state_bytes: int) -> InputError:
    if fitting is None:
        return InputError(what, given=f"more than {max_states} states", expected="a radius", hint="radius=")
    given = f"a layer of more than {fitting} states of {state_bytes} bytes"
    return InputError(what, given=given, expected="at most 2 GiB a layer", hint="a smaller radius=")


def _distinct(states: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """One state a key, by key."""
    own, order = keys.sort()
    first = _first(own)
    return states[order[first]], own[first]


def _first(keys: Tensor) -> Tensor:
    """Where a sorted list has a number for the first time."""
    first = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    first[1:] = keys[1:] != keys[:-1]
    return first


def _among(keys: Tensor, known: Tensor) -> Tensor:
    """Which keys are in a sorted list."""
    if not len(known):
        return torch.zeros_like(keys, dtype=torch.bool)
    return known[torch.searchsorted(known, keys).clamp(max=len(known) - 1)] == keys
