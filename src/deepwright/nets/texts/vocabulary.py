"""The house's word tokenizer: a vocabulary from training texts, which travels with the network's weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.texts import WORD, to_codes, to_texts

_TOKEN = re.compile(rf"{WORD.pattern}|[^\w\s]")
_PAD, _UNKNOWN = 0, 1
_LONGEST = 256


class WordTokenizer(nn.Module):
    """Words and punctuation in lower case -> ids (N, length): 0 is the padding, 1 a word that isn't known.

    All rows have one length, whatever batch they come in, so that a text's outputs are the same in each.

    Args:
        words: the vocabulary; ids count from 2.
        length: tokens that are read; further ones are cut.

    The vocabulary is a buffer: `state_dict` of the network that holds the tokenizer has it.
    """

    pad_id = _PAD
    vocabulary: Tensor
    length: Tensor

    def __init__(self, words: Sequence[str], length: int = 64) -> None:
        super().__init__()
        require_whole(1, length=length)
        self.register_buffer("vocabulary", to_codes(list(words)))
        self.register_buffer("length", torch.tensor(length))
        self._remember()

    @classmethod
    def of(cls, texts: Sequence[str], most: int = 10_000, length: int | None = None) -> Self:
        """The most frequent tokens of training texts, in the order of their counts.

        Args:
            texts: of the training samples.
            most: at most so many.
            length: tokens that are read; by default those of the longest training text, at most 256.

        Raises:
            InputError: texts without a word.
        """
        require_whole(1, most=most)
        tokens = [_TOKEN.findall(text.lower()) for text in texts]
        counts = Counter(token for row in tokens for token in row)
        if not counts:
            raise InputError("training texts", given="no word", expected="texts with words")
        words = sorted(counts, key=lambda word: (-counts[word], word))[:most]
        return cls(words, length or min(_LONGEST, max(map(len, tokens))))

    def __len__(self) -> int:
        return len(self.vocabulary) + 2

    def forward(self, texts: Sequence[str]) -> Int64[Tensor, "n length"]:
        """Ids of texts.

        Args:
            texts: strings.
        """
        length, known = self._length, self._index
        found = np.full((len(texts), length), _PAD)
        for i, text in enumerate(texts):
            ids = [known.get(token, _UNKNOWN) for token in _TOKEN.findall(text.lower())[:length]]
            found[i, : max(1, len(ids))] = ids or [_UNKNOWN]
        return torch.from_numpy(found)

    def _remember(self) -> None:
        self._index = {word: i + 2 for i, word in enumerate(to_texts(self.vocabulary))}
        self._length = int(self.length)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """A vocabulary of another size takes the place of this one."""
        found = state.get(f"{prefix}vocabulary")
        if isinstance(found, Tensor) and found.dtype == torch.int32 and found.ndim == 2:
            self.vocabulary = torch.zeros_like(found, device=self.vocabulary.device)
        super()._load_from_state_dict(state, prefix, *rest)
        self._remember()
