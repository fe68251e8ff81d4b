"""SCALE-Sim's files of products: `Layer, M, N, K,` a line."""

from __future__ import annotations

import csv
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import reading, write_text
from deepwright.hardware.arrays.gemm import GEMM, merged, require_gemms

_MOST = 100_000
_EXPECTED = "a header and lines `name, M, N, K,` of whole numbers"


def read_topology(path: Path | str) -> list[GEMM]:
    """The products of a file; equal lines of one name are one product, so many times.

    Args:
        path: of the file.

    Raises:
        InputError: a file that can't be read, or that has something else in it.
    """
    found = []
    with reading(f"cannot read {path}", _EXPECTED, path):
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8").splitlines()))
    for number, line in enumerate(lines[1:], 2):
        cells = [cell.strip() for cell in line if cell.strip()]
        if not cells:
            continue
        if len(cells) != 4 or not all(cell.isdecimal() for cell in cells[1:]):
            raise InputError(f"line {number} of {path}", given=repr(",".join(line))[:60], expected=_EXPECTED)
        M, N, K = map(int, cells[1:])
        found.append(GEMM(M, K, N, name=cells[0]))
    return merged(require_gemms(found))


def write_topology(gemms: list[GEMM], path: Path | str) -> Path:
    """Write products for SCALE-Sim: one line for each time that one is done, so that its total is theirs.

    Args:
        gemms: in order.
        path: of the file.

    Raises:
        InputError: none, or more than 100,000 lines; a name with a comma or a line's end, which the file can't hold.
    """
    lines, count = ["Layer, M, N, K,"], sum(g.copies for g in require_gemms(gemms))
    if count > _MOST:
        raise InputError("gemms", given=f"{count:,} in all", expected=f"at most {_MOST:,}", hint="give one layer")
    for i, g in enumerate(gemms):
        name = g.name.replace(", ", " ") or f"product {i}"
        if any(letter in name for letter in ',\n\r"'):
            raise InputError("a name", given=repr(g.name)[:60], expected="one without commas, quotes and line ends")
        lines += [f"{name}, {g.M}, {g.N}, {g.K},"] * g.copies
    return write_text(path, "\n".join(lines) + "\n")
