"""Which keys lie beside which on a keyboard with the letters in the order of QWERTY."""

from __future__ import annotations

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHIFT = (0.0, 0.25, 0.75)  # of a key, to the right of the row's first one


def _neighbours() -> dict[str, str]:
    """The letters whose keys touch: centres at most 1.2 keys apart."""
    places = {
        letter: (column + _SHIFT[row], float(row))
        for row, keys in enumerate(_ROWS)
        for column, letter in enumerate(keys)
    }
    near: dict[str, str] = {}
    for letter, (x, y) in places.items():
        beside = [
            other
            for other, (u, v) in places.items()
            if other != letter and (x - u) ** 2 + (y - v) ** 2 <= 1.2**2 + 1e-9
        ]
        near[letter] = "".join(beside)
        near[letter.upper()] = near[letter].upper()
    return near


NEIGHBOURS = _neighbours()
"""Letter -> the letters beside it, capitals beside capitals."""
