"""Token ids in a user's batches: told from other numbers, turned back into texts where their tokenizer can do it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.inference import read_outputs
from deepwright.core.texts import are_codes, are_tokens, joined_tokens, to_codes, to_texts
from deepwright.nets.doors import HuggingFace
from deepwright.nets.texts import Tokenized

_TRIED = 4


def as_tokens(network: nn.Module, x: Any) -> Any:
    """Inputs as tokens where the network takes no other; anything else as it is.

    Ids of padding that no mask told apart are taken out of the text, where the configuration names one.

    Args:
        network: any.
        x: inputs of all samples.
    """
    if are_codes(x) or not (are_tokens(x) or _asks_for_ids(network, x)):
        return x
    tokens = x.long()
    pad = network.pad if isinstance(network, HuggingFace) else None
    ends = getattr(getattr(getattr(network, "network", None), "config", None), "eos_token_id", None)
    if pad is None or pad == ends or bool((tokens < 0).any()):
        return tokens
    return torch.where(tokens == pad, -1 - pad, tokens)


def _asks_for_ids(network: nn.Module, x: Any) -> bool:
    """Whether rows of whole numbers are ids: the network takes them as integers, and not as floats."""
    if not isinstance(x, Tensor) or x.ndim != 2 or not x.numel():
        return False
    if bool((x < 0).any()) or not bool((x == x.round()).all()):
        return False
    if isinstance(network, HuggingFace):
        return network.takes_tokens
    return not _runs(network, x[:_TRIED]) and _runs(network, x[:_TRIED].long())


def _runs(network: nn.Module, x: Tensor) -> bool:
    try:
        read_outputs(network, [x], lambda out, n: None)
    except Exception:  # of any network
        return False
    return True


def as_texts(network: Tokenized, parts: dict[str, Tensor]) -> tuple[dict[str, Tensor] | None, str]:
    """The texts that tokens came from, as code points, and what to tell; none where a row doesn't come back from them.

    Args:
        network: with the tokenizer.
        parts: tokens.
    """
    found: dict[str, Tensor] = {}
    for part, tokens in parts.items():
        texts = network.texts_of(tokens)
        if texts is None:
            return None, "the tokenizer can't turn token ids back into texts: they are measured as ids"
        codes = to_codes(texts)
        back = network.comes_back(to_texts(codes), tokens)
        if not bool(back.all()):
            lost = int((~back).sum())
            return None, (
                f"{lost} of {len(back)} rows of token ids ({part}) don't come back from their own text through the "
                "tokenizer: they are measured as ids"
            )
        found[part] = codes
    return found, "token ids were turned back into their texts, from which the tokenizer gives the same ids"


def aligned(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tokens of all parts in one length.

    Args:
        parts: tokens.
    """
    rows = joined_tokens(list(parts.values()))
    return dict(zip(parts, rows.split([len(part) for part in parts.values()]), strict=True))
