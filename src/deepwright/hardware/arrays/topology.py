"""SCALE-Sim's files of products: `Layer, M, N, K,` a line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import reading, write_text
from deepwright.hardware.arrays.gemm import GEMM, merged, require_gemms

_MOST = 100_000
_EXPECTED = "a header and lines `name, M, N, K,` of whole numbers"


def read_topology(path: Path | str) -> list[GEMM]:
    """The products of a file; equal lines of one name are one product, so many times.

    The header says in which order M, N and K stand.

    Args:
        path: of the file.

    Raises:
        InputError: a file that can't be read, that has something else in it, or no header.
    """
    found = []
    with reading(f"cannot read {path}", _EXPECTED, path):
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    order = _order(lines[0] if lines else [], path)
    for number, line in enumerate(lines[1:], 2):
        cells = [cell.strip() for cell in line if cell.strip()]
        if not cells:
            continue
        if len(cells) != 4 or not all(cell.isdecimal() for cell in cells[1:]):
            raise InputError(f"line {number} of {path}", given=repr(",".join(line))[:60], expected=_EXPECTED)
        sizes: dict[str, Any] = dict(zip(order, map(int, cells[1:])))
        found.append(GEMM(**sizes, name=cells[0]))
    return merged(require_gemms(found))


def _order(header: list[str], path: Path | str) -> list[str]:
    """What the columns behind the name are."""
    cells = [cell.strip().upper() for cell in header if cell.strip()]
    if sorted(cells[1:]) != ["K", "M", "N"]:
        given, expected = repr(",".join(header))[:60], "a header `Layer, M, N, K,`, in this or another order"
        raise InputError(f"line 1 of {path}", given=given, expected=expected, hint="SCALE-Sim skips its first line")
    return cells[1:]


def write_topology(gemms: list[GEMM] | GEMM, path: Path | str) -> Path:
    """Write products for SCALE-Sim: one line for each time that one is done, so that its total is theirs.

    Args:
        gemms: in order, or one.
        path: of the file.

    Raises:
        InputError: none, or more than 100,000 lines; a name with a comma or a line's end, which the file can't hold;
            two names that it can't tell apart.
    """
    found = require_gemms(gemms)
    lines, count = ["Layer, M, N, K,"], sum(g.copies for g in found)
    if count > _MOST:
        raise InputError("gemms", given=f"{count:,} in all", expected=f"at most {_MOST:,}", hint="give one layer")
    known: dict[str, str | int] = {}
    for i, g in enumerate(found):
        name = g.name.replace(", ", " ").strip() or f"product {i}"
        if any(letter in name for letter in ',\n\r"'):
            raise InputError("a name", given=repr(g.name)[:60], expected="one without commas, quotes and line ends")
        own = g.name if g.name.strip() else i
        if known.setdefault(name, own) != own:
            given = f"{known[name]!r:.40} and {own!r:.40}, both written as {name!r:.40}"
            raise InputError("names", given=given, expected="names that the file can tell apart")
        lines += [f"{name}, {g.M}, {g.N}, {g.K},"] * g.copies
    return write_text(path, "\n".join(lines) + "\n")
