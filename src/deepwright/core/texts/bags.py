"""How often each word comes, hashed into so many columns: what simple classifiers of texts look at."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.requirements import require_whole
from deepwright.core.texts.codes import to_texts
from deepwright.core.texts.words import WORD


class Hashed(nn.Module):
    """(N, columns) log(1 + count) of what a text is made of, each kind in the column of its hash.

    Args:
        columns: how many; what shares one is not told apart.
    """

    place: Tensor

    def __init__(self, columns: int = 512) -> None:
        super().__init__()
        require_whole(1, columns=columns)
        self.columns = columns
        self.register_buffer("place", torch.zeros(0), persistent=False)  # says where the results go


class HashedWords(Hashed):
    """Counts of the words of each text, in lower case; see `Hashed`."""

    def forward(self, texts: Tensor | Sequence[str]) -> Float[Tensor, "n columns"]:
        """Counts of each text.

        Args:
            texts: strings, or their code points.
        """
        strings = to_texts(texts) if isinstance(texts, Tensor) else texts
        rows, columns = [], []
        for i, text in enumerate(strings):
            found = [zlib.crc32(word.encode("utf-8", "replace")) % self.columns for word in WORD.findall(text.lower())]
            rows += [i] * len(found)
            columns += found
        counts = torch.zeros(len(strings), self.columns)
        counts.index_put_((torch.tensor(rows).long(), torch.tensor(columns).long()), torch.ones(len(rows)), True)
        return counts.log1p().to(self.place)
