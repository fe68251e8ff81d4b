"""A finished weightless network: Boolean tables, their packed form, its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np

from deepwright.core.errors import InputError
from deepwright.weightless.archive import read_arrays, refusing_damage, write_arrays
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.export import Plain, write_c, write_verilog
from deepwright.weightless.hardware import Resources, resources
from deepwright.weightless.images import class_image
from deepwright.weightless.inputs import as_bits, as_labels, integer, known_labels
from deepwright.weightless.kernels import packed, packed_votes
from deepwright.weightless.mapping import addresses, blocks, check_mapping
from deepwright.weightless.torch_tables import TorchWNN

VERSION = 1
MAX_LUTS = 65_535


class BinaryWNN:
    """A class's votes are the tables that say 1 at the sample's address; the most votes win, the first class on a tie.

    Args:
        tables: (luts, 2^n, classes) of 0 and 1.
        mapping: (luts, n), which bits a table reads; those of `features` and above are 0.
        features: bits of a sample.
        classes: the labels, in the order of the last axis.
        booleanizer: what makes the bits, kept in the file with it.
        engine: `auto`, `numba` or `numpy`.

    Raises:
        InputError: shapes that don't fit, other values, more than 65 535 tables (a vote has 16 bits).
    """

    def __init__(
        self,
        tables: np.ndarray,
        mapping: np.ndarray,
        features: int,
        classes: np.ndarray,
        booleanizer: Booleanizer | None = None,
        engine: str = "auto",
    ) -> None:
        found, labels = np.asarray(tables), np.asarray(classes)
        if found.ndim != 3 or not np.isin(found, (0, 1)).all():
            raise InputError("tables", given=f"{found.dtype} {found.shape}", expected="(luts, 2^n, classes) of 0 and 1")
        luts, size, count = found.shape
        integer(luts, "tables", 1, MAX_LUTS)
        inputs = size.bit_length() - 1
        if size != 1 << inputs or not 1 <= inputs <= 16:
            raise InputError("entries of a table", given=size, expected="2^n, n in 1..16")
        if labels.shape != (count,) or len(np.unique(labels)) != count or count < 2:
            raise InputError("classes", given=labels.tolist(), expected=f"{count} distinct labels, two at least")
        self.features = integer(features, "features", 1, 1 << 24)
        if booleanizer is not None and booleanizer.n_bits_ != self.features:
            raise InputError("booleanizer", given=f"{booleanizer.n_bits_} bits", expected=f"{self.features}")
        self.tables = found.astype(np.uint8)
        self.mapping = check_mapping(mapping, self.features, inputs, luts)
        self.classes, self.booleanizer, self.engine = labels, booleanizer, engine
        self._words: np.ndarray | None = None

    @property
    def n_inputs(self) -> int:
        """Inputs of a table."""
        return int(self.mapping.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the tables, at one bit an entry; the mapping isn't counted."""
        return -(-self.tables.size // 8)

    def votes(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64.

        Args:
            X: Boolean features (samples, features).
        """
        if self._words is None:
            self._words = packed(self.tables)
        return packed_votes(as_bits(X, self.features), self.mapping, self._words, self.engine)[:, : len(self.classes)]

    def predict(self, X: Any) -> np.ndarray:
        """The class with the most votes, the first on a tie.

        Args:
            X: Boolean features (samples, features).
        """
        return self.classes[self.votes(X).argmax(axis=1)]

    def explain(self, X: Any) -> np.ndarray:
        """What each bit gives each class: its votes minus those with it flipped, (samples, features, classes).

        Exact for one bit at a time; effects of two bits in one table don't add up.

        Args:
            X: Boolean features (samples, features).
        """
        bits = as_bits(X, self.features)
        rows, (luts, n) = addresses(bits, self.mapping).astype(np.int64), self.mapping.shape
        result = np.zeros((len(bits), self.features, len(self.classes)), dtype=np.int32)
        own, tables = np.arange(luts), self.tables.astype(np.int32)
        now = tables[own, rows]
        weights = 1 << np.arange(n - 1, -1, -1)
        same = self.mapping[:, :, None] == self.mapping[:, None, :]  # a bit may stand in one table twice
        masks = (same * weights).sum(axis=2)
        for b in range(n):
            first = (same[:, b].argmax(axis=1) == b) & (self.mapping[:, b] < self.features)
            at = own[first]
            change = now[:, first] - tables[at, rows[:, first] ^ masks[first, b]]
            for sample, row in enumerate(change):
                np.add.at(result[sample], self.mapping[first, b], row)
        return result

    def class_image(self, label: Any) -> np.ndarray:
        """What the class looks like to its tables: for each bit, how many entries say 1 in whose address it is 1.

        Args:
            label: one of `classes`.

        Returns:
            (features,) int64.
        """
        place = int(known_labels(as_labels([label], 1), self.classes)[0])
        return class_image(self.tables[:, :, place], self.mapping, self.features)

    def to_torch(self) -> TorchWNN:
        """A module that gives the same votes on any device; bits go in as a tensor."""
        return TorchWNN(self.tables, self.mapping, self.features)

    def prune(self, fraction: float, X: Any, y: Any) -> BinaryWNN:
        """A network without the tables that help least: votes for the true class minus the mean of the others.

        Args:
            fraction: share of the tables to take out, in [0, 1).
            X: Boolean features (samples, features), of training or validation.
            y: their labels.
        """
        if not 0 <= fraction < 1:
            raise InputError("fraction", given=fraction, expected="a share in [0, 1)")
        bits = as_bits(X, self.features)
        truth = known_labels(as_labels(y, len(bits)), self.classes)
        luts, own, help_ = len(self.mapping), np.arange(len(self.mapping)), np.zeros(len(self.mapping))
        for part in blocks(len(bits), luts * len(self.classes)):
            said = self.tables[own, addresses(bits[part], self.mapping)].astype(np.float64)
            right = np.take_along_axis(said, truth[part, None, None].repeat(luts, 1), axis=2)[:, :, 0]
            help_ += (right - (said.sum(axis=2) - right) / (len(self.classes) - 1)).sum(axis=0)
        kept = np.sort(np.argsort(-help_, kind="stable")[: max(1, luts - int(fraction * luts))])
        return BinaryWNN(
            self.tables[kept], self.mapping[kept], self.features, self.classes, self.booleanizer, self.engine
        )

    def save(self, path: Path | str) -> Path:
        """Write a `.npz` file: plain arrays and JSON, no pickle.

        Args:
            path: of the file.
        """
        header = {
            "format": "deepwright-wnn",
            "version": VERSION,
            "features": self.features,
            "shape": list(self.tables.shape),
            "booleanizer": self.booleanizer.to_dict() if self.booleanizer is not None else None,
        }
        arrays = {
            "mapping": self.mapping,
            "tables": np.packbits(self.tables, axis=None),
            "classes": self.classes,
        }
        return write_arrays(path, header, arrays)

    def export_c(self, path: Path | str, name: str = "wnn", verify: bool = True, samples: Any = None) -> Path:
        """Write the network as one header of C99: constant tables, no allocation, no static RAM.

        `int wnn_predict(const uint8_t *bits)` gives the place among `classes`, `void wnn_votes(const uint8_t *bits,
        uint16_t *votes)` the votes, `wnn_checksum()` a CRC-32 of the tables to compare with `WNN_CHECKSUM` on the
        device, and with a booleanizer `wnn_encode(const double *x, uint8_t *bits)` the bits of numbers. One file of the
        program defines `WNN_IMPLEMENTATION` before it includes the header.

        Args:
            path: of the header.
            name: what all its names begin with.
            verify: read the tables back; where there is a C compiler (`CC`, cc, gcc, clang), also compile and compare
                votes, classes and checksum on 1000 vectors, and codes around every threshold.
            samples: Boolean features (samples, features) for half of the vectors; random bits where None.

        Raises:
            ExportMismatch: the header doesn't compute what `votes` does. Nothing is written then.
        """
        return write_c(self.plain(), path, name, verify, samples)

    def export_verilog(
        self, path: Path | str, pipeline: int = 1, name: str = "wnn", verify: bool = True, samples: Any = None
    ) -> Path:
        """Write the network as a synthesisable Verilog module, with a testbench beside it as `<stem>_tb.v`.

        `module wnn(input clk, input [F-1:0] x, output reg y, output reg valid)`: bit i of x is feature i, y the place
        among `classes`, pipeline + 1 cycles later.

        Args:
            path: of the module.
            pipeline: registers after the classes only (0), after the votes too (1), after the tables too (2).
            name: of the module.
            verify: read the tables back, and compare votes, classes and `valid` on 1000 vectors: by Icarus Verilog
                where it is installed, else by an evaluator of the written file.
            samples: Boolean features (samples, features) for half of the vectors; random bits where None.

        Raises:
            ExportMismatch: the module doesn't compute what `votes` does. Nothing is written then.
        """
        return write_verilog(self.plain(), path, pipeline, name, verify, samples)

    def resources(self, device: str = "xc7", pipeline: int = 1, state_bits: int = 8) -> Resources:
        """LUTs, registers and block RAM on an FPGA: an estimate, no vendor tool was run.

        Args:
            device: `xc7`, or a part, as `xc7a35t`, to see whether it fits.
            pipeline: as of `export_verilog`.
            state_bits: of an automaton, for training on the chip.
        """
        return resources(self.plain(), device, pipeline, state_bits)

    def plain(self) -> Plain:
        """The network as exports see it."""
        labels = tuple(map(str, self.classes.tolist()))
        return Plain(self.tables, self.mapping, self.features, labels, self.booleanizer)

    @classmethod
    def load(cls, path: Path | str, max_memory: int = 2 << 30) -> Self:
        """What `save` wrote.

        Args:
            path: of the file.
            max_memory: bytes that its arrays may take when they are unpacked.

        Raises:
            InputError: not such a file, damaged, of another version, shapes that don't fit, or too large.
        """
        with refusing_damage(path):
            names = {"mapping", "tables", "classes"}
            header, arrays = read_arrays(Path(path), names, "deepwright-wnn", VERSION, max_memory)
            luts, size, count = (integer(v, "shape", 1, 1 << 24) for v in header["shape"])
            if luts * size * count > max_memory or arrays["tables"].shape != (-(-luts * size * count // 8),):
                raise InputError(f"{path}", given=f"tables {header['shape']}", expected=f"at most {max_memory} bytes")
            tables = np.unpackbits(arrays["tables"], count=luts * size * count).reshape(luts, size, count)
            coder = Booleanizer.from_dict(header["booleanizer"]) if header["booleanizer"] is not None else None
            return cls(tables, arrays["mapping"], header["features"], arrays["classes"], coder)
