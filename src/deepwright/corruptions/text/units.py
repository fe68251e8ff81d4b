"""Whole words: lost, repeated, out of order. A word here is what stands between spaces."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from deepwright.core.randomness import Streams
from deepwright.core.texts import to_codes, to_texts
from deepwright.corruptions.text.perturbation import TextPerturbation

_OF_WORDS = (0.05, 0.1, 0.2, 0.35, 0.5)


def _each(
    codes: Tensor, streams: Streams, change: Callable[[list[str], list[float], list[float]], list[str]]
) -> Tensor:
    """Every text's words under a function that gets two numbers in (0, 1) a word."""
    rows = [text.split() for text in to_texts(codes)]
    most = max(1, *map(len, rows))
    first, second = streams.uniform(most).tolist(), streams.uniform(most).tolist()
    moved = [" ".join(change(words, a, b)) for words, a, b in zip(rows, first, second)]
    out = to_codes(moved).to(codes.device)
    return F.pad(out, (0, max(0, 1 - out.shape[1])))


def _lost(codes: Tensor, share: float, streams: Streams) -> Tensor:
    """The word that was least likely to go stays."""

    def change(words: list[str], a: list[float], _: list[float]) -> list[str]:
        last = max(range(len(words)), key=lambda i: a[i], default=0)
        return [word for i, word in enumerate(words) if a[i] >= share or i == last]

    return _each(codes, streams, change)


def _repeated(codes: Tensor, share: float, streams: Streams) -> Tensor:
    def change(words: list[str], a: list[float], _: list[float]) -> list[str]:
        return [each for word, u in zip(words, a) for each in ([word, word] if u < share else [word])]

    return _each(codes, streams, change)


def _shuffled(codes: Tensor, share: float, streams: Streams) -> Tensor:
    """The words that are hit change places among themselves."""

    def change(words: list[str], a: list[float], b: list[float]) -> list[str]:
        hit = [i for i in range(len(words)) if a[i] < share]
        order = sorted(hit, key=lambda i: b[i])
        moved = dict(zip(hit, (words[i] for i in order)))
        return [moved.get(i, word) for i, word in enumerate(words)]

    return _each(codes, streams, change)


UNITS = (
    TextPerturbation("lost words", _lost, _OF_WORDS, "words", label_preserving=False),
    TextPerturbation("repeated words", _repeated, _OF_WORDS, "words"),
    TextPerturbation("words out of order", _shuffled, (0.1, 0.2, 0.4, 0.7, 1.0), "words", label_preserving=False),
)
