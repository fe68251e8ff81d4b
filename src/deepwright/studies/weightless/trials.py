"""What the study trains: each rule on the same bits, mapping and split."""

from __future__ import annotations

import functools
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.randomness import derive_seed
from deepwright.data.named.embedded import mnist_5k, read_idx_images, read_idx_labels
from deepwright.weightless import (
    BleachingWiSARD,
    BTHOWeN,
    DWNClassifier,
    TsetlinWiSARD,
    ULEENClassifier,
    WiSARD,
    bit_flips,
)

WISARD, BLEACHING, BLOOM = "WiSARD", "bleaching", "BTHOWeN"
HALF, WHOLE = "TsetlinWiSARD, q = 0.5", "TsetlinWiSARD, q = 1"
DWN, ULEEN = "DWN", "ULEEN"
COUNTED, AUTOMATA = (WISARD, BLEACHING), (HALF, WHOLE)
EPOCHS = (1, 2, 5, 10, 20, 30)
GRADIENT_EPOCHS = 8
RATES = (0.001, 0.01, 0.05, 0.1, 0.2)
HASHED_FROM = 15
FEATURES = 784
MNIST_5K, MNIST_10K = "5,000 digits", "10,000 digits"
Part = tuple[np.ndarray, np.ndarray]


def luts_of(n: int, uses: int) -> int:
    """Tables of n inputs that read each pixel so often.

    Args:
        n: inputs of a table.
        uses: times a pixel is read.
    """
    return -(-FEATURES * uses // n)


@functools.lru_cache(maxsize=2)
def pixels(name: str, root: str) -> Part:
    """Pixels above 75 of 255, (samples, 784) of 0 and 1, and labels.

    Args:
        name: `MNIST_5K` or `MNIST_10K`.
        root: folder of the 10,000 test digits' files.
    """
    if name == MNIST_5K:
        x, y = mnist_5k()
    else:
        x, y = read_idx_images(Path(root), "t10k"), read_idx_labels(Path(root), "t10k")
    grey = x.reshape(len(x), -1).numpy()
    return (grey > 75).astype(np.uint8), y.numpy()


def split(seed: int, name: str = MNIST_5K, root: str = "", quick: bool = False) -> tuple[Part, Part, Part]:
    """72 % to train, 8 % to validate, 20 % to test, in an order of the seed.

    Args:
        seed: of the order.
        name: which digits.
        root: see `pixels`.
        quick: a tenth of the digits.
    """
    bits, y = pixels(name, root)
    order = np.random.default_rng(derive_seed("weightless study", seed=seed)).permutation(len(y))
    order = order[: len(y) // 10 if quick else len(y)]
    ends = (int(0.72 * len(order)), int(0.8 * len(order)), len(order))
    places = (order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :])
    train, validation, test = ((bits[at], y[at]) for at in places)
    return train, validation, test


def automata(arm: str, n: int, luts: int, seed: int, **options: Any) -> TsetlinWiSARD:
    """An untrained TsetlinWiSARD.

    Args:
        arm: of `AUTOMATA`.
        n: inputs of a table.
        luts: tables of each class.
        seed: of mapping, states and draws.
        **options: of `TsetlinWiSARD`.
    """
    chances = {HALF: 0.5, WHOLE: 1.0}
    return TsetlinWiSARD(n, luts, **{"p_update": chances[arm], "random_state": seed} | options)


def counted(arm: str, n: int, luts: int, seed: int) -> WiSARD:
    """An untrained WiSARD, plain or bleached; hashed where dense tables would be too large.

    Args:
        arm: of `COUNTED`.
        n: inputs of a table.
        luts: tables of each class.
        seed: of the mapping.
    """
    kind = {WISARD: WiSARD, BLEACHING: BleachingWiSARD}[arm]
    return kind(n, luts, random_state=seed, tables="hashed" if n >= HASHED_FROM else "dense")


def score_of(net: Any, part: Part) -> float:
    """Share of a part that a network is right on.

    Args:
        net: fitted.
        part: bits and labels.
    """
    return float((net.predict(part[0]) == part[1]).mean())


def automata_trial(
    arm: str,
    n: int,
    uses: int,
    seed: int,
    epochs: tuple[int, ...] = EPOCHS,
    data: str = MNIST_5K,
    root: str = "",
    quick: bool = False,
) -> dict[str, Any]:
    """One training, looked at after several numbers of epochs.

    Args:
        arm: of `AUTOMATA`.
        n: inputs of a table.
        uses: times a pixel is read.
        seed: of split, mapping, states, orders and draws.
        epochs: when validation and test accuracy are taken, rising.
        data: which digits.
        root: see `pixels`.
        quick: a tenth of the digits.
    """
    train, validation, test = split(seed, data, root, quick)
    net, seconds = automata(arm, n, luts_of(n, uses), seed), 0.0
    found: dict[str, Any] = {}
    orders = np.random.default_rng(derive_seed("weightless orders", seed=seed))
    _compiled()
    for epoch in range(1, max(epochs) + 1):
        order = orders.permutation(len(train[1]))
        begin = time.process_time()
        net.partial_fit(train[0][order], train[1][order], classes=np.arange(10))
        seconds += time.process_time() - begin
        if epoch in epochs:
            small = net.to_binary()
            measured = {"validation": score_of(small, validation), "test": score_of(small, test)}
            found[str(epoch)] = measured | {"bytes": small.nbytes, "seconds": seconds}
    return {"after": found, "microseconds": _microseconds(net.to_binary(), test[0])}


def counted_trial(
    arm: str, n: int, uses: int, seed: int, data: str = MNIST_5K, root: str = "", quick: bool = False
) -> dict[str, Any]:
    """One pass of counting; bleaching's threshold is chosen inside, on a tenth of what it trains on.

    Args:
        arm: of `COUNTED`.
        n: inputs of a table.
        uses: times a pixel is read.
        seed: of split and mapping.
        data: which digits.
        root: see `pixels`.
        quick: a tenth of the digits.
    """
    return _measured(counted(arm, n, luts_of(n, uses), seed), split(seed, data, root, quick))


def bloom_trial(
    n: int, uses: int, entries: int, seed: int, data: str = MNIST_5K, root: str = "", quick: bool = False
) -> dict[str, Any]:
    """BTHOWeN; its threshold is chosen inside, as bleaching's.

    Args:
        n: inputs of a table.
        uses: times a pixel is read.
        entries: of a filter.
        seed: of split, mapping and hashes.
        data: which digits.
        root: see `pixels`.
        quick: a tenth of the digits.
    """
    net = BTHOWeN(n, luts_of(n, uses), entries, random_state=seed)
    return _measured(net, split(seed, data, root, quick))


def gradient_trial(
    arm: str, tables: int, lr: float, seed: int, epochs: int, mapping: str = "random", quick: bool = False
) -> dict[str, Any]:
    """A network that gradients train.

    Args:
        arm: `DWN` or `ULEEN`.
        tables: of DWN's layer; of each of ULEEN's three submodels.
        lr: learning rate.
        seed: of split, mapping, entries and order.
        epochs: passes.
        mapping: of DWN.
        quick: a tenth of the digits.
    """
    more: dict[str, Any] = {"epochs": epochs, "batch_size": 64, "lr": lr, "random_state": seed}
    if arm == DWN:
        net: Any = DWNClassifier((tables,), 6, mapping=mapping, tau=(tables / 10) ** 0.5 / 3, **more)
    else:
        net = ULEENClassifier((12, 16, 20), tables, **more)
    return _measured(net, split(seed, quick=quick))


def _measured(net: Any, parts: tuple[Part, Part, Part]) -> dict[str, Any]:
    train, validation, test = parts
    _compiled()
    begin = time.process_time()
    net.fit(*train)
    seconds = time.process_time() - begin
    dense = isinstance(net, WiSARD) and net.tables == "dense"
    reader = net.to_binary() if dense else net
    return {
        "validation": score_of(reader, validation),
        "test": score_of(reader, test),
        "bytes": reader.nbytes,
        "seconds": seconds,
        "microseconds": _microseconds(reader, test[0]),
    }


def _microseconds(net: Any, bits: np.ndarray) -> float:
    """CPU time of a prediction, the least of three runs over the test digits; the first call compiles."""
    net.predict(bits[:2])
    best = np.inf
    for _ in range(3):
        begin = time.process_time()
        net.predict(bits)
        best = min(best, time.process_time() - begin)
    return float(best / len(bits) * 1e6)


@functools.cache
def _compiled() -> None:
    """Compile what trains, once a process, so that no trial's seconds hold it."""
    rng = np.random.default_rng(0)
    bits, y = rng.integers(0, 2, (40, 8)).astype(np.uint8), np.arange(40) % 2
    TsetlinWiSARD(2, 4, epochs=1, random_state=0).partial_fit(bits, y, classes=[0, 1])
    BTHOWeN(4, 2, 16, random_state=0).fit(bits, y)


# --- why: one option each, other data, damage ------------------------------------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "as published: q = 0.5, 256 states": {},
    "q = 0.1": {"p_update": 0.1},
    "q = 0.25": {"p_update": 0.25},
    "q = 1": {"p_update": 1.0},
    "16 states": {"n_states": 16},
    "4 states": {"n_states": 4},
    "initial states drawn for each class": {"init": "independent"},
    "initial states all below the middle": {"init": "zeros"},
    "updates on every sample": {"update": "always"},
    "updates below a margin of 20 votes": {"update": "margin", "margin": 20},
    "only tables that voted wrongly": {"only_wrong_votes": True},
}
CONTROL = "labels drawn anew"


