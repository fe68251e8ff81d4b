"""The two inner loops: training of automata, and packed votes. NumPy here, numba in `compiled.py`; same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepwright.core.errors import MissingExtraError, unknown_name
from deepwright.weightless.mapping import addresses, blocks

ENGINES = ("auto", "numba", "numpy")
MODES = {"errors": 0, "margin": 1, "always": 2}
_GOLDEN, _A, _B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def chosen_engine(engine: str) -> Any:
    """The module of compiled loops, or None for NumPy.

    Args:
        engine: `auto` takes numba where it is installed.

    Raises:
        MissingExtraError: numba was asked for and isn't installed.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", str(engine), ENGINES)
    if engine == "numpy":
        return None
    from deepwright.weightless import compiled

    if engine == "numba" and not compiled.FOUND:
        raise MissingExtraError("numba", "wnn", "engine='numba'")
    return compiled if compiled.FOUND else None


def _mixed(z: np.ndarray) -> np.ndarray:
    """One avalanche of 64-bit counters (splitmix64)."""
    z = (z ^ (z >> np.uint64(30))) * _A
    z = (z ^ (z >> np.uint64(27))) * _B
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class Rule:
    """How automata learn.

    Attributes:
        middle: the smallest state that says 1.
        top: the largest state.
        chance: (classes,) in 1..256: the chance of a step, in 256ths, for samples of each class.
        key: of the random draws, 64 bits.
        mode: 0 for errors only, 1 for margins too, 2 for all samples.
        margin: votes that a right answer must be ahead, in mode 1.
        random_ties: draw among the classes that are equal; else the lowest.
        only_wrong: reward only entries that said 0, punish only those that said 1.
    """

    middle: int
    top: int
    chance: np.ndarray
    key: int
    mode: int = 0
    margin: int = 0
    random_ties: bool = True
    only_wrong: bool = False


def train(
    rows: np.ndarray, labels: np.ndarray, states: np.ndarray, rule: Rule, first: int, engine: str = "auto"
) -> tuple[int, int, int]:
    """One pass over the samples, one after the other; `states` are changed in place.

    A sample's draws are a hash of (key, its number, table), so they depend neither on how the stream is cut into chunks
    nor on the engine.

    Args:
        rows: (samples, luts), the addresses.
        labels: (samples,), places among the classes.
        states: (luts, 2^n, classes).
        rule: how they learn.
        first: the number of the first sample in the stream that the network has seen.
        engine: see `chosen_engine`.

    Returns:
        samples that were right when they came, steps up, steps down.
    """
    found, words = chosen_engine(engine), -(-rows.shape[1] // 4)
    if found is not None:
        options = (rule.mode, rule.margin, rule.random_ties, rule.only_wrong)
        middle, top = states.dtype.type(rule.middle), states.dtype.type(rule.top)
        key = np.uint64(rule.key)
        result = found.train(rows, labels, states, middle, top, rule.chance, key, first, words, *options)
        return int(result[0]), int(result[1]), int(result[2])
    correct = raised = lowered = 0
    luts, size, classes = states.shape
    flat = states.reshape(luts * size, classes)
    starts = np.arange(luts, dtype=np.int64) * size
    counters = np.arange(1, words + 1, dtype=np.uint64) * _GOLDEN
    for i, (row, label) in enumerate(zip(rows, labels.tolist())):
        at = starts + row
        sums = (flat[at] >= rule.middle).sum(axis=0)
        tied = np.flatnonzero(sums == sums.max())
        number = ((first + i) * (words + 1) * int(_GOLDEN) + rule.key) & 0xFFFFFFFFFFFFFFFF
        base = np.array([number], dtype=np.uint64)
        pick = int(_mixed(base)[0] % np.uint64(len(tied))) if rule.random_ties and len(tied) > 1 else 0
        rival = int(tied[pick])
        if rival == label:
            correct += 1
            if rule.mode == 0:
                continue
            others = sums.copy()
            others[label] = -1
            rival = int(others.argmax())
            if rule.mode == 1 and sums[label] - sums[rival] >= rule.margin:
                continue
        up = down = at
        if rule.chance[label] < 256:
            drawn = _mixed(base + counters).astype("<u8").view(np.uint8).reshape(-1, 2)[:luts] < rule.chance[label]
            up, down = at[drawn[:, 0]], at[drawn[:, 1]]
        old, bad = flat[up, label], flat[down, rival]
        more = old < (rule.middle if rule.only_wrong else rule.top)
        less = bad >= (rule.middle if rule.only_wrong else 1)
        flat[up, label] = old + more.astype(states.dtype)
        flat[down, rival] = bad - less.astype(states.dtype)
        raised, lowered = raised + int(more.sum()), lowered + int(less.sum())
    return correct, raised, lowered


def packed(tables: np.ndarray) -> np.ndarray:
    """Tables of 0 and 1 with four classes in each 64-bit word, a lane of 16 bits each.

    Args:
        tables: (luts, 2^n, classes).

    Returns:
        (luts, 2^n, ceil(classes / 4)) uint64. Sums of up to 65 535 of them don't leave their lanes.
    """
    luts, size, classes = tables.shape
    lanes = np.zeros((luts, size, -(-classes // 4) * 4), dtype="<u2")
    lanes[:, :, :classes] = tables
    return lanes.view("<u8").astype(np.uint64)


def packed_votes(bits: np.ndarray, mapping: np.ndarray, words: np.ndarray, engine: str = "auto") -> np.ndarray:
    """Votes of each class, (samples, lanes) int64; lanes beyond the classes are 0.

    Args:
        bits: (samples, features) of 0 and 1.
        mapping: (luts, inputs).
        words: `packed` tables.
        engine: see `chosen_engine`.
    """
    found, (luts, size, width) = chosen_engine(engine), words.shape
    sums = np.zeros((len(bits), width), dtype=np.uint64)
    if found is not None:
        places = mapping.astype(np.uint32)  # unsigned: no look at negative indices
        whole = len(bits) // found.BLOCK * found.BLOCK if mapping.shape[1] <= 16 else 0
        if whole:
            found.block_votes(bits[:whole], places, words, sums[:whole])
        if whole < len(bits):
            found.votes(bits[whole:], places, words, sums[whole:])
    else:
        flat, starts = words.reshape(luts * size, width), np.arange(luts, dtype=np.int64) * size
        for part in blocks(len(bits), luts * width * 4):
            sums[part] = flat[starts + addresses(bits[part], mapping)].sum(axis=1)
    return sums.astype("<u8").view("<u2").astype(np.int64)
