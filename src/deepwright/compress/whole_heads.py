"""`nn.MultiheadAttention` with fewer heads than its width has room for.

PyTorch's own forward takes the width of a head from the width of its input, so no head can go without a share of the
input. Here the two are numbers of their own; parameters keep their names, so that weights, optimisers and index maps
don't notice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError


class WholeHeads(nn.MultiheadAttention):
    """Attention over `num_heads` heads of `head_dim` each, whatever the width of the input.

    Made by `shrink` of a module that exists already: its `__init__` isn't run.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `nn.MultiheadAttention.forward`.

        Args:
            query: (batch, length, width), or as `batch_first` has it; (length, width) alone.
            key: of the same form.
            value: of the same form.
            key_padding_mask: (batch, keys): True, or an added number, where a key isn't looked at.
            need_weights: give the attention too.
            attn_mask: (length, keys) or (batch * heads, length, keys), likewise.
            average_attn_weights: over heads.
            is_causal: a hint that `attn_mask` is causal; the mask itself is used.

        Raises:
            InputError: what PyTorch's module refuses: shapes that only broadcasting would bring together, a mask of
                other heads, masks of whole numbers, the hint without a mask.
        """
        if is_causal and attn_mask is None:
            raise InputError("is_causal", given="no attn_mask", expected="the causal mask along with the hint")
        single = query.ndim == 2
        if single:
            query, key, value = (x[None] for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        self._require_fit(query, key, value, attn_mask, key_padding_mask)
        q, k, v = (self._headed(x, w, b) for x, (w, b) in zip((query, key, value), self._projections()))
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.head_dim)
        for mask in (self._over_heads(attn_mask), _over_keys(key_padding_mask)):
            if mask is not None:
                scores = scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        weights = F.dropout(scores.softmax(-1), self.dropout, self.training)
        out = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        if single:
            out = out[0]
        elif not self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        told = weights.mean(1) if average_attn_weights else weights
        return out, told[0] if single else told

    def _require_fit(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None
    ) -> None:
        """Batches, lengths and masks belong together: broadcasting would answer for others silently."""
        if not query.ndim == key.ndim == value.ndim == 3:
            given = f"{query.ndim}, {key.ndim} and {value.ndim} axes"
            raise InputError("query, key and value", given=given, expected="3 axes each, or 2 each without a batch")
        n, length, keys = len(query), query.shape[1], key.shape[1]
        if key.shape[:2] != value.shape[:2] or len(key) != n:
            given = ", ".join(str(tuple(x.shape[:2])) for x in (query, key, value))
            expected = "one batch size, and one length of keys and values"
            raise InputError("(batch, length) of query, key and value", given=given, expected=expected)
        if attn_mask is not None and attn_mask.shape not in ((length, keys), (n * self.num_heads, length, keys)):
            expected = f"({length}, {keys}), or ({n * self.num_heads}, {length}, {keys}): {self.num_heads} heads"
            hint = "a mask for each head must lose the rows of the heads that were removed"
            raise InputError("attn_mask", given=f"shape {tuple(attn_mask.shape)}", expected=expected, hint=hint)
        if key_padding_mask is not None and key_padding_mask.shape != (n, keys):
            expected = f"({n}, {keys}): one row a sample"
            raise InputError("key_padding_mask", given=f"shape {tuple(key_padding_mask.shape)}", expected=expected)
        for name, mask in (("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask)):
            if mask is not None and mask.dtype != torch.bool and not mask.is_floating_point():
                raise InputError(name, given=mask.dtype, expected="bool, or floating numbers that are added")

    def _projections(self) -> list[tuple[Tensor, Tensor | None]]:
        weights = (
            self.in_proj_weight.chunk(3)
            if self.in_proj_weight is not None
            else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        )
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return list(zip(weights, biases))

    def _headed(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def _over_heads(self, mask: Tensor | None) -> Tensor | None:
        return mask if mask is None or mask.ndim == 2 else mask.unflatten(0, (-1, self.num_heads))


def _over_keys(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask[:, None, None]


def follow_widths(module: nn.MultiheadAttention) -> None:
    """Turn PyTorch's module into one of whole heads where its cut parameters ask for it (in place).

    Args:
        module: whose parameters were cut.
    """
    packed = module.in_proj_weight
    rows = module.q_proj_weight.shape[0] if packed is None else packed.shape[0] // 3
    wide = module.q_proj_weight.shape[1] if packed is None else packed.shape[1]
    if type(module) not in (nn.MultiheadAttention, WholeHeads) or (rows == wide == module.embed_dim):
        return
    module.__class__ = WholeHeads
    module.num_heads, module.embed_dim = rows // module.head_dim, wide
    module.kdim = wide if packed is not None else module.k_proj_weight.shape[1]
    module.vdim = wide if packed is not None else module.v_proj_weight.shape[1]
    module._qkv_same_embed_dim = False  # transformer layers then leave out their fused kernel, which has equal widths
