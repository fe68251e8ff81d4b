"""The inner loops of `bwas` for domains whose moves are tables, compiled by numba where it is installed.

Only `engines.py` imports this file, when it is first needed: numba takes a third of a second to import.

A node is a row of several arrays; a queue is a heap with four children a node of (bits of f and h, when it was pushed,
node, version). `counts` holds nodes, entries, pushes, children and expansions so far, and the best goal; `costs` holds
the best goal's cost and the lower bound.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]

FOUND = numba is not None
COUNT, ENTRIES, PUSHED, CHILDREN, EXPANDED, END = range(6)  # of `counts`
BEST, LOW = range(2)  # of `costs`


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return numba.njit(cache=True, nogil=True)(inspect.unwrap(function)) if FOUND else function


@_compile
def _before(key: Any, when: Any, other: Any, then: Any) -> Any:
    """Whether an entry is taken before another: the least f, of these the least h, of these the newest."""
    return key < other or (key == other and when > then)


@_compile
def _push(heap: Any, size: Any, key: Any, when: Any, node: Any, version: Any) -> Any:
    """One entry more, at its place."""
    keys, whens, nodes, versions = heap
    at = size
    while at > 0:
        up = (at - 1) >> 2
        if not _before(key, when, keys[up], whens[up]):
            break
        keys[at], whens[at], nodes[at], versions[at] = keys[up], whens[up], nodes[up], versions[up]
        at = up
    keys[at], whens[at], nodes[at], versions[at] = key, when, node, version
    return size + 1


@_compile
def _drop(heap: Any, size: Any) -> Any:
    """Without the first entry."""
    keys, whens, nodes, versions = heap
    size -= 1
    key, when, node, version = keys[size], whens[size], nodes[size], versions[size]
    at = 0
    while True:
        first = 4 * at + 1
        if first >= size:
            break
        least = first
        for child in range(first + 1, min(first + 4, size)):
            if _before(keys[child], whens[child], keys[least], whens[least]):
                least = child
        if not _before(keys[least], whens[least], key, when):
            break
        keys[at], whens[at], nodes[at], versions[at] = keys[least], whens[least], nodes[least], versions[least]
        at = least
    keys[at], whens[at], nodes[at], versions[at] = key, when, node, version
    return size


@_compile
def _move(kind: Any, moves: Any, state: Any, action: Any, child: Any) -> Any:
    """A child: 0 takes every place's number from another, 1 turns numbers over, 2 lets a neighbour into the blank.

    Whether the action can be taken."""
    cells = len(state)
    if kind == 0:
        for i in range(cells):
            child[i] = state[moves[action, i]]
        return True
    if kind == 1:
        for i in range(cells):
            child[i] = state[i] ^ moves[action, i]
        return True
    blank = 0
    for i in range(cells):
        child[i] = state[i]
        if state[i] == 0:
            blank = i
    other = moves[action, blank]
    if other < 0:
        return False
    child[blank], child[other] = state[other], 0
    return True


@_compile
def _find(child: Any, key: Any, states: Any, keys: Any, table: Any) -> Any:
    """A state's node, or -1 less the free slot of the table."""
    mask = len(table) - 1
    slot = key & mask
    while table[slot] >= 0:
        node = table[slot]
        if keys[node] == key:
            same = True
            for i in range(len(child)):
                if states[node, i] != child[i]:
                    same = False
                    break
            if same:
                return node
        slot = (slot + 1) & mask
    return -1 - slot


@_compile
def enter(keys: Any, table: Any, count: Any) -> None:
    """All nodes into an empty table."""
    mask = len(table) - 1
    for node in range(count):
        slot = keys[node] & mask
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = node


@_compile
def push_nodes(which: Any, g: Any, h: Any, version: Any, heap: Any, counts: Any, weight: Any, bits: Any) -> None:
    """Entries of nodes from which there may be a way; f is rounded down."""
    whole = bits.view(np.int32)
    for node in which:
        if h[node] == np.inf:
            continue
        exact = weight * g[node] + np.float64(h[node])
        bits[0] = exact
        if np.float64(bits[0]) > exact:
            whole[0] -= 1  # the next number below, as f isn't negative
        key = np.int64(whole[0]) << 32
        bits[0] = h[node]
        key |= np.int64(whole[0])
        counts[1] = _push(heap, counts[1], key, counts[2], node, version[node])
        counts[2] += 1


@_compile
def iterate(
    kind: Any,
    moves: Any,
    random: Any,
    goal: Any,
    batch: Any,
    weight: Any,
    states: Any,
    g: Any,
    h: Any,
    parent: Any,
    action: Any,
    version: Any,
    keys: Any,
    table: Any,
    heap: Any,
    counts: Any,
    costs: Any,
    taken: Any,
    child: Any,
    bits: Any,
) -> None:
    """Take a batch, look for goals, and make the children: new ones become nodes, cheaper ways reopen old ones."""
    chosen, first = 0, counts[0]
    whole = bits.view(np.int32)
    fresh = False
    for _ in range(min(batch, counts[1])):
        node, stamp, key = heap[2][0], heap[3][0], heap[0][0]
        counts[1] = _drop(heap, counts[1])
        if stamp != version[node]:
            continue
        if not fresh:
            fresh = True
            whole[0] = np.int32(key >> 32)
            costs[1] = max(costs[1], np.float64(bits[0]))
        taken[chosen] = node
        chosen += 1
    for place in range(chosen):
        node = taken[place]
        ends = True
        for i in range(len(goal)):
            if states[node, i] != goal[i]:
                ends = False
                break
        if ends:
            if g[node] < costs[0]:
                costs[0], counts[5] = g[node], node
            taken[place] = -1
    for place in range(chosen):
        node = taken[place]
        if node < 0 or g[node] >= costs[0]:
            continue
        counts[4] += 1
        for a in range(len(moves)):
            if not _move(kind, moves, states[node], a, child):
                continue
            counts[3] += 1
            key = np.int64(0)
            for i in range(len(child)):
                key += random[i, child[i]]
            cost = g[node] + 1.0
            found = _find(child, key, states, keys, table)
            if found < 0:
                table[-1 - found] = counts[0]
                found = counts[0]
                counts[0] += 1
                states[found] = child
                keys[found], version[found] = key, 0
                g[found], parent[found], action[found] = cost, node, a
            elif cost < g[found]:
                g[found], parent[found], action[found] = cost, node, a
                if found < first:  # an older entry of it is stale now
                    version[found] += 1
                    push_nodes(np.array([found]), g, h, version, heap, counts, weight, bits)