def variant_trial(variant: str, seed: int, n: int = 8, uses: int = 4, quick: bool = False) -> dict[str, Any]:
    """TsetlinWiSARD with one option changed, 30 epochs; or on labels that say nothing, which must end at chance.

    Args:
        variant: of `VARIANTS`, or `CONTROL`.
        seed: of split, mapping, states, orders and draws.
        n: inputs of a table.
        uses: times a pixel is read.
        quick: a tenth of the digits.
    """
    train, _, test = split(seed, quick=quick)
    if variant == CONTROL:
        train = (train[0], np.random.default_rng(seed).permutation(train[1]))
    net = automata(HALF, n, luts_of(n, uses), seed, epochs=EPOCHS[-1], **VARIANTS.get(variant, {}))
    net.fit(*train, classes=np.arange(10))
    return {"test": score_of(net.to_binary(), test)}


def flip_trial(arm: str, protect: float, seed: int, n: int = 8, uses: int = 4, quick: bool = False) -> dict[str, Any]:
    """Test accuracy after bits of the finished tables flipped.

    Args:
        arm: of `COUNTED` or `AUTOMATA`.
        protect: share of the tables that is stored three times.
        seed: of everything.
        n: inputs of a table.
        uses: times a pixel is read.
        quick: a tenth of the digits.
    """
    train, validation, test = split(seed, quick=quick)
    if arm in AUTOMATA:
        net: Any = automata(arm, n, luts_of(n, uses), seed, epochs=EPOCHS[-1])
    else:
        net = counted(arm, n, luts_of(n, uses), seed)
    small = net.fit(*train).to_binary()
    curve = bit_flips(small, *test, rates=RATES, protect=protect, repeats=3, seed=seed, calibration=validation[0])
    at = {f"{rate:g}": float(found.mean()) for rate, found in zip(RATES, curve.accuracy, strict=True)}
    return {"clean": curve.clean, "at": at, "bytes": curve.nbytes}


