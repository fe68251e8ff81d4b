"""The inner loop of batch weighted A*, compiled by numba where it is installed; `compiled_search.py` drives it.

One pass takes the least entries of a heap, tests for goals, makes children, finds them in a table of open addressing,
and appends what is new: no array is made on the way. Only `compiled_search.py` imports this file, when it is first
needed: numba takes a third of a second to import.
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
# Places in the array of counts, and in that of costs
COUNT, HEAP, SEQUENCE, GENERATED, EXPANDED, END, NEW, REOPENED, SIZES = range(9)
BEST, LOW = 0, 1
EMPTY, GROW, DONE, PAUSE = range(4)  # why `search` came back
LOAD = 0.6  # of the table
_S32 = np.uint64(32)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return numba.njit(cache=True, nogil=True)(inspect.unwrap(function)) if FOUND else function


@_compile
def _sift_up(order: Any, tie: Any, node: Any, at: Any, key: Any, number: Any, what: Any) -> None:
    """Let an entry rise from a free place of a heap of four children each."""
    while at > 0:
        above = (at - 1) >> 2
        if order[above] < key or (order[above] == key and tie[above] <= number):
            break
        order[at], tie[at], node[at] = order[above], tie[above], node[above]
        at = above
    order[at], tie[at], node[at] = key, number, what


@_compile
def _sift_down(order: Any, tie: Any, node: Any, size: Any) -> None:
    """Take the first entry away; the one behind the last place, `size`, sinks from there."""
    key, number, what = order[size], tie[size], node[size]
    at = 0
    while True:
        first = 4 * at + 1
        if first >= size:
            break
        least = first
        for child in range(first + 1, min(first + 4, size)):
            if order[child] < order[least] or (order[child] == order[least] and tie[child] < tie[least]):
                least = child
        if key < order[least] or (key == order[least] and number <= tie[least]):
            break
        order[at], tie[at], node[at] = order[least], tie[least], node[least]
        at = least
    order[at], tie[at], node[at] = key, number, what


@_compile
def push(
    which: Any, many: Any, sizes: Any, heap: Any, g: Any, h: Any, last: Any, weight: Any, newest: Any, scratch: Any
) -> None:
    """Enter nodes, in this order, with f rounded down to float32; those with an infinite h have no way on."""
    order, tie, owner = heap
    real, bits = scratch
    for i in range(many):
        node = which[i]
        if h[node] == np.inf:
            last[node] = -1
            continue
        exact = weight * np.float64(g[node]) + np.float64(h[node])
        real[0], real[1] = exact, h[node]
        high, low = np.uint64(bits[0]), np.uint64(bits[1])
        if np.float64(real[0]) > exact:
            high -= np.uint64(1)
        number = sizes[SEQUENCE]
        sizes[SEQUENCE] = number + 1
        last[node] = number
        key = (high << _S32) | low if newest else high << _S32
        _sift_up(order, tie, owner, sizes[HEAP], key, -number if newest else number, node)
        sizes[HEAP] += 1


@_compile
def _take(batch: Any, sizes: Any, costs: Any, heap: Any, nodes: Any, goal: Any, goal_key: Any, scratch: Any) -> Any:
    """Pop a batch, raise the lower bound, look at goals; how many nodes are to be expanded."""
    order, tie, owner = heap
    states, keys, g, last = nodes
    chosen, paid, real, bits = batch
    taken, first = 0, True
    for _ in range(len(chosen)):
        if sizes[HEAP] == 0:
            break
        key, number, node = order[0], tie[0], owner[0]
        sizes[HEAP] -= 1
        if sizes[HEAP] > 0:
            _sift_down(order, tie, owner, sizes[HEAP])
        if last[node] != abs(number):
            continue
        if first:
            bits[0] = np.uint32(key >> _S32)
            costs[LOW] = max(costs[LOW], np.float64(real[0]))
            first = False
        if keys[node] == goal_key:
            same = True
            for i in range(len(goal)):
                same = same and states[node, i] == goal[i]
            if same:
                if g[node] < costs[BEST]:
                    costs[BEST], sizes[END] = g[node], node
                continue
        chosen[taken], paid[taken] = node, g[node]
        taken += 1
    kept = 0
    for i in range(taken):
        if paid[i] < costs[BEST]:
            chosen[kept], paid[kept] = chosen[i], paid[i]
            kept += 1
    return kept


@_compile
def _sort(what: Any, row: Any, many: Any) -> None:
    """By row; few are out of place, so each is carried to its own."""
    for i in range(1, many):
        a, b, j = what[i], row[i], i
        while j > 0 and row[j - 1] > b:
            what[j], row[j] = what[j - 1], row[j - 1]
            j -= 1
        what[j], row[j] = a, b


@_compile
def _expand(
    batch: Any,
    sizes: Any,
    costs: Any,
    heap: Any,
    nodes: Any,
    tree: Any,
    table: Any,
    moves: Any,
    switches: Any,
    hashes: Any,
    goal: Any,
    goal_key: Any,
    fresh: Any,
    reopened: Any,
    child: Any,
) -> None:
    """One batch: what is new lies in `fresh` and behind the old nodes, what was reopened in `reopened`, both by row."""
    states, keys, g, last = nodes
    parents, actions = tree
    first, to, source, valid = moves
    toggles, blank, values, number_of_actions = switches
    new, new_row = fresh
    again, again_row = reopened
    chosen, paid = batch[0], batch[1]
    many = _take(batch, sizes, costs, heap, nodes, goal, goal_key, batch[2:])
    cells, mask, begin = states.shape[1], len(table) - 1, sizes[COUNT]
    count, back, row, moved = begin, 0, 0, False
    for b in range(many):
        node, cost = chosen[b], paid[b] + 1
        context = 0
        if blank:
            while states[node, context] != 0:
                context += 1
        for action in range(number_of_actions):
            what = context * number_of_actions + action
            if not valid[what]:
                continue
            row += 1
            key = keys[node]
            for i in range(cells):
                child[i] = states[node, i]
            for m in range(first[what], first[what + 1]):
                cell = to[m]
                old = states[node, cell]
                value = np.uint8(1 - old) if toggles else states[node, source[m]]
                child[cell] = value
                key += hashes[cell * values + value] - hashes[cell * values + old]
            tag, slot = np.int64(key >> _S32), np.int64(key) & mask
            found = -1
            while table[slot] != -1:
                entry = table[slot]
                if (entry >> 32) & 0xFFFFFFFF == tag:
                    other = entry & 0xFFFFFFFF
                    same = keys[other] == key
                    if same:
                        for i in range(cells):
                            same = same and states[other, i] == child[i]
                    if same:
                        found = other
                        break
                slot = (slot + 1) & mask
            if found < 0:
                table[slot] = (tag << 32) | count
                for i in range(cells):
                    states[count, i] = child[i]
                keys[count], g[count], parents[count], actions[count] = key, cost, node, action
                new[count - begin], new_row[count - begin] = count, row
                count += 1
            elif cost < g[found]:
                g[found], parents[found], actions[found] = cost, node, action
                if found >= begin:
                    new_row[found - begin] = row
                    moved = True
                elif last[found] <= -2:  # already reopened in this batch
                    again_row[-2 - last[found]] = row
                    moved = True
                else:
                    last[found] = -2 - back
                    again[back], again_row[back] = found, row
                    back += 1
    if moved:
        _sort(new, new_row, count - begin)
        _sort(again, again_row, back)
    sizes[GENERATED] += row
    sizes[EXPANDED] += many
    sizes[COUNT], sizes[NEW], sizes[REOPENED] = count, count - begin, back


@_compile
def search(
    until: Any,
    blind: Any,
    batch: Any,
    sizes: Any,
    costs: Any,
    heap: Any,
    nodes: Any,
    tree: Any,
    table: Any,
    moves: Any,
    switches: Any,
    hashes: Any,
    goal: Any,
    goal_key: Any,
    fresh: Any,
    reopened: Any,
    child: Any,
    h: Any,
    weight: Any,
    newest: Any,
) -> Any:
    """Batch after batch where h = 0, until so many children were made, the arrays are full, or it is over; else one."""
    most = len(batch[0]) * switches[3]
    scratch = batch[2:]
    while True:
        if sizes[HEAP] == 0:
            return EMPTY
        full = max(sizes[COUNT], sizes[HEAP]) + most
        if full > len(h) or full > LOAD * len(table):
            return GROW
        _expand(
            batch,
            sizes,
            costs,
            heap,
            nodes,
            tree,
            table,
            moves,
            switches,
            hashes,
            goal,
            goal_key,
            fresh,
            reopened,
            child,
        )
        push(reopened[0], sizes[REOPENED], sizes, heap, nodes[2], h, nodes[3], weight, newest, scratch)
        if not blind:
            return PAUSE
        push(fresh[0], sizes[NEW], sizes, heap, nodes[2], h, nodes[3], weight, newest, scratch)
        if costs[BEST] < np.inf and costs[LOW] >= weight * costs[BEST]:
            return DONE
        if sizes[GENERATED] >= until:
            return PAUSE


@_compile
def fill(table: Any, keys: Any, count: Any) -> None:
    """Enter nodes, that all differ, into an empty table."""
    mask = len(table) - 1
    for node in range(count):
        slot = np.int64(keys[node]) & mask
        while table[slot] != -1:
            slot = (slot + 1) & mask
        table[slot] = (np.int64(keys[node] >> _S32) << 32) | node
