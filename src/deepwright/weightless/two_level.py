"""Sums of products for many small tables at once: Quine and McCluskey's primes, then a cover without spare ones.

Sources: W. V. Quine, "A way to simplify truth functions" (1955); E. J. McCluskey, "Minimization of Boolean functions"
(1956). All 3^n cubes of a table are looked at together, which is why n is 6 at most.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from deepwright.core.errors import InputError

MOST_INPUTS = 6
_BLOCK = 2048


@dataclass(frozen=True)
class Products:
    """Products of each table.

    Attributes:
        cubes: (3^n, n) what a product asks of each input: 0, 1, or 2 for nothing.
        chosen: (tables, 3^n), which products make the table.
    """

    cubes: np.ndarray
    chosen: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """Products of each table."""
        return self.chosen.sum(axis=1)

    @property
    def literals(self) -> np.ndarray:
        """Inputs that the products of each table ask for, in all."""
        return self.chosen @ (self.cubes < 2).sum(axis=1)

    def evaluate(self) -> np.ndarray:
        """The tables that the products make, (tables, 2^n) of 0 and 1."""
        return (self.chosen.astype(np.float32) @ _members(self.cubes.shape[1]) > 0).astype(np.uint8)


def minimise(tables: np.ndarray, care: np.ndarray | None = None) -> Products:
    """A small sum of products for each table.

    Every product is a prime implicant and none can be left out. Essential ones are taken first, then those that cover
    most of what is left; that is the fewest for most tables, but not for all: an upper bound.

    Args:
        tables: (tables, 2^n) of 0 and 1; the first input is the highest bit of the address.
        care: (tables, 2^n), where the entry matters; everywhere if None.

    Raises:
        InputError: tables of more than six inputs.
    """
    inputs = tables.shape[1].bit_length() - 1
    if tables.ndim != 2 or tables.shape[1] != 1 << inputs or not 1 <= inputs <= MOST_INPUTS:
        raise InputError("tables", given=f"{tables.shape}", expected=f"(tables, 2^n), n in 1..{MOST_INPUTS}")
    known = np.ones(tables.shape, dtype=bool) if care is None else np.asarray(care, dtype=bool)
    if known.shape != tables.shape:
        raise InputError("care", given=f"{known.shape}", expected=f"{tables.shape}")
    on, off = (tables != 0) & known, (tables == 0) & known
    parts = [slice(i, i + _BLOCK) for i in range(0, len(tables), _BLOCK)]
    chosen = [_cover(on[part], _primes(on[part], off[part], inputs), inputs) for part in parts]
    return Products(_cubes(inputs), np.concatenate(chosen))


@functools.cache
def _cubes(inputs: int) -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(3**inputs), (3,) * inputs), axis=1)


@functools.cache
def _members(inputs: int) -> np.ndarray:
    """(3^n, 2^n): whether an address lies in a cube."""
    bits = (np.arange(1 << inputs)[:, None] >> np.arange(inputs - 1, -1, -1)) & 1
    cubes = _cubes(inputs)[:, None]
    return ((cubes == 2) | (cubes == bits)).all(axis=2).astype(np.float32)


def _primes(on: np.ndarray, off: np.ndarray, inputs: int) -> np.ndarray:
    """(tables, 3^n): cubes without an entry 0, in no larger such cube, with an entry 1 that matters."""
    members, cubes = _members(inputs), _cubes(inputs)
    implicant = off.astype(np.float32) @ members.T == 0
    larger = np.zeros_like(implicant)
    steps = 3 ** np.arange(inputs - 1, -1, -1)
    for k in range(inputs):
        asks = np.flatnonzero(cubes[:, k] < 2)
        larger[:, asks] |= implicant[:, asks + (2 - cubes[asks, k]) * steps[k]]
    return implicant & ~larger & (on.astype(np.float32) @ members.T > 0)


def _cover(on: np.ndarray, primes: np.ndarray, inputs: int) -> np.ndarray:
    members = _members(inputs)
    ways = primes.astype(np.float32) @ members
    alone = (on & (ways == 1)).astype(np.float32)
    chosen = primes & (alone @ members.T > 0)
    while True:
        left = on & (chosen.astype(np.float32) @ members == 0)
        open_ = np.flatnonzero(left.any(axis=1))
        if not len(open_):
            return _without_spare(on, chosen, members)
        gain = np.where(primes[open_], left[open_].astype(np.float32) @ members.T, -1)
        chosen[open_, gain.argmax(axis=1)] = True


def _without_spare(on: np.ndarray, chosen: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Take out, one after the other, products whose entries others cover too."""
    ways = chosen.astype(np.float32) @ members
    for cube in np.flatnonzero(chosen.any(axis=0)):
        rows = np.flatnonzero(chosen[:, cube])
        inside = members[cube] > 0
        spare = rows[~(on[rows][:, inside] & (ways[rows][:, inside] < 2)).any(axis=1)]
        chosen[spare, cube] = False
        ways[spare] -= members[cube]
    return chosen
