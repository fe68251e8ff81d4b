"""Pipelines of Hugging Face's `transformers`: the network and the tokenizer that they hold."""

from __future__ import annotations

import sys
from typing import Any

from deepwright.core.errors import InputError
from deepwright.nets.texts.tokenized import Tokenized

_HINTS = {"image-classification": "its model and pictures: dw.audit(pipeline.model, loader)"}


def opened_pipeline(model: Any) -> Any:
    """A text-classification pipeline as its network behind its tokenizer; what is no pipeline as it is.

    Args:
        model: anything.

    Raises:
        InputError: a pipeline for another purpose.
    """
    kind = getattr(sys.modules.get("transformers.pipelines.base"), "Pipeline", None)
    if kind is None or not isinstance(model, kind):
        return model
    if model.task != "text-classification":
        raise InputError(
            "model",
            given=f"a pipeline for {model.task}",
            expected="a pipeline for text-classification",
            hint=_HINTS.get(model.task, "what is measured has one class, labels or numbers for each text"),
        )
    return Tokenized(model.model, model.tokenizer)
