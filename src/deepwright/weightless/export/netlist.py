"""Reads a module back and evaluates it, cycle by cycle, for machines without a Verilog simulator.

It knows the part of Verilog that `verilog.py` writes, and reads the text, not the network that it was made from:
declarations of one name, sized constants, selects of a bit, concatenations, `+`, `>`, `? :`, registers of one
clock. A value is used after the line that gives it, so that no feedback is understood. Anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from deepwright.weightless.export.plain import ExportMismatch

_TOKEN = re.compile(r"\s*(\d+'[bdh][0-9a-fA-F]+|[A-Za-z_]\w*|\d+|[][{}?:+>,])")
_RANGE = r"(?:\[(\d+):0\] )?"
_PORT = re.compile(rf"(input|output reg) {_RANGE}(\w+),?")
_CONSTANT = re.compile(rf"localparam {_RANGE}(\w+) = (\d+)'h([0-9a-fA-F]+);")
_WIRE = re.compile(rf"(wire|reg) {_RANGE}(\w+)(?: = (.+))?;")
_CLOCKED = re.compile(r"always @\(posedge clk\) (\w+) <= (.+);")
_INITIAL = re.compile(r"initial (\w+) = 1'b0;")


class Netlist:
    """The module of a file.

    Args:
        text: of the file.

    Raises:
        ExportMismatch: a line that isn't of the part of Verilog that it knows.
    """

    def __init__(self, text: str) -> None:
        self.widths: dict[str, int] = {}
        self._constants: dict[str, np.ndarray] = {}
        self._inputs: list[str] = []
        self._registers: set[str] = set()
        self._steps: list[tuple[bool, str, str]] = []  # clocked, name, expression
        lines = [line.strip() for line in text.splitlines()]
        code = [line for line in lines if line and not line.startswith("//")]
        if len(code) < 3 or not re.fullmatch(r"module \w+\(", code[0]) or code[-1] != "endmodule":
            raise ExportMismatch("the file isn't one module")
        for line in code[1:-1]:
            self._read(line)

    def constant(self, name: str) -> np.ndarray:
        """Bits of a `localparam`, the lowest first.

        Args:
            name: of it.
        """
        if name not in self._constants:
            raise ExportMismatch(f"no constant {name} in the module")
        return self._constants[name]

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Every value in every cycle, (cycles,); x as it was given.

        Args:
            x: (cycles, bits), the input in each cycle.
        """
        if self._inputs != ["clk", "x"] or x.shape[1] != self.widths["x"]:
            raise ExportMismatch(f"inputs {self._inputs}, x of {self.widths.get('x')} bits; {x.shape[1]} were given")
        values: dict[str, np.ndarray] = {"x": x.astype(np.uint8)}
        for clocked, name, text in self._steps:
            if name in values:
                raise ExportMismatch(f"{name} is driven twice")
            found = _Expression(text, values, self._constants, self.widths, len(x)).value()
            found = found & ((1 << self.widths[name]) - 1)
            values[name] = _delayed(found) if clocked else found
        return values

    def _read(self, line: str) -> None:
        if found := _PORT.fullmatch(line):
            self._declare(found[3], found[2])
            (self._inputs.append if found[1] == "input" else self._registers.add)(found[3])
        elif found := _CONSTANT.fullmatch(line):
            self._declare(found[2], found[1])
            width, digits = int(found[3]), found[4]
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)), np.uint8))
            bits = np.pad(bits[::-1], (0, max(0, width - len(bits))))
            if width != self.widths[found[2]] or bits[width:].any():
                raise ExportMismatch(f"a constant doesn't fit its width: {line[:80]}")
            self._constants[found[2]] = bits[:width]
        elif found := _WIRE.fullmatch(line):
            self._declare(found[3], found[2])
            if found[1] == "reg":
                self._registers.add(found[3])
                if found[4] not in (None, "1'b0"):
                    raise ExportMismatch(f"a register's first value: {line[:80]}")
            elif found[4] is not None:
                self._steps.append((False, found[3], found[4]))
        elif found := _CLOCKED.fullmatch(line):
            if found[1] not in self._registers:
                raise ExportMismatch(f"no such register: {line[:80]}")
            self._steps.append((True, found[1], found[2]))
        elif not (_INITIAL.fullmatch(line) or line == ");"):
            raise ExportMismatch(f"a line that isn't understood: {line[:80]}")

    def _declare(self, name: str, top: str | None) -> None:
        if name in self.widths:
            raise ExportMismatch(f"{name} is declared twice")
        self.widths[name] = int(top or 0) + 1


