"""Anybody's tokenizer as one call: list of strings -> token ids (N, L), checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError, MissingExtraError, first_line
from deepwright.core.user_code import users_code
from deepwright.nets.factories import imported
from deepwright.nets.texts.vocabulary import WordTokenizer

_EXPECTED = "a callable that takes a list of strings and gives token ids (N, L), or a tokenizer of Hugging Face"
_UNLIMITED = 10**6  # of a tokenizer that knows no longest text


class CheckedTokenizer:
    """A user's callable, whose ids are looked at and filled up to one length.

    Args:
        function: list of strings -> a tensor of ids, or lists of them.
        pad_id: fills short rows.
    """

    def __init__(self, function: Callable[[list[str]], Any], pad_id: int = 0) -> None:
        self.function, self.pad_id = function, pad_id

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "n length"]:
        """Ids of texts."""
        with users_code("tokenizer", _EXPECTED):
            found = self.function(list(texts))
        if isinstance(found, list | tuple) and all(isinstance(row, list | tuple) for row in found):
            width = max(1, *(len(row) for row in found)) if found else 1
            found = [[*row, *[self.pad_id] * (width - len(row))] for row in found]
        try:
            ids = torch.as_tensor(found)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError("tokenizer", given=first_line(error), expected=_EXPECTED) from error
        whole = not ids.is_floating_point() and not ids.is_complex() and ids.dtype != torch.bool
        if ids.ndim != 2 or len(ids) != len(texts) or not whole or ids.shape[1] == 0:
            given = f"{ids.dtype} of shape {tuple(ids.shape)} for {len(texts)} texts"
            raise InputError("tokenizer", given=given, expected=_EXPECTED)
        return ids.long()


class HuggingFaceTokenizer:
    """A tokenizer of Hugging Face: its ids, filled up to the longest of a batch and cut at what the network reads.

    Args:
        tokenizer: a `PreTrainedTokenizerBase`.
        longest: tokens that the network reads, where the tokenizer doesn't say it.
    """

    def __init__(self, tokenizer: Any, longest: int | None = None) -> None:
        if tokenizer.pad_token_id is None:
            hint = "tokenizer.pad_token = tokenizer.eos_token"
            raise InputError(
                "tokenizer", given="no padding token", expected="one, for texts of unlike lengths", hint=hint
            )
        self.tokenizer, self.pad_id = tokenizer, int(tokenizer.pad_token_id)
        known = [n for n in (tokenizer.model_max_length, longest) if n is not None and n < _UNLIMITED]
        self.longest = min(known) if known else None

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "n length"]:
        """Ids of texts."""
        ids = self.tokenizer(list(texts), padding=True, return_tensors="pt", **self._cut)["input_ids"].long()
        return ids if ids.shape[1] else torch.full((len(texts), 1), self.pad_id)

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts, as many of each as it has.

        Args:
            texts: strings.
        """
        found: list[list[int]] = self.tokenizer(list(texts), **self._cut)["input_ids"]
        return found

    @property
    def _cut(self) -> dict[str, Any]:
        return {} if self.longest is None else {"truncation": True, "max_length": self.longest}

    @property
    def fingerprint(self) -> str:
        """What determines the ids: the vocabulary and its rules, and not how long the last batch was."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            rules = repr(sorted(self.tokenizer.get_vocab().items()))
        else:
            plain = type(backend).from_str(backend.to_str())
            plain.no_padding()
            plain.no_truncation()
            rules = plain.to_str()
        said = f"{type(self.tokenizer).__name__} {self.pad_id} {self.longest} {rules}"
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def as_tokenizer(tokenizer: Any, *, longest: int | None = None) -> Callable[[Sequence[str]], Tensor]:
    """What turns a list of strings into token ids (N, L).

    Args:
        tokenizer: the house's `WordTokenizer`, a tokenizer of Hugging Face, or a callable: list of strings -> a tensor
            of ids (N, L) or lists of ids, filled up with its `pad_id` (0 where it has none).
        longest: tokens that the network reads, for a tokenizer of Hugging Face that doesn't say it.

    Raises:
        InputError: something else; a tokenizer of Hugging Face without a padding token.
    """
    if isinstance(tokenizer, WordTokenizer | CheckedTokenizer | HuggingFaceTokenizer):
        return tokenizer
    if hasattr(tokenizer, "pad_token_id") and hasattr(tokenizer, "model_max_length") and callable(tokenizer):
        return HuggingFaceTokenizer(tokenizer, longest)
    if not callable(tokenizer) or isinstance(tokenizer, type):
        raise InputError("tokenizer", given=repr(tokenizer), expected=_EXPECTED)
    pad = getattr(tokenizer, "pad_id", 0)
    if isinstance(tokenizer, nn.Module):
        tokenizer = tokenizer.eval()
    return CheckedTokenizer(tokenizer, pad if isinstance(pad, int) else 0)


def named_tokenizer(source: str) -> Callable[[Sequence[str]], Tensor]:
    """A tokenizer from words: a folder of Hugging Face, or `package.module:name` of a callable.

    Args:
        source: the words.

    Raises:
        InputError: no such folder, module or name.
    """
    if Path(source).is_dir():
        return folder_tokenizer(source)
    module, colon, name = source.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), name]):
        raise InputError("tokenizer", given=repr(source), expected="a folder of Hugging Face, or package.module:name")
    made = getattr(imported(module), name, None)
    if made is None:
        raise InputError("tokenizer", given=f"no {name!r} in {module}", expected=_EXPECTED)
    return as_tokenizer(made)


def folder_tokenizer(folder: Path | str) -> Callable[[Sequence[str]], Tensor]:
    """The tokenizer in a folder of `save_pretrained`. No code of the folder is run.

    Args:
        folder: with a `tokenizer.json` or a vocabulary.

    Raises:
        InputError: a folder without a tokenizer.
        MissingExtraError: `transformers` isn't installed.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("transformers", "huggingface", f"the tokenizer in {folder}") from error
    try:
        found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        expected = "a folder of save_pretrained with its tokenizer"
        raise InputError(f"tokenizer in {folder}", given=first_line(error), expected=expected) from error
    return as_tokenizer(found)
