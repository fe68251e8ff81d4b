"""A network on token ids that come without their tokenizer: what it takes are rows of `core.texts.to_tokens`."""

from __future__ import annotations

import inspect
from typing import Any

from jaxtyping import Bool, Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network
from deepwright.core.texts import token_parts
from deepwright.nets.doors.hugging_face import HuggingFace
from deepwright.nets.doors.objects import as_network


class TokenNetwork(nn.Module):
    """Tokens (`core.texts.to_tokens`) -> the network's outputs, with the mask and the segments that it asks for.

    Args:
        network: takes token ids (N, L), and by these names `attention_mask` and `token_type_ids` where it has such
            arguments; a model of transformers among them.

    Raises:
        InputError: no network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network = as_network(network).network
        require_network(network)
        self.network = network
        asked = network.network if isinstance(network, HuggingFace) else network
        forward = getattr(asked, "forward", None)
        try:
            self._takes = frozenset(inspect.signature(forward).parameters) if callable(forward) else frozenset()
        except (TypeError, ValueError):  # a program without a signature
            self._takes = frozenset()
        self.training = network.training

    def encode(self, tokens: Int64[Tensor, "n length"]) -> Int64[Tensor, "n length"]:
        """The ids that the embedding is asked for.

        Args:
            tokens: as `to_tokens` gives them.
        """
        return token_parts(tokens)[0]

    def real(self, tokens: Int64[Tensor, "n length"]) -> Bool[Tensor, "n length"]:
        """Which tokens don't only fill up.

        Args:
            tokens: as `to_tokens` gives them.
        """
        return token_parts(tokens)[1]

    def forward(self, tokens: Int64[Tensor, "n length"]) -> Any:
        """Outputs of the network.

        Raises:
            InputError: segments, of which the network takes none; ids that it has no embedding for.
        """
        ids, real, segments = token_parts(tokens)
        named: dict[str, Tensor] = {}
        if "attention_mask" in self._takes:
            named["attention_mask"] = real.long()
        if "token_type_ids" in self._takes:
            named["token_type_ids"] = segments
        elif bool(segments.any()):
            given = f"segments 0..{int(segments.max())}, and {type(self.network).__name__}.forward without them"
            raise InputError("token_type_ids", given=given, expected="a network that has this argument")
        if isinstance(self.network, HuggingFace):
            return self.network.asked(ids, **named)
        try:
            return self.network(ids, **named)
        except IndexError as error:
            given = f"ids up to {int(ids.max())} in rows of {ids.shape[1]}, which the network has no embedding for"
            raise InputError("input_ids", given=given, expected="those that the network was trained on") from error
