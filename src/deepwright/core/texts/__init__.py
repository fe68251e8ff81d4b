"""Texts as tensors: code points (N, characters), zeros behind the end; they are cut, drawn and hashed as all data.

Example:
    >>> from deepwright.core.texts import to_codes, to_texts
    >>> to_texts(to_codes(["a dog", "two"]))
    ['a dog', 'two']
"""

from deepwright.core.texts.bags import HashedWords
from deepwright.core.texts.codes import are_codes, are_texts, joined_codes, to_codes, to_texts
from deepwright.core.texts.keyboard import NEIGHBOURS
from deepwright.core.texts.tokens import SEGMENT, HashedTokens, are_tokens, joined_tokens, to_tokens, token_parts
from deepwright.core.texts.words import WORD, word_spans

__all__ = [
    "NEIGHBOURS",
    "SEGMENT",
    "WORD",
    "HashedTokens",
    "HashedWords",
    "are_codes",
    "are_texts",
    "are_tokens",
    "joined_codes",
    "joined_tokens",
    "to_codes",
    "to_texts",
    "to_tokens",
    "token_parts",
    "word_spans",
]
