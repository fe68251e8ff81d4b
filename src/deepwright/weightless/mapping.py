"""Which bits each lookup table reads, and the address that they make."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed

_BLOCK = 1 << 25  # addresses at once


def random_mapping(features: int, inputs: int, luts: int, seed: int = 0) -> np.ndarray:
    """Random permutations of the bits, one after the other, until each input of each table has one.

    The bits are padded with zeros to a multiple of `inputs`; indices of `features` and above are those zeros. The last
    permutation is a random sample without replacement, so each bit is used floor(n L / F') times or once more.

    Args:
        features: bits of a sample, F.
        inputs: of a table, n.
        luts: tables, L.
        seed: of the permutations.

    Returns:
        (L, n) int32. A warning says when some bits are not used at all.
    """
    padded, needed = -(-features // inputs) * inputs, inputs * luts
    rng = np.random.default_rng(derive_seed("weightless mapping", features, inputs, seed=seed))
    parts: list[np.ndarray] = []
    for start in range(0, needed, padded):
        parts.append(rng.permutation(padded)[: needed - start])
    if needed < padded:
        warnings.warn(f"{padded - needed} of {padded} bits are in no table: raise n_luts", UserWarning, stacklevel=3)
    return np.concatenate(parts).astype(np.int32).reshape(luts, inputs)


def check_mapping(mapping: np.ndarray, features: int, inputs: int, luts: int) -> np.ndarray:
    """A mapping that somebody gave.

    Args:
        mapping: (luts, inputs) of indices.
        features: bits of a sample.
        inputs: of a table.
        luts: tables.

    Raises:
        InputError: another shape, or indices outside the padded bits.
    """
    found, padded = np.asarray(mapping), -(-features // inputs) * inputs
    if found.shape != (luts, inputs) or found.dtype.kind not in "iu":
        raise InputError("mapping", given=f"{found.dtype} {found.shape}", expected=f"integers ({luts}, {inputs})")
    if found.min() < 0 or found.max() >= padded:
        raise InputError("mapping", given=f"{found.min()}..{found.max()}", expected=f"indices in 0..{padded - 1}")
    return np.ascontiguousarray(found, dtype=np.int32)


def addresses(bits: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """a_j = sum_b x[mapping[j, b]] 2^(n-1-b): the first input is the most significant bit.

    Args:
        bits: (samples, features) of 0 and 1; indices beyond them are zeros.
        mapping: (luts, inputs).

    Returns:
        (samples, luts): uint16 for up to 16 inputs, else uint32.
    """
    rows = np.zeros((max(bits.shape[1], int(mapping.max()) + 1), len(bits)), dtype=np.uint8)
    rows[: bits.shape[1]] = bits.T
    dtype = np.uint16 if mapping.shape[1] <= 16 else np.uint32
    result = np.zeros((len(mapping), len(bits)), dtype=dtype)
    for b in range(mapping.shape[1]):
        result <<= dtype(1)
        result |= rows[mapping[:, b]]
    return np.ascontiguousarray(result.T)


def blocks(samples: int, luts: int) -> Iterator[slice]:
    """Parts of the samples, small enough for their addresses to be held.

    Args:
        samples: how many there are.
        luts: addresses of each.
    """
    size = max(1, _BLOCK // max(1, luts))
    for start in range(0, samples, size):
        yield slice(start, min(start + size, samples))
