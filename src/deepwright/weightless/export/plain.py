"""What an export is made from and held against: plain tables, golden vectors, names that are safe in source text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.inputs import as_bits
from deepwright.weightless.mapping import addresses

VECTORS = 1000
_WORDS = """
alignas alignof always and asm assign auto begin bool break buf bufif0 bufif1 case casex casez catch char class
cmos config const constexpr continue deassign default defparam delete design disable do double edge else end
endcase endconfig endfunction endgenerate endmodule endprimitive endspecify endtable endtask enum event explicit
export extern false float for force forever fork friend function generate genvar goto highz0 highz1 if ifnone
inline inout input instance int integer join large liblist library localparam logic long macromodule main medium
module nand namespace negedge new nmos nor not nullptr operator or output parameter pmos posedge primitive
private protected public pull0 pull1 pulldown pullup real realtime reg register release repeat restrict return
rtran scalared short signed sizeof small specify specparam static strong0 strong1 struct supply0 supply1 switch
table task template this throw time tran tri true try typedef typename union unsigned use using vectored virtual
void volatile wait wand weak0 weak1 while wire wor xnor xor x y clk valid dut vectors golden
"""
_RESERVED = frozenset(_WORDS.split())


class ExportMismatch(RuntimeError):
    """What was written doesn't compute what the network computes; nothing is left at the path."""


@dataclass(frozen=True)
class Plain:
    """A network as an export sees it.

    Attributes:
        tables: (luts, 2^n, classes) of 0 and 1.
        mapping: (luts, n); indices of `features` and above are constant zeros.
        features: bits of a sample.
        labels: a text for each class.
        coder: what makes bits of numbers, where it is known.
    """

    tables: np.ndarray
    mapping: np.ndarray
    features: int
    labels: tuple[str, ...]
    coder: Booleanizer | None = None

    @property
    def luts(self) -> int:
        """Tables of each class."""
        return len(self.tables)

    @property
    def size(self) -> int:
        """Entries of a table."""
        return int(self.tables.shape[1])

    @property
    def inputs(self) -> int:
        """Bits that a table reads."""
        return int(self.mapping.shape[1])

    @property
    def classes(self) -> int:
        """Classes."""
        return int(self.tables.shape[2])

    @property
    def padded(self) -> bool:
        """Whether a table reads one of the constant zeros."""
        return bool((self.mapping >= self.features).any())

    @cached_property
    def most(self) -> int:
        """Bits of the largest number of votes that there can be."""
        return self.luts.bit_length()

    def votes(self, bits: np.ndarray) -> np.ndarray:
        """Votes by the definition, (samples, classes), without the packed kernels.

        Args:
            bits: (samples, features) of 0 and 1.
        """
        result = np.zeros((len(bits), self.classes), dtype=np.int64)
        rows = addresses(bits, self.mapping)
        for table, row in zip(self.tables, rows.T, strict=True):
            result += table[row]
        return result


def golden(network: Plain, samples: object = None, count: int = VECTORS) -> np.ndarray:
    """Vectors to hold an export against: half of them random bits, all zeros and all ones among them.

    The other half are samples that were given (again from the first where they are fewer), or else bits that are 1 with
    a chance drawn for each vector.

    Args:
        network: whose input they are.
        samples: Boolean features (samples, features), or None.
        count: of vectors.
    """
    rng = np.random.default_rng(derive_seed("weightless golden", network.features, network.luts, seed=0))
    half = count // 2
    drawn = rng.integers(0, 2, (half, network.features), dtype=np.uint8)
    drawn[0], drawn[-1] = 0, 1
    if samples is None:
        other = (rng.random((count - half, network.features)) < rng.random((count - half, 1))).astype(np.uint8)
    else:
        bits = as_bits(samples, network.features)
        other = bits[np.arange(count - half) % len(bits)]
    return np.ascontiguousarray(np.concatenate([drawn, other]))


def identifier(name: str) -> str:
    """A name that C, C++ and Verilog take.

    Args:
        name: what was given.

    Raises:
        InputError: anything but a letter and up to 30 letters, digits and underscores, or a reserved word.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name) or name.lower() in _RESERVED:
        expected = "a letter, then up to 30 letters, digits and underscores; no reserved word of C, C++ or Verilog"
        raise InputError("name", given=repr(name), expected=expected)
    return name
