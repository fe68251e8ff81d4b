"""The products of language models, by name or from their sizes: shapes of public configuration files."""

from __future__ import annotations

from dataclasses import dataclass

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_whole
from deepwright.hardware.arrays.gemm import GEMM

PHASES = ("prefill", "decode")


@dataclass(frozen=True)
class LanguageModel:
    """Sizes of a decoder with gated feed-forward layers and grouped queries.

    Attributes:
        hidden: features of a token.
        intermediate: of the feed-forward layer.
        heads: of queries.
        kv_heads: of keys and values, a divisor of `heads`.
        head_dim: features of a head.
        vocabulary: tokens that the last layer scores.
        layers: of the decoder.

    Raises:
        InputError: a size that isn't a whole number from 1 on; heads that the queries can't share.
    """

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    layers: int

    def __post_init__(self) -> None:
        require_whole(1, **{word: getattr(self, word) for word in self.__dataclass_fields__})
        if self.heads % self.kv_heads:
            raise InputError("kv_heads", given=self.kv_heads, expected=f"a divisor of the {self.heads} heads")


MODELS: dict[str, LanguageModel] = {
    "qwen2-0.5b": LanguageModel(896, 4864, 14, 2, 64, 151936, 24),
    "qwen2-1.5b": LanguageModel(1536, 8960, 12, 2, 128, 151936, 28),
    "qwen2-7b": LanguageModel(3584, 18944, 28, 4, 128, 152064, 28),
    "llama-3.2-1b": LanguageModel(2048, 8192, 32, 8, 64, 128256, 16),
    "llama-3.2-3b": LanguageModel(3072, 8192, 24, 8, 128, 128256, 28),
    "llama-3-8b": LanguageModel(4096, 14336, 32, 8, 128, 128256, 32),
}
TOKENS = (1, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 256, 512, 1024, 2048)
"""Prompt lengths that studies sweep."""


def llm_gemms(
    name_or_config: str | LanguageModel,
    tokens: int,
    kv_len: int = 0,
    phase: str = "prefill",
    include_attention: bool = False,
    lm_head: bool = True,
) -> list[GEMM]:
    """The products of one forward pass: of a prompt, or of one step of decoding.

    Queries, keys and values are one group, gate and up another.

    Args:
        name_or_config: a name in `MODELS`, or sizes.
        tokens: of the prompt; in decoding, sequences that are decoded together, one token each.
        kv_len: tokens already in the cache, which attention sees beside the new ones.
        phase: "prefill" (tokens see each other, the whole square is computed) or "decode" (each sees its own cache).
        include_attention: the products of queries with keys and of weights with values, head by head.
        lm_head: the last layer, on all tokens.

    Raises:
        InputError: an unknown name or phase, no token, a negative cache, attention without anything to see.
    """
    if isinstance(name_or_config, LanguageModel):
        model = name_or_config
    elif isinstance(name_or_config, str) and name_or_config in MODELS:
        model = MODELS[name_or_config]
    else:
        raise unknown_name("model", str(name_or_config), MODELS)
    require_whole(1, tokens=tokens)
    require_whole(0, kv_len=kv_len)
    if phase not in PHASES:
        raise unknown_name("phase", str(phase), PHASES)
    h, layers, q, kv = model.hidden, model.layers, model.heads * model.head_dim, model.kv_heads * model.head_dim
    found = [
        GEMM(tokens, h, q, layers, name="q", group="qkv"),
        GEMM(tokens, h, kv, layers, name="k", group="qkv"),
        GEMM(tokens, h, kv, layers, name="v", group="qkv"),
    ]
    if include_attention:
        alone = phase == "decode"
        rows, copies = (1, model.heads * tokens) if alone else (tokens, model.heads)
        seen = kv_len + rows
        found.append(GEMM(rows, model.head_dim, seen, layers, copies, "scores"))
        found.append(GEMM(rows, seen, model.head_dim, layers, copies, "values"))
    found += [
        GEMM(tokens, q, h, layers, name="o"),
        GEMM(tokens, h, model.intermediate, layers, name="gate", group="gate and up"),
        GEMM(tokens, h, model.intermediate, layers, name="up", group="gate and up"),
        GEMM(tokens, model.intermediate, h, layers, name="down"),
    ]
    return [*found, GEMM(tokens, h, model.vocabulary, name="lm_head")] if lm_head else found
