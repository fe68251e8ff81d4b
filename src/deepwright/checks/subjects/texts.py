"""Networks that read texts, for the checks: the tokenizer in front, and what simple methods see of a text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.texts import HashedTokens, HashedWords, are_codes, are_tokens
from deepwright.data import Data, Split
from deepwright.nets import Exported, HuggingFace, OnnxNetwork, ScoresOnly
from deepwright.nets.doors import require_one_answer
from deepwright.nets.texts import OfStrings, Tokenized, TokenNetwork, folder_tokenizer, of_strings

BATCH = 512
_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")


def reads_texts(model: nn.Module, tokenizer: Any = None) -> Tokenized | OfStrings:
    """The network with its tokenizer in front; what takes strings itself needs none.

    Args:
        model: takes token ids, or has its tokenizer already; or an estimator or function of strings.
        tokenizer: see `nets.texts.as_tokenizer`; by default the one in the folder that the network comes from.

    Raises:
        InputError: no tokenizer, or a second one; a network that has no one answer for a text.
    """
    if isinstance(model, Tokenized | OfStrings):
        if tokenizer is not None:
            raise InputError("tokenizer", given="one beside a network that has its own", expected="none")
        return model
    if isinstance(model, ScoresOnly) and tokenizer is None and not isinstance(model, Exported | OnnxNetwork):
        return of_strings(model)
    require_one_answer(model)
    tokenizer = own_tokenizer(model) if tokenizer is None else tokenizer
    if tokenizer is None:
        raise InputError(
            "tokenizer",
            given="none, for texts",
            expected="what the network was trained with",
            hint="tokenizer=list of strings -> token ids (--tokenizer FOLDER or package.module:name)",
        )
    return Tokenized(model, tokenizer)


def own_tokenizer(model: object) -> Any:
    """The tokenizer in the folder that a network was loaded from; None where there is none.

    Args:
        model: any network.
    """
    folder = getattr(model, "folder", None)
    if not isinstance(model, HuggingFace) or folder is None or not any((Path(folder) / n).is_file() for n in _FILES):
        return None
    return folder_tokenizer(folder)


def reads_tokens(model: nn.Module) -> TokenNetwork:
    """The network as one of rows of tokens.

    Args:
        model: takes token ids; its own tokenizer is left out.

    Raises:
        InputError: a network that has no one answer for a text.
    """
    if isinstance(model, TokenNetwork):
        return model
    network = model.network if isinstance(model, Tokenized) else model
    require_one_answer(network)
    return TokenNetwork(network)


def has_words(split: Split) -> bool:
    """Whether a split's inputs are texts or token ids, which are compared by how often each comes.

    Args:
        split: any.
    """
    return are_codes(split.x) or are_tokens(split.x)


def bags(split: Split) -> Split:
    """A split of texts as hashed counts of their words, or of token ids as counts of these.

    Args:
        split: of code points or tokens.
    """
    count = HashedTokens() if are_tokens(split.x) else HashedWords()
    parts = [count(x) for x, _ in split.batches(BATCH)]
    return Split(torch.cat(parts) if parts else torch.zeros(0, count.columns), split.y)


def as_bags(data: Data) -> Data:
    """A data set of texts or token ids as a table of hashed counts.

    Args:
        data: of kind "text" or "tokens".
    """
    parts: dict[str, Any] = {part: bags(getattr(data, part)) for part in ("train", "validation", "test")}
    return replace(data, kind="tabular", ood={}, **parts)


class OnBags(nn.Sequential):
    """A classifier of hashed counts that takes texts or token ids.

    Args:
        classifier: takes what `bags` gives.
        tokens: whether it is of token ids.
    """

    def __init__(self, classifier: nn.Module, tokens: bool = False) -> None:
        super().__init__(HashedTokens() if tokens else HashedWords(), classifier)


def excerpt(codes: Tensor, most: int = 120) -> str:
    """One text for a table.

    Args:
        codes: (characters,) code points.
        most: characters that are shown.
    """
    text = "".join(map(chr, codes[codes != 0].tolist()))
    return text if len(text) <= most else text[: most - 3] + "..."
