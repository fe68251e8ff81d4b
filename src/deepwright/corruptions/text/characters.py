"""Single characters: slips of the keyboard, letters that look alike, capitals, lost spaces and marks.

The first letter of a word stays where letters are lost or swapped, so that there are as many words as before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.core.texts import NEIGHBOURS
from deepwright.corruptions.text.perturbation import TextPerturbation, mapped, rebuilt

# What optical recognition takes for one another.
_PAIRS = "o0 O0 l1 I1 i1 1l ec ce s5 S5 b6 B8 8B gq qg 9g uv vu hb rn mn tf ft ao zZ Z2 2Z 5S 0O 6b nh"
_ALIKE = {pair[0]: pair[1] for pair in _PAIRS.split()}
_OF_LETTERS = (0.02, 0.05, 0.1, 0.2, 0.3)


def _holds(codes: Tensor, test: Callable[[str], bool]) -> Tensor:
    return mapped(codes, lambda c: int(test(c))).bool()


def _inner(letters: Tensor) -> Tensor:
    """Letters that have a letter before them."""
    before = letters.roll(1, 1)
    before[:, 0] = False
    return letters & before


def _drawn(streams: Streams, codes: Tensor) -> Tensor:
    """A number in (0, 1) for each character; it hangs on its place in the text only, not on the batch's width."""
    return streams.uniform(codes.shape[1])


def _beside(codes: Tensor, pick: Tensor) -> Tensor:
    """A key beside each letter's."""
    most = max(map(len, NEIGHBOURS.values()))
    tables = [mapped(codes, partial(_key, k)) for k in range(most)]
    count = mapped(codes, lambda c: max(1, len(NEIGHBOURS.get(c, "")))).long().clamp_(min=1)
    which = (pick * count).long().clamp_(max=count - 1)
    return torch.stack(tables, -1).gather(-1, which[..., None])[..., 0]


def _key(k: int, c: str) -> int:
    """The k-th key beside one; the last of them where there are fewer."""
    near = NEIGHBOURS.get(c, c)
    return ord(near[min(k, len(near) - 1)])


def _typos(codes: Tensor, share: float, streams: Streams) -> Tensor:
    hit = _holds(codes, NEIGHBOURS.__contains__) & (_drawn(streams, codes) < share)
    return torch.where(hit, _beside(codes, _drawn(streams, codes)), codes)


def _swapped(codes: Tensor, share: float, streams: Streams) -> Tensor:
    """Pairs don't overlap: of two hits in a row the second doesn't count."""
    letters = _holds(codes, str.isalpha)
    inner = _inner(letters)
    after = letters.roll(-1, 1)
    after[:, -1] = False
    hit = inner & after & (_drawn(streams, codes) < share)
    before = hit.roll(1, 1)
    before[:, 0] = False
    first = hit & ~before
    second = first.roll(1, 1)
    second[:, 0] = False
    out = torch.where(first, codes.roll(-1, 1), codes)
    return torch.where(second, codes.roll(1, 1), out)


def _deleted(codes: Tensor, share: float, streams: Streams) -> Tensor:
    hit = _inner(_holds(codes, str.isalpha)) & (_drawn(streams, codes) < share)
    return rebuilt(codes, (~hit).long())[0]


def _doubled(codes: Tensor, share: float, streams: Streams) -> Tensor:
    hit = _holds(codes, str.isalpha) & (_drawn(streams, codes) < share)
    return rebuilt(codes, 1 + hit.long())[0]


def _inserted(codes: Tensor, share: float, streams: Streams) -> Tensor:
    """A key beside the letter's slips in behind it."""
    hit = _holds(codes, NEIGHBOURS.__contains__) & (_drawn(streams, codes) < share)
    slips, _ = rebuilt(_beside(codes, _drawn(streams, codes)), 1 + hit.long())
    out, copy = rebuilt(codes, 1 + hit.long())
    return torch.where(copy == 1, slips, out)


def _case(codes: Tensor, share: float, streams: Streams) -> Tensor:
    other = mapped(codes, lambda c: ord(c.swapcase()) if len(c.swapcase()) == 1 else ord(c))
    return torch.where(_drawn(streams, codes) < share, other, codes)


def _alike(codes: Tensor, share: float, streams: Streams) -> Tensor:
    other = mapped(codes, lambda c: ord(_ALIKE.get(c, c)))
    return torch.where(_drawn(streams, codes) < share, other, codes)


def _spaces(codes: Tensor, share: float, streams: Streams) -> Tensor:
    hit = _holds(codes, str.isspace) & (_drawn(streams, codes) < share)
    return rebuilt(codes, (~hit).long())[0]


def _marks(codes: Tensor, share: float, streams: Streams) -> Tensor:
    marks = _holds(codes, lambda c: not (c.isalnum() or c.isspace()))
    return rebuilt(codes, (~(marks & (_drawn(streams, codes) < share))).long())[0]


CHARACTERS = (
    TextPerturbation("keyboard typos", _typos, _OF_LETTERS, "letters"),
    TextPerturbation("swapped letters", _swapped, _OF_LETTERS, "letters"),
    TextPerturbation("lost letters", _deleted, _OF_LETTERS, "letters"),
    TextPerturbation("slipped-in letters", _inserted, _OF_LETTERS, "letters"),
    TextPerturbation("doubled letters", _doubled, _OF_LETTERS, "letters"),
    TextPerturbation("changed capitals", _case, (0.05, 0.1, 0.25, 0.5, 0.9), "letters"),
    TextPerturbation("letters that look alike", _alike, (0.02, 0.05, 0.1, 0.2, 0.4), "letters and digits"),
    TextPerturbation("lost spaces", _spaces, (0.02, 0.05, 0.1, 0.2, 0.4), "spaces"),
    TextPerturbation("lost punctuation", _marks, (0.1, 0.25, 0.5, 0.75, 1.0), "marks"),
)
