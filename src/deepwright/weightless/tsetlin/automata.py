"""TsetlinWiSARD: one automaton for each class, table and address; its state's upper half says 1.

Source: S. Duan, M. L. L. Sartori, R. Shafik, A. Yakovlev, "TsetlinWiSARD: On-Chip Training of Weightless Neural
Networks using Tsetlin Automata on FPGAs", arXiv 2603.24186.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np

from deepwright.core.errors import InputError, NotFittedError, unknown_name
from deepwright.core.randomness import derive_seed
from deepwright.weightless.archive import read_arrays, refusing_damage, write_arrays
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.estimator import WeightlessClassifier, held_out
from deepwright.weightless.export import write_learning
from deepwright.weightless.inputs import as_bits, as_classes, as_labels, integer, known_labels, warn_constant
from deepwright.weightless.kernels import MODES, Rule, chosen_engine, packed, packed_votes, train
from deepwright.weightless.mapping import addresses, blocks, check_mapping
from deepwright.weightless.robustness import flips
from deepwright.weightless.tables import BinaryWNN

VERSION = 1
_INITS = ("shared", "independent", "zeros", "ones")


class TsetlinWiSARD(WeightlessClassifier):
    """Lookup tables that learn from their mistakes.

    S[j, a, c] in 0..n_states-1 is the state of table j, address a, class c; with mid = n_states/2 the table says
    [S >= mid], and v_c = sum_j [S[j, a_j(x), c] >= mid] are the votes. Where the class p with the most votes isn't y,
    each table, with chance q, raises S[j, a_j, y] by one, and with an independent chance q lowers S[j, a_j, p]. A
    sample that is right changes nothing.

    Args:
        n_inputs: bits that a table reads, n, 1..16.
        n_luts: tables of each class, L.
        n_states: of an automaton, even, 2..65536.
        p_update: q in (0, 1], rounded to 256ths.
        epochs: passes of `fit`.
        update: `errors`; `margin`: also when the true class is less than `margin` votes ahead of the next; `always`.
        margin: votes, for `update="margin"` only.
        tie: in training, `random` among the equal or the `first`; predictions take the first.
        shuffle: another order in each epoch.
        only_wrong_votes: reward only tables that said 0, punish only those that said 1.
        class_weight: None, or `balanced`: q times samples / (classes * samples of y) where that is above 1, at most 1.
        early_stopping: hold a tenth of each class out, stop after `patience` epochs without gain, keep the best.
        patience: see `early_stopping`.
        init: mid - u, u in {0, 1} drawn for each table and address (`shared`) and class (`independent`); all mid - 1
            (`zeros`), all mid (`ones`).
        temperature: of `predict_proba`.
        random_state: seed of mapping, states, order and draws; None for another one each time.
        max_memory: bytes of states that are allowed.
        engine: `auto`, `numba` or `numpy`, with the same numbers.

    Attributes:
        states_: (n_luts, 2^n, classes), uint8 or uint16.
        mapping_: (n_luts, n), which bits a table reads.
        history_: one dictionary an epoch: `accuracy` of the samples as they came, steps `raised` and `lowered`,
            `validation` accuracy where some were held out.
    """

    states_: np.ndarray
    history_: list[dict[str, float]]
    n_seen_: int
    _n_states: int
    _words: np.ndarray | None

    def __init__(
        self,
        n_inputs: int = 6,
        n_luts: int = 300,
        n_states: int = 256,
        p_update: float = 0.5,
        epochs: int = 30,
        update: str = "errors",
        margin: int = 1,
        tie: str = "random",
        shuffle: bool = True,
        only_wrong_votes: bool = False,
        class_weight: str | None = None,
        early_stopping: bool = False,
        patience: int = 5,
        init: str = "shared",
        temperature: float = 1.0,
        random_state: Any = None,
        max_memory: int = 2 << 30,
        engine: str = "auto",
    ) -> None:
        self.n_inputs, self.n_luts, self.n_states = n_inputs, n_luts, n_states
        self.p_update, self.epochs, self.update, self.margin, self.tie = p_update, epochs, update, margin, tie
        self.shuffle, self.only_wrong_votes, self.class_weight = shuffle, only_wrong_votes, class_weight
        self.early_stopping, self.patience, self.init, self.temperature = early_stopping, patience, init, temperature
        self.random_state, self.max_memory, self.engine = random_state, max_memory, engine

    def fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Learn from the beginning.

        Args:
            X: Boolean features (samples, features).
            y: a class of each.
            classes: all there will be; those of y where None.
        """
        self._options()
        epochs = integer(self.epochs, "epochs", 1, 10**9)
        bits = as_bits(X)
        warn_constant(bits)
        labels = as_labels(y, len(bits))
        self._begin(bits.shape[1], as_classes(labels, classes))
        truth = known_labels(labels, self.classes_)
        kept = np.zeros(len(bits), dtype=bool)
        if self.early_stopping:
            kept = held_out(truth, 0.1, np.random.default_rng(derive_seed("weightless held out", seed=self.seed_)))
            if not kept.any():
                raise InputError("early_stopping", given=f"{len(bits)} samples", expected="10 of some class, at least")
            if len(np.unique(truth[kept])) < len(np.unique(truth)):
                warnings.warn("a class is absent from the samples of early stopping", UserWarning, stacklevel=2)
        self._epochs(bits[~kept], truth[~kept], bits[kept], truth[kept], epochs)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """One pass over more samples, in their order. Any cut of a stream into chunks gives the same states.

        Args:
            X: Boolean features (samples, features); one is enough.
            y: a class of each.
            classes: all there will be, needed at the first call.
        """
        self._options()
        if self.class_weight is not None:
            raise InputError(
                "class_weight with partial_fit", given=self.class_weight, expected="None: counts aren't known"
            )
        fresh = not hasattr(self, "states_")
        bits = as_bits(X, None if fresh else self.n_features_in_)
        labels = as_labels(y, len(bits))
        if fresh:
            if classes is None:
                raise InputError("classes", given="None", expected="all classes, at the first call of partial_fit")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a first chunk needn't have all classes
                found = as_classes(labels, classes)
            self._begin(bits.shape[1], found)
        elif classes is not None and not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise InputError("classes", given=list(classes), expected=f"{self.classes_.tolist()}, as at the first call")
        self._pass(bits, known_labels(labels, self.classes_), np.arange(len(bits)), self._chances(labels))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64, for two classes too.

        Args:
            X: Boolean features (samples, features).
        """
        return self._votes(self.bits(X))

    def relax(self, degree: int) -> Self:
        """Forget a little: pull every state towards the middle by floor(|S - mid| / degree).

        Args:
            degree: 1 puts every state on the middle: all that was learnt is lost. Larger forgets less.
        """
        if not hasattr(self, "states_"):
            raise NotFittedError("TsetlinWiSARD")
        away = self.states_.astype(np.int64) - self._n_states // 2
        away -= np.sign(away) * (np.abs(away) // integer(degree, "degree", 1, 10**9))
        self.states_ = (away + self._n_states // 2).astype(self.states_.dtype)
        self._words = None
        return self

    def flip(self, rate: float, seed: int = 0) -> Self:
        """Flip bits of the states, as radiation does; further training heals what it can.

        Args:
            rate: chance of each bit, of the ceil(log2 n_states) that a state has. A state beyond the largest, which
                there can be where n_states isn't a power of two, becomes the largest.
            seed: of the draws.
        """
        if not hasattr(self, "states_"):
            raise NotFittedError("TsetlinWiSARD")
        found, states = flips(rate, seed), self.states_.copy()
        for bit in range((self._n_states - 1).bit_length()):
            states ^= (found(states.shape) << bit).astype(states.dtype)
        self.states_ = np.minimum(states, states.dtype.type(self._n_states - 1))
        self._words = None
        return self

    def to_binary(self, booleanizer: Booleanizer | None = None) -> BinaryWNN:
        """The tables as they are now: an eighth of the bytes, to predict, store and export.

        Args:
            booleanizer: what made the bits, to keep with it.
        """
        if not hasattr(self, "states_"):
            raise NotFittedError("TsetlinWiSARD")
        on = self.states_ >= self._n_states // 2
        return BinaryWNN(on, self.mapping_, self.n_features_in_, self.classes_, booleanizer, self.engine)

    def save(self, path: Path | str, booleanizer: Booleanizer | None = None) -> Path:
        """Write a `.npz` file with its states: `load` gives a network that learns on as this one would. No pickle.

        Args:
            path: of the file.
            booleanizer: what made the bits, to keep with it.
        """
        if not hasattr(self, "states_"):
            raise NotFittedError(type(self).__name__)
        if booleanizer is not None and booleanizer.n_bits_ != self.n_features_in_:
            raise InputError("booleanizer", given=f"{booleanizer.n_bits_} bits", expected=f"{self.n_features_in_}")
        options = {**self.get_params(), "n_states": self._n_states, "random_state": self.seed_}
        header = {
            "format": f"deepwright-{type(self).__name__}",
            "version": VERSION,
            "features": self.n_features_in_,
            "seen": self.n_seen_,
            "options": {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()},
            "booleanizer": None if booleanizer is None else booleanizer.to_dict(),
        }
        arrays = {"mapping": self.mapping_, "states": self.states_, "classes": self.classes_}
        return write_arrays(path, header, arrays)

    @classmethod
    def load(cls, path: Path | str, max_memory: int = 2 << 30) -> Self:
        """What `save` wrote, but for `history_`; its Booleanizer, where it has one, is `booleanizer_`.

        Args:
            path: of the file.
            max_memory: bytes that its arrays may take when they are unpacked.

        Raises:
            InputError: not such a file, damaged, of another class or version, or arrays that don't fit.
        """
        with refusing_damage(path):
            names = {"mapping", "states", "classes"}
            header, arrays = read_arrays(Path(path), names, f"deepwright-{cls.__name__}", VERSION, max_memory)
            net = cls(**header["options"])
            net._options()
            net._restore(header, arrays)
            return net

    def _restore(self, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take what a file holds, where it fits together."""
        states, classes = arrays["states"], arrays["classes"]
        labels = as_classes(as_labels(classes, len(classes)))
        dtype = np.dtype(np.uint8 if self.n_states <= 256 else np.uint16)
        if not np.array_equal(labels, classes) or states.dtype != dtype or states.ndim != 3:
            raise ValueError(f"classes {classes.tolist()[:6]}, states {states.dtype} {states.shape}")
        luts, size, count = states.shape
        inputs = integer(self.n_inputs, "n_inputs", 1, 16)
        if size != 1 << inputs or count != len(classes) or luts < 1 or states.max() >= self.n_states:
            raise ValueError(f"states {states.shape} up to {states.max(initial=0)}")
        features = integer(header["features"], "features", 1, 1 << 24)
        self.seed_ = integer(self.random_state, "random_state", 0, 2**63 - 1)
        self.n_seen_ = integer(header["seen"], "seen", 0, 2**63 - 1)
        coder = header["booleanizer"]
        self.booleanizer_ = None if coder is None else Booleanizer.from_dict(coder)
        if self.booleanizer_ is not None and self.booleanizer_.n_bits_ != features:
            raise ValueError(f"a Booleanizer of {self.booleanizer_.n_bits_} bits for {features}")
        self.mapping_ = check_mapping(arrays["mapping"], features, inputs, luts)
        self.states_, self.classes_, self.n_features_in_ = states, classes, features
        self._n_states, self._words, self.history_ = self.n_states, None, []

    def export_c(
        self,
        path: Path | str,
        name: str = "wnn",
        verify: bool = True,
        samples: Any = None,
        booleanizer: Booleanizer | None = None,
    ) -> Path:
        """Write the network, with its states, as one header of C99 that goes on learning on the device.

        Beside what `BinaryWNN.export_c` has there is `void wnn_update(const uint8_t *bits, int label, uint32_t *lfsr)`:
        this class's step with `update="errors"`, q = 1/2 (whatever `p_update` was), ties to the first class, draws from
        a 32-bit shift register. The states are its only static RAM, `WNN_RAM_BYTES`.

        Args:
            path: of the header.
            name: what all its names begin with.
            verify: read the states back; where there is a C compiler, also compare votes, classes, checksum and the
                states after up to 1000 steps.
            samples: Boolean features (samples, features) for half of the vectors; random bits where None.
            booleanizer: what made the bits, to write `wnn_encode` too.

        Raises:
            ExportMismatch: the header doesn't do what is done here. Nothing is written then.
        """
        plain = self.to_binary(booleanizer).plain()
        return write_learning(plain, self.states_, self._n_states - 1, path, name, verify, samples)

    def _options(self) -> None:
        chosen_engine(self.engine)
        states = integer(self.n_states, "n_states", 2, 65_536)
        if states % 2:
            raise InputError("n_states", given=states, expected="an even number")
        share = self.p_update
        numeric = isinstance(share, int | float | np.number) and not isinstance(share, bool)
        if not numeric or not 0 < share <= 1 or round(256 * float(share)) == 0:
            raise InputError(
                "p_update", given=repr(share), expected="in (0, 1], and 1/256 at least when rounded to 256ths"
            )
        for value, what, known in (
            (self.update, "update", tuple(MODES)),
            (self.tie, "tie", ("random", "first")),
            (self.init, "init", _INITS),
        ):
            if value not in known:
                raise unknown_name(what, str(value), known)
        if self.class_weight not in (None, "balanced"):
            raise InputError("class_weight", given=repr(self.class_weight), expected="None or 'balanced'")
        integer(self.margin, "margin", 1, 65_535)
        integer(self.patience, "patience", 1, 10**9)

    def _begin(self, features: int, classes: np.ndarray) -> None:
        self.start(features, classes)
        self._n_states = self.n_states
        shape, middle = (self.n_luts, 1 << self.n_inputs, len(classes)), self.n_states // 2
        dtype = np.uint8 if self.n_states <= 256 else np.uint16
        self.refuse_large(shape[0] * shape[1] * shape[2] * np.dtype(dtype).itemsize)
        rng = np.random.default_rng(derive_seed("weightless states", seed=self.seed_))
        drawn = {"shared": (*shape[:2], 1), "independent": shape}.get(self.init)
        below = rng.integers(0, 2, drawn) if drawn is not None else int(self.init == "zeros")
        self.states_ = np.ascontiguousarray(np.broadcast_to(middle - below, shape), dtype=dtype)
        self.history_ = []
        self.n_seen_, self._words = 0, None

    def _chances(self, truth: np.ndarray) -> np.ndarray:
        """Chance of a step for samples of each class, in 256ths."""
        shares = np.full(len(self.classes_), float(self.p_update))
        if self.class_weight == "balanced":
            counts = np.bincount(truth, minlength=len(shares))
            shares *= np.maximum(1.0, len(truth) / (len(shares) * np.maximum(counts, 1)))
        return np.rint(256 * np.minimum(shares, 1.0)).astype(np.int64)

    def _epochs(self, bits: np.ndarray, truth: np.ndarray, held: np.ndarray, known: np.ndarray, epochs: int) -> None:
        best, states, waited, chances = -1.0, self.states_, 0, self._chances(truth)
        for epoch in range(epochs):
            order = np.arange(len(bits))
            if self.shuffle:
                seed = derive_seed("weightless order", epoch, seed=self.seed_)
                order = np.random.default_rng(seed).permutation(len(bits))
            self._pass(bits, truth, order, chances)
            if not len(held):
                continue
            found = float((self._votes(held).argmax(axis=1) == known).mean())
            self.history_[-1]["validation"] = found
            waited += 1
            if found > best:
                best, states, waited = found, self.states_.copy(), 0
            if waited >= self.patience:
                break
        if len(held):
            self.states_, self._words = states, None

    def _rule(self, chances: np.ndarray) -> Rule:
        return Rule(
            middle=self._n_states // 2,
            top=self._n_states - 1,
            chance=chances,
            key=derive_seed("weightless draws", seed=self.seed_),
            mode=MODES[self.update],
            margin=self.margin,
            random_ties=self.tie == "random",
            only_wrong=bool(self.only_wrong_votes),
        )

    def _pass(self, bits: np.ndarray, truth: np.ndarray, order: np.ndarray, chances: np.ndarray) -> None:
        rule = self._rule(chances)
        totals = np.zeros(3, dtype=np.int64)
        for part in blocks(len(order), self.n_luts):
            own = order[part]
            rows = addresses(bits[own], self.mapping_)
            totals += train(rows, truth[own], self.states_, rule, self.n_seen_, self.engine)
            self.n_seen_ += len(own)
        self._seen_pass(totals.tolist(), len(order))

    def _seen_pass(self, totals: list[int], samples: int) -> None:
        """A row of the history: right ones, steps up and steps down of a pass."""
        correct, raised, lowered = totals
        self._words = None
        self.history_.append({"accuracy": correct / samples, "raised": raised, "lowered": lowered})

    def _votes(self, bits: np.ndarray) -> np.ndarray:
        if self._words is None:
            self._words = packed((self.states_ >= self._n_states // 2).astype(np.uint8))
        return packed_votes(bits, self.mapping_, self._words, self.engine)[:, : len(self.classes_)]
