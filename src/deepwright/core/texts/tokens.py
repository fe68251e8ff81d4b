"""Token ids as rows of a data set: which tokens there are, which only fill up, and of which segment each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.texts.bags import Hashed

SEGMENT = 2**21  # a token is its id + SEGMENT x its segment (`token_type_ids`)
_SEGMENTS = 64
_HASH = 2654435761  # Knuth's, of 32 bits


def are_tokens(x: Any) -> bool:
    """Whether a tensor has the form that `to_tokens` gives.

    Args:
        x: anything.
    """
    return isinstance(x, Tensor) and x.dtype == torch.int64 and x.ndim == 2


def to_tokens(ids: Tensor, mask: Tensor | None = None, segments: Tensor | None = None) -> Int64[Tensor, "n length"]:
    """One whole number a token: id + 2^21 x segment, and -1 - id where the mask says that nothing stands.

    Args:
        ids: (N, L) token ids.
        mask: (N, L), 1 where a token is, 0 where one only fills up (`attention_mask`); all are tokens by default.
        segments: (N, L), of which text of a pair each token is (`token_type_ids`); 0 by default.

    Raises:
        InputError: other shapes, a mask of other numbers or of a text without a token, ids that are none.
    """
    named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}
    for name, given in named.items():
        if given is None:
            continue
        whole = isinstance(given, Tensor) and not given.is_floating_point() and not given.is_complex()
        if not whole or given.ndim != 2 or given.shape != ids.shape:
            seen = f"{given.dtype} of shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            raise InputError(name, given=seen, expected="whole numbers (N, L), each text filled up to L tokens")
        most = {"input_ids": SEGMENT - 1, "attention_mask": 1, "token_type_ids": _SEGMENTS - 1}[name]
        low, high = (0, 0) if not given.numel() else (int(given.min()), int(given.max()))
        if low < 0 or high > most:
            raise InputError(name, given=f"{low}..{high}", expected=f"0..{most}")
    empty = [] if mask is None else (~mask.bool().any(1)).nonzero().flatten().tolist()
    if empty:  # what a network says of nothing is no answer
        rows = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        seen = f"0 throughout in {len(empty)} of {len(ids)} rows (of this batch, from 0: {rows})"
        raise InputError("attention_mask", given=seen, expected="a 1 for at least one token of each text")
    found = ids.long()
    tokens = found if segments is None else found + SEGMENT * segments.long()
    return tokens.clone() if mask is None else torch.where(mask.bool(), tokens, -1 - found)


def token_parts(
    tokens: Int64[Tensor, "n length"],
) -> tuple[Int64[Tensor, "n length"], Bool[Tensor, "n length"], Int64[Tensor, "n length"]]:
    """Ids, which of them are tokens, and their segments.

    Args:
        tokens: as `to_tokens` gives them.
    """
    real = tokens >= 0
    return torch.where(real, tokens % SEGMENT, -1 - tokens), real, torch.where(real, tokens // SEGMENT, 0)


def joined_tokens(parts: Sequence[Int64[Tensor, "n length"]]) -> Int64[Tensor, "m width"]:
    """Batches of several lengths as one, filled up with what fills up in them.

    Args:
        parts: tokens.

    Raises:
        InputError: unlike lengths where no mask says what fills up.
    """
    widths = {part.shape[1] for part in parts}
    if len(widths) == 1:
        return torch.cat(list(parts))
    fills = next((int(part[part < 0][0]) for part in parts if bool((part < 0).any())), None)
    if fills is None:
        raise InputError(
            "token ids",
            given=f"rows of {min(widths)} to {max(widths)} tokens, and no attention_mask",
            expected="one length, or a mask that says which ids only fill up",
            hint='batches of {"input_ids", "attention_mask", "labels"}, as a DataCollatorWithPadding makes them',
        )
    return torch.cat([F.pad(part, (0, max(widths) - part.shape[1]), value=fills) for part in parts])


class HashedTokens(Hashed):
    """Counts of the token ids of each row; see `Hashed`."""

    def forward(self, tokens: Int64[Tensor, "n length"]) -> Float[Tensor, "n columns"]:
        """Counts of each row.

        Args:
            tokens: as `to_tokens` gives them.
        """
        ids, real, _ = token_parts(tokens)
        columns = (ids * _HASH % 2**32) * self.columns // 2**32
        counts = torch.zeros(len(tokens), self.columns, device=tokens.device)
        return counts.scatter_add_(1, columns, real.to(counts)).log1p().to(self.place)
