"""Which operations at run time multiply and accumulate, how often, and which nobody has a rule for.

torch's counter knows convolutions and products of matrices. What it doesn't know has its formula here, what is counted
apart (element-wise, norms, pools, moves) its name, and whatever is left is told by name: never counted as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from deepwright.compress.coupling.rules.table import PRODUCTS, RECURRENT, RULES

_PRODUCTS = """
convolution _convolution conv1d conv2d conv3d cudnn_convolution mkldnn_convolution addmm mm bmm baddbmm linear einsum
_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention
_scaled_dot_product_cudnn_attention _flash_attention_forward _efficient_attention_forward _scaled_mm
_slow_conv2d_forward mv dot vdot addmv addbmm mkldnn_rnn_layer _cudnn_rnn
"""
# What the rules of coupling know only by the names that code calls them by.
_APART = """
native_batch_norm native_layer_norm native_group_norm _native_batch_norm_legit _native_batch_norm_legit_functional
_batch_norm_with_update _batch_norm_no_update cudnn_batch_norm miopen_batch_norm _fused_rms_norm
native_dropout bernoulli copy copy_ empty empty_like empty_strided empty_permuted new_empty new_empty_strided full_like
rand_like randn_like as_strided _adaptive_avg_pool2d _adaptive_avg_pool3d max_pool2d_with_indices
max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d mkldnn_max_pool2d unfold im2col col2im constant_pad_nd
gather scatter scatter_add index_put _index_put_impl index_add index_copy masked_select nonzero tril triu diagonal
_softmax _log_softmax _safe_softmax split_with_sizes _local_scalar_dense item is_same_size resize unsafe_split
_thnn_fused_lstm_cell _thnn_fused_gru_cell _weight_norm_interface grid_sampler_2d grid_sampler_3d pixel_shuffle
pixel_unshuffle channel_shuffle native_channel_shuffle _upsample_nearest_exact1d _upsample_nearest_exact2d
log_sigmoid_forward rrelu_with_noise
_embedding_bag embedding_bag fill zero normal uniform random randperm randint one_hot bucketize searchsorted
_unique2 unique_dim cummax cummin kthvalue mode isin set_ _prelu_kernel
_assert_async _assert_scalar _assert_tensor_metadata
"""
_KNOWN_APART = frozenset([*_APART.split(), *(set(RULES) - set(PRODUCTS) - set(RECURRENT))])
_KNOWN_PRODUCTS = frozenset(_PRODUCTS.split())


def formulas() -> dict[Any, Callable[..., int]]:
    """Floating-point operations (two a multiply-accumulate) of what torch's counter leaves out, from shapes."""
    from torch.utils.flop_counter import sdpa_flop_count

    def attention(query: Any, key: Any, value: Any, *rest: Any, **options: Any) -> int:
        return sdpa_flop_count(query, key, value)

    def matrix_vector(matrix: Any, *rest: Any, **options: Any) -> int:
        return 2 * math.prod(matrix)

    def added_matrix_vector(summand: Any, matrix: Any, *rest: Any, **options: Any) -> int:
        return 2 * math.prod(matrix)

    def added_batches(summand: Any, a: Any, b: Any, *rest: Any, **options: Any) -> int:
        return 2 * math.prod(a) * b[-1]

    def recurrent_layer(x: Any, inner: Any, recurrent: Any, *rest: Any, **options: Any) -> int:
        return 2 * math.prod(x[:-1]) * (math.prod(inner) + math.prod(recurrent))

    def recurrent_stack(x: Any, weights: Any, *rest: Any, **options: Any) -> int:
        return 2 * math.prod(x[:-1]) * sum(math.prod(w) for w in weights if len(w) == 2)

    aten = torch.ops.aten
    return {
        aten._scaled_dot_product_flash_attention_for_cpu: attention,
        aten.mv: matrix_vector,
        aten.dot: matrix_vector,
        aten.vdot: matrix_vector,
        aten.addmv: added_matrix_vector,
        aten.addbmm: added_batches,
        aten.mkldnn_rnn_layer: recurrent_layer,
        aten._cudnn_rnn: recurrent_stack,
    }


class Others(TorchDispatchMode):
    """Watches operations that aren't products.

    Attributes:
        outputs: elements that they made, views left out.
        unknown: names of those that no rule knows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs = 0
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation and look at its outputs."""
        out = func(*args, **(kwargs or {}))
        space, _, name = func._schema.name.partition("::")
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if space == "aten" and (name in _KNOWN_PRODUCTS or is_view):
            return out
        values = [v for v in (out if isinstance(out, tuple | list) else (out,)) if isinstance(v, Tensor)]
        base = name.removesuffix("_") if not name.endswith("__") else name
        known = space in ("aten", "prim", "prims") and (base in _KNOWN_APART or torch.Tag.pointwise in func.tags)
        if values and not known:
            self.unknown.add(base if space == "aten" else f"{space}::{name}")
        self.outputs += sum(v.numel() for v in values)
        return out
