"""The inner loops, compiled by numba where it is installed; `kernels.py` says what they do and has them in NumPy.

Only `kernels.py` imports this file, when it is first needed: numba takes a third of a second to import.
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
BLOCK = 128  # samples whose addresses are made together
_GOLDEN, _A, _B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S16, _S8 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(16), np.uint64(8)
_BYTE = np.uint64(255)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return numba.njit(cache=True, nogil=True)(inspect.unwrap(function)) if FOUND else function


@_compile
def train(
    rows: Any,
    labels: Any,
    states: Any,
    middle: Any,
    top: Any,
    chance: Any,
    key: Any,
    first: Any,
    words: Any,
    mode: Any,
    margin: Any,
    random_ties: Any,
    only_wrong: Any,
) -> Any:
    """`kernels.train`, with its `Rule` spread out, for numba."""
    samples, luts = rows.shape
    classes = states.shape[2]
    sums = np.zeros(classes, dtype=np.int64)
    correct, raised, lowered = 0, 0, 0
    for i in range(samples):
        sums[:] = 0
        for j in range(luts):
            for c in range(classes):
                sums[c] += states[j, rows[i, j], c] >= middle
        best, ties = sums[0], 1
        for c in range(1, classes):
            if sums[c] > best:
                best, ties = sums[c], 1
            elif sums[c] == best:
                ties += 1
        base = key + np.uint64(first + i) * np.uint64(words + 1) * _GOLDEN
        skip: Any = 0
        if random_ties and ties > 1:
            z = base
            z = (z ^ (z >> _S30)) * _A
            z = (z ^ (z >> _S27)) * _B
            z = z ^ (z >> _S31)
            skip = np.int64(z % np.uint64(ties))
        predicted = 0
        for c in range(classes):
            if sums[c] == best:
                if skip == 0:
                    predicted = c
                    break
                skip -= 1
        label, rival = labels[i], predicted
        if predicted == label:
            correct += 1
            if mode == 0:
                continue
            rival = -1
            for c in range(classes):
                if c != label and (rival < 0 or sums[c] > sums[rival]):
                    rival = c
            if mode == 1 and sums[label] - sums[rival] >= margin:
                continue
        share = np.uint64(chance[label])
        word = np.uint64(0)
        for j in range(luts):
            reward: Any = True
            penalty: Any = True
            if share < np.uint64(256):
                if j % 4 == 0:
                    z = base + np.uint64(1 + j // 4) * _GOLDEN
                    z = (z ^ (z >> _S30)) * _A
                    z = (z ^ (z >> _S27)) * _B
                    word = z ^ (z >> _S31)
                reward = (word & _BYTE) < share
                penalty = ((word >> _S8) & _BYTE) < share
                word = word >> _S16
            a = rows[i, j]
            if reward:
                s = states[j, a, label]
                if s < top and not (only_wrong and s >= middle):
                    states[j, a, label] = s + 1
                    raised += 1
            if penalty:
                s = states[j, a, rival]
                if s > 0 and not (only_wrong and s < middle):
                    states[j, a, rival] = s - 1
                    lowered += 1
    return correct, raised, lowered


@_compile
def votes(bits: Any, mapping: Any, words: Any, sums: Any) -> None:
    """`kernels.packed_votes`, added to `sums`, for numba."""
    samples, features = bits.shape
    luts, inputs = mapping.shape
    width = words.shape[2]
    row = np.zeros(features + inputs, dtype=np.uint32)  # with the zeros that the mapping pads bits with
    total = np.zeros(width, dtype=np.uint64)
    for i in range(samples):
        row[:features] = bits[i]
        total[:] = 0
        for j in range(luts):
            a = np.uint32(0)
            for b in range(inputs):
                a = (a << np.uint32(1)) | row[mapping[j, b]]
            for w in range(width):
                total[w] += words[j, a, w]
        sums[i] = total


@_compile
def block_votes(bits: Any, mapping: Any, words: Any, sums: Any) -> None:
    """`votes` for a multiple of `BLOCK` samples: addresses of a block are made side by side, from columns of bits."""
    samples, features = bits.shape
    luts, inputs = mapping.shape
    width = words.shape[2]
    column = np.zeros((features + inputs, BLOCK), dtype=np.uint16)  # with the zeros that the mapping pads bits with
    address = np.zeros(BLOCK, dtype=np.uint16)
    total = np.zeros((width, BLOCK), dtype=np.uint64)
    for start in range(0, samples, BLOCK):
        for s in range(BLOCK):
            for f in range(features):
                column[f, s] = bits[start + s, f]
        total[:] = 0
        for j in range(luts):
            address[:] = 0
            for b in range(inputs):
                own = column[mapping[j, b]]
                for s in range(BLOCK):
                    address[s] = (address[s] << np.uint16(1)) | own[s]
            table = words[j]
            for w in range(width):
                for s in range(BLOCK):
                    total[w, s] += table[address[s], w]
        for s in range(BLOCK):
            for w in range(width):
                sums[start + s, w] = total[w, s]


@_compile
def count_bloom(places: Any, labels: Any, counts: Any) -> None:
    """`wisard.bloom._count_bloom`, for numba."""
    samples, luts, hashes = places.shape
    for i in range(samples):
        label = labels[i]
        for j in range(luts):
            least = counts[j, places[i, j, 0], label]
            for k in range(1, hashes):
                least = min(least, counts[j, places[i, j, k], label])
            for k in range(hashes):
                if counts[j, places[i, j, k], label] == least:
                    counts[j, places[i, j, k], label] = least + 1
