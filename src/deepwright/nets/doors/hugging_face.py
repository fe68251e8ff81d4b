"""Models of Hugging Face's `transformers` as plain modules: one tensor in, raw outputs out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

_TOKENS = ("input_ids", "decoder_input_ids")
_OTHER_HEADS = {
    "ForTokenClassification": "which gives a label for each token",
    "ForQuestionAnswering": "which points at the answer in a text",
    "ForMultipleChoice": "which chooses between several texts",
    "ForMaskedLM": "which fills words in",
    "ForPreTraining": "which fills words in",
    "LMHead": "which writes text",
    "CausalLM": "which writes text",
    "ConditionalGeneration": "which writes text",
    "Seq2SeqLM": "which writes text",
}
_PLACES = ("position_embeddings", "wpe", "embed_positions")


class _Home:
    """The folder that a network was loaded from; it is no part of what the network is."""

    fingerprint = "where a network was loaded from"

    def __init__(self, folder: str | None) -> None:
        self.folder = folder


class HuggingFace(nn.Module):
    """A model of `transformers` that takes one tensor: pixels or another signal, or token ids with their mask.

    Floats become what the model's `main_input_name` says (`pixel_values`, `input_values`, ...), integers `input_ids`
    with `attention_mask` = (ids != pad id). A map of classes comes back in the size of the picture, interpolated as
    the model's own post-processing does it.

    Args:
        model: with a head, as `AutoModelForImageClassification` or `BertForSequenceClassification`; it lives on where
            and as it is.
        pad: the id of tokens that are no text; the configuration's by default.
        folder: that it was loaded from.

    Raises:
        InputError: no model of transformers.
    """

    def __init__(self, model: nn.Module, pad: int | None = None, folder: str | None = None) -> None:
        super().__init__()
        if not isinstance(getattr(model, "main_input_name", None), str) or not hasattr(model, "config"):
            raise InputError("model", given=type(model).__name__, expected="a PreTrainedModel of transformers")
        self.network, self._home = model, _Home(folder)
        if pad is not None:
            require_whole(0, pad=pad)
        self.pad = _pad(model.config) if pad is None else pad
        self._masked = "attention_mask" in inspect.signature(model.forward).parameters
        self.training = model.training

    @property
    def folder(self) -> str | None:
        """The folder that it was loaded from; None for one that was made otherwise."""
        return self._home.folder

    @property
    def takes_tokens(self) -> bool:
        """Whether its inputs are token ids (N, L)."""
        return self.network.main_input_name in _TOKENS

    def forward(self, x: Tensor) -> Any:
        """Logits; the whole output where a head gives something else (boxes, answers, a sequence).

        Args:
            x: pixels (N, C, H, W) or another signal as floats, or token ids (N, L).
        """
        out = self.network(**self._named(x), return_dict=True)
        return _read(out, self.network, x)

    def asked(self, ids: Tensor, **named: Tensor) -> Any:
        """Logits for token ids whose mask is known, and not told by the id of padding.

        Args:
            ids: (N, L).
            **named: what else the model's `forward` gets, by its names.
        """
        self._require_ids(ids)
        given = {str(self.network.main_input_name): ids, **named}
        return _read(self.network(**given, return_dict=True), self.network, ids)

    def _named(self, x: Tensor) -> dict[str, Tensor]:
        name = str(self.network.main_input_name)
        if x.is_floating_point() == self.takes_tokens:
            given = f"{x.dtype} of shape {tuple(x.shape)}"
            expected = f"{name}, " + ("token ids (N, L) as int64" if self.takes_tokens else "floats")
            raise InputError(f"inputs of {type(self.network).__name__}", given=given, expected=expected)
        if not self.takes_tokens:
            return {name: x}
        if x.ndim != 2:
            raise InputError("token ids", given=f"shape {tuple(x.shape)}", expected="(N, L), each text padded to L")
        self._require_ids(x)
        named = {name: x.long()}
        if self.pad is not None and self._masked:
            named["attention_mask"] = (x != self.pad).long()
        return named

    def _require_ids(self, x: Tensor) -> None:
        """Refuse ids and lengths that the tables of the model don't have: indices fail deep inside, or on the GPU."""
        if torch.compiler.is_compiling():  # no graph can hold a refusal: values aren't known while it is traced
            return
        table = self.network.get_input_embeddings()  # type: ignore[operator]
        known = getattr(table, "num_embeddings", None)
        if isinstance(known, int) and x.numel():
            low, high = torch.stack(x.aminmax()).tolist()  # one wait for the device
            if low < 0 or high >= known:
                raise InputError("token ids", given=f"{low}..{high}", expected=f"0..{known - 1}")
        places = [
            module.num_embeddings
            for name, module in self.network.named_modules()
            if type(module) is nn.Embedding and name.endswith(_PLACES)
        ]
        if places and x.shape[1] > min(places):
            raise InputError("token ids", given=f"{x.shape[1]} a text", expected=f"at most {min(places)}")


def _pad(config: Any) -> int | None:
    """The configured id of padding; None where there is none."""
    found = getattr(config, "pad_token_id", None)
    if found is None and hasattr(config, "get_text_config"):
        found = getattr(config.get_text_config(), "pad_token_id", None)
    return found if isinstance(found, int) and found >= 0 else None


def _read(out: Any, model: nn.Module, x: Tensor) -> Any:
    logits = getattr(out, "logits", None)
    if not isinstance(logits, Tensor):
        if isinstance(out, Mapping) and "last_hidden_state" in out:
            raise InputError(
                f"the output of {type(model).__name__}",
                given=", ".join(out),
                expected="logits",
                hint="this is a body without a head: load it as AutoModelFor... (ImageClassification, ...)",
            )
        return out
    if isinstance(getattr(out, "pred_boxes", None), Tensor):
        return out
    if logits.ndim == 4 and x.ndim == 4 and logits.shape[-2:] != x.shape[-2:]:
        return F.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)
    return logits


def require_one_answer(model: object) -> None:
    """Refuse a model of transformers whose head has no one answer for a text.

    Args:
        model: any network; of other ones the outputs tell.

    Raises:
        InputError: a head for tokens, for spans, or for the next words.
    """
    inner = model.network if isinstance(model, HuggingFace) else model
    name = type(inner).__name__
    seen = next((what for head, what in _OTHER_HEADS.items() if head in name), None)
    if is_pretrained(inner) and seen is not None:
        raise InputError(
            "the network of texts",
            given=f"{name}, {seen}",
            expected="one class, labels or numbers for each text",
            hint="...ForSequenceClassification has such a head; the others aren't measured",
        )


def is_pretrained(model: object) -> bool:
    """Whether something is a model of `transformers`; the package isn't imported to find out.

    Args:
        model: anything.
    """
    # Where the class was not loaded no model has it; asking the package for it would load it, for seconds.
    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    return inspect.isclass(kind) and isinstance(model, kind)
