"""The digits of arXiv 2603.24186's example as its text describes them: split, mapping and states by Python's `random`."""

import functools
import random

import numpy as np
from sklearn.datasets import load_digits

from deepwright.weightless.mapping import addresses

N, L, TRAIN = 6, 33, 1437


@functools.cache
def digits():
    """(bits, labels), shuffled; the first 1437 are for training."""
    X, y = load_digits(return_X_y=True)
    order = random.Random(1).sample(range(1797), 1797)
    return (X > 7.5).astype(np.uint8)[order], y[order]


@functools.cache
def authors_mapping():
    draws, indices = random.Random(1), []
    for _ in range(3):
        indices += draws.sample(range(66), 66)
    return np.array(indices, dtype=np.int32).reshape(L, N)


def authors_states():
    draws = random.Random(10)
    one = np.array([[128 - draws.randint(0, 1) for _ in range(64)] for _ in range(L)])
    return np.ascontiguousarray(np.repeat(one[:, :, None], 10, axis=2), dtype=np.uint8)


@functools.cache
def authors_rows():
    return addresses(digits()[0], authors_mapping())
