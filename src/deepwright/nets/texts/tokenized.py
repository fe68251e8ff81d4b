"""A network with its tokenizer in front: what it takes are texts, as an image network takes pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network
from deepwright.core.texts import SEGMENT, to_texts
from deepwright.nets.doors.hugging_face import HuggingFace
from deepwright.nets.doors.objects import as_network
from deepwright.nets.texts.tokenizers import as_tokenizer


class Tokenized(nn.Module):
    """Texts (a list, or their code points as `core.texts.to_codes` gives them) -> the network's outputs on their ids.

    Args:
        network: takes token ids (N, L); a model of transformers among them.
        tokenizer: list of strings -> ids, see `as_tokenizer`.
    """

    def __init__(self, network: nn.Module, tokenizer: Callable[..., Any]) -> None:
        super().__init__()
        network = as_network(network).network
        require_network(network)
        self.tokenizer = as_tokenizer(tokenizer, longest=_longest(network))
        if isinstance(network, HuggingFace) and self.pad_id is not None and network.pad != self.pad_id:
            network = HuggingFace(network.network, self.pad_id)  # what isn't text is what the tokenizer says
        self.network = network
        self.training = network.training

    @property
    def pad_id(self) -> int | None:
        """The id that fills short rows; None where the tokenizer doesn't say it."""
        return getattr(self.tokenizer, "pad_id", None)

    def encode(self, texts: Tensor | Sequence[str]) -> Int64[Tensor, "n length"]:
        """Token ids where the network lives.

        Args:
            texts: strings, or their code points.
        """
        strings = to_texts(texts) if isinstance(texts, Tensor) else list(texts)
        return self.tokenizer(strings).to(device_of(self.network))

    def real(self, ids: Int64[Tensor, "n length"]) -> Bool[Tensor, "n length"]:
        """Which tokens aren't padding.

        Args:
            ids: as `encode` gives them.
        """
        return torch.ones_like(ids, dtype=torch.bool) if self.pad_id is None else ids != self.pad_id

    def texts_of(self, tokens: Int64[Tensor, "n length"]) -> list[str] | None:
        """The texts that tokens came from, without signs that no text has; None where the tokenizer can't tell.

        Args:
            tokens: as `core.texts.to_tokens` gives them.
        """
        decode = getattr(getattr(self.tokenizer, "tokenizer", None), "batch_decode", None)
        if decode is None or not bool((tokens >= 0).any(1).all()):
            return None
        found = decode([row[row >= 0] % SEGMENT for row in tokens], skip_special_tokens=True)
        return [str(text) for text in found]

    def comes_back(self, texts: Sequence[str], tokens: Int64[Tensor, "n length"]) -> Bool[Tensor, " n"]:
        """Which texts the tokenizer turns into these very tokens, all of the first segment.

        Args:
            texts: one a row.
            tokens: as `core.texts.to_tokens` gives them.
        """
        rows = getattr(self.tokenizer, "rows", None)
        assert rows is not None  # only one that gives texts is asked
        made = rows(texts)
        return torch.tensor([row == ids[ids >= 0].tolist() for row, ids in zip(made, tokens, strict=True)])

    def forward(self, texts: Tensor | Sequence[str]) -> Any:
        """Outputs of the network."""
        ids = self.encode(texts)
        try:
            return self.network(ids)
        except IndexError as error:
            most = int(ids.max())
            raise InputError(
                "tokenizer",
                given=f"ids up to {most} in rows of {ids.shape[1]}, which the network has no embedding for",
                expected="the tokenizer that the network was trained with",
            ) from error


def _longest(network: nn.Module) -> int | None:
    """How many positions a network of Hugging Face knows."""
    for module in network.modules():
        found = getattr(getattr(module, "config", None), "max_position_embeddings", None)
        if isinstance(found, int) and found > 0:
            return found
    return None
