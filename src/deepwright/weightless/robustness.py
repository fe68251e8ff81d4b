"""What bit flips in memory (single event upsets) cost, and what three copies of the tables that vote most save."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.weightless.inputs import as_bits, as_labels, integer, known_labels
from deepwright.weightless.mapping import addresses, blocks
from deepwright.weightless.tables import BinaryWNN


@dataclass(frozen=True)
class FlipCurve:
    """Accuracy under bit flips.

    Attributes:
        rates: chance of each stored bit.
        accuracy: (rates, repeats).
        clean: accuracy without flips.
        protected: tables that are stored three times.
        nbytes: bytes of the tables, copies counted.
    """

    rates: tuple[float, ...]
    accuracy: np.ndarray
    clean: float
    protected: int
    nbytes: int

    def __str__(self) -> str:
        rows = [f"{self.clean:.3f} without flips; {self.protected} tables stored three times, {self.nbytes} bytes"]
        for rate, found in zip(self.rates, self.accuracy, strict=True):
            rows.append(f"{rate:g}: {found.mean():.3f} (from {found.min():.3f} to {found.max():.3f})")
        return "\n".join(rows)


def flips(rate: float, seed: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A source of independent flips: called with a shape, it gives 0 and 1.

    Args:
        rate: chance of 1.
        seed: of the draws.

    Raises:
        InputError: a rate outside [0, 1].
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not 0 <= rate <= 1:
        raise InputError("rate", given=repr(rate), expected="a chance in [0, 1]")
    rng = np.random.default_rng(derive_seed("weightless flips", seed=integer(seed, "seed", 0, 2**63 - 1)))
    return lambda shape: (rng.random(shape) < rate).astype(np.uint8)


def flip_bits(network: BinaryWNN, rate: float, seed: int = 0, protected: np.ndarray | None = None) -> BinaryWNN:
    """The network after bits of its tables flipped, each one by itself.

    Args:
        network: to damage; it stays as it is.
        rate: chance of each stored bit.
        seed: of the draws.
        protected: places of tables that are stored three times and read by majority (TMR), all classes of them.

    Raises:
        InputError: a rate outside [0, 1], places that aren't the network's, or one that comes twice.
    """
    if protected is not None and len(protected):
        places = np.asarray(protected)
        whole = places.ndim == 1 and places.dtype.kind in "iu"
        if (
            not whole
            or places.min() < 0
            or places.max() >= len(network.mapping)
            or len(np.unique(places)) < len(places)
        ):
            given = str(places.tolist()[:6])
            raise InputError("protected", given=given, expected=f"different places below {len(network.mapping)}")
    found, tables = flips(rate, seed), network.tables.copy()
    wrong = found(tables.shape)
    if protected is not None and len(protected):
        three = wrong[protected] + found((2, len(protected), *tables.shape[1:])).sum(axis=0)
        wrong[protected] = three >= 2
    damaged = tables ^ wrong.astype(np.uint8)
    return BinaryWNN(damaged, network.mapping, network.features, network.classes, network.booleanizer, network.engine)


def most_voted(network: BinaryWNN, X: Any) -> np.ndarray:
    """Places of the tables, those first that most often voted for the class that won.

    Args:
        network: whose tables they are.
        X: Boolean features (samples, features), of training or validation.
    """
    bits = as_bits(X, network.features)
    winner = network.votes(bits).argmax(axis=1)
    own, given = np.arange(len(network.mapping)), np.zeros(len(network.mapping), dtype=np.int64)
    for part in blocks(len(bits), len(own)):
        given += network.tables[own, addresses(bits[part], network.mapping), winner[part, None]].sum(
            axis=0, dtype=np.int64
        )
    return np.argsort(-given, kind="stable")


def bit_flips(
    network: BinaryWNN,
    X: Any,
    y: Any,
    rates: Sequence[float] = (0.001, 0.01, 0.05, 0.1, 0.2),
    protect: float = 0.0,
    repeats: int = 5,
    seed: int = 0,
    calibration: Any = None,
) -> FlipCurve:
    """Accuracy against the rate of flips, with the most voted tables stored three times where that is asked for.

    The same draws hit the unprotected copy whatever `protect` is, so curves of equal seeds are paired.

    Args:
        network: to damage; it stays as it is.
        X: Boolean features (samples, features).
        y: their labels.
        rates: chances of each stored bit.
        protect: share of the tables to store three times, in [0, 1]; rounded up to whole tables.
        repeats: draws at each rate.
        seed: of the draws.
        calibration: samples by which `most_voted` orders the tables; needed with `protect`, and not the test's.

    Raises:
        InputError: rates or shares outside their bounds, no rates, `protect` without `calibration`.
    """
    bits = as_bits(X, network.features)
    truth = known_labels(as_labels(y, len(bits)), network.classes)
    integer(repeats, "repeats", 1, 10_000)
    if isinstance(rates, str) or not isinstance(rates, Sequence | np.ndarray) or not len(rates):
        raise InputError("rates", given=repr(rates), expected="at least one chance in [0, 1], as (0.01, 0.1)")
    if isinstance(protect, bool) or not 0 <= protect <= 1:
        raise InputError("protect", given=repr(protect), expected="a share in [0, 1]")
    if protect and calibration is None:
        raise InputError("calibration", given="None", expected="samples to order the tables by, with protect > 0")
    count = math.ceil(protect * len(network.mapping) - 1e-9)
    protected = most_voted(network, calibration)[:count] if count else np.zeros(0, dtype=np.int64)

    def right(net: BinaryWNN) -> float:
        return float((net.votes(bits).argmax(axis=1) == truth).mean())

    found = [
        [
            right(flip_bits(network, rate, derive_seed("weightless repeat", k, seed=seed), protected))
            for k in range(repeats)
        ]
        for rate in rates
    ]
    extra = -(-2 * count * network.tables[0].size // 8)
    return FlipCurve(tuple(map(float, rates)), np.array(found), right(network), count, network.nbytes + extra)
