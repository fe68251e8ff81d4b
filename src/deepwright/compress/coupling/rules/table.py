"""What each operation does to axis labels.

A rule takes the walk and a node of a `torch.export` graph, ties what must go together, and gives the labels of the
node's output. What has no rule freezes its inputs and is listed: nothing is guessed.
"""

from __future__ import annotations

from deepwright.compress.coupling.rules.contract import attention, convolution, einsum, embedding, linear, matmul
from deepwright.compress.coupling.rules.elementwise import ELEMENTWISE
from deepwright.compress.coupling.rules.pointwise import batch_norm, group_norm, keep, layer_norm, pointwise, prelu
from deepwright.compress.coupling.rules.recurrent import recurrent_cell, recurrent_layer
from deepwright.compress.coupling.rules.shape import (
    along,
    cat,
    channel_shuffle,
    expand,
    free,
    getitem,
    glu,
    index,
    index_select,
    pad,
    permute,
    pixel_shuffle,
    pixel_unshuffle,
    reduction,
    repeat,
    repeat_interleave,
    reshape,
    select,
    slice_,
    spatial,
    split,
    squeeze,
    stack,
    triangle,
    unbind,
    unsqueeze,
)
from deepwright.compress.coupling.walk import Rule


def _each(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


def _sized(names: str) -> str:
    """Each name for one, two and three axes of space: max_pool1d, max_pool2d, max_pool3d."""
    return " ".join(f"{name}{d}d" for name in names.split() for d in (1, 2, 3))


RECURRENT: dict[str, Rule] = {
    **_each("lstm gru rnn_tanh rnn_relu", recurrent_layer),
    **_each("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell", recurrent_cell),
}
"""Recurrent layers and their cells."""
PRODUCTS: dict[str, Rule] = {
    **_each(_sized("conv conv_transpose") + " convolution", convolution),
    "linear": linear,
    **_each("mm bmm matmul addmm baddbmm mv dot", matmul),
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
}
"""Operations that sum over an axis with a weight, or over one of two activations."""
_NORMS = {
    **_each("batch_norm instance_norm _native_batch_norm_legit_no_training cudnn_batch_norm", batch_norm),
    **_each("layer_norm rms_norm", layer_norm),
    "group_norm": group_norm,
}
_SAME_PLACE = {
    **_each(" ".join(ELEMENTWISE), pointwise),
    "prelu": prelu,
    **_each("dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout", keep),
    **_each("alias clone contiguous detach lift_fresh lift_fresh_copy to _to_copy type_as", keep),
    **_each("fill zeros_like ones_like", keep),
}
_SHAPES = {
    **_each("reshape view flatten unflatten _unsafe_view view_as _reshape_alias", reshape),
    **_each("permute transpose t movedim moveaxis swapaxes swapdims numpy_T mT mH adjoint matrix_H", permute),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    **_each("expand expand_as broadcast_to", expand),
    **_each("repeat tile", repeat),
    "repeat_interleave": repeat_interleave,
    **_each("cat concat concatenate", cat),
    "stack": stack,
    "select": select,
    "unbind": unbind,
    **_each("split chunk split_with_sizes tensor_split unsafe_chunk unsafe_split", split),
    **_each("slice narrow", slice_),
    **_each("pad constant_pad_nd", pad),
    "glu": glu,
    **_each("triu tril", triangle),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    **_each("channel_shuffle native_channel_shuffle", channel_shuffle),
    "getitem": getitem,
    "embedding": embedding,
    "index_select": index_select,
    "index": index,
}
_POOLS = _sized("max_pool avg_pool adaptive_avg_pool adaptive_max_pool reflection_pad replication_pad")
_RESIZES = """
max_pool2d_with_indices upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d
upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
"""
_REDUCTIONS = """
mean sum amax amin max min var std prod norm linalg_vector_norm logsumexp argmax argmin any all var_mean std_mean
aminmax median
"""
_ALONG = "softmax log_softmax _softmax _log_softmax cumsum cumprod sort topk flip roll softmin logcumsumexp"
_ASSERTED = "_assert_tensor_metadata _assert_async _assert_scalar"
_NEW = "arange zeros ones full empty eye linspace scalar_tensor new_zeros new_ones new_full rand randn tensor"

RULES: dict[str, Rule] = {
    **_SAME_PLACE,
    **PRODUCTS,
    **RECURRENT,
    **_NORMS,
    **_SHAPES,
    **_each(_POOLS + _RESIZES, spatial),
    **_each(_REDUCTIONS, reduction),
    **_each(_ALONG, along),
    **_each(_NEW + " " + _ASSERTED, free),
}
"""Operation -> rule, by the base name of the operation."""