def _delayed(values: np.ndarray) -> np.ndarray:
    """A register's values: those of its input one cycle before, 0 in the first."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


class _Expression:
    """One expression, evaluated in all cycles at once while it is read."""

    def __init__(
        self,
        text: str,
        values: dict[str, np.ndarray],
        constants: dict[str, np.ndarray],
        widths: dict[str, int],
        cycles: int,
    ) -> None:
        self.text, self.all, self.constants, self.widths, self.cycles = text, values, constants, widths, cycles
        self.tokens = list(_tokens(text))
        self.at = 0

    def value(self) -> np.ndarray:
        """Its values; text after it is an error."""
        found = self._choice()
        if self.at != len(self.tokens):
            raise self._error()
        return found

    def _next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self, expected: str) -> None:
        if self._next() != expected:
            raise self._error()
        self.at += 1

    def _error(self) -> ExportMismatch:
        return ExportMismatch(f"an expression that isn't understood: {self.text[:80]}")

    def _choice(self) -> np.ndarray:
        found = self._compared()
        if self._next() != "?":
            return found
        self._take("?")
        yes = self._choice()
        self._take(":")
        return np.where(found != 0, yes, self._choice())

    def _compared(self) -> np.ndarray:
        found = self._sum()
        if self._next() == ">":
            self._take(">")
            found = (found > self._sum()).astype(np.int64)
        return found

    def _sum(self) -> np.ndarray:
        found = self._single()[0]
        while self._next() == "+":
            self._take("+")
            found = found.astype(np.int64) + self._single()[0]
        return found

    def _single(self) -> tuple[np.ndarray, int]:
        """A name, a bit of one, a constant, or a concatenation; and its width."""
        token = self._next()
        self.at += 1
        if token == "{":
            found, width = np.zeros(self.cycles, dtype=np.int64), 0
            while True:
                part, more = self._single()
                found, width = (found << more) | part, width + more
                if self._next() == "}":
                    self._take("}")
                    return found, width
                self._take(",")
        if "'" in token:
            bits, digits = token.split("'")
            number = int(digits[1:], {"b": 2, "d": 10, "h": 16}[digits[0]])
            return np.full(self.cycles, number, dtype=np.int64), int(bits)
        if self._next() == "[":
            return self._selected(token), 1
        if token not in self.all:
            raise ExportMismatch(f"{token} has no value where {self.text[:80]} uses it")
        return self.all[token], self.widths[token]

    def _selected(self, name: str) -> np.ndarray:
        self._take("[")
        index = self._next()
        self.at += 1
        self._take("]")
        if name in self.constants and index in self.all:
            at = self.all[index]
            if at.ndim != 1 or at.max() >= len(self.constants[name]):
                raise ExportMismatch(f"{index} is beyond {name}")
            return self.constants[name][at].astype(np.int64)
        if name not in self.all or not index.isdigit() or int(index) >= self.widths[name]:
            raise ExportMismatch(f"{name}[{index}] has no value where {self.text[:80]} uses it")
        whole = self.all[name]
        return whole[:, int(index)].astype(np.int64) if whole.ndim == 2 else (whole >> int(index)) & 1


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExportMismatch(f"an expression that isn't understood: {text[:80]}")
        yield found[1]
        at = found.end()
