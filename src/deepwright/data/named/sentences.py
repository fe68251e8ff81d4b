"""Sentences made from templates, with a known answer: is there more praise than blame in it?

The words are drawn from short lists and put into frames: nothing is quoted.
"""

from __future__ import annotations

import torch

from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.core.texts import to_codes
from deepwright.data.dataset import Data, split_three

PRAISE = (
    "good",
    "great",
    "lovely",
    "bright",
    "clever",
    "warm",
    "honest",
    "smooth",
    "superb",
    "charming",
    "fresh",
    "solid",
)
BLAME = ("bad", "awful", "boring", "dull", "clumsy", "cold", "false", "rough", "terrible", "annoying", "stale", "weak")
_THINGS = (
    "plot",
    "music",
    "acting",
    "ending",
    "camera",
    "script",
    "sound",
    "pace",
    "cast",
    "story",
    "light",
    "dialogue",
)
_FRAMES = (
    "the {thing} was {word}",
    "I found the {thing} {word}",
    "its {thing} seemed {word} to me",
    "what a {word} {thing}",
    "they made the {thing} look {word}",
)
_LINKS = (", and ", "; ", ", though ", ". Then ", ", while ")


def make_sentences(n: int = 1500, parts: int = 3, seed: int = 0) -> tuple[list[str], torch.Tensor]:
    """Texts of an odd number of clauses, each with a word of praise or of blame; the label is what most of them are.

    Args:
        n: how many.
        parts: clauses of each, an odd number.
        seed: of all draws.

    Returns:
        texts, and (n,) labels: 1 where there is more praise, else 0.
    """
    require_whole(1, n=n, parts=parts)
    require_whole(1, **{"parts % 2": parts % 2})
    draws = torch.rand(n, parts, 5, generator=generator(seed, "sentences")).tolist()
    texts, labels = [], []
    for row in draws:
        text, praised = "", 0
        for i, (kind, which, thing, frame, link) in enumerate(row):
            words = PRAISE if kind < 0.5 else BLAME
            praised += kind < 0.5
            clause = _FRAMES[int(frame * len(_FRAMES))].format(
                thing=_THINGS[int(thing * len(_THINGS))], word=words[int(which * len(words))]
            )
            text += (_LINKS[int(link * len(_LINKS))] if i else "") + clause
        texts.append(text[0].upper() + text[1:] + ".")
        labels.append(int(2 * praised > parts))
    return texts, torch.tensor(labels)


def load_sentences(n: int = 1500, seed: int = 0) -> Data:
    """`make_sentences` as a data set.

    Args:
        n: texts in all; 60 % train, 10 % validation.
        seed: of all draws.
    """
    texts, labels = make_sentences(n, seed=seed)
    parts = split_three(to_codes(texts), labels, (0.6, 0.1), seed)
    note = "sentences made from templates: the answer is whether most of the three clauses praise"
    return Data("sentences", "text", ("blame", "praise"), *parts, notes=(note,))