def small_digits_trial(arm: str, n: int, luts: int, seed: int) -> dict[str, Any]:
    """scikit-learn's digits of 8 x 8, pixels above 7.5 of 16, 80 % to train.

    Args:
        arm: of `COUNTED` or `AUTOMATA`.
        n: inputs of a table.
        luts: tables of each class.
        seed: of split, mapping and draws.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(derive_seed("weightless small digits", seed=seed)).permutation(len(y))
    bits, y = (x[order] > 7.5).astype(np.uint8), y[order]
    net: Any = automata(arm, n, luts, seed, epochs=30) if arm in AUTOMATA else counted(arm, n, luts, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some corners of the digits never light up
        net.fit(bits[:1437], y[:1437])
    return {"test": score_of(net, (bits[1437:], y[1437:]))}


def prototype_trial(arm: str, n: int, samples: int, seed: int) -> dict[str, Any]:
    """Ten prototypes of 256 bits; in a sample each bit flips with chance 0.2; 5 % of the training labels are wrong.

    Args:
        arm: of `COUNTED` or `AUTOMATA`.
        n: inputs of a table; each bit is read once.
        samples: to train on.
        seed: of everything.
    """
    rng = np.random.default_rng(derive_seed("weightless prototypes", seed=seed))
    prototypes = rng.integers(0, 2, (10, 256))

    def draw(count: int) -> Part:
        y = rng.integers(0, 10, count)
        return (prototypes[y] ^ (rng.random((count, 256)) < 0.2)).astype(np.uint8), y

    test, (bits, y) = draw(1000), draw(samples)
    y = np.where(rng.random(samples) < 0.05, rng.integers(0, 10, samples), y)
    luts = -(-256 // n)
    net: Any = automata(arm, n, luts, seed, epochs=10) if arm in AUTOMATA else counted(arm, n, luts, seed)
    return {"test": score_of(net.fit(bits, y, classes=np.arange(10)), test)}
