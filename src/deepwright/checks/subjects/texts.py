"""Networks that read texts, for the checks: the tokenizer in front, and what simple methods see of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.texts import HashedWords
from deepwright.data import Data, Split
from deepwright.nets.texts import Tokenized

BATCH = 512


def reads_texts(model: nn.Module, tokenizer: Any = None) -> Tokenized:
    """The network with its tokenizer in front.

    Args:
        model: takes token ids, or has its tokenizer already.
        tokenizer: see `nets.texts.as_tokenizer`.

    Raises:
        InputError: no tokenizer, or a second one.
    """
    if isinstance(model, Tokenized):
        if tokenizer is not None:
            raise InputError("tokenizer", given="one beside a network that has its own", expected="none")
        return model
    if tokenizer is None:
        raise InputError(
            "tokenizer",
            given="none, for texts",
            expected="what the network was trained with",
            hint="tokenizer=list of strings -> token ids (--tokenizer FOLDER or package.module:name)",
        )
    return Tokenized(model, tokenizer)


def bags(split: Split) -> Split:
    """A split of texts as hashed counts of their words.

    Args:
        split: of code points.
    """
    count = HashedWords()
    parts = [count(x) for x, _ in split.batches(BATCH)]
    return Split(torch.cat(parts) if parts else torch.zeros(0, count.columns), split.y)


def as_bags(data: Data) -> Data:
    """A data set of texts as a table of hashed counts.

    Args:
        data: of kind "text".
    """
    parts: dict[str, Any] = {part: bags(getattr(data, part)) for part in ("train", "validation", "test")}
    return replace(data, kind="tabular", ood={}, **parts)


class OnBags(nn.Sequential):
    """A classifier of hashed counts that takes texts.

    Args:
        classifier: takes `HashedWords`.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__(HashedWords(), classifier)


def excerpt(codes: Tensor, most: int = 120) -> str:
    """One text for a table.

    Args:
        codes: (characters,) code points.
        most: characters that are shown.
    """
    text = "".join(map(chr, codes[codes != 0].tolist()))
    return text if len(text) <= most else text[: most - 3] + "..."
